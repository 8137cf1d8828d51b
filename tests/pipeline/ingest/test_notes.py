"""What readers say of values and lists that they had to leave out."""

import zipfile
from pathlib import Path

import pytest

from pipeline.core.params import read_params
from pipeline.ingest.raw_dataset import Annotation, RawDataset
from pipeline.ingest.registry import locate, open_tree
from tests.pipeline.ingest.layouts import (
    AFFECTNET_HEADER,
    POINTS_68,
    Read,
    affectnet_row,
    npy,
    put,
    write_affectnet,
    write_affectnet_npy,
    write_ckplus,
    write_rafdb,
    write_sfew,
)

OWN = Path(__file__).parents[3] / "params.yaml"


def notes_of(root: Path, fmt: str) -> tuple[list[str], list[Annotation]]:
    tree = open_tree(str(root))
    reader, base, _ = locate(tree, fmt)
    raw = RawDataset(tree, base, read_params(OWN).ingest)
    rows = [row for row in reader.read(raw) if isinstance(row, Annotation)]
    return raw.said(), rows


def test_unusable_values_of_a_csv_are_counted(tmp_path: Path) -> None:
    lines = [
        "path,label,valence,xmin,ymin,xmax,ymax",
        "a.jpg,happy,0.5,0,0,2,2",
        "a.jpg,happy,7.5,,,,",
        "a.jpg,sad,abc,2,0,1,2",
    ]
    put(tmp_path, "x.csv", "\n".join(lines))
    put(tmp_path, "a.jpg")
    notes, rows = notes_of(tmp_path, "csv")
    assert [row.valence for row in rows] == [0.5, 7.5, None]  # as it stands: its column is judged as a whole
    assert [row.box is None for row in rows] == [False, True, True]
    said = [note for note in notes if "unusable" in note]
    assert len(said) == 2
    assert "unusable valence" in said[0]
    assert said[0].endswith("in 1 rows in all")
    assert "unusable box" in said[1]
    assert said[1].endswith("in 1 rows in all")


@pytest.mark.parametrize("folder", [True, False])
def test_missing_list_of_affectnet_is_named(tmp_path: Path, folder: bool) -> None:
    write_affectnet(tmp_path)
    lists = tmp_path / "Manually_Annotated_file_lists/training.csv"
    assert not any("no such file" in note for note in notes_of(tmp_path, "affectnet")[0])
    lists.unlink()
    if folder:
        put(lists, "x.txt")
    assert any("training.csv: no such file" in note for note in notes_of(tmp_path, "affectnet")[0])


def dropped(notes: list[str]) -> list[tuple[str, str]]:
    """Return what was left empty and in how many rows, as the notes say it."""
    told = [note.partition("an unusable ")[2] for note in notes if "left empty" in note]
    return [(text.partition(" (")[0], text.partition(" as in ")[2].partition(" ")[0]) for text in told]


def test_unusable_values_of_affectnet_are_counted_and_minus_two_is_not(tmp_path: Path) -> None:
    points = ";".join(f"{x};{y}" for x, y in POINTS_68)
    rows = [
        f"1/0.jpg,1,2,30,40,{points},0,0.5,-2",
        f"1/1.jpg,1,2,30,40,{points[:-6]},1,-2,-2",  # the last point is cut off
        "1/2.jpg,,,,,,1,nan,",
        f"1/3.jpg,1,2,0,40,{points.replace(';', ' ')},1,7,low",
        f"1/4.jpg,1,2,x,40,{points};,1,0,0",
    ]
    put(tmp_path, "Manually_Annotated_file_lists/training.csv", "\n".join([AFFECTNET_HEADER, *rows]))
    for n in range(5):
        put(tmp_path, f"Manually_Annotated_Images/1/{n}.jpg")
    notes, found = notes_of(tmp_path, "affectnet")
    assert dropped(notes) == [("list of landmarks", "2"), ("box", "2"), ("arousal", "1")]
    assert [row.landmarks is None for row in found] == [False, True, True, True, False]
    assert [row.valence for row in found] == [0.5, None, None, 7, 0]


def test_unusable_arrays_of_affectnet_are_counted(tmp_path: Path) -> None:
    write_affectnet_npy(tmp_path)
    at = "train_set/annotations"
    for name, content in {"0_lnd": npy([1.0, 2.0]), "0_val": npy("7"), "1_val": npy("nan"), "1_aro": b"torn"}.items():
        put(tmp_path, f"{at}/{name}.npy", content)
    assert dropped(notes_of(tmp_path, "affectnet_npy")[0]) == [
        ("list of landmarks", "1"), ("arousal", "1"),
    ]  # fmt: skip


def test_unusable_points_and_boxes_beside_pictures_are_counted(tmp_path: Path) -> None:
    write_rafdb(tmp_path / "r")
    put(tmp_path / "r", "Annotation/manual/train_00001_manu_attri.txt", "30 40\n70\n")
    put(tmp_path / "r", "Annotation/boundingbox/train_00002_boundingbox.txt", "110 20 10 140")
    assert dropped(notes_of(tmp_path / "r", "rafdb")[0]) == [("list of landmarks", "1"), ("box", "1")]
    write_ckplus(tmp_path / "c")
    put(tmp_path / "c", "Landmarks/S005/001/S005_001_00000006_landmarks.txt", "1 2\n3 4\n")
    assert dropped(notes_of(tmp_path / "c", "ckplus")[0]) == [("list of landmarks", "1")]


