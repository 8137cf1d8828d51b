"""Aligned faces without a detector: made ones, and real photographs whose 68 points are known."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest

from pipeline.faces.geometry import fit_similarity, template_points
from pipeline.faces.warp import warp_face
from pipeline.images import encode_face
from pipeline.tables import part_name, write_table

SHARED = Path(__file__).parents[3] / "../shared/data/landmarks68"


def five_points(row):
    points = np.array([float(value) for value in row[1:]]).reshape(68, 2)
    return np.stack([points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]])


def crop(pixels, points):
    return warp_face(pixels, fit_similarity(points[None], template_points(224, 0.25))[0], 224, "constant")


@pytest.fixture(scope="session")
def photos():
    """(pixels, five points, whose) of each photograph; some are frames of one film, which bear one name."""
    table = SHARED / "keypoints68.csv"
    if not table.is_file():
        pytest.skip("the shared photographs of landmarks68 are not here")
    with table.open(newline="") as stream:
        rows = list(csv.reader(stream))[1:]
    files = {path.name: path for path in SHARED.rglob("*") if path.suffix.lower() in (".jpg", ".png")}
    return [
        (cv2.imread(str(files[row[0]]), 0), five_points(row), row[0].rpartition("_")[0])
        for row in rows
        if row[0] in files
    ]


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

    def write(faces, prefix="a"):
        ids = [f"{prefix}/{written[1] + index:04d}.png#0" for index in range(len(faces))]
        images = [encode_face(np.ascontiguousarray(face)) for face in faces]
        file = tmp_path / part_name(written[0])
        write_table(file, pa.table({"sample_id": ids, "image": pa.array(images, pa.binary())}))
        written[0] += 1
        written[1] += len(faces)
        return file

    return write
