"""Dumps of the datasets that come with tables, as they lie on people's disks; see test_on_disk.py."""

import tarfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from tests.pipeline.ingest.layouts import AFFECTNET_HEADER, affectnet_row, npy, pixels, put

JUNK = ("Thumbs.db", ".DS_Store", "desktop.ini", "readme.txt", "__MACOSX/._a.jpg", "licence.pdf")


@dataclass
class Wanted:
    """What must come out of a raw dataset."""

    format: str
    labels: dict[str, str | list[str]] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)
    unnamed: int = 0
    splits: set[str | None] = field(default_factory=lambda: {None})
    passed_over: str = ""  # what a note must say


def litter(root: Path, *folders: str) -> None:
    for folder in ("", *folders):
        for name in JUNK:
            put(root / folder, name, f"{folder}{name}")


def affectnet(root: Path) -> Wanted:
    at, lists = "Manually_Annotated_Images", "Manually_Annotated_file_lists"
    rows = [
        affectnet_row("689/737db2483489148d783ef278f43f486c0a97e140fc4b6b61b84363ca.jpg", 1),
        affectnet_row("392/c4db2f9b7e4b422d14b6e038f0cdc3ecee239b55326e9181ee4520f9.JPG", 0),
        affectnet_row("468/21772b68dc8c2a11678c8739eca33adb6ccc658600e4da2224080603.Jpeg", 0),
        affectnet_row("944/06e9ae8d3b240eb68fa60534783eacafce2def60a86042f9b7d59544.PNG", 1),
        affectnet_row("944/06e9ae8d3b240eb68fa60534783eacafce2def60a86042f9b7d59544.PNG", 1),  # the same row again
        affectnet_row("993/twice.tif", 3), affectnet_row("993/twice.tif", 6),  # and one that contradicts itself
        affectnet_row("993/gone.bmp", 2), affectnet_row("993/none.jpg", 8, -2, -2), affectnet_row("993/nan.jpg", "nan"),
        affectnet_row("993/eleven.jpg", 11), affectnet_row("../../../etc/passwd", 1),
    ]  # fmt: skip
    put(root, f"{lists}/training.csv", "\r\n".join([AFFECTNET_HEADER, *rows]) + "\r\n")
    put(root, f"{lists}/validation.csv", affectnet_row("1/v.jpg", 7) + "\n")
    names = [row.partition(",")[0] for row in (*rows, affectnet_row("1/v.jpg", 7))]
    for name in set(names) - {"993/gone.bmp", "../../../etc/passwd"}:
        put(root, f"{at}/{name}")
    put(root, f"{at}/993/nobody.jpg")
    litter(root, at, f"{at}/993", lists)
    labels = {names[0]: "happy", names[1]: "neutral", names[2]: "neutral", names[3]: "happy", names[8]: "none"}
    labels["993/nan.jpg"] = ""  # it has valence and arousal
    return Wanted(
        "affectnet",
        {f"{at}/{name}": label for name, label in labels.items()} | {f"{at}/1/v.jpg": "contempt"},
        {"duplicate_row": 1, "conflicting_labels": 2, "missing_file": 1, "bad_row": 1, "outside_root": 1},
        unnamed=1,
        splits={"training", "validation"},
    )  # fmt: skip


def affectnet_npy(root: Path) -> Wanted:
    for one, code, suffix in ((0, "0", "jpg"), (1, "7", "JPG"), (2, "2", "png"), (3, "", "jpg"), (4, "9", "jpg")):
        put(root, f"train_set/images/{one}.{suffix}")
        put(root, f"train_set/annotations/{one}_exp.npy", npy(code))
        put(root, f"train_set/annotations/{one}_aro.npy", npy("0.25"))
    put(root, "train_set/images/2.jpg")  # the same number under another suffix
    put(root, "train_set/images/5.jpg")
    put(root, "val_set/images/0.jpg")
    put(root, "val_set/annotations/0_exp.npy", npy(6))
    put(root, "val_set/annotations/77_exp.npy", npy(6))
    litter(root, "train_set/images", "train_set/annotations")
    at = "train_set/images"
    without = {f"{at}/3.jpg": ""}  # it has an arousal
    named = {f"{at}/0.jpg": "neutral", f"{at}/1.JPG": "contempt", f"{at}/2.png": "sad"}
    return Wanted(
        "affectnet_npy",
        named | without | {"val_set/images/0.jpg": "anger"},
        {"unlabelled": 1, "bad_row": 1, "missing_file": 1},
        unnamed=1,
        splits={"training", "validation"},
    )


