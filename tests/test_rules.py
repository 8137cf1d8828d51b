"""The rules of the house: who may import whom, what `prep --help` may load, what dvc.yaml must list."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import models
from tests.imports import PACKAGES, ROOT, imported_names, reachable

ALLOWED = {"pipeline": {"pipeline"}, "models": {"models", "pipeline"}, "stages": set(PACKAGES)}
FOUNDATIONS = ("emotions", "errors", "params", "schema")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
DVC = yaml.safe_load((ROOT / "dvc.yaml").read_text())
STAGES = sorted(DVC["stages"])


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_layers_never_import_back(file):
    layer = file.relative_to(ROOT).parts[0]
    tops = {name.partition(".")[0] for name in imported_names(file)} & set(PACKAGES)
    assert tops <= ALLOWED[layer], f"{name_of(file)} imports {sorted(tops - ALLOWED[layer])}"


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_nothing_imports_the_tests(file):
    assert not {name for name in imported_names(file) if name.partition(".")[0] == "tests"}


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_what_is_imported_by_its_name_alone_is_imported_from_where_it_is(file):
    """`models.Predictor` is found when it is asked for, so no import says which code comes with it."""
    assert not {f"models.{name}" for name in models.LAZY} & imported_names(file)


def test_all_that_is_printed_goes_one_way():
    """Names of files and labels are others' words, and `stages.say` keeps them from steering a terminal."""
    printing = [path for path in FILES if any(word in path.read_text() for word in ("typer.echo(", "click.echo("))]
    assert [name_of(path) for path in printing] == ["stages/say.py"]


@pytest.mark.parametrize("name", FOUNDATIONS)
def test_foundations_import_no_sibling(name):
    module, package = ROOT / "pipeline" / f"{name}.py", ROOT / "pipeline" / name
    (start,) = [path for path in (module, package / "__init__.py") if path.is_file()]
    siblings = {path for path in reachable(start) if path.parent != package} - {module, ROOT / "pipeline/__init__.py"}
    # The errors are the one thing that every file may raise.
    assert {path.stem for path in siblings} <= {"errors"}


def test_help_loads_no_heavy_module():
    code = (
        "import sys; from stages.cli import run; run(['--help']); "
        "print([name for name in ('torch', 'dlib', 'cv2', 'lightning', 'dvc') if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stderr.strip() == "[]"
    assert "Usage: prep" in done.stdout


def stage_body(name: str) -> dict:
    stage = DVC["stages"][name]
    return stage.get("do", stage)


def code_deps(name: str) -> set[str]:
    deps = [dep for dep in stage_body(name)["deps"] if isinstance(dep, str)]
    return {dep for dep in deps if dep.partition("/")[0] in PACKAGES}


def covers(dep: str, file: str) -> bool:
    return file == dep or file.startswith(f"{dep}/")


@pytest.mark.parametrize("name", STAGES)
def test_stage_lists_the_code_it_can_reach(name):
    reached = {name_of(path) for path in reachable(ROOT / "stages" / f"{name}.py")}
    # A package's marker without code cannot change a result.
    reached = {path for path in reached if not path.endswith("__init__.py") or len((ROOT / path).read_text()) > 200}
    listed = code_deps(name)
    missing = sorted(path for path in reached if not any(covers(dep, path) for dep in listed))
    assert not missing, f"dvc.yaml: stage {name} can reach, but does not list: {missing}"
    python = {dep for dep in listed if dep.endswith(".py")}
    assert not python - reached, f"dvc.yaml: stage {name} lists, but cannot reach: {sorted(python - reached)}"


@pytest.mark.parametrize("name", STAGES)
def test_stage_calls_its_own_command_without_repeating_parameters(name):
    words = stage_body(name)["cmd"].split()
    assert words[:2] == ["prep", name]
    assert {word for word in words if word.startswith("--")} <= {"--src", "--out"}


@pytest.mark.parametrize("name", STAGES)
def test_metrics_and_plots_stay_in_git_and_out_of_the_cache(name):
    body = stage_body(name)
    for kind in ("metrics", "plots"):
        for entry in body.get(kind, []):
            ((path, options),) = entry.items()
            # Pictures show faces: they stay in the cache and out of git.
            assert options["cache"] is (Path(path).suffix not in {".json", ".csv"}), f"{name}: {path}"
