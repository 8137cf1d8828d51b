"""What code means: held against Python itself, by the modules that a stage really loads and by what a program does."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipeline.core.errors import LineageError
from pipeline.core.lineage.code import changed_code, stage_code
from pipeline.core.lineage.source import read_source
from tests.imports import PACKAGES, ROOT

SOURCE = '''"""A module."""

from typing import Final

LIMIT: Final = 3  # pixels


class Thing:
    """A thing."""

    size: int = 1
    """Its size."""

    def grow(self, by: int) -> int:
        """Return it larger."""
        return self.size + by * LIMIT
'''
SAME = {
    "comment": SOURCE.replace("# pixels", "# in pixels of the picture"),
    "docstrings": SOURCE.replace("Return it larger.", "Say how large it would be.").replace("A thing", "Something"),
    "no docstrings": SOURCE.replace('"""A module."""\n', "").replace('        """Return it larger."""\n', ""),
    "breaks": SOURCE.replace("(self, by: int)", "(\n        self,\n        by: int,\n    )").replace("\n\n\n", "\n\n"),
    "spelling": SOURCE.replace("= 3", "= 0x3"),
    "attribute's docstring": SOURCE.replace("Its size.", "In pixels."),
}
OTHER = {
    "constant": SOURCE.replace("= 3", "= 4"),
    "type of a constant": SOURCE.replace("= 3", "= 3.0"),
    "operator": SOURCE.replace("by * LIMIT", "by // LIMIT"),
    "default": SOURCE.replace("by: int)", "by: int = 2)"),
    "name": SOURCE.replace("grow", "shrink"),
    "annotation": SOURCE.replace("size: int = 1", "size: float = 1"),
    "import": SOURCE.replace("import Final", "import Final, Any"),
    "a used text": SOURCE.replace("return self.size", 'return len("x") + self.size'),
}


def meaning(path: Path) -> str:
    return read_source(path).meaning


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", SAME)
def test_wording_means_the_same(tmp_path, name):
    assert SAME[name] != SOURCE
    assert meaning(write(tmp_path / "a.py", SAME[name])) == meaning(write(tmp_path / "b.py", SOURCE))


@pytest.mark.parametrize("name", OTHER)
def test_behaviour_does_not(tmp_path, name):
    assert OTHER[name] != SOURCE
    assert meaning(write(tmp_path / "a.py", OTHER[name])) != meaning(write(tmp_path / "b.py", SOURCE))


def test_a_yaml_file_means_what_it_parses_to(tmp_path):
    one = write(tmp_path / "a.yaml", "labels:\n  AN: {class: anger}  # as the manual has it\n")
    same = write(tmp_path / "b.yaml", "labels:\n    AN:\n        class: anger\n")
    other = write(tmp_path / "c.yaml", "labels:\n  AN: {class: sad}\n")
    assert meaning(one) == meaning(same) != meaning(other)


@pytest.mark.parametrize(("one", "other"), [("0: a", "'0': a"), ("null: a", "'null': a"), ("a: 1", "a: true")])
def test_keys_and_values_of_other_types_are_others(tmp_path, one, other):
    assert meaning(write(tmp_path / "a.yaml", one)) != meaning(write(tmp_path / "b.yaml", other))


def test_the_other_half_of_a_type_checking_import_counts(tmp_path):
    folder = project(tmp_path)
    stage = folder / "stages/split.py"
    halves = "if TYPE_CHECKING:\n    import models.registry\nelse:\n    import pipeline.equalize.stage\n"
    stage.write_text(f"{stage.read_text()}\n{halves}")
    code = stage_code("split", folder, {})
    assert "pipeline/equalize/stage.py" in code
    assert "models/registry.py" not in code


def test_what_cannot_be_parsed_is_named(tmp_path):
    with pytest.raises(LineageError, match=r"a\.py: cannot be parsed"):
        meaning(write(tmp_path / "a.py", "def ("))
    with pytest.raises(LineageError, match="no such stage"):
        stage_code("bake", ROOT, {})


def project(folder: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package)
    return folder


def test_each_stage_has_the_data_files_that_it_reads_and_no_others(tmp_path):
    folder = project(tmp_path)
    taxonomy = folder / "pipeline/labels/taxonomies/kdef.yaml"
    before = {name: stage_code(name, folder, {}) for name in ("harmonize", "ingest", "align", "split")}
    taxonomy.write_text(taxonomy.read_text().replace("class: happy", "class: sad", 1))
    after = {name: stage_code(name, folder, {}) for name in before}
    assert [name for name in before if before[name] != after[name]] == ["harmonize"]
    changed = {file for file, md5 in after["harmonize"].items() if before["harmonize"][file] != md5}
    assert changed == {taxonomy.relative_to(folder).as_posix()}
    (folder / "pipeline/labels/taxonomies/new.yaml").write_text("labels: {}\n")
    assert stage_code("harmonize", folder, {}).keys() - after["harmonize"].keys() == {
        "pipeline/labels/taxonomies/new.yaml"
    }


def test_a_detector_that_params_name_is_code_of_align(tmp_path):
    folder = project(tmp_path)
    write(folder / "mine/__init__.py", "")
    write(folder / "mine/helper.py", "LEAST = 3\n")
    write(folder / "mine/detector.py", "from mine.helper import LEAST\nclass Mine: pass\n")
    params = {"datasets": {"a": {"align": {"cascade": ["mine.detector:Mine", "mtcnn"]}}}}
    more = stage_code("align", folder, params).keys() - stage_code("align", folder, {}).keys()
    assert more == {"mine/__init__.py", "mine/detector.py", "mine/helper.py"}
    assert stage_code("split", folder, params) == stage_code("split", folder, {})


def test_a_detector_beside_params_counts_where_the_packages_are_installed(tmp_path, monkeypatch):
    write(tmp_path / "mine.py", "class Mine: pass\n")
    monkeypatch.chdir(tmp_path)
    params = {"align": {"cascade": ["mine:Mine", "mtcnn"]}}
    assert stage_code("align", ROOT, params).keys() - stage_code("align", ROOT, {}).keys() == {"mine.py"}


LOADED = "LOADED "
# Each step in a copy of a process that has loaded what is not ours once: torch alone takes seconds.
LOADER = f"""
import json, os, sys
import captum.attr, cleanlab.filter, dlib, lightning, pandas, scipy.stats, sklearn.manifold
from stages import cli
known = set(sys.modules)
for step in json.loads(sys.argv[1]):
    if child := os.fork():
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code:
            sys.exit(f"{{step}}: {{code}}")
        continue
    assert cli.run(step) == 0
    new = [sys.modules[name] for name in sys.modules.keys() - known if name.partition(".")[0] in {PACKAGES!r}]
    print({LOADED!r} + json.dumps([module.__file__ for module in new if module.__file__]), flush=True)
    os._exit(0)
