"""Made faces stand in for the photographs of a benchmark, in the same layout and with the truth beside them."""

import csv

import numpy as np
import pytest

from benchmarks import photographs as module
from benchmarks.align_sets import frames, groups, portraits


@pytest.fixture
def made(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_DATA", str(tmp_path / "missing"))
    for name, count in (("FRAMES_MADE", 3), ("PEOPLE_MADE", 4), ("PHOTOS_EACH", 3), ("GROUPS_MADE", 2)):
        monkeypatch.setattr(module, name, count)
    module.photographs.cache_clear()
    module._scratch.cache_clear()
    yield module.photographs()
    module.photographs.cache_clear()
    module._scratch.cache_clear()


def test_made_faces_have_the_layout_and_the_truth_of_the_photographs(made, capsys):
    assert made.made
    assert made.results() == module.HERE / "made"
    assert "The pictures are made" in made.described("# Title\n\ntext").splitlines()[2]
    for photo in frames(made.folder):
        assert (photo.boxes[0, :2] < photo.points.min(0)).all()
        assert (photo.points.max(0) < photo.boxes[0, 2:]).all()
        left, right = photo.points[:2]
        assert np.linalg.norm(right - left) > 30
        assert left[0] < right[0]
    assert [len(photo.boxes) for photo in groups(made.folder)] == [3, 3]
    assert portraits(made.folder)
    rows = list(csv.DictReader((made.folder / "muxspace/data/legend.csv").read_text().splitlines()))
    assert len(rows) == 4 * 3
    assert {row["image"] for row in rows} == {path.name for path in (made.folder / "muxspace/images").iterdir()}


def test_a_folder_with_all_three_is_taken_as_it_is(tmp_path, monkeypatch, capsys):
    for name in (module.FRAMES, module.PORTRAITS, module.GROUPS):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("BENCH_DATA", str(tmp_path))
    module.photographs.cache_clear()
    found = module.photographs()
    module.photographs.cache_clear()
    assert (found.folder, found.made, found.results()) == (tmp_path, False, module.HERE)
    assert found.described("# Title\n") == "# Title\n"
    assert "photographs of" in capsys.readouterr().err
