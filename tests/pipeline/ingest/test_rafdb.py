"""RAF-DB, basic and compound, as released and as its mirrors ship it."""

import shutil

import pytest

from tests.pipeline.ingest.layouts import (
    POINTS_68,
    WRITERS,
    Read,
    put,
)

FORMATS = sorted(WRITERS)
FLAT_68 = [value for point in POINTS_68 for value in point]


def test_rafdb(read):
    found = read("rafdb")
    names = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
    wanted = {f"Image/original/train_{code:05d}.jpg": name for code, name in enumerate(names, 1)}
    assert found.labels() == wanted | {"Image/original/test_0001.jpg": "happiness"}
    row = found.rows[0]
    assert row["source_box"] == [10.5, 20.25, 110.5, 140.75]
    assert row["source_landmarks"] == [30, 40, 70, 41, 50, 60, 35, 80, 65, 81]
    assert {row["source_split"] for row in found.rows} == {"train", "test"}
    assert found.reasons() == [("bad_row", "Image/original/test_0002.jpg"), ("missing_file", "test_0003.jpg")]


def test_rafdb_aligned_pictures_have_no_box_of_the_original(read):
    row = read("rafdb", rafdb_pictures="aligned").rows[0]
    assert row["source_path"] == "Image/aligned/test_0001_aligned.jpg"
    assert (row["source_box"], row["source_landmarks"]) == (None, None)


def test_rafdb_folders_are_named_after_the_codes_and_checked_against_the_list(read):
    found = read("rafdb_folder")
    names = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
    wanted = {f"train/{code}/train_{code:05d}_aligned.jpg": name for code, name in enumerate(names, 1)}
    assert found.labels() == wanted | {"test/4/test_0001_aligned.jpg": "happiness"}
    assert {row["source_split"] for row in found.rows} == {"train", "test"}
    assert found.reasons() == [
        ("conflicting_labels", "test/1/test_0002_aligned.jpg"), ("missing_file", "train_00009_aligned.jpg"),
    ]  # fmt: skip


def test_rafdb_pictures_in_no_folder_of_a_class_are_counted(tmp_path):
    for name in ("train/1/train_00001_aligned.jpg", "train/8/train_00002_aligned.jpg", "test/test_0001_aligned.jpg"):
        put(tmp_path / "raw", name)
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert (found.summary["rows_out"], found.summary["rejected"]) == (1, {"unlabelled": 2})


def test_rafdb_folders_may_lie_a_level_below_their_lists(tmp_path):
    WRITERS["rafdb_folder"](tmp_path / "raw/DATASET")
    for name in ("train_labels.csv", "test_labels.csv"):
        (tmp_path / "raw/DATASET" / name).rename(tmp_path / "raw" / name)
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert found.summary["format"] == "rafdb_folder"
    assert found.summary["rejected"] == {"conflicting_labels": 1, "missing_file": 1}


def test_rafdb_list_with_tabs_or_more_blanks(tmp_path):
    put(tmp_path / "raw", "EmoLabel/list_partition_label.txt", "train_00001.jpg\t5 \ntrain_00002.jpg  4\n")
    for name in ("train_00001.jpg", "train_00002.jpg"):
        put(tmp_path / "raw", f"Image/original/{name}")
    assert list(Read(tmp_path / "raw", tmp_path / "out").labels().values()) == ["sadness", "happiness"]


def test_rafdb_of_aligned_pictures_alone_is_read_and_says_so(tmp_path):
    WRITERS["rafdb"](tmp_path / "raw")
    shutil.rmtree(tmp_path / "raw/Image/original")
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert found.labels()["Image/aligned/train_00004_aligned.jpg"] == "happiness"
    assert found.summary["notes"][0] == "there are no original pictures: the aligned ones are read"
    assert found.rows[0]["source_box"] is None


def test_rafdb_compound(read):
    found = read("rafdb_compound")
    assert found.labels()["Image/original/train_0001.jpg"] == "happily surprised"
    assert found.labels()["Image/original/train_0011.jpg"] == "disgustedly surprised"
    assert found.labels()["Image/original/test_001.jpg"] == "fearfully surprised"
    assert found.summary["rejected"] == {}


def test_rafdb_folder_row_that_names_a_picture_again_is_told(tmp_path):
    put(tmp_path / "raw", "train/1/train_00001_aligned.jpg")
    rows = ["train_00001_aligned.jpg,1", "train_00001_aligned.jpg,2", "train_00001_aligned.jpg,1"]
    put(tmp_path / "raw", "train_labels.csv", "\n".join(["image,label", *rows]))
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert found.labels() == {"train/1/train_00001_aligned.jpg": "surprise"}
    told = "train_labels.csv row 3: names a picture once more and is passed over, as 2 rows in all"
    assert told in found.summary["notes"]


@pytest.mark.parametrize("kind", ["aligned", "original"])
def test_rafdb_list_that_names_the_aligned_pictures(kind, tmp_path):
    put(tmp_path / "raw", "list_patition_label.txt", "train_00001_aligned.jpg 5\ntest_0001_aligned.jpg 4\n")
    tail = "_aligned" if kind == "aligned" else ""
    for name in ("train_00001", "test_0001"):
        put(tmp_path / "raw", f"{kind}/{name}{tail}.jpg")
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert found.summary["format"] == "rafdb"
    assert found.labels() == {f"{kind}/train_00001{tail}.jpg": "sadness", f"{kind}/test_0001{tail}.jpg": "happiness"}
    assert {row["source_split"] for row in found.rows} == {"train", "test"}


def test_rafdb_rows_without_a_picture_name_none(tmp_path):
    put(tmp_path / "raw", "list_patition_label.txt", "train_00001.jpg 5\n;,\ntrain_00002.jpg\nC:\\x\\ 4\n")
    put(tmp_path / "raw", "original/train_00001.jpg")
    put(tmp_path / "raw", "original/train_00002.jpg")
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert found.reasons() == [("bad_row", ""), ("bad_row", ""), ("bad_row", "train_00002.jpg")]
    at, wanted = "list_patition_label.txt row", "expected a picture and a code 1 to 7, two cells, not"
    assert sorted(reject["detail"] for reject in found.rejects) == [
        f"{at} 2: {wanted} ';,'", f"{at} 3: {wanted} 'train_00002.jpg'", f"{at} 4: {wanted} 'C:\\\\x\\\\ 4'",
    ]  # fmt: skip