"""


@pytest.mark.slow
def test_what_a_stage_loads_is_among_its_code(tmp_path):
    """Each command is run on the demo, and asked which of our modules it has loaded by then."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["demo"]["faces"] = 64
    # One dataset: which modules are loaded depends on the stage, and its readers are loaded together.
    params["datasets"] = {"demo-affectnet": params["datasets"]["demo-affectnet"]}
    params["align"]["size_px"] = 64
    params["train"] |= {"epochs": 1}
    params["evaluate"] |= {"bootstrap_draws": 100, "saliency_per_class": 1, "mistakes": 1}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    (tmp_path / "splits").mkdir()
    steps = [("demo", "--out", "raw/demo")]
    for key, entry in params["datasets"].items():
        steps += [
            ("ingest", "--src", entry["src"], "--out", f"data/samples/{key}"),
            ("decide", "--src", f"data/samples/{key}"),
            ("align", "--src", entry["src"], "--out", f"data/aligned/{key}"),
            ("select", "--src", f"data/aligned/{key}", "--out", f"data/selected/{key}"),
            ("equalize", "--src", f"data/aligned/{key}", "--out", f"data/faces/{key}"),
            ("harmonize", "--src", f"data/samples/{key}", "--out", f"data/labels/{key}"),
        ]
    steps += [("split",), ("shard",), ("train",), ("evaluate",), ("doubt",), ("report",)]
    done = subprocess.run(
        [sys.executable, "-c", LOADER, json.dumps(steps)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PREP_WORKERS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded = [json.loads(line[len(LOADED) :]) for line in done.stdout.splitlines() if line.startswith(LOADED)]
    assert len(loaded) == len(steps)
    for step, files in zip(steps, loaded, strict=True):
        own = {Path(name).relative_to(ROOT).as_posix() for name in files}
        # What the command line itself loads it loads for every command.
        assert own <= stage_code(step[0], ROOT, params).keys(), step
        assert own, step


def test_what_is_only_no_longer_imported_is_not_accused(tmp_path):
    folder = project(tmp_path)
    before = stage_code("harmonize", folder, {})
    stage = folder / "stages/harmonize.py"
    stage.write_text("X = 1\n")
    now = stage_code("harmonize", folder, {})
    assert len(before.keys() - now.keys()) > 10
    assert changed_code(before, now, folder) == ["stages/harmonize.py"]
    assert changed_code(now, now | {"pipeline/new.py": "0" * 32}, folder) == ["pipeline/new.py"]
    assert changed_code(now, now, folder) == []
