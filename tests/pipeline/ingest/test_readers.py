"""Every layout of the field, with its traps: what ingest makes of it."""

import hashlib
import shutil
import zipfile

import pytest

from pipeline.core.catalog import CATALOG
from pipeline.core.errors import SourceError
from pipeline.ingest.registry import READERS, open_pictures, open_tree
from pipeline.ingest.registry import detect_format as recognise
from pipeline.labels.taxonomy import read_taxonomy
from tests.pipeline.ingest.layouts import (
    POINTS_68,
    WRITERS,
    Read,
    put,
    write_ckplus,
)

FORMATS = sorted(WRITERS)
FLAT_68 = [value for point in POINTS_68 for value in point]


def test_every_reader_has_a_tree_here_and_an_entry_in_the_catalog():
    assert {reader.name for reader in READERS} == set(WRITERS) == set(CATALOG)


@pytest.mark.parametrize("fmt", FORMATS)
def test_layout_is_recognised_and_every_picture_can_be_read(fmt, tmp_path, read):
    found = read(fmt)
    assert found.summary["format"] == fmt
    assert recognise(open_tree(str(tmp_path / "raw")))[0] == fmt
    pictures = open_pictures(str(tmp_path / "raw"), fmt)
    for row in found.rows:
        digits = 9 if row["time_s"] is not None else 0
        assert row["sample_id"] == f"d/{row['source_path']}#{row['face_number']:0{digits}d}"
        content = pictures.read(row["source_path"], row["face_number"])
        assert pictures.source_md5(row["source_path"], content) == row["source_md5"]
        file = (tmp_path / "raw" / row["source_path"]).read_bytes()
        assert hashlib.md5(file, usedforsecurity=False).hexdigest() == row["source_md5"]


@pytest.mark.parametrize("fmt", FORMATS)
def test_layout_is_recognised_one_and_two_folders_deeper(fmt, tmp_path):
    WRITERS[fmt](tmp_path / "plain")
    plain = Read(tmp_path / "plain", tmp_path / "out")
    for wrapper in ("unpacked", "a/b"):
        WRITERS[fmt](tmp_path / wrapper[0] / wrapper)
        found = Read(tmp_path / wrapper[0], tmp_path / "out")
        assert found.summary["format"] == fmt
        assert found.labels() == {f"{wrapper}/{path}": labels for path, labels in plain.labels().items()}
        assert found.summary["rejected"] == plain.summary["rejected"]


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_every_native_label_is_in_the_taxonomy_of_its_format(reader):
    assert set(reader.labels) <= set(read_taxonomy(reader.name).labels)


@pytest.mark.parametrize(
    "labels", ["EMOTION_labels", "Emotion", "Emotions", "Emotion_labels", "Emotion_labels/Emotion"]
)
def test_ckplus_labels_the_last_frames_and_the_first_and_no_others(tmp_path, labels):
    write_ckplus(tmp_path / "raw", labels=labels)
    found = Read(tmp_path / "raw", tmp_path / "out")
    at = "cohn-kanade-images"
    assert found.labels() == {
        f"{at}/S005/001/S005_001_00000001.png": "neutral",
        f"{at}/S005/001/S005_001_00000004.png": "disgust",
        f"{at}/S005/001/S005_001_00000005.png": "disgust",
        f"{at}/S005/001/S005_001_00000006.png": "disgust",
        f"{at}/S010/002/S010_002_00000001.png": "neutral",
        f"{at}/S010/002/S010_002_00000002.png": "contempt",
    }
    row = found.rows[0]
    assert (row["subject_id"], row["sequence_id"], row["source_split"]) == ("S005", "S005_001", None)
    assert row["source_landmarks"] == FLAT_68
    # 2 frames between, 8 of the sequences without a label, 4 of the one with code 9.
    assert found.summary["rejected"] == {"bad_row": 4, "unlabelled": 10}
    assert found.summary["rows_in"] == 20