def affectnet_folder(root: Path) -> Wanted:
    rows = [
        "0,anger/image0000006.jpg,anger,0.87", "1,anger/image0000060.JPG,surprise,0.85", "2,happy/a.jpg,happy,1",
        "3,happy/a.jpg,happy,1", "4,happy/gone.jpg,happy,1", "5,happy/b.jpg,joyful,1", "6,happy/c.jpg,glad,1",
    ]  # fmt: skip
    put(root, "labels.csv", "\n".join([",pth,label,relFCs", *rows]))
    for name in (
        "anger/image0000006.jpg",
        "anger/image0000060.JPG",
        *(f"happy/{one}.jpg" for one in "abc"),
        "fear/f.png",
    ):
        put(root, name)
    litter(root, "anger")
    return Wanted(
        "affectnet_folder",
        {"anger/image0000006.jpg": "anger", "happy/a.jpg": "happy", "happy/b.jpg": "happy", "fear/f.png": "fear"},
        {"conflicting_labels": 1, "duplicate_row": 1, "missing_file": 1, "bad_row": 1},
    )


def rafdb_zip(root: Path) -> Wanted:
    rows = ["train_00001.jpg 5", "train_00002.jpg 5", "train_00003.jpg 4", "train_00002.jpg 5", "train_00004.jpg 8",
            "test_0001.jpg 7", "test_0002.jpg 1", "test_0003.jpg", "test_0004.jpg 3"]  # fmt: skip
    base = root.parent / "basic"
    put(base, "EmoLabel/list_patition_label.txt", "\n".join(rows))
    for name in ("train_00001", "train_00002", "train_00003", "train_00004", "test_0001", "test_0003", "test_0004"):
        suffix = "JPG" if name == "test_0004" else "jpg"
        put(base, f"Image/original/{name}.{suffix}")
        put(base, f"Image/aligned/{name}_aligned.jpg")
        put(base, f"Annotation/boundingbox/{name}_boundingbox.txt", "67.5 60.0 402.5 478.0\n")
        put(
            base,
            f"Annotation/manual/{name}_manu_attri.txt",
            "134\t245\n305\t238\n225\t321\n158\t395\n291\t391\n1\n0\n2\n",
        )
    put(base, "Image/original/train_99999.jpg")
    litter(base, "Image/original", "EmoLabel")
    root.mkdir()
    with zipfile.ZipFile(root / "basic.zip", "w") as packed:
        for path in sorted(base.rglob("*")):
            packed.write(path, path.relative_to(base.parent).as_posix())
    at = "basic/Image/original"
    return Wanted(
        "rafdb",
        {
            f"{at}/train_00001.jpg": "sadness", f"{at}/train_00002.jpg": "sadness",
            f"{at}/train_00003.jpg": "happiness", f"{at}/test_0001.jpg": "neutral", f"{at}/test_0004.JPG": "disgust",
        },
        {"duplicate_row": 1, "bad_row": 2, "missing_file": 1},
        unnamed=7 + 1 + 1,  # the aligned ones, the one that no row names, and one whose row has nothing but its name
        splits={"train", "test"},
    )  # fmt: skip


def rafdb_inner_zips(root: Path) -> Wanted:
    put(root, "EmoLabel/list_patition_label.txt", "train_0001.jpg 1\r\ntrain_0002.jpg 11\r\ntest_001.jpg 4\r\n")
    (root / "Image").mkdir()
    for kind, mark in (("original", ""), ("aligned", "_aligned")):
        with zipfile.ZipFile(root / f"Image/{kind}.zip", "w") as packed:
            for name in ("train_0001", "train_0002", "test_001"):
                packed.writestr(f"{kind}/{name}{mark}.jpg", f"{kind}{name}")
            packed.writestr(f"{kind}/Thumbs.db", "junk")
    litter(root, "EmoLabel")
    at = "Image/original"
    return Wanted(
        "rafdb_compound",
        {
            f"{at}/train_0001.jpg": "happily surprised", f"{at}/train_0002.jpg": "disgustedly surprised",
            f"{at}/test_001.jpg": "sadly angry",
        },
        unnamed=3,
        splits={"train", "test"},
    )  # fmt: skip


