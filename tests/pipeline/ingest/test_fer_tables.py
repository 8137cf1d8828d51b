"""Several tables of pixels in one tree: every row is read, refused or told, and its split is the right one."""

import pytest

from pipeline.core.errors import SourceError
from tests.pipeline.ingest.layouts import Read, pixels, put

VOTES = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"


def table(root, name, *rows, columns="emotion,pixels,Usage"):
    """Write a table; a row is (code, grey value, usage)."""
    lines = [",".join([str(code), pixels(grey), *usage]) for code, grey, *usage in rows]
    put(root, name, "\n".join([*([columns] if columns else []), *lines]) + "\n")


def splits(found):
    return {row["sample_id"].removeprefix("d/"): row["source_split"] for row in found.rows}


def test_every_split_of_its_own_table_is_read(tmp_path):
    for name, usage, grey in (("train", "Training", 1), ("val", "PublicTest", 3), ("test", "PrivateTest", 5)):
        table(tmp_path / "raw", f"{name}.csv", (3, grey, usage), (4, grey + 1, usage))
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert splits(found) == {
        "train.csv#0": "Training", "train.csv#1": "Training", "val.csv#0": "PublicTest", "val.csv#1": "PublicTest",
        "test.csv#0": "PrivateTest", "test.csv#1": "PrivateTest",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("train", "val", "test"), ("Training", "PublicTest", "PrivateTest")),
        (("train", "public_test", "private_test"), ("Training", "PublicTest", "PrivateTest")),
        (("fer2013_training", "PublicTest", "PrivateTest"), ("Training", "PublicTest", "PrivateTest")),
        (("train", "test"), ("Training", "test")),
        (("fer2013",), (None,)),
    ],
)
def test_table_without_usage_is_of_the_split_that_it_is_named_after(names, expected, tmp_path):
    for grey, name in enumerate(names):
        table(tmp_path / "raw", f"{name}.csv", (3, grey), columns="emotion,pixels")
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert splits(found) == {f"{name}.csv#0": split for name, split in zip(names, expected, strict=True)}


# Shares of another dataset's classes in AffectNet's order, of FER2013 in FER+'s order, and of all classes alike.
@pytest.mark.parametrize(
    "counts",
    [(300, 500, 100, 60, 30, 20, 100), (175, 250, 112, 169, 138, 15, 141), (150, 150, 150, 150, 150, 150, 150)],
    ids=["affectnet", "ferplus", "balanced"],
)
def test_codes_with_other_shares_than_those_of_the_release_are_asked_for(counts, tmp_path):
    table(tmp_path / "raw", "faces.csv", *_coded(counts), columns="emotion,pixels")
    with pytest.raises(SourceError, match=rf'{counts[1]} of 1.*1\.5%.* disgust.*classes: {{"0": …, "1": …') as error:
        Read(tmp_path / "raw", tmp_path / "out")
    names = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger")
    assert list(error.value.entry["classes"]) == [str(code) for code in range(7)]
    told = {str(code): name for code, name in enumerate(names)}
    found = Read(tmp_path / "raw", tmp_path / "out", classes=told, accept=True)
    assert found.summary["counts"] == {"all": dict(sorted(zip(names, counts, strict=True)))}


# A tenth of FER2013 with its own shares: 35,887 pictures, of which 547 of disgust.
@pytest.mark.parametrize("counts", [(495, 55, 512, 899, 608, 400, 620), (0, 0, 0, 9, 8, 8, 8)], ids=["tenth", "few"])
def test_draw_of_the_release_and_a_few_rows_need_no_word(counts, tmp_path):
    table(tmp_path / "raw", "faces.csv", *_coded(counts), columns="emotion,pixels")
    assert Read(tmp_path / "raw", tmp_path / "out").summary["rows_out"] == sum(counts)


def _coded(counts):
    return [(code, number % 256) for code, count in enumerate(counts) for number in range(count)]


def test_table_without_usage_beside_one_with_it_is_read(tmp_path):
    table(tmp_path / "raw", "train.csv", (3, 1, "Training"))
    table(tmp_path / "raw", "test.csv", (4, 2), columns="emotion,pixels")
    assert splits(Read(tmp_path / "raw", tmp_path / "out")) == {"train.csv#0": "Training", "test.csv#0": "test"}


def test_row_of_two_tables_is_one_sample_and_twins_within_a_table_stay(tmp_path):
    table(tmp_path / "raw", "icml_face_data.csv", (3, 1, "Training"), (3, 1, "Training"), (4, 2, "PublicTest"))
    table(tmp_path / "raw", "train.csv", (3, 1), (3, 1), (5, 7), columns="emotion,pixels")
    put(tmp_path / "raw", "test.csv", f"pixels\n{pixels(2)}\n{pixels(9)}\n")
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert found.labels() == {"icml_face_data.csv": ["happy", "happy", "sad"], "train.csv": "surprise"}
    assert found.summary["rejected"] == {"duplicate_row": 3, "unlabelled": 1}
    told = [reject["detail"] for reject in found.rejects if reject["source_path"] == "test.csv"]
    assert "test.csv row 2: the same picture as icml_face_data.csv row 4" in told


