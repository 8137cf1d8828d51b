"""Mirrors as people share them: small trees, each with the traps of its kind, and the rows that must come out.

The rows are written by hand, from what each kind's own documentation says: a path, its labels, its split.
"""

import io
import json
import tarfile
import zipfile
from dataclasses import dataclass, field

import pyarrow as pa

from tests.pipeline.ingest.layouts import npy, parquet, picture, png

Files = dict[str, bytes | str | None]
Rows = list[tuple[str, str, str | None]]
BOX = "0.5 0.5 0.2 0.4"
NAMES = "names: [surprise, fear, happy, sad]\n"  # not in the order of any release
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'ab' * 32}\nsize 12345\n"


@dataclass
class Shared:
    """A tree and what it says; `error` is a part of the message that refuses it until `classes` say what codes mean."""

    files: Files
    format: str = ""
    rows: Rows = field(default_factory=list)
    rejected: dict[str, int] = field(default_factory=dict)
    boxes: list[list[float]] | None = None
    error: str = ""
    classes: dict[str, str] = field(default_factory=dict)


def yolo(files: Files, *rows: tuple[str, str, str | None], **more: object) -> Shared:
    pictures: Files = {name: png(name, 100, 100) if content is None else content for name, content in files.items()}
    return Shared(pictures, "yolo", list(rows), **more)  # type: ignore[arg-type]


YOLO = {
    "labels beside the pictures": yolo(
        {"train/a.jpg": None, "train/a.txt": f"2 {BOX}", "valid/b.PNG": None, "valid/b.txt": f"3 {BOX}",
         "data.yaml": NAMES},
        ("train/a.jpg", "happy", "train"), ("valid/b.PNG", "sad", "valid"),
    ),
    "Darknet, with lists for splits": yolo(
        {"obj_train_data/a.jpg": None, "obj_train_data/a.txt": f"1 {BOX}", "obj_train_data/b.jpg": None,
         "obj_train_data/b.txt": f"0 {BOX}", "obj.names": "surprise\nfear\n", "obj.data": "classes = 2\n",
         "train.txt": "data/obj_train_data/a.jpg\n", "valid.txt": "data\\obj_train_data\\b.jpg\r\n"},
        ("obj_train_data/a.jpg", "fear", "train"), ("obj_train_data/b.jpg", "surprise", "valid"),
    ),
    "capital letters": yolo(
        {"Train/Images/a.JPG": None, "Train/Labels/a.TXT": f"2 {BOX}", "data.YAML": NAMES},
        ("Train/Images/a.JPG", "happy", "Train"),
    ),
    "a description of any name": yolo(
        {"images/train/a.jpg": None, "labels/train/a.txt": f"2 {BOX}",
         "emotions.yml": f"path: ../x\ntrain: images/train\n{NAMES}", "compose.yml": "names: [web]\n",
         ".github/a.yml": "names: [a: b"},
        ("images/train/a.jpg", "happy", "train"),
    ),
    "a confidence, and several faces": yolo(
        {"train/images/a.jpg": None, "train/labels/a.txt": f"2 {BOX} 0.93\n0 0.2 0.2 0.1 0.1 0.5", "data.yaml": NAMES},
        ("train/images/a.jpg", "happy", "train"), ("train/images/a.jpg", "surprise", "train"),
        boxes=[[40, 30, 60, 70], [15, 15, 25, 25]],
    ),
    "codes as text in the description": yolo(
        {"images/a.jpg": None, "labels/a.txt": f"2.0 {BOX}", "data.yaml": "names: {'0': surprise, '1': x, '2': happy}"},
        ("images/a.jpg", "happy", None),
    ),
    "a text that is no label, and an empty one": yolo(
        {"images/b.jpg": None, "labels/b.txt": f"1 {BOX}", "labels/README.txt": "made with X", "images/a.jpg": None,
         "labels/a.txt": "", "labels/classes.txt": "surprise\nfear\n"},
        ("images/b.jpg", "fear", None), rejected={"unlabelled": 1},
    ),
    "a class for faces without an expression": yolo(
        {"images/b.jpg": None, "labels/b.txt": f"1 {BOX}\n0 0.1 0.1 0.1 0.1", "data.yaml": "names: [face, sad]\n"},
        ("images/b.jpg", "sad", None), ("images/b.jpg", "face", None),
    ),
}  # fmt: skip


