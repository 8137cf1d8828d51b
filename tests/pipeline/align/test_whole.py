"""The whole picture as the face: for releases of faces that were cut out, and for no others."""

from functools import partial

import cv2
import numpy as np
import pytest

from pipeline.align.cascade import Attempt, build_cascade, cascade_of_crops
from pipeline.align.crop import is_possible
from pipeline.align.detectors.detector import Faces, Hint, View
from pipeline.align.search import find_faces
from pipeline.align.stage import run as align
from pipeline.core.params import read_params
from pipeline.core.schema import DETECTIONS, FACES
from pipeline.core.tables import read_table
from pipeline.geometry.similarity import BOX_PLACES
from pipeline.ingest.stage import run as ingest
from pipeline.select.stage import run as select
from tests.pipeline.align.inputs import PORTRAIT_POINTS, ROOT, align_params, portrait

CROPS = ["mtcnn-whole", "mtcnn", "dlib-hog", "whole"]


def _tree(folder, name, pictures):
    for number, pixels in enumerate(pictures):
        path = folder / "train" / name / f"Training_{1000 + number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), pixels)


def _noise(seed, side=48):
    return np.random.default_rng(seed).integers(90, 160, (side, side), np.uint8)


@pytest.fixture
def made(tmp_path):
    """A tree of which one picture shows a face and two show nothing that a detector sees."""
    face = cv2.resize(portrait()[40:215, 140:315, 0], (48, 48), interpolation=cv2.INTER_AREA)
    for name in ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"):
        _tree(tmp_path / "raw", name, [_noise(3), _noise(4), face] if name == "sad" else [face])
    return tmp_path


def _rename(folder):
    """Take the names of FER2013 from the pictures."""
    for number, path in enumerate(sorted((folder / "raw").rglob("*.jpg"))):
        path.rename(path.with_name(f"mine{number}.jpg"))


def _align(folder, fmt, **changes):
    ingest(
        str(folder / "raw"),
        folder / "samples",
        dataset="crops",
        fmt=fmt,
        params=read_params(ROOT / "params.yaml").ingest,
    )
    summary = align(folder / "samples", str(folder / "raw"), folder / "out", align_params(**changes), workers=1)
    return summary, read_table(folder / "out", schema=FACES).to_pylist()


def test_no_face_of_a_release_of_crops_is_lost(made):
    summary, faces = _align(made, "fer2013_folder")
    assert summary["rows_out"] == 9
    assert summary["found_by"] == {"mtcnn-whole": 7, "whole": 2}
    whole = [face for face in faces if face["detector"] == "whole"]
    assert all(face["face_score"] == 0 and face["turn_deg"] == 0 for face in whole)
    for face in whole:
        left, right, _, mouth_left, _ = np.reshape(face["landmarks"], (5, 2))
        assert left[1] == right[1]
        assert left[0] < right[0]
        assert mouth_left[1] > left[1]


def test_a_picture_that_is_no_crop_has_no_face_that_nobody_sees(made):
    _rename(made)
    summary, _ = _align(made, "folder")
    assert summary["rows_out"] == 7
    assert "whole" not in summary["found_by"]
    status = read_table(made / "out" / "detections.parquet", schema=DETECTIONS)["status"].to_pylist()
    assert status.count("no_face") == 2


def test_crops_are_known_by_the_names_that_their_release_gave_them(made):
    summary, _ = _align(made, "folder")
    assert summary["found_by"]["whole"] == 2


def test_a_dataset_of_crops_of_your_own_may_ask_for_it(made):
    _rename(made)
    summary, _ = _align(made, "folder", cascade=["mtcnn", "whole"])
    assert summary["rows_out"] == 9


def test_a_threshold_on_the_score_leaves_them_out(made):
    _align(made, "fer2013_folder")
    least = read_params(ROOT / "params.yaml").select.model_copy(update={"min_score": 0.5})
    assert select(made / "out", made / "selected", least)["rejected"]["low_score"] == 2


def test_turned_attempts_go_first_and_a_box_is_not_passed_over():
    lying = np.ascontiguousarray(np.rot90(portrait()[:400, :420]))
    cascade = build_cascade(align_params(cascade=["mtcnn", "whole"]))
    box = Hint(np.array([2.0, 2, 46, 46]), "face")
    found = find_faces(cascade, [View(lying), View(_noise(5)), View(_noise(6), box)], lambda _: None)
    assert [one.attempt.name if one else None for one in found][1:] == ["whole", None]
    assert found[0].turn_deg == 90