def test_pictures_that_no_row_names_are_counted(tmp_path: Path) -> None:
    write_sfew(tmp_path / "s")
    for n in range(3):
        put(tmp_path / "s", f"Train/Angry/Airheads_000519240_0000000{n}.png")
    notes = Read(tmp_path / "s", tmp_path / "out").summary["notes"]
    assert "3 pictures are in no row, such as Train/Angry/Airheads_000519240_00000000.png" in notes
    write_ckplus(tmp_path / "c")
    at = "cohn-kanade-images"
    for name in ("S005/loose.png", "S005/001/deeper/x.png", "y.png", "S005/001/Thumbs.db", "S005/001/._z.png"):
        put(tmp_path / "c", f"{at}/{name}")
    notes = Read(tmp_path / "c", tmp_path / "out2").summary["notes"]
    assert f"3 pictures are in no row, such as {at}/S005/001/deeper/x.png" in notes
    write_rafdb(tmp_path / "r")
    found = Read(tmp_path / "r", tmp_path / "out3")
    # The aligned ones, and an original that the list does not name.
    assert "9 pictures are in no row, such as Image/aligned/test_0001_aligned.jpg" in found.summary["notes"]


def test_whole_tree_has_no_such_note(tmp_path: Path) -> None:
    write_affectnet(tmp_path / "raw")
    put(tmp_path / "raw", "Manually_Annotated_file_lists/validation.csv", affectnet_row("700/v.jpg", 99))
    (tmp_path / "raw/Manually_Annotated_Images/700/x.jpg").unlink()
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert not [note for note in found.summary["notes"] if "in no row" in note]
    assert found.summary["rejected"] == {"bad_row": 1}


def test_archives_inside_archives_and_of_other_kinds_are_counted(tmp_path: Path) -> None:
    write_rafdb(tmp_path / "t")
    (tmp_path / "raw").mkdir()
    with zipfile.ZipFile(tmp_path / "raw/basic.zip", "w") as packed:
        packed.write(tmp_path / "t/EmoLabel/list_patition_label.txt", "basic/EmoLabel/list_patition_label.txt")
        packed.write(tmp_path / "t/Image/original/train_00001.jpg", "basic/Image/original/train_00001.jpg")
        packed.writestr("basic/Image/original.zip", b"PK")
    put(tmp_path / "raw", "aligned.RAR", b"Rar!")
    notes = Read(tmp_path / "raw", tmp_path / "out").summary["notes"]
    assert "2 archives are not read in place, such as aligned.RAR: unpack them" in notes
    assert not [note for note in Read(tmp_path / "t", tmp_path / "out2").summary["notes"] if "archives" in note]


def test_table_of_pictures_without_labels_is_told_with_its_rows(tmp_path):
    put(tmp_path / "raw", "train.csv", "image,label\na.jpg,happy\n")
    put(tmp_path / "raw", "test.csv", "image\nb.jpg\nc.jpg\n")
    put(tmp_path / "raw", "val.csv", "image,emotion_id\nd.jpg,3\n")
    put(tmp_path / "raw", "readings.csv", "day,degrees\n1,20\n")
    put(tmp_path / "raw", "a.jpg")
    found = Read(tmp_path / "raw", tmp_path / "out")
    told = "test.csv (2 rows), val.csv (1 rows): passed over; pictures, but no column that is known to be their label"
    assert (found.labels(), found.summary["notes"]) == ({"a.jpg": "happy"}, [told])


@pytest.mark.parametrize("there", ["training", "validation"])
def test_manual_list_that_is_missing_beside_the_other_is_told(there: str, tmp_path: Path) -> None:
    lists = "Manually_Annotated_file_lists"
    put(tmp_path, f"{lists}/{there}.csv", "\n".join([AFFECTNET_HEADER, affectnet_row("1/a.jpg", 1)]))
    put(tmp_path, "Manually_Annotated_Images/1/a.jpg")
    other = {"training": "validation", "validation": "training"}[there]
    assert notes_of(tmp_path, "affectnet")[0] == [f"{lists}/{other}.csv: no such file; its rows are missing"]


def test_automatic_list_alone_misses_no_manual_one(tmp_path: Path) -> None:
    name = "Automatically_Annotated_file_lists/automatically_annotated.csv"
    put(tmp_path, name, "\n".join([AFFECTNET_HEADER, affectnet_row("1/a.jpg", 1)]))
    put(tmp_path, "Automatically_Annotated_Images/1/a.jpg")
    notes, rows = notes_of(tmp_path, "affectnet")
    assert rows == []  # params.yaml reads the manual lists
    assert not any("no such file" in note for note in notes)


def test_a_long_cell_is_shown_by_its_beginning(tmp_path: Path) -> None:
    rows = [affectnet_row("1/a.jpg", 1), affectnet_row("1/b.jpg", "y" * 90)]
    put(tmp_path / "raw", "training.csv", "\n".join([AFFECTNET_HEADER, *rows]))
    for name in "ab":
        put(tmp_path / "raw", f"1/{name}.jpg")
    (reject,) = Read(tmp_path / "raw", tmp_path / "out").rejects
    assert reject["detail"] == f"training.csv row 3: expected a code 0 to 10, not '{'y' * 40}'"