def coco(pictures: dict[object, str], *of: tuple[object, object], names: str = "emotions happy sad") -> str:
    sides = [1, 2, 30, 40]
    said = {
        "info": {}, "images": [{"id": number, "file_name": name} for number, name in pictures.items()],
        "categories": [{"id": code, "name": name} for code, name in enumerate(names.split())],
        "annotations": [{"image_id": number, "category_id": code, "bbox": sides} for number, code in of],
    }  # fmt: skip
    return json.dumps(said)


HAPPY, SAD = (coco({0: "a.jpg"}, (0, code)) for code in (1, 2))
COCO = {
    "one name in two splits, beside": Shared(
        {"train/_annotations.coco.json": HAPPY, "train/a.jpg": None, "valid/_annotations.coco.json": SAD,
         "valid/a.jpg": None},
        "coco", [("train/a.jpg", "happy", "train"), ("valid/a.jpg", "sad", "valid")],
    ),
    "one name in two splits, apart": Shared(
        {"annotations/instances_train2017.json": HAPPY, "train2017/a.jpg": None,
         "annotations/instances_val2017.json": SAD, "val2017/a.jpg": None,
         "annotations/captions_val2017.json": '{"images": [], "annotations": []}'},
        "coco", [("train2017/a.jpg", "happy", "train"), ("val2017/a.jpg", "sad", "val")],
    ),
    "a picture that only the other split has": Shared(
        {"annotations/train.json": HAPPY, "images/train/b.jpg": None,
         "annotations/test.json": coco({0: "a.jpg"}, (0, 2)), "images/test/a.jpg": None},
        "coco", [("images/test/a.jpg", "sad", "test")], {"missing_file": 1},
    ),
    "paths of Windows and of another machine": Shared(
        {"x.json": coco({0: "images\\train\\a.jpg", 1: "C:\\fer\\images\\train\\b.jpg", 2: "/home/u/images/c.jpg"},
                        (0, 1), (1, 2), (2, 1)),
         "images/train/a.jpg": None, "images/train/b.jpg": None, "images/c.jpg": None},
        "coco", [("images/train/a.jpg", "happy", None), ("images/train/b.jpg", "sad", None),
                 ("images/c.jpg", "happy", None)],
    ),
    "numbers as text": Shared(
        {"x.json": coco({"7": "a.jpg", 8: "b.jpg"}, (7, "1"), ("8", 2)), "a.jpg": None, "b.jpg": None},
        "coco", [("a.jpg", "happy", None), ("b.jpg", "sad", None)],
    ),
    "all pictures once more in one file": Shared(
        {"annotations/all.json": coco({0: "a.jpg", 1: "b.jpg"}, (0, 1), (1, 2)), "annotations/train.json": HAPPY,
         "annotations/test.json": coco({5: "b.jpg"}, (5, 2)), "images/a.jpg": None, "images/b.jpg": None},
        "coco", [("images/a.jpg", "happy", "train"), ("images/b.jpg", "sad", "test")], {"duplicate_row": 2},
    ),
    "among many other files of JSON": Shared(
        {**{f"a/{number}.json": '{"images": 3}' for number in range(12)}, "z/x.json": HAPPY, "z/a.jpg": None},
        "coco", [("z/a.jpg", "happy", None)],
    ),
    "a class for the background": Shared(
        {"x.json": coco({0: "a.jpg", 1: "b.jpg"}, (0, 1), (1, 0), names="__background__ happy"), "a.jpg": None,
         "b.jpg": None},
        "coco", [("a.jpg", "happy", None), ("b.jpg", "__background__", None)],
    ),
}  # fmt: skip


def voc(*names: str, of: str = "a.jpg") -> str:
    box = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>"
    objects = "".join(f"<object><name>{name}</name>{box}</object>" for name in names)
    return f"<?xml version='1.0'?>\n<!-- a tool -->\n<annotation><filename>{of}</filename>{objects}</annotation>"