def test_ckplus_as_the_archives_of_its_release(tmp_path):
    write_ckplus(tmp_path / "t")
    plain = Read(tmp_path / "t", tmp_path / "out")
    (tmp_path / "raw").mkdir()
    for name, top in {
        "extended-cohn-kanade-images.zip": "cohn-kanade-images", "Emotion_labels.zip": "Emotion",
        "Landmarks.zip": "Landmarks",
    }.items():  # fmt: skip
        with zipfile.ZipFile(tmp_path / "raw" / name, "w") as packed:
            for path in sorted((tmp_path / "t" / top).rglob("*.*")):
                packed.write(path, path.relative_to(tmp_path / "t").as_posix())
            packed.writestr(f"__MACOSX/{top}/._S005", "junk")
    put(tmp_path / "raw", "ReadMeCohnKanadeDatabase_website.txt")
    assert Read(tmp_path / "raw", tmp_path / "out2").rows == plain.rows


def test_ckplus_label_file_in_upper_case(tmp_path):
    at = "cohn-kanade-images/S005/001/S005_001_0000000"
    for n in (1, 2):
        put(tmp_path / "raw", f"{at}{n}.PNG")
    put(tmp_path / "raw", "EMOTION/S005/001/S005_001_00000002_EMOTION.TXT", "   3.0000000e+00")
    assert Read(tmp_path / "raw", tmp_path / "out").labels() == {f"{at}1.PNG": "neutral", f"{at}2.PNG": "disgust"}


def test_ckplus_sequence_with_two_labels_has_none(tmp_path):
    write_ckplus(tmp_path / "raw")
    put(tmp_path / "raw", "Emotion/S005/001/S005_001_00000005_emotion.txt", "   1.0000000e+00\n")
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert {path[:26] for path in found.labels()} == {"cohn-kanade-images/S010/00"}
    details = {reject["detail"] for reject in found.rejects if reject["reason"] == "conflicting_labels"}
    at = "Emotion/S005/001/S005_001_0000000"
    assert details == {f"anger in {at}5_emotion.txt row 1, disgust in {at}6_emotion.txt row 1"}


def test_ckplus_label_of_a_sequence_without_pictures_is_counted(tmp_path):
    write_ckplus(tmp_path / "raw")
    shutil.rmtree(tmp_path / "raw/cohn-kanade-images/S005")
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert ("missing_file", "cohn-kanade-images/S005/001") in found.reasons()
    assert found.summary["fingerprint"]["share"] == round(2 / 327, 4)  # still two of the sequences that are labelled


def test_ckplus_unusable_label_of_a_sequence_without_pictures_is_counted(tmp_path):
    write_ckplus(tmp_path / "raw")
    at = "cohn-kanade-images"
    put(tmp_path / "raw", "Emotion/S005/009/S005_009_00000004_emotion.txt", "happy\n")
    put(tmp_path / "raw", "Emotion/S010/002/S010_002_00000001_emotion.txt", "   1.0000000e+00\n")
    shutil.rmtree(tmp_path / "raw" / at / "S010/002")
    put(tmp_path / "raw", f"{at}/S010/002/readme.txt")
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert ("bad_row", f"{at}/S005/009") in found.reasons()
    assert ("conflicting_labels", f"{at}/S010/002") in found.reasons()


def test_ckplus_frames_are_a_parameter(read):
    found = read("ckplus", ckplus_peak_frames=1, ckplus_neutral_frames=2)
    assert [label for path, label in found.labels().items() if "S005" in path] == ["neutral", "neutral", "disgust"]


def test_ck48(read):
    found = read("ck48")
    assert found.labels()["sadness/S011_002_00000021.png"] == "sadness"
    assert {(row["subject_id"], row["sequence_id"]) for row in found.rows} == {
        ("S010", "S010_004"), ("S011", "S011_002"), ("S011", "S011_006"),
    }  # fmt: skip


def test_jaffe_blank_before_the_suffix(tmp_path):
    put(tmp_path / "raw", "TM.NE1.201 .tiff")
    assert Read(tmp_path / "raw", tmp_path / "out").rows[0]["source_labels"] == ["NE"]


@pytest.mark.parametrize(
    ("fmt", "path", "label", "subject", "sequence"),
    [
        ("jaffe", "ka.an1.39.TIFF", "AN", "KA", None),
        ("jaffe", "Ym.Su3.60.jpeg", "SU", "YM", None),
        ("kdef", "af01anfl.jpg", "AN", "F01", None),
        ("kdef", "BM35DIHR.Png", "DI", "M35", None),
        ("rafd", "RAFD090_01_caucasian_Female_ANGRY_frontal.JPG", "angry", "01", None),
        ("ck48", "Anger/s010_004_00000017.PNG", "anger", "S010", "S010_004"),
    ],
)
def test_names_say_the_same_in_any_case(fmt, path, label, subject, sequence, tmp_path):
    put(tmp_path / "raw", path)
    (row,) = Read(tmp_path / "raw", tmp_path / "out").rows
    assert (row["source_labels"], row["subject_id"], row["sequence_id"]) == ([label], subject, sequence)


