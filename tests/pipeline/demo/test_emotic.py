"""The EMOTIC tree, parsed here from the description of the layout and from nothing in the project."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat, whosmat

CLASSES = {
    "Anger": "anger",
    "Annoyance": "anger",
    "Disapproval": "contempt",
    "Aversion": "disgust",
    "Fear": "fear",
    "Happiness": "happy",
    "Pleasure": "happy",
    "Peace": "neutral",
    "Disquietment": "fear",
    "Sadness": "sad",
    "Suffering": "sad",
    "Surprise": "surprise",
}


@pytest.fixture(scope="module")
def mat_path(demo):
    return demo / "emotic" / "Annotations" / "Annotations.mat"


@pytest.fixture(scope="module")
def mat(mat_path):
    return loadmat(mat_path, struct_as_record=False, squeeze_me=False)


@pytest.fixture(scope="module")
def people(mat):
    """(split, path, n, person, item) of every person."""
    return [
        (split, f"emotic/{item.folder[0]}/{item.filename[0]}", number, person, item)
        for split in ("train", "val", "test")
        for item in mat[split][0]
        for number, person in enumerate(item.person[0])
    ]


@pytest.fixture(scope="module")
def by_key(truth):
    return {(row["source_path"], row["n"]): row for row in truth if row["dataset"] == "emotic"}


def categories(annotation) -> list[str]:
    return [str(name[0]) for name in annotation.categories[0]]


def test_the_file_holds_three_struct_arrays_and_no_time(mat_path):
    assert [(name, kind) for name, _, kind in whosmat(mat_path)] == [
        ("train", "struct"),
        ("val", "struct"),
        ("test", "struct"),
    ]
    assert mat_path.read_bytes()[:116].strip() == b"MATLAB 5.0 MAT-file"


def test_every_person_is_in_the_truth_and_the_other_way_round(people, by_key):
    assert {(path, number): split for split, path, number, *_ in people} == {
        key: row["split"] for key, row in by_key.items()
    }
    assert len({number for _, _, number, *_ in people}) > 1


def test_pictures_lie_in_the_four_folders_and_have_the_size_that_is_stated(demo, people):
    folders = set()
    for _, path, _, _, item in people:
        with Image.open(demo / "emotic" / path) as image:
            assert image.size == (item.image_size[0, 0].n_col[0, 0], item.image_size[0, 0].n_row[0, 0])
        folders.add(item.folder[0])
    assert folders == {"mscoco/images", "framesdb/images", "emodb_small/images", "ade20k/images"}


def test_train_has_one_annotation_and_the_others_one_per_annotator_and_a_combined_one(people):
    for split, _, _, person, _ in people:
        given = person.annotations_categories[0]
        assert len(given) == len(person.annotations_continuous[0])
        if split == "train":
            assert len(given) == 1
            assert not hasattr(person, "combined_categories")
            continue
        combined = {str(name[0]) for name in person.combined_categories[0]}
        assert combined == {name for one in given for name in categories(one)}
        assert {"valence", "arousal", "dominance"} <= set(person.combined_continuous[0, 0]._fieldnames)


def test_categories_say_what_the_truth_says(people, by_key):
    kinds = Counter()
    for split, path, number, person, _ in people:
        names = {name for one in person.annotations_categories[0] for name in categories(one)}
        found = {CLASSES[name] for name in names if name in CLASSES}
        true = by_key[path, number]
        kinds[split, true["planted"]] += 1
        if true["planted"] == "conflicting categories":
            assert len(found) >= 2
            assert true["label"] is None
        elif true["planted"] == "categories without a class":
            assert found == set()
            assert true["label"] is None
        elif true["planted"] == "valence contradicts":
            valence = float(person.combined_continuous[0, 0].valence[0, 0])
            assert (found, valence) in [({"happy"}, 2), ({"anger"}, 9)]
            assert true["label"] is None
        else:
            assert found == {true["label"]}
    planted = {key: count for key, count in kinds.items() if key[1] is not None}
    assert planted == {
        ("test", "no valence"): 1,
        ("test", "conflicting categories"): 10,
        ("test", "categories without a class"): 2,
        ("test", "valence contradicts"): 2,
    }


def test_every_split_holds_every_class(by_key):
    for split in ("train", "val", "test"):
        assert {row["label"] for row in by_key.values() if row["split"] == split} >= {*CLASSES.values()}


def test_valence_is_on_a_scale_of_ten_or_not_a_number(people, by_key):
    unknown = []
    for split, path, number, person, _ in people:
        source = person.annotations_continuous if split == "train" else person.combined_continuous
        valence = float(source[0, 0].valence[0, 0])
        true = by_key[path, number]["valence"]
        if np.isnan(valence):
            unknown.append(true)
            continue
        assert valence in range(1, 11)
        assert (valence - 5.5) / 4.5 == pytest.approx(true, abs=0.12)
    assert unknown == [None]


def test_the_body_box_holds_the_face_in_its_upper_part_and_framesdb_adds_a_value(people, by_key):
    for _, path, number, person, item in people:
        box = person.body_bbox[0]
        assert len(box) == (5 if item.folder[0].startswith("framesdb") else 4)
        x0, y0, x1, y1 = box[:4]
        points = np.reshape(by_key[path, number]["landmarks"], (5, 2))
        assert ((points > (x0, y0)) & (points < (x1, y1))).all()
        assert points[:, 1].mean() < (y0 + y1) / 2
        assert x1 - x0 > 3 * np.hypot(*(points[1] - points[0]))


def test_litter_lies_about(demo):
    assert list((demo / "emotic").rglob(".DS_Store"))