def fer2013_contest(root: Path) -> Wanted:
    usages = ("Training", "Training", "PublicTest", "PrivateTest")
    rows = [f"{code}, {usage}, {pixels(code)}" for code, usage in zip((0, 3, 6, 5), usages, strict=True)]
    put(root, "icml_face_data.csv", "\n".join(["emotion, Usage, pixels", *rows]) + "\n")
    put(root, "train.csv", f"emotion,pixels\n0,{pixels(0)}\n3,{pixels(3)}\n")
    put(root, "test.csv", f"pixels\n{pixels(6)}\n{pixels(5)}\n")
    put(root, "example_submission.csv", "Emotion\n0\n0\n")
    plain = [f"{code},{pixels(code)},{usage}" for code, usage in zip((0, 3, 6, 5), usages, strict=True)]
    table = put(root.parent, "packed/fer2013/fer2013.csv", "\n".join(["emotion,pixels,Usage", *plain]))
    with tarfile.open(root / "fer2013.tar.gz", "w:gz") as packed:
        packed.add(table, "fer2013/fer2013.csv")
        packed.add(put(root.parent, "packed/README", "x"), "fer2013/README")
    litter(root)
    return Wanted(
        "fer2013",
        {"icml_face_data.csv": ["anger", "happy", "neutral", "surprise"]},
        splits=set(usages),
        rejected={"duplicate_row": 4},
        passed_over="fer2013/fer2013.csv (4 rows): passed over",
    )


def fer2013_mirror(root: Path) -> Wanted:
    labels = {
        "train/angry/Training_3908.jpg": "anger", "train/happy/Training_50449107.JPG": "happy",
        "train/surprise/Training_8796.png": "surprise", "test/neutral/PublicTest_2002408.jpg": "neutral",
        "test/disgust/PrivateTest_807646.jpg": "disgust",
    }  # fmt: skip
    for name in (*labels, "train/angry/Training_3908 (1).jpg", "test/sad/im12.png", "test/loose.jpg"):
        put(root, f"archive/{name}")
    litter(root / "archive", "train/angry", "test")
    return Wanted(
        "fer2013_folder",
        {f"archive/{name}": label for name, label in labels.items()},
        {"not_original": 2, "unlabelled": 1},
        splits={"Training", "PublicTest", "PrivateTest"},
    )


def ferplus(root: Path) -> Wanted:
    votes = [
        "Training,fer0000000.png,4,0,0,1,3,2,0,0,0,0", "Training,,0,0,0,0,0,0,0,0,0,10",
        "PublicTest,fer0000002.png,0,9,1,0,0,0,0,0,0,0", "PrivateTest,fer0000003.png,0,0,x,0,0,0,0,0,0,0",
    ]  # fmt: skip
    header = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    put(root, "FERPlus-master/fer2013new.csv", "\r\n".join([header, *votes]) + "\r\n")
    usages = ("Training", "Training", "PublicTest", "PrivateTest")
    rows = [f"{n},{pixels(n)},{usage}" for n, usage in enumerate(usages)]
    put(root, "FERPlus-master/fer2013.csv", "\n".join(["emotion,pixels,Usage", *rows]))
    put(root, "FERPlus-master/FER+vsFER.png")
    put(root, "FERPlus-master/data/FER2013Train/label.csv", 'fer0000000.png,"(0, 0, 48, 48)",4,0,0,1,3,2,0,0,0,0\n')
    litter(root / "FERPlus-master", "data")
    names = ",".join(header.split(",")[2:])
    return Wanted(
        "ferplus", {"FERPlus-master/fer2013.csv": [names] * 3}, {"bad_row": 1}, unnamed=1,
        splits={"Training", "PublicTest"},
    )  # fmt: skip