@pytest.mark.parametrize(
    ("fmt", "good", "bad"),
    [
        ("jaffe", "KA.AN1.39.tiff", "KA.XX1.39.tiff KAA.AN1.39.tiff KA.AN.39.tiff KA.AN1.39.gif KA.AN1.tiff"),
        ("kdef", "AF01ANFL.JPG", "CF01ANFL.JPG AX01ANFL.JPG AF1ANFL.JPG AF01CTFL.JPG AF01ANXX.JPG AF01ANFL.gif"),
        (
            "rafd", "Rafd090_01_C_female_angry_frontal.jpg",
            "Rafd090_01_C_female_bored_frontal.jpg Rafd90_01_C_female_angry_left.jpg Rafd090_01_female_angry_left.jpg "
            "Rafd090_x1_C_female_angry_left.jpg",
        ),
        (
            "ck48", "anger/S010_004_00000017.png",
            "anger/S10_004_00000017.png anger/S010_4_00000017.png anger/S010_004_0000017.png "
            "bored/S010_004_00000018.png S010_004_00000018.png",
        ),
    ],
)  # fmt: skip
def test_names_that_are_not_the_datasets_are_bad_rows(fmt, good, bad, tmp_path):
    for path in (good, *bad.split()):
        put(tmp_path / "raw", path)
    found = Read(tmp_path / "raw", tmp_path / "out", fmt=fmt)
    assert list(found.labels()) == [good]
    assert found.reasons() == [("bad_row", path) for path in sorted(bad.split())]
    assert all(reject["detail"].startswith(f"{reject['source_path']}: not named as ") for reject in found.rejects)


def test_jaffe(read):
    found = read("jaffe")
    assert [(row["subject_id"], row["source_labels"]) for row in found.rows] == [
        ("KA", ["AN"]), ("KA", ["HA"]), ("YM", ["SU"]),
    ]  # fmt: skip


def test_expw_has_a_row_a_face_and_boxes_from_top_left_right_bottom(read):
    found = read("expw")
    assert found.labels() == {"Images/angry_woman_1.jpg": ["happy", "anger"]}
    assert [row["source_box"] for row in found.rows] == [[20, 10, 110, 120], [-7, 5, 50, 60]]
    assert found.reasons() == [("bad_row", "Images/awe_2.jpg"), ("missing_file", "gone_9.jpg")]


def test_expw_keeps_the_number_that_a_face_has_in_its_picture(tmp_path):
    # The second of three faces is not listed, and the list is not in their order.
    rows = ["a.jpg 2 10 20 110 120 60 3", "a.jpg 0 10 20 110 120 60 0", "b.jpg 5 1 2 30 40 50 6"]
    put(tmp_path / "raw", "label/label.lst", "\n".join(rows))
    for name in ("a.jpg", "b.jpg"):
        put(tmp_path / "raw", f"image/origin/{name}")
    found = Read(tmp_path / "raw", tmp_path / "out")
    at = "d/image/origin"
    assert {row["sample_id"]: row["source_labels"] for row in found.rows} == {
        f"{at}/a.jpg#0": ["anger"], f"{at}/a.jpg#2": ["happy"], f"{at}/b.jpg#5": ["neutral"],
    }  # fmt: skip


@pytest.mark.parametrize(("label", "reason"), [(3, "duplicate_row"), (0, "conflicting_labels")])
def test_expw_number_that_two_rows_claim_is_one_face(label, reason, tmp_path):
    put(
        tmp_path / "raw",
        "label.lst",
        f"a.jpg 0 1 2 30 40 5 3\na.jpg 0 100 200 300 400 5 {label}\nb.jpg 0 1 2 3 4 5 6\n",
    )
    for name in ("a.jpg", "b.jpg"):
        put(tmp_path / "raw", f"Images/{name}")
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert set(found.summary["rejected"]) == {reason}
    assert found.summary["rows_in"] == 3


