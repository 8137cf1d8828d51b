"""Codes without names: counts that prove an order, and all others, of which the class of each code is asked for."""

from collections import Counter

import pytest

from pipeline.core.errors import SourceError
from pipeline.core.params import IngestParams
from pipeline.ingest.raw_dataset import Annotation, RawDataset
from pipeline.ingest.registry import open_tree
from pipeline.ingest.releases.named_codes import name_codes, proven_names
from tests.pipeline.ingest.layouts import PARAMS, Read, put

# Of RAF-DB's readme, FER2013's paper and AffectNet's table 3, in the order of their own codes.
RAFDB = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
RAFDB_TRAIN, RAFDB_TEST = (1290, 281, 717, 4772, 1982, 705, 2524), (329, 74, 160, 1185, 478, 162, 680)
FER2013 = ("anger", "disgust", "fear", "happy", "sad", "surprise", "neutral")
PUBLIC, PRIVATE = (467, 56, 496, 895, 653, 415, 607), (491, 55, 528, 879, 594, 416, 626)
AFFECTNET = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt")
AFFECTNET_TRAIN = (74874, 134415, 25459, 14090, 6378, 3803, 24882, 3750)


def coded(split, counts, first=0):
    given = [Annotation(f"{split}/{code}.jpg", (str(code),), f"{split}/{code}", split=split) for code in range(20)]
    return [row for code, count in enumerate(counts, first) for row in [given[code]] * count]


def named(tmp_path, rows):
    put(tmp_path, "a.jpg")
    raw = RawDataset(open_tree(str(tmp_path)), "", IngestParams(**PARAMS))
    found = {}
    for row, given in zip(name_codes(raw, rows), rows, strict=True):
        assert found.setdefault(given.labels[0], row.labels) == row.labels
    assert "proves that" in raw.notes[0]
    return {code: label for code, (label,) in found.items()}


def test_counts_prove_the_releases_own_order(tmp_path):
    wanted = {str(code): label for code, label in enumerate(RAFDB, 1)}
    assert named(tmp_path, coded("test", RAFDB_TEST, 1)) == wanted
    assert named(tmp_path, coded("train", RAFDB_TRAIN, 1) + coded("test", RAFDB_TEST, 1)) == wanted


def test_counts_prove_any_other_order_too(tmp_path):
    places = sorted(range(7), key=RAFDB.__getitem__)
    rows = coded("valid", [RAFDB_TEST[place] for place in places])
    assert named(tmp_path, rows) == {str(code): RAFDB[place] for code, place in enumerate(places)}


def test_two_held_out_splits_in_one_and_a_few_lost_files(tmp_path):
    counts = [public + private for public, private in zip(PUBLIC, PRIVATE, strict=True)]
    rows = coded("test", [count - (count > 1000) for count in counts])
    assert named(tmp_path, rows) == {str(code): label for code, label in enumerate(FER2013)}


def test_classes_of_one_size_are_told_apart_by_another_split():
    counts = {
        split: Counter({str(code): count for code, count in enumerate(of)})
        for split, of in (("train", AFFECTNET_TRAIN), ("test", [500] * 8))
    }
    release, names = proven_names(counts)
    assert (release.name, names) == ("AffectNet-8", {str(code): label for code, label in enumerate(AFFECTNET)})


@pytest.mark.parametrize(
    "rows",
    [
        coded("val", [500] * 8),
        coded("test", [count // 2 for count in RAFDB_TEST]),
        coded("test", RAFDB_TEST[:-1]),
        coded("test", [*RAFDB_TEST, 20]),
        coded("train", RAFDB_TEST),
        coded("test", [3, 2, 1]),
    ],
    ids=["one size", "half of it", "a class less", "a class more", "another split", "few"],
)
def test_counts_that_prove_nothing_lead_to_a_question(rows, tmp_path):
    with pytest.raises(SourceError, match=r'which class is 0\?.*classes: \{"0": …, "1": …'):
        named(tmp_path, rows)


def test_numbered_folders_of_people_are_not_classes(tmp_path):
    for person in range(30):
        put(tmp_path / "raw", f"{person:03d}/a.jpg")
    with pytest.raises(SourceError, match="no known layout"):
        Read(tmp_path / "raw", tmp_path / "out")


def write_yolo(root, names, *classes, file="data.yaml"):
    put(root, file, f"names: {names}\n" if file == "data.yaml" else "\n".join(names) + "\n")
    for place, code in enumerate(classes):
        put(root, f"images/{place}.jpg")
        put(root, f"labels/{place}.txt", f"{code} 0.5 0.5 0.2 0.4\n")


@pytest.mark.parametrize(("names", "file"), [(["0", "1", "3"], "data.yaml"), (["0", "1", "3"], "classes.txt")])
def test_yolo_classes_whose_names_are_codes_are_those_codes(names, file, tmp_path):
    write_yolo(tmp_path / "raw", names, 0, 1, 2, file=file)
    classes = {"0": "neutral", "1": "happy", "2": "sad", "3": "surprise"}
    found = Read(tmp_path / "raw", tmp_path / "out", classes=classes)
    assert found.labels() == {"images/0.jpg": "neutral", "images/1.jpg": "happy", "images/2.jpg": "surprise"}


def test_yolo_asks_for_the_codes_that_its_classes_are_named_by(tmp_path):
    write_yolo(tmp_path / "raw", [1, 2, 3], 0, 1, 2)
    with pytest.raises(SourceError, match=r"whose data.yaml names its classes by codes, 1 to 3; which class is 1"):
        Read(tmp_path / "raw", tmp_path / "out")
    with pytest.raises(SourceError, match="code 1 has no meaning"):
        Read(tmp_path / "raw", tmp_path / "out", classes={"0": "neutral", "2": "sad", "3": "surprise"})


def test_yolo_classes_beyond_their_names_are_refused(tmp_path):
    write_yolo(tmp_path / "raw", [0, 1, 3], 1, 2, 3)
    with pytest.raises(SourceError, match=r"labels/2.txt.* class 3, but data.yaml has 3, from 0"):
        Read(tmp_path / "raw", tmp_path / "out", classes={"0": "neutral", "1": "happy", "3": "surprise"})