_SETS: Files = {f"ImageSets/Main/{name}.txt": text for name, text in (
    ("train", "a\n"), ("val", "b"), ("test", "c\r\n"), ("trainval", "a\nb\n"), ("happy_train", "a  1\nb -1\n"),
)}  # fmt: skip
VOC = {
    "lists for splits": Shared(
        {"Annotations/a.xml": voc("happy"), "Annotations/b.xml": voc("sad"), "Annotations/c.xml": voc("fear"),
         "Annotations/d.xml": voc("sad"), **{f"JPEGImages/{one}.jpg": None for one in "abcd"}, **_SETS},
        "voc", [("JPEGImages/a.jpg", "happy", "train"), ("JPEGImages/b.jpg", "sad", "val"),
                ("JPEGImages/c.jpg", "fear", "test"), ("JPEGImages/d.jpg", "sad", None)],
    ),
    "lists of paths, and of both halves alone": Shared(
        {"V/Annotations/a.XML": voc("Happy", of="a.JPG"), "V/JPEGImages/a.JPG": None, "V/Annotations/b.xml": voc("sad"),
         "V/JPEGImages/b.png": None, "V/ImageSets/trainval.txt": "./JPEGImages/a.JPG\r\n",
         "V/ImageSets/test.txt": "b.png 1\n"},
        "voc", [("V/JPEGImages/a.JPG", "Happy", "trainval"), ("V/JPEGImages/b.png", "sad", "test")],
    ),
    "a picture in two lists": Shared(
        {"a.xml": voc("happy"), "a.jpg": None, "sets/train.txt": "a\n", "sets/test.txt": "a\n"},
        "voc", [("a.jpg", "happy", None)],
    ),
    "one name in two splits": Shared(
        {"annotations/train/a.xml": voc("happy"), "images/train/a.jpg": None, "annotations/test/a.xml": voc("sad"),
         "images/test/a.jpg": None},
        "voc", [("images/train/a.jpg", "happy", "train"), ("images/test/a.jpg", "sad", "test")],
    ),
    "a picture known by its path alone": Shared(
        {"xml/1.xml": voc("happy", of="D:\\faces\\pics\\a.jpg"), "pics/a.jpg": None},
        "voc", [("pics/a.jpg", "happy", None)],
    ),
    "a class for faces without an expression": Shared(
        {"a.xml": voc("face", "happy"), "a.jpg": None},
        "voc", [("a.jpg", "face", None), ("a.jpg", "happy", None)],
    ),
}  # fmt: skip

_THREE: Files = {"train/a.jpg": None, "train/b.jpg": None, "train/c.jpg": None}
MARKS = {
    "two classes": Shared(
        {"train/_classes.csv": "filename, happy, sad\na.jpg, 1, 0\nb.jpg, 0, 1\nc.jpg, 0, 0\n", **_THREE},
        "class_columns", [("train/a.jpg", "happy", "train"), ("train/b.jpg", "sad", "train")], {"unlabelled": 1},
    ),
    "codes for names": Shared(
        {"train/_classes.csv": "filename, 0, 1, 2\na.jpg, 1, 0, 0\nb.jpg, 0, 1, 0\nc.jpg, 0, 0, 1\n", **_THREE},
        "class_columns", [("train/a.jpg", "happy", "train"), ("train/b.jpg", "sad", "train"),
                          ("train/c.jpg", "fear", "train")],
        error="which class is 0", classes={"0": "happy", "1": "sad", "2": "fear"},
    ),
    "a class of none": Shared(
        {"train/_classes.csv": "filename,Unlabeled,angry,head\na.jpg,0,1,0\nb.jpg,1,0,0\nc.jpg,0,0,1\n", **_THREE},
        "class_columns", [("train/a.jpg", "angry", "train"), ("train/b.jpg", "Unlabeled", "train"),
                          ("train/c.jpg", "head", "train")],
    ),
    "marks beside affect": Shared(
        {"x.csv": "image,anger,happy,valence\na.jpg,1,0,-0.5\nb.jpg,0,1,0.5\n", "a.jpg": None, "b.jpg": None},
        "class_columns", [("a.jpg", "anger", None), ("b.jpg", "happy", None)],
    ),
    "marks of pandas": Shared(
        {"x.csv": "image,anger,happy\na.jpg,True,False\nb.jpg,False,True\n", "a.jpg": None, "b.jpg": None},
        "class_columns", [("a.jpg", "anger", None), ("b.jpg", "happy", None)],
    ),
    "points": Shared(
        {"x.csv": "image,anger,happy,sad\na.jpg,0.0,1.0,0.0\nb.jpg,1.0,0.0,0.0\n", "a.jpg": None, "b.jpg": None},
        "class_columns", [("a.jpg", "happy", None), ("b.jpg", "anger", None)],
    ),
}  # fmt: skip

