"""AffectNet's three layouts: which tables are its own, and rows whose expression nobody gave."""

import numpy as np
import pytest

from pipeline.core.errors import SourceError
from pipeline.ingest.registry import detect_format as recognise
from pipeline.ingest.registry import open_tree
from tests.pipeline.ingest.layouts import (
    AFFECTNET_HEADER,
    POINTS_68,
    Read,
    affectnet_row,
    npy,
    put,
    write_affectnet_folder,
    write_affectnet_npy,
)

FLAT_68 = [value for point in POINTS_68 for value in point]


def test_affectnet(read):
    found = read("affectnet")
    at = "Manually_Annotated_Images"
    native = [
        "neutral",
        "happy",
        "sad",
        "surprise",
        "fear",
        "disgust",
        "anger",
        "contempt",
        "none",
        "uncertain",
        "no-face",
    ]
    suffixes = ["jpg", "JPG", "jpeg", "png", "PNG", "tif", "bmp", "jpg", "jpg", "jpg", "jpg"]
    wanted = {f"{at}/{code}/h{code}.{suffix}": native[code] for code, suffix in enumerate(suffixes)}
    wanted |= {f"{at}/700/v.jpg": "surprise", "Automatically_Annotated_Images/1/a.jpg": "anger"}
    assert found.labels() == wanted
    rows = {row["source_path"]: row for row in found.rows}
    happy = rows[f"{at}/1/h1.JPG"]
    assert happy["source_box"] == [1, 2, 31, 42]
    assert happy["source_box_kind"] == "face"
    assert happy["source_landmarks"] == FLAT_68
    # The list for validation has an arousal of 1.5: nobody knows the scale of the column.
    assert (happy["valence"], happy["arousal"], happy["source_split"]) == (0.5, None, "training")
    assert rows[f"{at}/9/h9.jpg"]["valence"] is None  # -2
    assert (rows[f"{at}/700/v.jpg"]["valence"], rows[f"{at}/700/v.jpg"]["arousal"]) == (None, None)  # NaN, beyond 1
    assert rows[f"{at}/700/v.jpg"]["source_split"] == "validation"
    assert found.summary["rejected"] == {"bad_row": 1, "missing_file": 1}
    assert "validation.csv row 3" in next(r["detail"] for r in found.rejects if r["reason"] == "bad_row")


def test_affectnet_pictures_may_lie_deeper_than_the_lists(tmp_path):
    at = "Manually_Annotated/Manually_Annotated_Images/Manually_Annotated_Images"
    rows = [affectnet_row("689/abc.JPG", 0), affectnet_row("689/gone.JPG", 1)]
    put(tmp_path / "raw", "Manually_Annotated_file_lists/training.csv", "\n".join([AFFECTNET_HEADER, *rows]))
    put(tmp_path / "raw", f"{at}/689/abc.JPG")
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert found.labels() == {f"{at}/689/abc.JPG": "neutral"}
    assert found.summary["rejected"] == {"missing_file": 1}


def test_affectnet_in_lower_case(tmp_path):
    lists = "manually_annotated_file_lists"
    put(tmp_path / "raw", f"{lists}/Training.CSV", "\n".join([AFFECTNET_HEADER, affectnet_row("1/a.jpg", 1)]))
    put(tmp_path / "raw", f"{lists}/validation.csv", affectnet_row("1/b.jpg", 2))
    for name in "ab":
        put(tmp_path / "raw", f"manually_annotated_images/1/{name}.jpg")
    found = Read(tmp_path / "raw", tmp_path / "out")
    at = "manually_annotated_images/1"
    assert found.labels() == {f"{at}/a.jpg": "happy", f"{at}/b.jpg": "sad"}
    assert found.summary["format"] == "affectnet"
    assert not [note for note in found.summary["notes"] if "no such file" in note]


def test_affectnet_lists_can_be_chosen(read):
    found = read("affectnet", affectnet_lists="manual")
    assert "automatic" not in found.summary["counts"]
    assert any("automatically_annotated.csv was passed over" in note for note in found.summary["notes"])


