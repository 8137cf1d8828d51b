"""Withdrawal: every place that holds a picture is named, and empty once the printed commands were typed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from pipeline.core.tables import read_table
from tests.imports import ROOT
from tests.pipeline.align.inputs import jpeg, portrait, write_tree

pytestmark = pytest.mark.slow

GONE = "toy/happy/b.jpg#0"


def call(folder: Path, command: str, code: int = 0) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "DVC_NO_ANALYTICS": "1", "PREP_WORKERS": "1", "PYTHONPATH": str(ROOT)}
    environment |= {f"GIT_{who}_{what}": "t@t" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    words = ["bash", "-c", command]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout + done.stderr


@pytest.fixture
def project(tmp_path):
    """Three faces, ingested, aligned and equalized; all of it in DVC's cache, a remote and an experiment."""
    folder = tmp_path / "project"
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["datasets"] = {"toy": {"src": "raw/toy", "format": "folder", "role": "both"}}
    params["align"]["size_px"] = 64
    folder.mkdir()
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    kept = {name: stages[name] for name in ("code", "ingest", "decide", "align", "equalize")}
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": kept}, sort_keys=False))
    shutil.copytree(ROOT / "decisions", folder / "decisions")
    for name in (".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, folder)
    shifted = {name: np.roll(portrait(), 8 * place, axis=1) for place, name in enumerate("abc")}
    write_tree(folder / "raw/toy", {f"happy/{name}.jpg": jpeg(pixels) for name, pixels in shifted.items()})
    # The same file under another name.
    (folder / "raw/toy/happy/copy.jpg").write_bytes((folder / "raw/toy/happy/b.jpg").read_bytes())
    for command in (
        "git init -q",
        "dvc init -q",
        "dvc add -q raw/toy",
        "dvc repro -q",
        "git add .",
        "git commit -qm a",
    ):
        call(folder, command)
    call(folder, f"dvc remote add -d store {tmp_path / 'store'}")
    call(folder, "dvc push -q")
    call(folder, "git update-ref refs/exps/ab/cdef/lively-one HEAD")
    call(folder, "git commit -qam remote")
    return folder


def kinds(said: str) -> set[str]:
    known = ("raw", "result", "parts", "cache", "experiment", "remote", "drawn")
    return {line.partition(" ")[0] for line in said.splitlines() if line.startswith(known)}


def test_what_is_withdrawn_is_named_everywhere_and_then_gone(project):
    assert "nobody is withdrawn" in call(project, "prep verify --forgotten", code=1)
    said = call(project, f"prep forget --dataset toy --sample '{GONE}' --as ann")
    assert "toy/happy/copy.jpg#0: the same file as a withdrawn picture" in said
    assert kinds(said) == {"raw", "result", "parts", "cache", "experiment", "remote"}
    again = call(project, "prep forget --dataset toy --sample 'toy/happy/copy.jpg#0' --as ann")
    commands = [line.strip() for line in again.splitlines() if line.startswith("  ")]
    assert kinds(call(project, "prep verify --forgotten", code=1)) == kinds(said)
    assert commands[:3] == ["rm raw/toy/happy/b.jpg", "rm raw/toy/happy/copy.jpg", "dvc add raw/toy"]
    assert commands[-1] == "prep verify --forgotten"
    for command in commands:
        call(project, command)
    faces = [row["sample_id"] for row in read_table(project / "data/faces/toy", ["sample_id"]).to_pylist()]
    assert faces == ["toy/happy/a.jpg#0", "toy/happy/c.jpg#0"]
    # A copy that comes back under another name, and one with other bytes and the same pixels, are found again.
    shutil.copytree(project / "raw/toy", project / "data/stray")
    (project / "data/stray/x.bin").write_bytes(jpeg(np.roll(portrait(), 8, axis=1)))
    assert "data/stray/x.bin" in call(project, "prep verify --forgotten", code=1)