_KINDS = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def hub(labels: list[object], **more: list[object]) -> bytes:
    pictures = pa.array([picture(f"{number}") for number in range(len(labels))], _KINDS)
    return parquet(pa.table({"image": pictures, "label": pa.array(labels), **more}))


def card(kind: str) -> str:
    names = "class_label:\n          names: {'0': happy, '1': sad}"
    dtype = f"dtype:\n        {names}" if kind == "dtype" else f"{kind}:\n        {names}"
    return (
        f"---\ndataset_info:\n  features:\n  - name: image\n    dtype: image\n  - name: label\n    {dtype}\n---\n# x\n"
    )


TRAIN = "data/train-00000-of-00001.parquet"
_TWO = [(TRAIN, "happy", "train"), (TRAIN, "sad", "train")]
HUB = {
    "codes as floats": Shared({TRAIN: hub([0.0, 1.0, None]), "README.md": card("dtype")}, "hub", _TWO,
                              {"unlabelled": 1}),
    "codes as text": Shared({TRAIN: hub(["0", "1"]), "README.md": card("dtype")}, "hub", _TWO),
    "codes in lists of one": Shared({TRAIN: hub([[0], [1], []]), "README.md": card("sequence")}, "hub", _TWO,
                                    {"unlabelled": 1}),
    "words in lists of one": Shared({TRAIN: hub([["happy"], ["sad"], ["sad", "fear"]])}, "hub", _TWO,
                                    {"conflicting_labels": 1}),
    "one pointer of Git LFS": Shared({TRAIN: POINTER, "README.md": card("dtype"), "a": "a", "b": "b"},
                                     error=f"{TRAIN}: a pointer of Git LFS and not the file itself: git lfs pull"),
    "pictures that are pointers": Shared({f"{one}/{n}.jpg": POINTER for one in ("happy", "sad") for n in range(3)},
                                         error="most other files: a pointer of Git LFS"),
    "a csv that is a pointer": Shared({"a.csv": POINTER, "a.jpg": None}, error="a.csv: a pointer of Git LFS"),
}  # fmt: skip

AFFECTNET = {
    "validation alone": Shared(
        {"val_set/images/0.jpg": None, "val_set/annotations/0_exp.npy": npy("3")},
        "affectnet_npy", [("val_set/images/0.jpg", "surprise", "validation")],
    ),
    "without a folder of the split": Shared(
        {"images/0.jpg": None, "annotations/0_exp.npy": npy("3"), "images/1.JPG": None,
         "annotations/1_exp.npy": npy(0)},
        "affectnet_npy", [("images/0.jpg", "surprise", None), ("images/1.JPG", "neutral", None)],
    ),
    "capital letters": Shared(
        {"Train/images/0.jpg": None, "Train/annotations/0_exp.npy": npy(3), "VAL/images/0.JPG": None,
         "VAL/annotations/0_exp.npy": npy(1)},
        "affectnet_npy", [("Train/images/0.jpg", "surprise", "training"), ("VAL/images/0.JPG", "happy", "validation")],
    ),
}  # fmt: skip