@pytest.mark.parametrize("side_px", [48, 100, 224])
def test_a_crop_is_read_without_a_search(side_px):
    cut = cv2.resize(portrait()[40:215, 140:315], (side_px, side_px), interpolation=cv2.INTER_AREA)
    found = find_faces(build_cascade(align_params(cascade=CROPS)), [View(cut)], lambda _: None)[0]
    assert found.attempt.name == "mtcnn-whole"
    wanted = (PORTRAIT_POINTS - [140, 40] + 0.5) * side_px / 175 - 0.5
    off = np.linalg.norm(found.faces.landmarks[0] - wanted, axis=1) / np.linalg.norm(wanted[1] - wanted[0])
    assert off.max() < 0.15


def test_a_face_that_does_not_fill_its_picture_is_searched():
    box = Hint(np.array([180.0, 50, 280, 170]), "face")
    views = [View(portrait()), View(portrait(), box)]
    found, boxed = find_faces(build_cascade(align_params(cascade=CROPS)), views, lambda _: None)
    alone = find_faces(build_cascade(align_params(cascade=["mtcnn"])), views, lambda _: None)
    assert [found.attempt.name, boxed.attempt.name] == [one.attempt.name for one in alone]
    np.testing.assert_array_equal(found.faces.landmarks, alone[0].faces.landmarks)
    np.testing.assert_array_equal(boxed.faces.landmarks, alone[1].faces.landmarks)


def test_a_cascade_for_crops_begins_and_ends_with_the_whole_picture():
    assert cascade_of_crops(["mtcnn", "dlib-hog"]) == CROPS
    assert cascade_of_crops(["dlib-hog"]) == ["dlib-hog", "whole"]
    assert cascade_of_crops(["whole", "mtcnn"]) == ["whole", "mtcnn"]


@pytest.mark.parametrize(
    ("shape", "left"), [((48, 48), 0.333 * 48), ((60, 100), 20 + 0.333 * 60), ((100, 60), 0.333 * 60)]
)
def test_it_is_the_middle_square(shape, left):
    found = find_faces(
        build_cascade(align_params(cascade=["whole"])), [View(np.zeros(shape, np.uint8))], lambda _: None
    )
    assert found[0].faces.landmarks[0, 0, 0] == pytest.approx(left - 0.5)


class _Stub:
    """A detector that says the same of every picture: a face of this side about the middle of 48 px."""

    def __init__(self, name, side):
        self.name = name
        self._box = np.array([24 - side / 2, 24 - side / 2, 24 + side / 2, 24 + side / 2])

    def detect(self, views):
        points = self._box[:2] + BOX_PLACES * (self._box[2] - self._box[0])
        return [Faces(self._box[None], np.array([0.999]), points[None]) for _ in views]


def test_an_answer_that_no_face_can_be_leaves_the_picture_to_the_next_attempt():
    huge, fitting = Attempt("huge", _Stub("huge", 80)), Attempt("fitting", _Stub("fitting", 40))
    possible = partial(is_possible, params=align_params())

    def found(*attempts):
        return find_faces(attempts, [View(_noise(7))], lambda _: None, possible)[0].attempt.name

    assert found(huge, fitting) == "fitting"
    assert found(fitting, huge) == "fitting"
    # Nobody has a better one: it comes back, to be turned away with its reason.
    assert found(huge) == "huge"


def test_no_row_of_a_release_of_crops_is_lost_to_a_face_larger_than_its_picture(tmp_path):
    """Of the portrait's eyes and mouth alone a detector sees a face of more than twice the picture."""
    inner = cv2.resize(portrait()[85:155, 190:260, 0], (48, 48), interpolation=cv2.INTER_AREA)
    for name in ("angry", "happy", "sad"):
        _tree(tmp_path / "raw", name, [inner])
    summary, _ = _align(tmp_path, "fer2013_folder", cascade=["mtcnn"])
    assert summary["found_by"] == {"whole": 3}
    _rename(tmp_path)
    summary, _ = _align(tmp_path, "folder", cascade=["mtcnn"])
    assert summary["rejected"] == {"larger_than_picture": 3}