def test_tables_that_label_one_picture_differently_are_both_doubtful(tmp_path):
    table(tmp_path / "raw", "a.csv", (3, 1, "Training"), (4, 2, "Training"))
    table(tmp_path / "raw", "b.csv", (5, 1, "Training"))
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert (found.labels(), found.summary["rejected"]) == ({"a.csv": "sad"}, {"conflicting_labels": 2})


def test_ckplus_beside_fer2013_is_two_candidates_and_the_other_is_told(tmp_path):
    table(tmp_path / "raw", "fer2013.csv", (3, 1, "Training"))
    table(tmp_path / "raw", "ckextended.csv", (7, 2, "Training"), (0, 3, "Training"))
    with pytest.raises(SourceError, match=r"more than one format; choose: --format ckplus_csv.*--format fer2013"):
        Read(tmp_path / "raw", tmp_path / "out")
    fer = Read(tmp_path / "raw", tmp_path / "fer", fmt="fer2013")
    assert fer.labels() == {"fer2013.csv": "happy"}
    assert "ckextended.csv (2 rows): passed over; the pictures are those of fer2013.csv" in fer.summary["notes"]
    ck = Read(tmp_path / "raw", tmp_path / "ck", fmt="ckplus_csv")
    assert ck.labels() == {"ckextended.csv": ["contempt", "anger"]}
    assert "fer2013.csv (1 rows): passed over; the pictures are those of ckextended.csv" in ck.summary["notes"]


@pytest.mark.parametrize("columns", [None, "emotion,pixels,Usage"])
def test_table_without_a_header_is_read(columns, tmp_path):
    table(tmp_path / "raw", "fer2013.csv", (3, 1, "Training"), (4, 2, "PublicTest"), columns=columns)
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert found.summary["format"] == "fer2013"
    assert splits(found) == {"fer2013.csv#0": "Training", "fer2013.csv#1": "PublicTest"}


def test_pictures_of_another_size_are_told_by_their_count(tmp_path):
    wide = " ".join(["7"] * 96 * 96)
    put(tmp_path / "raw", "fer.csv", f"emotion,pixels,Usage\n3,{wide},Training\n3,{pixels(1)},Training\n")
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert found.rejects[0]["detail"] == "fer.csv row 2: expected 2304 pixels, not 9216"


def write_votes(root, name, *usages):
    rows = [f"{usage},,{n},10,0,0,0,0,0,0,0,0" for n, usage in enumerate(usages)]
    put(root, name, "\n".join([VOTES, *rows]) + "\n")


@pytest.mark.parametrize("usage", [True, False])
def test_votes_join_the_tables_of_the_splits(usage, tmp_path):
    write_votes(tmp_path / "raw", "fer2013new.csv", "Training", "Training", "PublicTest", "PrivateTest")
    rows = {"train": ("Training", 2), "val": ("PublicTest", 1), "test": ("PrivateTest", 1)}
    for name, (split, count) in rows.items():
        given = [(0, n, *([split] if usage else [])) for n in range(count)]
        table(tmp_path / "raw", f"{name}.csv", *given, columns="emotion,pixels" + ",Usage" * usage)
    found = Read(tmp_path / "raw", tmp_path / "out")
    votes = {row["sample_id"]: row["source_votes"][0] for row in found.rows}
    assert votes == {"d/train.csv#0": 0, "d/train.csv#1": 1, "d/val.csv#0": 2, "d/test.csv#0": 3}


def test_votes_find_the_whole_table_and_tell_of_the_others(tmp_path):
    write_votes(tmp_path / "raw", "fer2013new.csv", "Training", "PublicTest")
    table(tmp_path / "raw", "a_train.csv", (0, 1, "Training"))
    table(tmp_path / "raw", "fer2013.csv", (0, 1, "Training"), (0, 2, "PublicTest"))
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert splits(found) == {"fer2013.csv#0": "Training", "fer2013.csv#1": "PublicTest"}
    assert "a_train.csv (1 rows): passed over; the pictures are those of fer2013.csv" in found.summary["notes"]


@pytest.mark.parametrize("fmt", ["auto", "ferplus"])
def test_votes_in_a_folder_beside_that_of_the_pictures(fmt, tmp_path):
    write_votes(tmp_path / "raw", "FERPlus/fer2013new.csv", "Training", "PublicTest")
    table(tmp_path / "raw", "fer2013/fer2013.csv", (0, 1, "Training"), (0, 2, "PublicTest"))
    found = Read(tmp_path / "raw", tmp_path / "out", fmt=fmt)
    assert found.summary["format"] == "ferplus"
    assert splits(found) == {"fer2013/fer2013.csv#0": "Training", "fer2013/fer2013.csv#1": "PublicTest"}


def test_picture_that_the_release_has_in_two_splits_is_kept_in_both_tables(tmp_path):
    for name in ("train", "val", "test"):
        table(tmp_path / "raw", f"{name}.csv", (3, 1), (4, 2), columns="emotion,pixels")
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert (found.summary["rows_out"], found.summary["rejected"]) == (6, {})