_LISTS: Files = {
    "train_labels.csv": "image,label\n"
    + "".join(f"train_0000{n}_aligned.jpg,{code}\n" for n, code in ((1, 5), (2, 9), (3, 1))),
    "test_labels.csv": "image,label\ntest_0001_aligned.jpg,4\n",
}
RAFDB = {
    "lists beside loose pictures": Shared(
        {**_LISTS, "train_00001_aligned.jpg": None, "train_00002_aligned.jpg": None, "test_0001_aligned.jpg": None},
        "rafdb_folder", [("train_00001_aligned.jpg", "sadness", "train"),
                         ("test_0001_aligned.jpg", "happiness", "test")],
        {"bad_row": 1, "missing_file": 1},
    ),
    "lists beside folders of splits": Shared(
        {**_LISTS, "DATASET/train/train_00001_aligned.jpg": None, "DATASET/train/train_00009_aligned.jpg": None,
         "DATASET/test/test_0001_aligned.jpg": None},
        "rafdb_folder", [("DATASET/train/train_00001_aligned.jpg", "sadness", "train"),
                         ("DATASET/test/test_0001_aligned.jpg", "happiness", "test")],
        {"missing_file": 2, "unlabelled": 1},
    ),
    "lists beside folders of classes": Shared(
        {**_LISTS, "DATASET/train/5/train_00001_aligned.jpg": None, "DATASET/train/2/train_00003_aligned.jpg": None,
         "DATASET/test/4/test_0001_aligned.jpg": None},
        "rafdb_folder", [("DATASET/train/5/train_00001_aligned.jpg", "sadness", "train"),
                         ("DATASET/test/4/test_0001_aligned.jpg", "happiness", "test")],
        {"missing_file": 1, "conflicting_labels": 1},
    ),
}  # fmt: skip

TABLES = {
    "a line of Excel that names the separator": Shared(
        {"l.csv": "sep=;\nimage;emotion\na.png;happy\nb.png;sad\n", "a.png": None, "b.png": None},
        "csv", [("a.png", "happy", None), ("b.png", "sad", None)],
    ),
    "a table that names the codes": Shared(
        {"labels.csv": "image,label\na.png,0\nb.png,1\n", "label_map.csv": "label,name\n1,happy\n0,sad\n",
         "a.png": None, "b.png": None},
        "csv", [("a.png", "sad", None), ("b.png", "happy", None)],
    ),
    "a map that is no map": Shared(
        {"labels.csv": "image,label\na.png,0\nb.png,1\n", "classes.csv": "happy,sad\nsad,happy\n",
         "a.png": None, "b.png": None}, error="which class is 0",
    ),
    "numbers for names": Shared(
        {"labels.csv": "id,emotion\n00001,happy\n00002,sad\n00003,sad\n", "images/00001.png": None,
         "images/00002.PNG": None},
        "csv", [("images/00001.png", "happy", None), ("images/00002.PNG", "sad", None)], {"missing_file": 1},
    ),
    "numbers with a point": Shared(
        {"labels.csv": "Image ID,emotion\n1.0,happy\n2.0,sad\n", "1.png": None, "2.png": None},
        "csv", [("1.png", "happy", None), ("2.png", "sad", None)],
    ),
    "a name that is a person's": Shared(
        {"l.csv": "name,frame,age,emotion\nAnn,f1,31,happy\nBob,f2,32,sad\n", "x/f1.jpg": None, "x/f2.jpg": None},
        "csv", [("x/f1.jpg", "happy", None), ("x/f2.jpg", "sad", None)],
    ),
    "pictures one folder deeper": Shared(
        {"train/labels.csv": "image,emotion\na,happy\nb,sad\n", "train/images/a.jpg": None, "train/images/b.jpg": None},
        "csv", [("train/images/a.jpg", "happy", "train"), ("train/images/b.jpg", "sad", "train")],
    ),
    "one name in two splits": Shared(
        {"train.csv": "image,emotion\na.jpg,happy\n", "test.csv": "image,emotion\na.jpg,sad\nb.jpg,sad\n",
         "pics/train/a.jpg": None, "pics/test/a.jpg": None, "pics/train/b.jpg": None},
        "csv", [("pics/train/a.jpg", "happy", "train"), ("pics/test/a.jpg", "sad", "test")], {"missing_file": 1},
    ),
    "a list for validation of pictures in train": Shared(
        {"train.csv": "image,emotion\na.jpg,happy\n", "val.csv": "image,emotion\nb.jpg,sad\n", "train/a.jpg": None,
         "train/b.jpg": None},
        "csv", [("train/a.jpg", "happy", "train"), ("train/b.jpg", "sad", "val")],
    ),
    "addresses": Shared(
        {"x.csv": "image,label\nhttps://x.org/i/a.jpg,happy\nhttps://x.org/i/b.jpg?size=1,sad\n", "i/a.jpg": None,
         "i/b.jpg": None},
        "csv", [("i/a.jpg", "happy", None), ("i/b.jpg", "sad", None)],
    ),
    "lists of one": Shared(
        {"x.csv": "image,label\na.jpg,['happy']\nb.jpg,\"['sad', 'fear']\"\n", "y/a.jpg": None, "b.jpg": None},
        "csv", [("y/a.jpg", "happy", None)], {"conflicting_labels": 1},
    ),
}  # fmt: skip