@pytest.mark.parametrize("fmt", sorted(set(FORMATS) - {"ferplus"}))  # two tables, a row more in one of them
def test_digits_that_are_none_do_not_crash_in_names_and_cells(fmt, tmp_path):
    # isdigit() is true of the first three, which int() does not take, and int() takes the next two.
    digits = "²¹①٣१Ⅲ"
    WRITERS[fmt](tmp_path / "raw")
    plain = Read(tmp_path / "raw", tmp_path / "out")
    for path in sorted((tmp_path / "raw").rglob("*")):
        if path.is_file() and path.suffix in {".csv", ".lst"}:
            # Not the last one, whose code is none: many of such speak of the whole column.
            last = path.read_text().splitlines()[2 if fmt == "csv" else 1]
            lines = [f"{last[:-1]}{digit}\n{digit}{last[1:]}\n{digit},{digit},{digit}\n" for digit in digits]
            path.write_text(path.read_text().rstrip("\n") + "\n" + "".join(lines))
        elif path.is_file() and path.suffix.lower() in {".jpg", ".png", ".tiff"}:
            digit = digits[len(path.name) % len(digits)]
            (path.parent / f"{path.stem[:-1]}{digit}{path.suffix}").write_bytes(path.read_bytes() + b"x")
    found = Read(tmp_path / "raw", tmp_path / "out", fmt=fmt, accept=True)
    assert set(plain.labels()) - set(found.labels()) <= {reject["source_path"] for reject in found.rejects}
    assert found.summary["rows_in"] >= plain.summary["rows_in"]


def test_named_pictures_among_others_are_read_where_a_person_says_what_they_are(tmp_path):
    put(tmp_path / "raw", "KA.AN1.39.tiff")
    for n in range(9):
        put(tmp_path / "raw", f"holiday{n}.jpg")
    found = Read(tmp_path / "raw", tmp_path / "out", fmt="jaffe")
    assert (found.labels(), found.summary["rejected"]) == ({"KA.AN1.39.tiff": "AN"}, {"bad_row": 9})


def test_kdef_person_is_gender_and_number_in_both_sessions(read):
    found = read("kdef")
    rows = {row["source_path"]: row for row in found.rows}
    assert rows["AF01/AF01ANFL.JPG"]["subject_id"] == rows["BF01/BF01AFS.JPG"]["subject_id"] == "F01"
    assert rows["AM02/AM02SUHR.JPG"]["source_labels"] == ["SU"]
    assert found.reasons() == [("bad_row", "AF01/AF01V.JPG")]


def test_kdef_is_recognised_behind_the_averaged_faces(tmp_path):
    for number in range(70):
        put(tmp_path / "raw", f"AKDEF/FAF{number}.JPG")
    for number in range(1, 71):
        for code in ("AF", "AN", "DI", "HA", "NE", "SA", "SU"):
            for angle in ("S", "FL"):
                put(tmp_path / "raw", f"KDEF/AM{number:02d}/AM{number:02d}{code}{angle}.JPG")
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert (found.summary["format"], found.summary["rows_out"]) == ("kdef", 980)
    assert found.summary["rejected"] == {"bad_row": 70}


def test_rafd(read):
    found = read("rafd")
    assert [(row["subject_id"], row["source_labels"]) for row in found.rows] == [
        ("61", ["contemptuous"]),
        ("01", ["angry"]),
    ]


def test_sfew_test_labels_are_not_public(read):
    found = read("sfew")
    assert {(row["source_split"], row["source_labels"][0]) for row in found.rows} == {
        ("Train", "Angry"),
        ("Val", "Happy"),
    }
    assert found.rows[0]["sequence_id"] == "Airheads_000519240"
    assert [reject["reason"] for reject in found.rejects] == ["unlabelled"]


def test_sfew_as_its_archives_unpack(tmp_path):
    put(tmp_path / "raw", "SFEW_2/Train/Train_Aligned_Faces/Angry/Airheads_000519240_00000005.png")
    put(tmp_path / "raw", "SFEW_2/Val/Val_Aligned_Faces_new/Val_Aligned_Faces/Happy/HallPass_001_00000002.png")
    put(tmp_path / "raw", "SFEW_2/Test/Test_Aligned_Faces/Airheads_000519240_00000009.png")
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert [(row["source_split"], row["source_labels"]) for row in found.rows] == [
        ("Train", ["Angry"]), ("Val", ["Happy"]),
    ]  # fmt: skip
    assert found.summary["rejected"] == {"unlabelled": 1}