def test_a_tree_of_automatic_lists_alone_says_which_parameter_reads_them(tmp_path):
    rows = [AFFECTNET_HEADER, affectnet_row("1/a.jpg", 1)]
    put(tmp_path / "raw", "Automatically_Annotated_file_lists/automatically_annotated.csv", "\n".join(rows))
    put(tmp_path / "raw", "Automatically_Annotated_Images/1/a.jpg")
    with pytest.raises(SourceError, match=r"passed over: ingest\.affectnet_lists is manual"):
        Read(tmp_path / "raw", tmp_path / "out", affectnet_lists="manual")
    assert Read(tmp_path / "raw", tmp_path / "out", affectnet_lists="automatic").summary["rows_out"] == 1


def test_affectnet_npy_reads_strings_without_dimensions_and_never_a_pickle(read):
    found = read("affectnet_npy")
    assert found.labels() == {
        "train_set/images/0.jpg": "neutral", "train_set/images/1.jpg": "happy", "train_set/images/2.jpg": "sad",
        "val_set/images/7.jpg": "contempt",
    }  # fmt: skip
    row = found.rows[0]
    assert (row["valence"], row["arousal"], row["source_split"]) == (-0.5, None, "training")
    assert row["source_landmarks"] == list(np.arange(136.0))
    assert found.reasons() == [
        ("bad_row", "train_set/images/9.jpg"), ("bad_row", "val_set/images/8.jpg"),
        ("missing_file", "train_set/images/6.jpg"), ("unlabelled", "train_set/images/5.jpg"),
    ]  # fmt: skip


def test_affectnet_folder_reports_conflicts_and_never_settles_them(read):
    found = read("affectnet_folder")
    assert found.labels() == {"anger/a.jpg": "anger", "happy/c.jpg": "happy", "sad/unlisted.jpg": "sad"}
    assert found.reasons() == [("conflicting_labels", "anger/b.jpg"), ("missing_file", "happy/gone.jpg")]
    assert any("1 pictures are in no row" in note for note in found.summary["notes"])


def test_affectnet_folder_with_splits_around_the_classes(tmp_path):
    put(tmp_path / "raw", "labels.csv", ",pth,label,relFCs\n0,anger/image1.jpg,anger,0.87\n")
    for name in ("Train/Anger/image1.jpg", "Train/happy/image2.png", "Test/Contempt/image3.jpg"):
        put(tmp_path / "raw", name)
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert [(row["source_split"], row["source_labels"]) for row in found.rows] == [
        ("Test", ["contempt"]), ("Train", ["anger"]), ("Train", ["happy"]),
    ]  # fmt: skip
    assert found.rejects == []


@pytest.mark.parametrize("at", ["", "Manually_Annotated_file_lists/"])
@pytest.mark.parametrize("header", ["image,label", "path,expression", "file,emotion,valence,arousal", "id,image,label"])
def test_lists_of_ones_own_are_not_affectnets(header, at, tmp_path):
    for split, names in {"training": ("a", "b"), "validation": ("c",)}.items():
        cells = {"id": "7", "valence": "0.5", "arousal": "0.25", "label": "happy", "expression": "happy"}
        cells["emotion"] = "happy"
        rows = [",".join(cells.get(column, f"pictures/{name}.jpg") for column in header.split(",")) for name in names]
        put(tmp_path / "raw", f"{at}{split}.csv", "\n".join([header, *rows]))
    for name in "abc":
        put(tmp_path / "raw", f"pictures/{name}.jpg")
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert found.summary["format"] == "csv"
    assert found.labels() == {f"pictures/{name}.jpg": "happy" for name in "abc"}
    assert sorted(row["source_split"] for row in found.rows) == ["training", "training", "validation"]
    with pytest.raises(SourceError, match="not affectnet: looked for Manually_Annotated_file_lists"):
        Read(tmp_path / "raw", tmp_path / "out", fmt="affectnet")