def folders(*names: str, at: str = "") -> Shared:
    return Shared(
        {f"{at}{name}/a.jpg": None for name in names}, "folder", [(f"{at}{name}/a.jpg", name, None) for name in names]
    )


def within(name: str, members: Files) -> bytes:
    """Return an archive of these files."""
    stream = io.BytesIO()
    contents = {member: (member if said is None else said) for member, said in members.items()}
    plain = {member: said.encode() if isinstance(said, str) else said for member, said in contents.items()}
    if name.endswith(".zip"):
        with zipfile.ZipFile(stream, "w") as packed:
            for member, content in plain.items():
                packed.writestr(member, content)
        return stream.getvalue()
    with tarfile.open(fileobj=stream, mode="w:gz" if name.endswith("gz") else "w") as archive:
        for member, content in plain.items():
            info = tarfile.TarInfo(member)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


FOLDERS = {
    "faces": folders("Angry Faces", "Happy faces", "SadFaces"),
    "numbered": folders("1. Anger", "02-Joy", "3) Fear"),
    "numbered behind": folders("Surprise_1", "Fear_2"),
    "images of": folders("anger_images", "happy_images", "neutral imgs"),
    "kinds of": folders("class_anger", "emotion-sad", "expression_happy"),
    "of none": folders("anger", "happy", "background", "__background__", "face", "Unlabeled"),
    "below many others": Shared(
        {f"a/b/c/d/e/{split}/{one}/x.jpg": None for split in ("train", "test") for one in ("anger", "happy")}, "folder",
        [(f"a/b/c/d/e/{split}/{one}/x.jpg", one, split) for split in ("train", "test") for one in ("anger", "happy")],
    ),
    "splits with the dataset's name": Shared(
        {f"{split}_AFEW/{one}/x.jpg": None for split in ("Train", "Val") for one in ("anger", "happy")}, "folder",
        [(f"{split}_AFEW/{one}/x.jpg", one, split) for split in ("Train", "Val") for one in ("anger", "happy")],
    ),
    "splits in the classes": Shared(
        {f"{one}/{split}/x.jpg": None for split in ("train", "test2") for one in ("anger", "happy")}, "folder",
        [(f"{one}/{split}/x.jpg", one, split) for split in ("train", "test2") for one in ("anger", "happy")],
    ),
}  # fmt: skip

