"""Dumps as they lie on people's disks: the release's own layout, and in it what systems and people leave behind.

Each writer says itself what must come out: the label of every picture, how many rows are left out for which reason, and
how many pictures no row names. Then everything is accounted for: nothing is lost, nothing is counted twice.
"""

import zipfile
from pathlib import Path

import pytest

from pipeline.core.errors import ImageError
from pipeline.ingest.registry import open_pictures, open_tree
from tests.pipeline.ingest.layouts import Read, put
from tests.pipeline.ingest.on_disk import (
    Wanted,
    affectnet,
    affectnet_folder,
    affectnet_npy,
    fer2013_contest,
    fer2013_mirror,
    ferplus,
    litter,
    rafdb_inner_zips,
    rafdb_zip,
)


def jaffe(root: Path) -> Wanted:
    takes = [
        f"{who}.{code}{take}" for who in ("KA", "YM") for code in ("AN", "DI", "FE", "HA", "NE") for take in (1, 2)
    ]
    names = [f"{take}.{n}.tiff" for n, take in enumerate([*takes, "KL.SA1", "KL.SU1"])]
    for name in names:
        put(root, f"jaffedbase/{name}")
    put(root, "jaffedbase/KA.AN1.39.TIFF")
    put(root, "jaffedbase/KM.XX1.1.tiff")
    put(root, "jaffedbase/cover.gif")
    litter(root, "jaffedbase")
    labels = {f"jaffedbase/{name}": name.split(".")[1][:2] for name in names} | {"jaffedbase/KA.AN1.39.TIFF": "AN"}
    return Wanted("jaffe", labels, {"bad_row": 2})


def expw(root: Path) -> Wanted:
    rows = [
        "afraid_african_american_132.jpg 0 18 50 221 253 60.000000 5",
        "angry_actor_104.jpg 0 28 113 226 311 22.900000 0", "angry_actor_104.jpg 1 38 13 126 111 22.900000 6",
        "angry_actor_104.jpg 0 28 113 226 311 22.900000 0",
        "awe_1.JPG 0 1 1 2 2 9.5 3", "gone.jpg 0 1 1 2 2 9.5 3", "awe_1.JPG 1 1 1 2 2 9.5 7", "",
        "broken line", "awe_1.JPG 2 5 5 1 1 9.5 2",
    ]  # fmt: skip
    put(root, "label/label.lst", "\n".join(rows))
    put(root, "label/readme.txt")
    for name in ("afraid_african_american_132.jpg", "angry_actor_104.jpg", "awe_1.JPG", "query_9.jpg"):
        put(root, f"image/origin/{name}")
    litter(root, "image/origin")
    at = "image/origin"
    return Wanted(
        "expw",
        {
            f"{at}/afraid_african_american_132.jpg": "surprise", f"{at}/angry_actor_104.jpg": ["anger", "neutral"],
            f"{at}/awe_1.JPG": ["happy", "fear"],
        },
        {"duplicate_row": 1, "missing_file": 1, "bad_row": 2},
        unnamed=1,
    )  # fmt: skip


def kdef(root: Path) -> Wanted:
    names = [
        f"{session}{sex}{n:02d}{code}{angle}.JPG"
        for session in "AB" for sex in "FM" for n in (1, 35)
        for code in ("AF", "AN", "DI", "HA", "NE", "SA", "SU") for angle in ("FL", "HL", "S", "HR", "FR")
    ]  # fmt: skip
    for name in names:
        put(root, f"KDEF_and_AKDEF/KDEF/{name[:4]}/{name}")
    for name in ("AF01AFFL.jpg", "readme.pdf"):
        put(root, f"KDEF_and_AKDEF/{name}")
    put(root, "KDEF_and_AKDEF/AKDEF/FAF.JPG")
    litter(root, "KDEF_and_AKDEF/KDEF/AF01")
    labels = {f"KDEF_and_AKDEF/KDEF/{name[:4]}/{name}": name[4:6] for name in names}
    return Wanted("kdef", labels | {"KDEF_and_AKDEF/AF01AFFL.jpg": "AF"}, {"bad_row": 1})


