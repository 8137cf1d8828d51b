"""Drawn or converted faces below runs/, in which no digest finds anybody, are named until they are drawn again."""

import os
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.stage_output import stage_output
from pipeline.decisions.forgotten import Digest
from pipeline.forget.commands import removal
from pipeline.forget.look import Wanted
from pipeline.forget.places import find_holders
from pipeline.report.sheet import write_png

WANTED = Wanted([Digest("mine/a.tif#0", "picture", "0" * 32)], ["mine/a.tif#0"])


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A file of decisions, and shards that were made from it."""
    monkeypatch.chdir(tmp_path)
    Path("decisions").mkdir()
    Path("decisions/mine.csv").write_text("before\n")
    make("data/shards")
    return tmp_path


def make(place, picture=None, *, stage="x", source="decisions/mine.csv"):
    with stage_output(Path(place), stage=stage, sources=[Path(source)], params={}) as output:
        if picture is not None:
            draw(output.path(picture))
        output.finish(rows_in=1, rows_out=1)


def draw(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_png(path, np.zeros((8, 8, 3), np.uint8))


def drawn():
    return {holder.place for holder in find_holders(WANTED, {}) if holder.kind == "drawn"}


def test_a_deep_folder_with_converted_pictures_is_named_and_removed(project):
    folder = "runs/export/fiftyone/mine"
    make(folder, "data/000000.png")
    assert drawn() == set()
    Path("decisions/mine.csv").write_text("somebody withdrew\n")
    assert drawn() == {folder}
    assert f"rm -rf {folder}" in list(removal(list(find_holders(WANTED, {}))))
    make(folder, "data/000000.png")
    assert drawn() == set()


def test_a_sheet_is_named_until_it_is_drawn_from_new_shards(project):
    sheet = Path("runs/export/train.png")
    draw(sheet)
    made = Path("data/shards/snapshot.json").stat().st_mtime
    os.utime(sheet, (made + 10, made + 10))
    assert drawn() == set()
    Path("decisions/mine.csv").write_text("somebody withdrew\n")
    assert drawn() == {sheet.as_posix()}
    make("data/shards")
    made = Path("data/shards/snapshot.json").stat().st_mtime
    os.utime(sheet, (made - 10, made - 10))
    assert drawn() == {sheet.as_posix()}
    assert f"rm -rf {sheet}" in list(removal(list(find_holders(WANTED, {}))))
    os.utime(sheet, (made + 10, made + 10))
    assert drawn() == set()


@pytest.mark.parametrize("book", ["decisions/mine.csv", "decisions/forgotten/mine.csv"])
def test_the_first_withdrawal_of_a_dataset_makes_older_results_outdated(tmp_path, monkeypatch, book):
    monkeypatch.chdir(tmp_path)
    Path("samples").write_text("no decisions yet")
    make("data/decisions/mine", stage="decide", source="samples")
    make("runs/export/fiftyone/mine", "data/000000.png", source="data/decisions/mine")
    assert drawn() == set()
    Path(book).parent.mkdir(parents=True)
    Path(book).write_text("somebody withdrew\n")
    assert drawn() == {"runs/export/fiftyone/mine"}