_HEAD = "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other\n"
_AFEW = json.dumps({"actor": "A", "frames": {f"0000{n}": {"valence": 1, "arousal": -10} for n in (0, 1, 2)}})
_OULU = "OriginalImg/VL_Acropped/Strong/p001/Anger"
CLIPS = {
    "lists deeper than the clips, which are in parts": Shared(
        {"DFEW_annotation/EmoLabel_DataSplit/train(single-labeled)/set_1.csv": "video_name,label\n1,1\n2,3\n3,3\n4,7\n",
         "DFEW-part1/Clip/clip_224x224/00001/1.jpg": None, "DFEW-part2/Clip/clip_224x224/00002/1.PNG": None,
         "DFEW-part2/Clip/clip_224x224/00003/Thumbs.db": None},
        "dfew", [("DFEW-part1/Clip/clip_224x224/00001/1.jpg", "happy", "train"),
                 ("DFEW-part2/Clip/clip_224x224/00002/1.PNG", "neutral", "train")], {"missing_file": 2},
    ),
    "lists with tabs and blanks": Shared(
        {"Train & Test Set/single/no_caption/set_1/train.txt": "00001.mp4\tanger\r\n00002.mp4  fear\r\n",
         "Train & Test Set/single/no_caption/set_1/test.txt": "00003.mp4 sadness_fear\n00004.mp4 Contempt",
         **{f"data/clips/frames/0000{n}/000001.png": None for n in range(1, 5)}},
        "mafw", [("data/clips/frames/00001/000001.png", "anger", "train"),
                 ("data/clips/frames/00002/000001.png", "fear", "train"),
                 ("data/clips/frames/00004/000001.png", "contempt", "test")], {"bad_row": 1},
    ),
    "frames numbered without zeros": Shared(
        {**{f"{_OULU}/{n}.jpg": None for n in range(12)}, f"{_OULU}/Thumbs.db": None},
        "oulu_casia", [(f"{_OULU}/{n}.jpg", "Anger" if n else "Neutral", None) for n in (0, 9, 10, 11)],
        {"unlabelled": 8},
    ),
    "frames with other numbers and suffixes": Shared(
        {"01/001/001.json": _AFEW, "01/001/00000.JPG": None, "01/001/1.png": None},
        "afew_va", [("01/001/00000.JPG", "none", None), ("01/001/1.png", "none", None)], {"missing_file": 1},
    ),
    "frames of other suffixes, and a blank line": Shared(
        {"EXPR_Set/Training_Set/a.txt": f"{_HEAD}4\n\n6\n-1\n", "EXPR_Set/Validation_Set/b.txt": f"{_HEAD}0\n",
         "cropped_aligned/batch1/a/00001.png": None, "cropped_aligned/batch1/a/00002.JPG": None,
         "cropped_aligned/batch1/a/00003.JPG": None, "cropped_aligned/batch2/b/00001.jpg": None},
        "affwild2", [("cropped_aligned/batch1/a/00001.png", "Happiness", "train"),
                     ("cropped_aligned/batch1/a/00003.JPG", "Surprise", "train"),
                     ("cropped_aligned/batch2/b/00001.jpg", "Neutral", "validation")], {"unlabelled": 2},
    ),
    "half a pair of values": Shared(
        {"VA_Set/Train_Set/a.txt": "valence,arousal\n-5,-5\n0.5,-5\n0.1,0.2\n",
         **{f"cropped_aligned/a/0000{n}.jpg": None for n in (1, 2, 3)}},
        "affwild2", [("cropped_aligned/a/00003.jpg", "none", "train")], {"unlabelled": 2},
    ),
}  # fmt: skip

_PACKED = {f"train/{one}/a.jpg": None for one in ("anger", "happy")}
_ROWS = [(f"train/{one}/a.jpg", one, "train") for one in ("anger", "happy")]
ARCHIVES = {
    "a zip in a folder": Shared(
        {"deep/down/data.zip": within(".zip", _PACKED)}, "folder",
        [(f"deep/down/{path}", label, split) for path, label, split in _ROWS],
    ),
    "a zip in a folder in a tar": Shared(
        {"outer.tar": within(".tar", {"inner/data.zip": within(".zip", _PACKED)})},
        error="1 archive, inner/data.zip, inside another one: unpack the outer one, and what is in it is read",
    ),
}  # fmt: skip

SHARED = {
    f"{kind}: {name}": tree
    for kind, trees in {
        "yolo": YOLO, "coco": COCO, "voc": VOC, "marks": MARKS, "hub": HUB, "affectnet": AFFECTNET, "rafdb": RAFDB,
        "table": TABLES, "folders": FOLDERS, "clips": CLIPS, "archives": ARCHIVES,
    }.items()
    for name, tree in trees.items()
}  # fmt: skip
