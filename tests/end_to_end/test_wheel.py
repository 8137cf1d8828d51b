"""The wheel in an environment that holds nothing else: what it asks for is enough, and no override is needed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.imports import ROOT

pytestmark = pytest.mark.long

UV = (sys.executable, "-m", "uv")
# What uv says where it can reach neither an index nor wheels of an earlier installation.
UNREACHED = ("Failed to fetch", "network was disabled", "error sending request", "dns error")
CLEAN = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def uv(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [*UV, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=CLEAN)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", out]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def prep(wheel, tmp_path_factory) -> Path:
    """`prep` of a fresh environment with the wheel and what it requires, in the locked releases."""
    place = tmp_path_factory.mktemp("environment") / "venv"
    assert uv("venv", "--python", sys.executable, place).returncode == 0
    install = ("pip", "install", "--python", place / "bin/python", "--constraint", ROOT / "requirements.lock", wheel)
    done = uv(*install, "--offline")
    done = uv(*install) if done.returncode else done
    if done.returncode and any(words in done.stderr for words in UNREACHED):
        pytest.skip("no package index can be reached, and the locked wheels are not in uv's cache")
    assert done.returncode == 0, done.stderr
    assert uv("pip", "check", "--python", place / "bin/python").returncode == 0
    return place / "bin/prep"


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["datasets"] = {"rafdb": {**params["datasets"]["demo-rafdb"], "role": "both"}}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    return folder


def run(prep: Path, project: Path, line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([prep, *line.split()], capture_output=True, text=True, check=False, cwd=project, env=CLEAN)


def test_the_base_reads_aligns_splits_and_shards(prep, project):
    for line in (
        "demo",
        "ingest --src raw/demo/rafdb",
        "align --src raw/demo/rafdb",
        "select --src data/aligned/rafdb",
        "equalize --src data/aligned/rafdb --out data/faces/rafdb",
        "harmonize --src data/samples/rafdb --out data/labels/rafdb",
        "split",
        "shard",
        "verify",
    ):
        done = run(prep, project, line)
        assert done.returncode == 0, f"prep {line}: {done.stderr}"
    assert (project / "data/shards/index.parquet").is_file()
    python = prep.with_name("python")
    lacks = subprocess.run([python, "-c", "import torch"], capture_output=True, check=False, env=CLEAN)
    assert lacks.returncode != 0


def test_what_the_base_lacks_is_said_with_its_extra(prep, project):
    (project / "face.jpg").write_bytes(b"")
    done = run(prep, project, "predict face.jpg")
    said = "error: torch is not installed; pip install 'expression-prep[train]' brings it\n"
    assert (done.returncode, done.stderr) == (1, said)


def test_all_extras_ask_for_nothing_beyond_the_locked_releases(wheel):
    """This environment was made of the lock alone: nothing may be missing, and nothing of another release."""
    asked = f"expression-prep[all] @ {wheel.as_uri()}"
    done = uv("pip", "install", "--dry-run", "--no-index", "--python", sys.executable, asked)
    assert done.returncode == 0, done.stderr
    changes = [
        line.split()[1].partition("==")[0]
        for line in done.stderr.splitlines()
        if line.lstrip().startswith(("+ ", "- "))
    ]
    assert set(changes) == {"expression-prep"}, changes
