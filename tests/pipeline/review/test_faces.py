"""Crops of a queue: the right one for each sample, however few are kept in memory."""

import pyarrow.parquet as pq
import pytest

from pipeline.core.errors import TableError
from pipeline.review import faces
from pipeline.review.queue import read_samples


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


def test_torn_faces_are_named(rows, project):
    (project / "data/aligned/toy/part-00000.parquet").write_bytes(b"PAR1 torn")
    with pytest.raises(TableError, match=r"part-00000.parquet: cannot be read"):
        faces.Faces({"toy": faces.Source("raw/toy", "folder")}, rows)
