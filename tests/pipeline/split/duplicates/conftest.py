"""Aligned faces: made ones, written as align would."""

import cv2
import numpy as np
import pyarrow as pa
import pytest

from pipeline.core.lineage.snapshot import Snapshot, write_snapshot
from pipeline.core.tables import part_name, write_table
from pipeline.images import encode_face

MARGIN = 0.1


def made_face(seed):
    """A smooth random pattern on a face-like one: what all faces share, and what only this one has."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:224, 0:224]
    face = np.full((224, 224), 150.0)
    for cx, cy, size, depth in ((94, 108, 9, 70), (130, 108, 9, 70), (112, 130, 8, 30), (112, 152, 12, 60)):
        face -= depth * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * size**2))
    for cells, height in ((6, 30), (14, 25), (30, 15)):
        face += cv2.resize(random.normal(0, height, (cells, cells)), (224, 224), interpolation=cv2.INTER_CUBIC)
    return face.clip(0, 255).astype(np.uint8)


@pytest.fixture
def write_faces(tmp_path):
    """Write faces as one part a call and return its file; ids count on."""
    written = [0, 0]
    write_snapshot(tmp_path, Snapshot("align", "id", (), {}, {}, {}, {"align": {"margin": MARGIN}}))

    def write(faces, prefix="a"):
        ids = [f"{prefix}/{written[1] + index:04d}.png#0" for index in range(len(faces))]
        images = [encode_face(np.ascontiguousarray(face)) for face in faces]
        file = tmp_path / part_name(written[0])
        write_table(file, pa.table({"sample_id": ids, "image": pa.array(images, pa.binary())}))
        written[0] += 1
        written[1] += len(faces)
        return file

    return write
