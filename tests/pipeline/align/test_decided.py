"""Where people say that the face is: it is looked for there and nowhere else, and withdrawn pictures stay closed."""

import numpy as np
import pytest

from pipeline.align.choice import choose
from pipeline.align.detectors.detector import Faces, Hint
from pipeline.align.stage import run as align
from pipeline.core.schema import DECIDED_ALIGN
from pipeline.core.tables import read_table, rows_to_table, write_table
from tests.pipeline.align.inputs import align_params, ingested, jpeg, portrait, write_tree

WIDTH = 512


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A large and a small portrait side by side, three times; the large face is what `align` would take."""
    root = tmp_path_factory.mktemp("decided")
    small = np.full((WIDTH, WIDTH, 3), 120, np.uint8)
    small[100:356, 100:356] = portrait()[::2, ::2]
    both = jpeg(np.concatenate([portrait(), small], axis=1))
    write_tree(root / "raw", {"happy/a.jpg": both, "happy/b.jpg": both, "happy/c.jpg": both, "happy/d.jpg": both})
    return ingested(root / "raw", root / "samples").parent


def test_the_face_at_the_point_or_in_the_box_is_taken(root, tmp_path):
    at_small = (WIDTH + 100 + 112, 100 + 60)  # half of the portrait's own face, which is at 224, 120
    rows = [
        {"sample_id": "toy/happy/a.jpg#0", "withdrawn": False, "place": list(at_small)},
        {"sample_id": "toy/happy/b.jpg#0", "withdrawn": False, "place": [WIDTH + 180, 120, WIDTH + 245, 195]},
        {"sample_id": "toy/happy/c.jpg#0", "withdrawn": True, "place": None},
    ]
    write_table(tmp_path / "align.parquet", rows_to_table(rows, DECIDED_ALIGN))
    (root / "raw/happy/c.jpg").write_bytes(b"gone")  # were it opened, its md5 would be wrong
    decided = tmp_path / "align.parquet"
    params = align_params(size_px=96)
    align(root / "samples", str(root / "raw"), tmp_path / "out", params, workers=1, decided=decided)
    faces = read_table(tmp_path / "out", ["sample_id", "face_box"]).to_pylist()
    centres = {row["sample_id"][10]: (row["face_box"][0] + row["face_box"][2]) / 2 for row in faces}
    assert centres == {
        "a": pytest.approx(at_small[0], abs=12),
        "b": pytest.approx(at_small[0], abs=12),
        "d": pytest.approx(224, abs=24),
    }
    seen = {row["sample_id"][10]: row for row in read_table(tmp_path / "out" / "detections.parquet").to_pylist()}
    assert seen["c"]["status"] == "withdrawn"
    assert seen["a"]["box_iou"] is None
    rejects = read_table(tmp_path / "out" / "rejects.parquet").to_pylist()
    assert [(row["sample_id"], row["reason"]) for row in rejects] == [("toy/happy/c.jpg#0", "withdrawn")]


def test_at_a_point_the_smallest_face_around_it_is_taken_or_none():
    boxes = np.array([[0, 0, 100, 100], [40, 40, 60, 60], [200, 0, 220, 20]], float)
    faces = Faces(boxes, np.ones(3), np.zeros((3, 5, 2)))

    def at(x, y):
        return choose(faces, Hint(np.array([x, y, x, y], float), "point"))

    assert (at(50, 50).row, at(50, 50).box_iou, at(10, 10).row) == (1, None, 0)
    assert at(150, 150) is None