def rafd(root: Path) -> Wanted:
    names = {
        "Rafd090_01_Caucasian_female_angry_frontal.jpg": "angry",
        "Rafd000_61_Moroccan_male_surprised_left.JPG": "surprised",
        "Rafd135_39_Kid_female_contemptuous_right.jpg": "contemptuous",
    }  # fmt: skip
    for name in names:
        put(root, f"RafD/{name}")
    litter(root, "RafD")
    return Wanted("rafd", {f"RafD/{name}": label for name, label in names.items()})


def sfew(root: Path) -> Wanted:
    (root / "Train").mkdir(parents=True)
    with zipfile.ZipFile(root / "Train/Train_Aligned_Faces.zip", "w") as packed:
        for name in ("Angry/Airheads_000519240_00000005.png", "Surprise/21_000119800_00000051.PNG", "Angry/Thumbs.db"):
            packed.writestr(f"Train_Aligned_Faces/{name}", name)
        packed.writestr("__MACOSX/Train_Aligned_Faces/Angry/._a.png", "junk")
    put(root, "Train/Angry/Airheads_000519240_00000005.jpg")
    put(root, "Train/Train_LPQ_PHOG_2.mat", b"x")
    put(root, "Val/Val_Aligned_Faces_new/Val_Aligned_Faces/Neutral/Hall Pass_001_00000002.png")
    put(root, "Val/Val_Aligned_Faces_new/Val_Aligned_Faces/loose.png")
    put(root, "Test/Test_Aligned_Faces/Airheads_000519240_00000009.png")
    litter(root, "Val")
    return Wanted(
        "sfew",
        {
            "Train/Train_Aligned_Faces/Angry/Airheads_000519240_00000005.png": "Angry",
            "Train/Train_Aligned_Faces/Surprise/21_000119800_00000051.PNG": "Surprise",
            "Val/Val_Aligned_Faces_new/Val_Aligned_Faces/Neutral/Hall Pass_001_00000002.png": "Neutral",
        },
        {"unlabelled": 1, "bad_row": 1},
        unnamed=1,
        splits={"Train", "Val"},
    )


def ckplus(root: Path) -> Wanted:
    at, labels = "cohn-kanade-images", {}
    for subject, sequence, frames, code in (
        ("S005", "001", 11, 3), ("S010", "001", 4, None), ("S011", "006", 20, 5), ("S132", "006", 6, ""),
        ("S133", "009", 5, "7.5"),
    ):  # fmt: skip
        names = [f"{subject}_{sequence}_{n:08d}" for n in range(1, frames + 1)]
        for name in names:
            put(root, f"{at}/{subject}/{sequence}/{name}.png")
            put(root, f"Landmarks/{subject}/{sequence}/{name}_landmarks.txt", "   1.0e+02   2.0e+02\n" * 68)
        put(root, f"FACS/{subject}/{sequence}/{names[-1]}_facs.txt", "   4.0000000e+00   0.0000000e+00\n")
        if code is not None:
            text = f"   {code}.0000000e+00\n" if isinstance(code, int) else f"{code}\n"
            put(root, f"Emotion/{subject}/{sequence}/{names[-1]}_emotion.txt", text)
        else:
            put(root, f"Emotion/{subject}/{sequence}/.DS_Store")
        if isinstance(code, int):
            label = {3: "disgust", 5: "happy"}[code]
            path = f"{at}/{subject}/{sequence}/{{}}.png"
            labels |= {path.format(names[0]): "neutral"} | {path.format(name): label for name in names[-3:]}
        put(root, f"{at}/{subject}/.DS_Store")
    put(root, "Emotion/S999/001/S999_001_00000009_emotion.txt", "   1.0000000e+00\n")
    put(root, f"{at}/S005/contact-sheet.png")
    litter(root, at, "Emotion")
    return Wanted("ckplus", labels, {"unlabelled": 7 + 4 + 16 + 6, "bad_row": 5, "missing_file": 1}, unnamed=1)


