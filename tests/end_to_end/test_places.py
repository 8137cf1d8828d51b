"""More ways to start `prep`, each with the code of the working folder: an experiment in a folder of its own,
`python -m stages`, a wheel, links, and PYTHONPATH with another checkout."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stages.cli import run
from tests.end_to_end.test_code import (
    CODES,
    SWAPPED,
    TAXONOMY,
    call,
    labels,
    swap,
    write_project,
    write_tracked,
)
from tests.imports import PACKAGES, ROOT

pytestmark = pytest.mark.long

HARMONIZE = ("harmonize", "--src", "data/samples/ladies", "--out", "data/labels/ladies")
PREP = str(Path(sys.executable).parent / "prep")


@pytest.fixture(scope="module")
def samples(tmp_path_factory) -> Path:
    """The samples of the seven pictures, which are the same everywhere."""
    folder = write_project(tmp_path_factory.mktemp("samples"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run(["ingest", "--src", "raw/ladies", "--out", "data/samples/ladies"]) == 0
    return folder / "data/samples"


@pytest.fixture
def make(samples, tmp_path) -> Callable[[str], Path]:
    def folder(name: str) -> Path:
        place = write_project(tmp_path / name)
        shutil.copytree(samples, place / "data/samples")
        return place

    return folder


def harmonize(folder: Path, *command: str, path: Path = ROOT) -> dict[str, int]:
    """Give the labels by a command that starts prep, with a checkout or a wheel on PYTHONPATH."""
    environment = os.environ | {"PYTHONPATH": str(path), "PREP_WORKERS": "1"}
    done = subprocess.run([*command, *HARMONIZE], cwd=folder, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return labels(folder)


def test_an_experiment_in_a_folder_of_its_own_has_the_edit_and_the_workspace_has_not(tmp_path):
    write_tracked(tmp_path)
    swap(tmp_path)
    call(tmp_path, "dvc", "exp", "run", "-q", "--temp", "--name", "swapped")
    call(tmp_path, "git", "checkout", "-q", TAXONOMY)
    assert not (tmp_path / "data/labels").exists()
    call(tmp_path, "dvc", "exp", "apply", "-q", "swapped")
    assert labels(tmp_path) == SWAPPED
    call(tmp_path, "prep", "verify")


def test_python_m_runs_the_code_of_the_working_folder(make):
    folder = make("here")
    swap(folder)
    # The other checkout stands first on the path, as `prep` would have it.
    assert harmonize(folder, sys.executable, "-m", "stages") == SWAPPED


def test_another_checkout_on_pythonpath_gives_way(make):
    folder, other = make("here"), make("other")
    swap(other)
    assert harmonize(folder, PREP, path=other) == CODES
    for package in PACKAGES:
        shutil.rmtree(folder / package)
    assert harmonize(folder, PREP, path=other) == SWAPPED  # and it is what runs where the folder has none


def test_a_folder_behind_a_link_and_packages_behind_links(make, tmp_path):
    folder, other = make("here"), make("other")
    swap(folder)
    link = tmp_path / "link"
    link.symlink_to(folder, target_is_directory=True)
    assert harmonize(link, PREP) == SWAPPED
    # Packages that lie elsewhere are what DVC hashes here, through the links.
    (other / "pipeline").rename(tmp_path / "kept")
    swap_in = tmp_path / "kept" / Path(TAXONOMY).relative_to("pipeline")
    swap_in.write_text((folder / TAXONOMY).read_text())
    (other / "pipeline").symlink_to(tmp_path / "kept", target_is_directory=True)
    shutil.rmtree(other / "stages")
    (other / "stages").symlink_to(ROOT / "stages", target_is_directory=True)
    assert harmonize(other, PREP) == SWAPPED


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """A wheel of the swapped taxonomy, unpacked as an installer does."""
    pytest.importorskip("hatchling", reason="the build backend is not installed")
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in (*PACKAGES, "pyproject.toml", "README.md", "LICENSE"):
        path = ROOT / name
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(path, source / name, ignore=ignored) if path.is_dir() else shutil.copy(path, source)
    swap(source)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (wheel,) = out.glob("*.whl")
    shutil.unpack_archive(wheel, out / "site", "zip")
    return out / "site"


def test_a_wheel_brings_its_taxonomies_and_gives_way_to_the_working_folder(site, make):
    folder, bare = make("clone"), make("bare")
    for package in PACKAGES:
        shutil.rmtree(bare / package)
    assert all(
        (site / path.relative_to(ROOT)).is_file() for path in (ROOT / "pipeline/labels/taxonomies").glob("*.yaml")
    )
    start = (sys.executable, "-P", "-c", "from stages.entry import main; main()")
    assert harmonize(bare, *start, path=site) == SWAPPED
    assert harmonize(folder, *start, path=site) == CODES
