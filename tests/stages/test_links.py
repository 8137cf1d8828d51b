"""Links with hostile names and ends: one entry's fault is that entry's, and nothing of it steers a terminal."""

import json
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from pipeline.core.tables import read_table
from stages.cli import run
from tests.imports import ROOT

LINKS = {
    b"happy/itself": b"itself",
    b"happy/round": b"about",
    b"happy/about": b"round",
    b"happy/odd\xff.jpg": b"/etc/hosts",
    b"sad/red\x1b[31m.jpg": b"/etc/hosts",
    b"sad/title.jpg": b"/nowhere/\xfe\x1b]0;owned\x07",
    b"sad/line\nbreak.jpg": b"/etc/hosts",
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    for number, name in enumerate(("happy/a.png", "sad/b.png")):
        path = tmp_path / "raw" / name
        path.parent.mkdir(parents=True)
        Image.new("L", (40, 40), 60 + number).save(path)
    return tmp_path


@pytest.mark.parametrize("link", LINKS)
def test_one_link_costs_no_other_row_and_reaches_no_terminal(project, capfd, link):
    Path(os.fsdecode(os.fsencode(project / "raw") + b"/" + link)).symlink_to(os.fsdecode(LINKS[link]))
    assert run(["ingest", "--src", "raw", "--out", "samples"]) == 0
    said = "".join(capfd.readouterr())
    assert all(character.isprintable() or character == "\n" for character in said)
    assert said.count("\n") == 2  # the note and the result
    found = read_table(project / "samples/samples.parquet")["source_path"].to_pylist()
    assert sorted(found) == ["happy/a.png", "sad/b.png"]
    assert json.loads((project / "samples/summary.json").read_text())["rows_out"] == 2