def test_folder_keeps_the_names_of_classes_and_splits_as_they_stand(read):
    found = read("folder")
    assert found.labels() == {
        "train/happy/a.jpg": "happy",
        "train/sad/deeper/b.jpg": "sad",
        "test/Furcht/c.PNG": "Furcht",
    }
    assert [row["source_split"] for row in found.rows] == ["test", "train", "train"]
    assert found.reasons() == [("unlabelled", "train/loose.jpg")]


def test_csv_keeps_labels_as_they_stand_and_says_what_became_of_doubles(read):
    found = read("csv")
    assert found.labels() == {"images/a.jpg": "HAPPINESS"}
    assert found.reasons() == [("duplicate_row", "images/a.jpg"), ("unlabelled", "images/b.jpg")]


def test_fer2013_folders_of_both_test_sets_are_read_and_a_stranger_is_counted(tmp_path):
    for split, stem in (("train", "Training"), ("public_test", "PublicTest"), ("private_test", "PrivateTest")):
        for number, name in enumerate(("angry", "happy")):
            put(tmp_path / "raw", f"{split}/{name}/{stem}_{number}.jpg", f"{split}{name}".encode())
    put(tmp_path / "raw", "train/Training_77.jpg", b"loose")
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert {row["source_split"] for row in found.rows} == {"Training", "PublicTest", "PrivateTest"}
    assert len(found.rows) == 6
    assert found.reasons() == [("unlabelled", "train/Training_77.jpg")]


@pytest.mark.parametrize(("fmt", "name"), [("rafdb", "EmoLabel/list_patition_label.txt"), ("expw", "label/label.lst")])
def test_list_whose_first_row_is_broken_is_still_recognised(fmt, name, tmp_path):
    WRITERS[fmt](tmp_path / "raw")
    plain = Read(tmp_path / "raw", tmp_path / "out")
    path = tmp_path / "raw" / name
    path.write_text(f"# pictures and their labels\n{path.read_text()}")
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert (found.summary["format"], found.labels()) == (fmt, plain.labels())
    assert found.summary["rejected"]["bad_row"] == plain.summary["rejected"]["bad_row"] + 1


def test_class_folders_are_found_beside_a_readme(tmp_path):
    raw = tmp_path / "raw"
    put(raw, "README.txt", "unpack me")
    for name in ("dataset/train/angry/a.jpg", "dataset/train/sad/b.jpg", "dataset/test/angry/c.jpg"):
        put(raw, name)
    found = Read(raw, tmp_path / "out")
    assert sorted((row["source_labels"][0], row["source_split"]) for row in found.rows) == [
        ("angry", "test"),
        ("angry", "train"),
        ("sad", "train"),
    ]
    assert recognise(open_tree(str(raw))) == ("folder", "dataset holds the class folders angry, sad …")


def test_two_folders_of_pictures_are_not_taken_for_classes(tmp_path):
    for name in ("images/a.jpg", "thumbs/a.jpg", "annotations.json"):
        put(tmp_path, name)
    with pytest.raises(SourceError, match="no known layout"):
        recognise(open_tree(str(tmp_path)))


def test_expw_has_its_pictures_where_an_archive_unpacked_them(tmp_path):
    put(tmp_path / "raw", "label/label.lst", "angry_man_1.jpg 0 10 20 110 120 60.5 3")
    put(tmp_path / "raw", "image/origin/origin/angry_man_1.jpg")
    (row,) = Read(tmp_path / "raw", tmp_path / "out").rows
    assert (row["source_path"], row["source_labels"]) == ("image/origin/origin/angry_man_1.jpg", ["happy"])


def test_arrays_in_place_of_pictures_are_named(tmp_path):
    put(tmp_path, "annots_arrs/annot_arrs_train.csv", "Filename,Width,Peace,Arr_name\na.jpg,9,1,img_arr_0.npy\n")
    put(tmp_path, "img_arrs/img_arr_0.npy", "x")
    with pytest.raises(SourceError, match=r"no known layout.* img_arrs/img_arr_0.npy of NumPy arrays: not read"):
        recognise(open_tree(str(tmp_path)))