@pytest.mark.parametrize(
    "row",
    [
        "1/a.jpg,happy",
        "1/a.jpg,1,2,3,4,5,6",
        "7,1,2,3,4,5,6,7,8",
        "1/a.jpg,1,2,3,4,5,happy,0,0",
        "1/a.jpg,1,2,3,4,5,11,0,0",
    ],
)
def test_list_without_a_header_is_known_by_its_cells(row, tmp_path):
    fitting = row == "1/a.jpg,1,2,3,4,5,6"
    put(tmp_path, "validation.csv", "\n".join([row] * 3))
    put(tmp_path, "1/a.jpg")
    if fitting:
        assert recognise(open_tree(str(tmp_path))) == ("affectnet", "validation.csv has AffectNet's columns")
    else:
        with pytest.raises(SourceError, match="not affectnet: looked for"):
            Read(tmp_path, tmp_path.parent / "out", fmt="affectnet")


def test_header_of_affectnet_is_enough(tmp_path):
    put(tmp_path, "training.csv", f"{AFFECTNET_HEADER}\n")
    put(tmp_path, "validation.csv", affectnet_row("1/a.JPG", "3.0"))
    put(tmp_path, "1/a.JPG")
    found = Read(tmp_path, tmp_path.parent / "out")
    assert found.labels() == {"1/a.JPG": "surprise"}


@pytest.mark.parametrize("code", ["", "nan", "NaN", " ", "NULL"])
def test_expression_that_is_not_given_is_a_row_without_a_label(code, tmp_path):
    """It stays for its valence and arousal."""
    rows = [affectnet_row("1/a.jpg", 1), affectnet_row("1/b.jpg", code), affectnet_row("1/c.jpg", "x")]
    put(tmp_path / "raw", "Manually_Annotated_file_lists/training.csv", "\n".join([AFFECTNET_HEADER, *rows]))
    at = "Manually_Annotated_Images/1"
    for name in "abc":
        put(tmp_path / "raw", f"{at}/{name}.jpg")
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert found.labels() == {f"{at}/a.jpg": "happy", f"{at}/b.jpg": ""}
    assert [row["valence"] for row in found.rows] == [0.5, 0.5]
    assert found.reasons() == [("bad_row", f"{at}/c.jpg")]


@pytest.mark.parametrize("value", ["", "nan", float("nan"), np.float32("nan"), [float("nan")]])
def test_array_of_an_expression_that_is_not_given_is_a_row_without_a_label(value, tmp_path):
    write_affectnet_npy(tmp_path / "raw")
    put(tmp_path / "raw", "train_set/annotations/1_exp.npy", npy(value))
    found = Read(tmp_path / "raw", tmp_path / "out")
    (row,) = (row for row in found.rows if row["source_path"] == "train_set/images/1.jpg")
    assert row["source_labels"] == []
    assert row["valence"] is not None
    assert found.summary["rejected"] == {"bad_row": 2, "missing_file": 1, "unlabelled": 1}


@pytest.mark.parametrize("label", ["", "nan"])
def test_class_that_is_not_given_is_a_row_without_a_label(label, tmp_path):
    write_affectnet_folder(tmp_path / "raw")
    put(tmp_path / "raw", "labels.csv", f"pth,label,relFCs\nanger/a.jpg,{label},0.8\nanger/b.jpg,anger,1\n")
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert found.reasons() == [("unlabelled", "anger/a.jpg")]


@pytest.mark.parametrize(("text", "label"), [("3", "surprise"), ("3.0", "surprise"), ("3.000000e+00", "surprise")])
def test_code_is_a_whole_number_however_written(text, label, tmp_path):
    put(tmp_path / "raw", "validation.csv", affectnet_row("1/a.jpg", text))
    put(tmp_path / "raw", "1/a.jpg")
    assert Read(tmp_path / "raw", tmp_path / "out").labels() == {"1/a.jpg": label}


@pytest.mark.parametrize("text", ["3.5", "-1", "1_0", "³", "٣٣", "1e400", "0x3"])
def test_what_is_no_code_is_a_bad_row(text, tmp_path):
    rows = [affectnet_row("1/a.jpg", text), affectnet_row("1/b.jpg", 1)]
    put(tmp_path / "raw", "validation.csv", "\n".join([AFFECTNET_HEADER, *rows]))
    for name in ("a", "b"):
        put(tmp_path / "raw", f"1/{name}.jpg")
    assert Read(tmp_path / "raw", tmp_path / "out").reasons() == [("bad_row", "1/a.jpg")]
