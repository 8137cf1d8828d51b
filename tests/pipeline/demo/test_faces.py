"""The rendered faces, seen by detectors that know nothing of the demo: the truth is where they look."""

import math

import cv2
import dlib
import numpy as np
import pytest
from facenet_pytorch import MTCNN

from pipeline.core.emotions import CLASSES

# Of the distance between the eyes. MTCNN's own points differ by about 5 % from points placed by hand.
MEAN_ERROR = 0.13
POINT_ERROR = 0.25
SEEN = 40


@pytest.fixture(scope="module")
def faces(demo, truth):
    """Evenly chosen rows with their RGB pixels."""
    rows = [row for row in truth if row["landmarks"] and row["planted"] not in {"missing", "truncated"}]
    chosen = [rows[index * len(rows) // SEEN] for index in range(SEEN)]
    return [
        (row, cv2.cvtColor(cv2.imread(str(demo / row["dataset"] / row["source_path"])), cv2.COLOR_BGR2RGB))
        for row in chosen
    ]


@pytest.fixture(scope="module")
def mtcnn():
    return MTCNN(keep_all=True)


def test_mtcnn_finds_every_face_with_its_five_points_where_the_truth_has_them(faces, mtcnn):
    errors = []
    for row, pixels in faces:
        _, _, found = mtcnn.detect(pixels, landmarks=True)
        true = np.reshape(row["landmarks"], (5, 2))
        assert found is not None, row["source_path"]
        between_eyes = math.dist(true[0], true[1])
        nearest = min(
            (np.hypot(*(np.asarray(points, float) - true).T) / between_eyes for points in found),
            key=lambda error: error.mean(),
        )
        assert nearest.mean() < MEAN_ERROR, row["source_path"]
        assert nearest.max() < POINT_ERROR, row["source_path"]
        errors.append(nearest)
    assert np.mean(errors) < 0.07


def test_dlib_finds_the_upright_ones(faces):
    detector = dlib.get_frontal_face_detector()
    # The frames of a sequence between neutral and peak carry no label and are never read.
    upright = [(row, pixels) for row, pixels in faces if abs(row["roll_deg"]) <= 8 and row["label"]]
    assert len(upright) > SEEN / 3
    for row, pixels in upright:
        nose = dlib.point(*(round(value) for value in row["landmarks"][4:6]))
        assert any(box.contains(nose) for box in detector(pixels, 1)), row["source_path"]


def test_the_roll_that_is_stated_is_that_of_the_eyes(truth):
    for row in truth:
        if row["landmarks"]:
            left, right = np.reshape(row["landmarks"], (5, 2))[:2]
            # The portrait itself is tilted by 2 degrees, and turning aside and odd eyes add a little.
            assert math.degrees(math.atan2(*(right - left)[::-1])) == pytest.approx(row["roll_deg"] + 2.3, abs=2.5)


def test_faces_turn_up_to_30_degrees_either_way(truth):
    rolls = [row["roll_deg"] for row in truth if row["roll_deg"] is not None]
    assert -30 <= min(rolls) < -20
    assert 20 < max(rolls) <= 30


def test_the_picture_without_a_face_has_none(demo, truth, mtcnn):
    rows = [row for row in truth if row["landmarks"] is None]
    assert "no face" in {row["planted"] for row in rows}
    for row in rows:
        pixels = cv2.cvtColor(cv2.imread(str(demo / row["dataset"] / row["source_path"])), cv2.COLOR_BGR2RGB)
        assert mtcnn.detect(pixels)[0] is None


def test_every_class_that_a_dataset_has_is_there(truth):
    for dataset, lacks in (("affectnet", set()), ("ckplus", set()), ("rafdb", {"contempt"}), ("emotic", set())):
        labels = {row["label"] for row in truth if row["dataset"] == dataset}
        assert labels - {None} == set(CLASSES) - lacks


def test_all_that_real_dumps_have_is_planted(truth):
    assert {row["planted"] for row in truth} - {None} == {
        *("none", "uncertain", "code 10", "no face", "truncated", "missing", "box outside", "no valence"),
        *("no emotion file", "empty emotion file", "conflicting categories", "categories without a class"),
        "valence contradicts",
    }
