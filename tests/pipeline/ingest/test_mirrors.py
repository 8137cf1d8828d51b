"""Layouts of mirrors and annotation tools, with their traps: YOLO, COCO, Pascal VOC, Roboflow, lists, votes, arrays."""

import json

import pytest

from pipeline.core.errors import SourceError
from tests.pipeline.ingest.layouts import NAMES, Read, npy, png, put


def yolo(root, lines, names=NAMES, said="data.yaml"):
    put(root, "images/train/a.png", png("a"))
    put(root, "labels/train/a.txt", "\n".join(lines))
    if names is not None:
        put(root, said, "\n".join(names) if said == "classes.txt" else json.dumps({"names": names}))


@pytest.mark.parametrize("said", ["data.yaml", "classes.txt"])
def test_yolo_with_the_splits_below_images_and_several_faces(said, tmp_path):
    yolo(tmp_path / "raw", ["3 0.5 0.5 0.1 0.1", "0 0.2 0.2 0.1 0.1"], said=said)
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert [(row["source_labels"], row["source_split"]) for row in found.rows] == [
        (["sad"], "train"), (["surprise"], "train")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "names", "says"),
    [
        ([f"{n} 0.{n} 0.5 0.1 0.1" for n in range(1, 5)], NAMES, r"code 4 in a column of the codes 1 to 4.* from 1;"),
        (["1 60 20 30 10", "2 70 20 30 10"], NAMES, r"a.txt row 1: boxes in pixels"),
        (["1 0.5 0.5 0.1 0.1", "0 0.1 0.1 0.1 0.1"], None, r'which class is 0\?.*classes: \{"0": …, "1": …\}'),
        (["1 0.5 0.5 0.1 0.1"], ["0", "1"], r"which class is 1\?"),
        (["1 0.5 0.5 0.1 0.1"], {1: "sad"}, "names: expected one for each class from 0 on"),
    ],
    ids=["beyond the names", "pixels", "no names", "numbers for names", "gaps"],
)
def test_yolo_that_cannot_be_trusted_is_refused(lines, names, says, tmp_path):
    yolo(tmp_path / "raw", lines, names)
    with pytest.raises(SourceError, match=says):
        Read(tmp_path / "raw", tmp_path / "out")


def test_yolo_without_names_is_read_as_told(tmp_path):
    yolo(tmp_path / "raw", ["1 0.5 0.5 0.1 0.1"], None)
    assert Read(tmp_path / "raw", tmp_path / "out", classes={"1": "happy"}).rows[0]["source_labels"] == ["happy"]


def test_yolo_description_that_is_a_bomb_is_refused(tmp_path):
    yolo(tmp_path / "raw", ["1 0.5 0.5 0.1 0.1"], None)
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 10)]
    put(tmp_path / "raw", "data.yaml", "\n".join(["l0: &l0 [x]", *levels]))
    with pytest.raises(SourceError, match="aliases"):
        Read(tmp_path / "raw", tmp_path / "out")


def test_coco_with_one_id_for_two_pictures_is_refused(tmp_path):
    pictures = [{"id": 1, "file_name": "a.jpg"}, {"id": 1, "file_name": "b.jpg"}]
    said = {"images": pictures, "annotations": [], "categories": []}
    put(tmp_path / "raw", "train/x.json", json.dumps(said))
    put(tmp_path / "raw", "train/a.jpg")
    with pytest.raises(SourceError, match=r"id 1 is both a.jpg and b.jpg"):
        Read(tmp_path / "raw", tmp_path / "out")


def test_coco_paths_that_lead_out_are_rejected(tmp_path):
    names = ["../../etc/passwd", "C:\\x\\a.jpg", "a.jpg"]
    said = {
        "images": [{"id": n, "file_name": name} for n, name in enumerate(names)],
        "annotations": [{"image_id": n, "category_id": 0, "bbox": [0, 0, "x", -1]} for n in range(3)],
        "categories": [{"id": 0, "name": "sad"}],
    }
    put(tmp_path / "raw", "x.json", json.dumps(said))
    put(tmp_path / "raw", "a.jpg")
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert found.labels() == {"a.jpg": "sad"}
    assert found.rows[0]["source_box"] is None
    # Of Windows paths, the end is in the tree.
    assert [reason for reason, _ in found.reasons()] == ["duplicate_row", "outside_root"]


