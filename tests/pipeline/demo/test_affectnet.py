"""The AffectNet tree, parsed here from the description of the layout and from nothing in the project."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

COLUMNS = [
    *("subDirectory_filePath", "face_x", "face_y", "face_width", "face_height", "facial_landmarks"),
    *("expression", "valence", "arousal"),
]
NAMES = ["neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt"]


@pytest.fixture(scope="module")
def lists(demo):
    folder = demo / "affectnet" / "Manually_Annotated_file_lists"
    with (folder / "training.csv").open(newline="", encoding="utf-8") as stream:
        training = list(csv.reader(stream))
    with (folder / "validation.csv").open(newline="", encoding="utf-8") as stream:
        validation = list(csv.reader(stream))
    assert training.pop(0) == COLUMNS
    return {
        "training": [dict(zip(COLUMNS, row, strict=True)) for row in training],
        "validation": [dict(zip(COLUMNS, row, strict=True)) for row in validation],
    }


@pytest.fixture(scope="module")
def by_path(truth):
    return {row["source_path"]: row for row in truth if row["dataset"] == "affectnet"}


def picture(demo: Path, row: dict[str, str]) -> Path:
    return demo / "affectnet" / "Manually_Annotated_Images" / row["subDirectory_filePath"]


def every(lists):
    return [*lists["training"], *lists["validation"]]


def test_both_lists_hold_every_class_and_the_three_codes_that_are_none(lists):
    for rows in lists.values():
        assert {int(row["expression"]) for row in rows} == set(range(11))


def test_codes_and_affect_say_what_the_truth_says(lists, by_path):
    for row in every(lists):
        true = by_path[f"Manually_Annotated_Images/{row['subDirectory_filePath']}"]
        code = int(row["expression"])
        assert true["label"] == (NAMES[code] if code < 8 else None)
        for name in ("valence", "arousal"):
            expected = -2 if true[name] is None else true[name]
            assert float(row[name]) == pytest.approx(expected, abs=1e-4)


def test_affect_is_in_range_or_not_given(lists):
    values = {float(row[name]) for row in every(lists) for name in ("valence", "arousal")}
    assert -2.0 in values
    assert all(-1 <= value <= 1 for value in values - {-2.0})
    for row in every(lists):
        if int(row["expression"]) >= 9:
            assert float(row["valence"]) == -2


def test_landmarks_are_68_points_and_agree_with_the_truth(lists, by_path):
    for row in every(lists):
        true = by_path[f"Manually_Annotated_Images/{row['subDirectory_filePath']}"]
        if true["landmarks"] is None:
            assert row["facial_landmarks"] == ""
            continue
        points = np.array(row["facial_landmarks"].split(";"), float).reshape(68, 2)
        five = [points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]]
        np.testing.assert_allclose(np.ravel(five), true["landmarks"], atol=0.02)


def test_exactly_one_listed_picture_is_missing_and_one_cannot_be_decoded(demo, lists, by_path):
    missing, broken = [], []
    for row in every(lists):
        path = picture(demo, row)
        name = f"Manually_Annotated_Images/{row['subDirectory_filePath']}"
        if not path.exists():
            missing.append(by_path[name]["planted"])
            continue
        try:
            with Image.open(path) as image:
                image.load()
        except OSError:
            broken.append(by_path[name]["planted"])
    assert (missing, broken) == (["missing"], ["truncated"])


def test_the_truncated_picture_is_a_jpeg_without_an_end(demo, truth):
    (row,) = [row for row in truth if row["planted"] == "truncated"]
    content = (demo / "affectnet" / row["source_path"]).read_bytes()
    assert content.startswith(b"\xff\xd8")
    assert not content.endswith(b"\xff\xd9")


def test_one_box_leaves_its_picture_and_all_others_hold_their_face(demo, lists, by_path):
    outside = []
    for row in every(lists):
        true = by_path[f"Manually_Annotated_Images/{row['subDirectory_filePath']}"]
        if true["landmarks"] is None or true["planted"] in {"missing", "truncated"}:
            continue
        x, y, width, height = (int(row[f"face_{name}"]) for name in ("x", "y", "width", "height"))
        points = np.reshape(true["landmarks"], (5, 2))
        assert (points >= (x, y)).all()
        assert (points <= (x + width, y + height)).all()
        with Image.open(picture(demo, row)) as image:
            if x < 0 or y < 0 or x + width > image.width or y + height > image.height:
                outside.append(true["planted"])
    assert "box outside" in outside


def test_extensions_are_mixed_as_in_the_release(lists):
    found = {Path(row["subDirectory_filePath"]).suffix for row in every(lists)}
    assert found == {".jpg", ".JPG", ".jpeg", ".png", ".PNG", ".tif", ".bmp"}


def test_no_person_is_in_both_lists(by_path):
    people = {
        split: {row["subject_id"] for row in by_path.values() if row["split"] == split and row["subject_id"]}
        for split in ("training", "validation")
    }
    assert all(len(names) >= 8 for names in people.values())
    assert not people["training"] & people["validation"]


def test_litter_lies_about(demo):
    assert list((demo / "affectnet").rglob(".DS_Store"))