def ck48(root: Path) -> Wanted:
    root.mkdir()
    names = {"anger/S010_004_00000017.png": "anger", "contempt/S138_008_00000007.png": "contempt",
             "happy/S010_006_00000013.PNG": "happy", "sadness/S011_002_00000020.png": "sadness"}  # fmt: skip
    with zipfile.ZipFile(root / "archive.zip", "w") as packed:
        for name in names:
            packed.writestr(f"CK+48/{name}", name)
            packed.writestr(f"__MACOSX/CK+48/{name.replace('/', '/._')}", "junk")
        packed.writestr("CK+48/happy/Thumbs.db", "junk")
    return Wanted("ck48", {f"CK+48/{name}": label for name, label in names.items()})


def class_folders(root: Path) -> Wanted:
    names = {"train/Happy/IMG 1.JPG": "Happy", "train/Happy/b.c.jpeg": "Happy", "train/1_Sad/ü.png": "1_Sad",
             "val/Happy/x.WEBP": "Happy", "val/1_Sad/x.WEBP": "1_Sad"}  # fmt: skip
    for name in (*names, "train/loose.jpg", "cover.png"):
        put(root, name)
    litter(root, "train/Happy", "val")
    return Wanted("folder", names, {"unlabelled": 2}, splits={"train", "val"})


def any_csv(root: Path) -> Wanted:
    rows = [
        "pics/a.JPG,happy",
        "pics\\b.png,sad",
        "pics/a.JPG,HAPPY",
        "pics/gone.png,sad",
        "pics/c.png,",
        ",happy",
        "/etc/passwd,sad",
    ]
    put(root, "list.csv", "\ufeffimage;label\r\n" + "\r\n".join(row.replace(",", ";") for row in rows))
    for name in ("a.JPG", "b.png", "c.png", "unlisted.png"):
        put(root, f"pics/{name}")
    litter(root, "pics")
    return Wanted(
        "csv", {"pics/a.JPG": "happy", "pics/b.png": "sad"},
        {"duplicate_row": 1, "missing_file": 1, "unlabelled": 1, "bad_row": 1, "outside_root": 1}, unnamed=1,
    )  # fmt: skip


DUMPS = (
    affectnet, affectnet_npy, affectnet_folder, rafdb_zip, rafdb_inner_zips, fer2013_contest, fer2013_mirror, ferplus,
    jaffe, expw, kdef, rafd, sfew, ckplus, ck48, class_folders, any_csv,
)  # fmt: skip


@pytest.mark.parametrize("write", DUMPS, ids=lambda write: write.__name__)
def test_everything_is_accounted_for_and_every_label_is_right(write, tmp_path):
    wanted = write(tmp_path / "raw")
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert found.summary["format"] == wanted.format
    assert found.labels() == wanted.labels
    assert found.summary["rejected"] == wanted.rejected
    assert {row["source_split"] for row in found.rows} == wanted.splits
    told = [note for note in found.summary["notes"] if "are in no row, such as" in note]
    assert any(wanted.passed_over in note for note in ("", *found.summary["notes"]))
    assert [note.partition(" ")[0] for note in told] == ([str(wanted.unnamed)] if wanted.unnamed else [])
    tree = open_tree(str(tmp_path / "raw"))
    named = {row["source_path"] for row in (*found.rows, *found.rejects)}
    pictures = {
        name
        for name in tree.below("")
        if name.lower().endswith((".jpg", ".jpeg", ".png", ".tif", ".tiff", ".gif", ".webp"))
    }
    assert len(pictures - named) == wanted.unnamed


def test_a_picture_file_of_more_than_can_be_read_is_its_own_fault(tmp_path):
    folder = tmp_path / "raw/happy"
    folder.mkdir(parents=True)
    with (folder / "a.jpg").open("wb") as stream:
        stream.truncate((512 << 20) + 1)  # sparse: it takes no room
    with pytest.raises(ImageError, match="too_large: a file of 536870913 bytes"):
        open_pictures(str(tmp_path / "raw"), "folder").read("happy/a.jpg", 0)
