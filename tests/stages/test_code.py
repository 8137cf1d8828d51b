"""`prep code` by hand: what it writes, and what it leaves alone."""

import json
from pathlib import Path

import pytest

from stages.cli import run

DVC = """
stages:
  demo: {cmd: prep demo --out raw/demo, outs: [raw/demo]}
  again: {cmd: [mkdir -p x, "A=1 prep --debug harmonize --src a"], outs: [x]}
  other: {cmd: python preparations.py, outs: [y]}
"""


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("dvc.yaml").write_text(DVC)


def test_each_command_that_runs_prep_has_its_file(capsys):
    assert run(["code"]) == 0
    assert {path.name for path in Path("runs/code").iterdir()} == {"demo.json", "harmonize.json"}
    assert "stages/harmonize.py" in json.loads(Path("runs/code/harmonize.json").read_text())
    Path("dvc.yaml").write_text(DVC.replace("prep demo", "echo demo"))
    assert run(["code"]) == 0
    assert [path.name for path in Path("runs/code").iterdir()] == ["harmonize.json"]


@pytest.mark.parametrize("name", ["a.jpg", "notes.json", "demo.json/inside.txt"])
def test_a_folder_with_something_else_is_left_alone(capsys, name):
    path = Path("raw/mine", name)
    path.parent.mkdir(parents=True)
    path.write_text('{"mine": "notes"}')
    assert run(["code", "--out", "raw/mine"]) == 2
    assert path.read_text() == '{"mine": "notes"}'
    assert "not what prep code writes" in capsys.readouterr().err
