"""What a stranger and a machine meet first: files that must agree with the code and with each other."""

import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import dlib
import numpy as np
import pytest
import yaml
from skimage import data

from pipeline.core.version import __version__
from tests.imports import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def test_the_version_is_the_same_everywhere():
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == __version__
    heads = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert heads[:2] == ["Unreleased", __version__]


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_runs_what_there_is(file):
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for job in yaml.safe_load(file.read_text())["jobs"].values():
        for command in [step["run"].split() for step in job["steps"] if "run" in step]:
            if command[0] == "make":
                assert set(command[1:]) <= set(targets)
            else:
                assert os.access(ROOT / command[0], os.X_OK)


def test_the_image_is_built_of_what_the_builder_is_given():
    """Each file that the Dockerfile copies is there, and let through by .dockerignore; nothing else is."""
    copied = {
        name
        for line in re.findall(r"^COPY (?!--from)(.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
        for name in line.split()[:-1]
    }
    given = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == given
    assert all((ROOT / name).exists() for name in copied)


def test_hooks_run_what_there_is():
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert local["repo"] == "local"
    entries = [hook["entry"].split()[0] for hook in local["hooks"] if hook["entry"].startswith(".venv/bin/")]
    assert len(entries) == 4
    assert all((Path(sys.executable).parent / Path(entry).name).is_file() for entry in entries)


def test_no_hook_turns_away_what_is_here():
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    (hook,) = [hook for hook in local["hooks"] if hook["id"] == "no-pictures"]
    here = call(ROOT, "git", "ls-files").splitlines() if (ROOT / ".git").exists() else []
    assert not [name for name in here if re.search(hook["files"], name) and not re.search(hook["exclude"], name)]
    assert re.search(hook["files"], "raw/a.JPG")


@pytest.mark.long
def test_no_picture_shows_a_face():
    """By dlib's detector, with pictures at twice their size: it finds faces of 40 px and more."""
    detector = dlib.get_frontal_face_detector()
    small = cv2.resize(data.astronaut()[:256, 100:356], (112, 112), interpolation=cv2.INTER_AREA)
    page = np.full((300, 300, 3), 250, np.uint8)
    page[100:212, 100:212] = small
    assert len(detector(page, 1)) == 1
    names = call(ROOT, "git", "ls-files", "*.png").splitlines() if (ROOT / ".git").exists() else []
    shown = {name: cv2.cvtColor(cv2.imread(str(ROOT / name)), cv2.COLOR_BGR2RGB) for name in names}
    assert [name for name, pixels in shown.items() if len(detector(pixels, 1))] == []


def call(folder: Path, *command: str) -> str:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def test_dvc_imports_into_raw_of_a_fresh_clone(tmp_path):
    if not (ROOT / ".git").exists():
        pytest.skip("not a git repository")
    project = tmp_path / "project"
    # As a clone has it once all that is here and not ignored is committed.
    for name in call(ROOT, "git", "ls-files", "--cached", "--others", "--exclude-standard", "raw", "[.]*").splitlines():
        if (ROOT / name).is_file():
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            (project / name).write_bytes((ROOT / name).read_bytes())
    call(project, "git", "init", "-q")
    call(project, "git", "add", ".")
    (tmp_path / "mine.zip").write_bytes(b"a dataset")
    call(project, "dvc", "import-url", str(tmp_path / "mine.zip"), "raw/mine.zip")
    assert (project / "raw/mine.zip").read_bytes() == b"a dataset"
    call(project, "git", "add", ".")
    added = call(project, "git", "ls-files", "raw").splitlines()
    assert added == ["raw/README.md", "raw/dvc.lock", "raw/dvc.yaml", "raw/mine.zip.dvc"]