def test_roboflow_csv_of_boxes_has_several_faces_a_picture(tmp_path):
    header = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
    rows = "a.jpg,640,480,happy,1,2,30,40\na.jpg,640,480,sad,50,2,80,40\n"
    put(tmp_path / "raw", "train/_annotations.csv", header + rows)
    put(tmp_path / "raw", "valid/_annotations.csv", f"{header}b.jpg,640,480,fear,1,2,30,40\n")
    for name in ("train/a.jpg", "valid/b.jpg"):
        put(tmp_path / "raw", name)
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert [(row["source_labels"][0], row["source_box"], row["source_split"]) for row in found.rows] == [
        ("happy", [1, 2, 30, 40], "train"), ("sad", [50, 2, 80, 40], "train"), ("fear", [1, 2, 30, 40], "valid"),
    ]  # fmt: skip


def test_columns_of_classes_with_more_than_one_are_votes(tmp_path):
    put(tmp_path / "raw", "votes.csv", "image,angry,happy,sad,unknown\na.jpg,7,2,0,1\nb.jpg,1,0,0,0\nc.jpg,0,0,0,0\n")
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        put(tmp_path / "raw", name)
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert [(row["source_labels"], row["source_votes"]) for row in found.rows] == [
        (["angry", "happy", "sad", "unknown"], [7, 2, 0, 1]), (["angry", "happy", "sad", "unknown"], [1, 0, 0, 0]),
    ]  # fmt: skip
    assert found.reasons() == [("unlabelled", "c.jpg")]


def listed(root, lines):
    put(root, "list.txt", "\n".join(lines))
    for name in ("in/a.jpg", "in/b.jpg", "in/c.jpg"):
        put(root, name)


def test_list_of_codes_is_asked_for_and_read_as_told(tmp_path):
    listed(tmp_path / "raw", ["/home/x/in/a.jpg 0", "/home/x/in/b.jpg 1", "/home/x/in/c.jpg 0"])
    with pytest.raises(
        SourceError, match=r"list.txt is a list of paths with a number each, 0 to 1; which class is 0\?"
    ):
        Read(tmp_path / "raw", tmp_path / "out")
    found = Read(tmp_path / "raw", tmp_path / "out2", classes={"0": "sad", "1": "happy"})
    assert found.labels() == {"in/a.jpg": "sad", "in/b.jpg": "happy", "in/c.jpg": "sad"}


def test_list_with_a_third_cell_is_read_only_if_the_cells_are_stated(tmp_path):
    listed(tmp_path / "raw", ["in/a.jpg 5 happy", "in/b.jpg 0 sad", "in/c.jpg 7 sad"])
    with pytest.raises(SourceError, match=r'3 cells a line, such as \'in/a.jpg 5 happy\'; .*\{path: "1", label: "2"\}'):
        Read(tmp_path / "raw", tmp_path / "out")
    columns = {"path": "1", "label": "3", "subject": "2"}
    found = Read(tmp_path / "raw", tmp_path / "out2", columns=columns, fmt="path_list")
    assert [(row["source_labels"][0], row["subject_id"]) for row in found.rows] == [
        ("happy", "5"), ("sad", "0"), ("sad", "7")
    ]  # fmt: skip


def test_affectnet_arrays_below_train_and_val(tmp_path):
    for split, code in (("train", "3"), ("val", "0")):
        put(tmp_path / "raw", f"{split}/images/7.jpg")
        put(tmp_path / "raw", f"{split}/annotations/7_exp.npy", npy(code))
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert found.summary["format"] == "affectnet_npy"
    assert found.labels() == {"train/images/7.jpg": "surprise", "val/images/7.jpg": "neutral"}
    assert {row["source_split"] for row in found.rows} == {"training", "validation"}


def test_rafdb_lists_label_loose_pictures_by_the_codes_of_the_release(tmp_path):
    put(tmp_path / "raw", "train_labels.csv", "image,label\ntrain_00001_aligned.jpg,5\n")
    put(tmp_path / "raw", "test_labels.csv", "image,label\ntest_0001_aligned.jpg,1\n")
    for name in ("train/train_00001_aligned.jpg", "test/test_0001_aligned.jpg"):
        put(tmp_path / "raw", name)
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert found.labels() == {"train/train_00001_aligned.jpg": "sadness", "test/test_0001_aligned.jpg": "surprise"}
    found = Read(tmp_path / "raw", tmp_path / "out2", classes={"1": "surprise", "5": "sadness"})
    assert {row["source_split"]: row["source_labels"] for row in found.rows} == {
        "train": ["sadness"], "test": ["surprise"]
    }  # fmt: skip
