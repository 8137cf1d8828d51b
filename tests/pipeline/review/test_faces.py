"""Crops of a queue: the right one for each sample, however few are kept in memory."""

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.core.errors import TableError
from pipeline.demo.clips import write_video
from pipeline.review import faces
from pipeline.review.queue import read_samples
from tests.pipeline.ingest.layouts import Read


@pytest.fixture
def rows(project, monkeypatch):
    monkeypatch.chdir(project)
    named = pq.read_table("data/samples/toy/samples.parquet")["sample_id"].to_pylist()
    return read_samples("toy", named[:-1])


def test_every_crop_is_its_own_and_no_more_are_kept_than_the_limit(rows, monkeypatch):
    monkeypatch.setattr(faces, "_CROPS", 2)
    stored = {row["sample_id"]: row for row in pq.read_table("data/aligned/toy/part-00000.parquet").to_pylist()}
    assert len({row["image"] for row in stored.values()}) == len(stored)
    of = faces.Faces({"toy": faces.Source("raw/toy", "folder")}, rows)
    for name in [*rows, *reversed(rows)]:
        assert of.crop(name) == stored[name]["image"]
        assert of.found(name) == {"box": stored[name]["face_box"], "points": stored[name]["landmarks"]}
        assert len(of._crops) <= 2
    (unasked,) = stored.keys() - rows.keys()
    assert of.crop(unasked) is of.found(unasked) is None


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_frame_of_a_video_is_shown_whole(tmp_path, monkeypatch, suffix):
    """The oracle is the brightness that each frame was drawn with; a frame after 10 s is sought by the file's index."""
    frames = [np.full((1000, 1600, 3), 20 + 30 * number, np.uint8) for number in range(6)]
    for name in ("happy", "sad"):
        write_video(tmp_path / f"raw/{name}/a{suffix}", frames, range(0, 24_000, 4000))
    named = Read(tmp_path / "raw", tmp_path / "data/samples/toy", dataset="toy").rows
    monkeypatch.chdir(tmp_path)
    assert [row["time_s"] for row in named] == [0, 4, 8, 12, 16, 20] * 2
    of = faces.Faces({"toy": faces.Source("raw", "auto")}, read_samples("toy", [row["sample_id"] for row in named]))
    for row in reversed(named):
        whole = of.whole(row["sample_id"])
        assert (whole.width, whole.height) == (1600, 1000)
        shown = cv2.imdecode(np.frombuffer(whole.content, np.uint8), cv2.IMREAD_COLOR)
        assert max(shown.shape) == faces.SHOWN_PX
        assert abs(shown.mean() - (20 + 30 * row["time_s"] / 4)) < 5
    (tmp_path / f"raw/happy/a{suffix}").write_bytes(b"no video")
    again = faces.Faces({"toy": faces.Source("raw", "auto")}, read_samples("toy", [named[0]["sample_id"]]))
    assert again.whole(named[0]["sample_id"]) is None


def test_a_picture_in_which_somebody_withdrew_is_not_shown_whole_for_another_face_in_it(rows):
    first, second, *_ = rows
    other = first.replace("#0", "#1")
    of = faces.Faces({"toy": faces.Source("raw/toy", "folder")}, rows | {other: rows[first]}, [other])
    assert of.whole(first) is of.whole(other) is None
    assert of.crop(first) is not None
    assert of.whole(second) is not None


def test_torn_faces_are_named(rows, project):
    (project / "data/aligned/toy/part-00000.parquet").write_bytes(b"PAR1 torn")
    with pytest.raises(TableError, match=r"part-00000.parquet: cannot be read"):
        faces.Faces({"toy": faces.Source("raw/toy", "folder")}, rows)
