"""The RAF-DB tree, parsed here from the description of the layout and from nothing in the project."""

import cv2
import numpy as np
import pytest

NAMES = [None, "surprise", "fear", "disgust", "happy", "sad", "anger", "neutral"]


@pytest.fixture(scope="module")
def rows(demo):
    text = (demo / "rafdb" / "EmoLabel" / "list_patition_label.txt").read_bytes().decode("ascii")
    assert not text.endswith("\n")
    assert "\r" not in text
    return [(name.removesuffix(".jpg"), int(code)) for name, code in (line.split(" ") for line in text.split("\n"))]


@pytest.fixture(scope="module")
def by_stem(truth):
    return {row["source_path"].split("/")[-1].removesuffix(".jpg"): row for row in truth if row["dataset"] == "rafdb"}


@pytest.mark.parametrize(("split", "digits"), [("train", 5), ("test", 4)])
def test_both_parts_hold_all_seven_classes(rows, split, digits):
    found = [(stem, code) for stem, code in rows if stem.startswith(f"{split}_")]
    assert {code for _, code in found} == set(range(1, 8))
    assert [stem for stem, _ in found] == [f"{split}_{number:0{digits}d}" for number in range(1, len(found) + 1)]


def test_codes_say_what_the_truth_says(rows, by_stem):
    assert {stem: NAMES[code] for stem, code in rows} == {stem: row["label"] for stem, row in by_stem.items()}


def test_every_picture_has_an_aligned_face_of_100_pixels_with_level_eyes_in_its_upper_half(demo, rows, by_stem):
    for stem, _ in rows:
        original = cv2.imread(str(demo / "rafdb" / "Image" / "original" / f"{stem}.jpg"))
        aligned = cv2.imread(str(demo / "rafdb" / "Image" / "aligned" / f"{stem}_aligned.jpg"))
        assert aligned.shape == (100, 100, 3)
        assert original.shape[:2] != (100, 100)
        # OpenCV's own fit of the five true points to where the aligned picture should have them.
        true = np.reshape(by_stem[stem]["landmarks"], (5, 2))
        wanted = np.array([(31, 38), (69, 38), (50, 58), (34, 76), (66, 76)], float)
        matrix = cv2.estimateAffinePartial2D(true, wanted, method=cv2.RANSAC, ransacReprojThreshold=1e3)[0]
        expected = cv2.warpAffine(original, matrix, (100, 100), borderMode=cv2.BORDER_REPLICATE)
        assert cv2.absdiff(expected, aligned).mean() < 4


def test_annotations_agree_with_the_truth(demo, rows, by_stem):
    folder = demo / "rafdb" / "Annotation"
    for stem, _ in rows:
        true = np.reshape(by_stem[stem]["landmarks"], (5, 2))
        x0, y0, x1, y1 = (
            float(value) for value in (folder / "boundingbox" / f"{stem}_boundingbox.txt").read_text().split()
        )
        assert (true > (x0, y0)).all()
        assert (true < (x1, y1)).all()
        lines = (folder / "manual" / f"{stem}_manu_attri.txt").read_text().split("\n")
        points = np.array([line.split() for line in lines[:5]], float)
        np.testing.assert_allclose(points, true, atol=1e-3)
        gender, race, age = (int(line) for line in lines[5:8])
        assert gender in {0, 1, 2}
        assert race in {0, 1, 2}
        assert age in {0, 1, 2, 3, 4}
        assert np.loadtxt(folder / "auto" / f"{stem}_auto_attri.txt").shape == (37, 2)


def test_no_person_is_in_both_parts(by_stem):
    people = {
        split: {row["subject_id"] for row in by_stem.values() if row["split"] == split} for split in ("train", "test")
    }
    assert not people["train"] & people["test"]
