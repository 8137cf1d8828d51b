"""Every row, every refusal and the summary of each layout's small tree, written out by hand (see trees.py)."""

from collections import Counter

import pytest

from pipeline.core.params import IngestParams
from pipeline.ingest.raw_dataset import Annotation, RawDataset
from pipeline.ingest.registry import locate
from pipeline.ingest.trees.open import open_tree
from tests.pipeline.ingest.clip_rows import CLIP_REFUSED, CLIP_ROWS
from tests.pipeline.ingest.layouts import PARAMS, WRITERS

SHOWN = (
    "source_split", "subject_id", "sequence_id", "source_box", "source_box_kind", "source_votes", "valence", "arousal",
    "dominance", "gender", "age", "age_years", "race", "time_s",
)  # fmt: skip
AFFECTNET = (
    "neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt", "none", "uncertain", "no-face",
)  # fmt: skip
FER = ("anger", "disgust", "fear", "happy", "sad", "surprise", "neutral")
RAFDB = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
COMPOUND = (
    "happily surprised", "happily disgusted", "sadly fearful", "sadly angry", "sadly surprised", "sadly disgusted",
    "fearfully angry", "fearfully surprised", "angrily surprised", "angrily disgusted", "disgustedly surprised",
)  # fmt: skip
FERPLUS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF")
CK, MANUAL, LISTS = "cohn-kanade-images", "Manually_Annotated_Images", "Manually_Annotated_file_lists"
MSCOCO, ALIGNED, PATITION = "emotic/mscoco/images", "_Aligned_Faces", "EmoLabel/list_patition_label.txt"


def said(sample, *labels, split=None, box=None, kind="face", points=0, **more):
    """Return a row as `shown` does; what is not given is empty."""
    found = dict.fromkeys(SHOWN) | more | {"source_split": split, "source_box": box, "points": points}
    return sample, list(labels), found | {"source_box_kind": kind if box else None}


def shown(row):
    sample = row["sample_id"].removeprefix("d/")
    points = len(row["source_landmarks"] or ())
    return sample, row["source_labels"], {name: row[name] for name in SHOWN} | {"points": points}


def affectnet(path, label, split, valence=0.5):
    # The whole column of arousal is left empty: one row has 1.5.
    return said(f"{path}#0", label, split=split, box=[1, 2, 31, 42], points=136, valence=valence)


def ckplus(subject, sequence, frame, label):
    sequence = f"{subject}_{sequence}"
    path = f"{CK}/{sequence.replace('_', '/')}/{sequence}_{frame:08d}.png#0"
    return said(path, label, subject_id=subject, sequence_id=sequence, points=136)


def rafdb(name, label):
    box = [10.5, 20.25, 110.5, 140.75]
    who = {"gender": "male", "race": "African-American", "age": "20-39"}
    return said(f"Image/original/{name}.jpg#0", label, split=name.partition("_")[0], box=box, points=10, **who)


def body(sample, *labels, **more):
    return said(f"{MSCOCO}/{sample}", *labels, kind="body", **more)


def votes(n, split, **given):
    return said(f"fer2013.csv#{n}", *FERPLUS, split=split, source_votes=[given.get(name, 0) for name in FERPLUS])


TRAIN, TEST = (f"data/{split}-00000-of-00001.parquet" for split in ("train", "test"))
SUFFIXES = ("jpg", "JPG", "jpeg", "png", "PNG", "tif", "bmp", "jpg", "jpg", "jpg", "jpg")
FER_USAGES = ("Training",) * 5 + ("PublicTest", "PrivateTest")
CK_USAGES = ("Training",) * 6 + ("PublicTest", "PrivateTest")
ROWS = {
    "affectnet": [
        *(
            affectnet(f"{MANUAL}/{n}/h{n}.{suffix}", AFFECTNET[n], "training", 0.5 if n < 8 else None)
            for n, suffix in enumerate(SUFFIXES)
        ),
        affectnet(f"{MANUAL}/700/v.jpg", "surprise", "validation", None),
        affectnet("Automatically_Annotated_Images/1/a.jpg", "anger", "automatic"),
    ],
    "affectnet_npy": [
        said(f"{folder}/images/{n}.jpg#0", AFFECTNET[n], split=split, points=136, valence=-0.5)
        for folder, split, n in (
            ("train_set", "training", 0), ("train_set", "training", 1), ("train_set", "training", 2),
            ("val_set", "validation", 7),
        )
    ],
    "affectnet_folder": [
        said("anger/a.jpg#0", "anger"), said("happy/c.jpg#0", "happy"), said("sad/unlisted.jpg#0", "sad"),
    ],
    "ckplus": [
        ckplus("S005", "001", 1, "neutral"), *(ckplus("S005", "001", frame, "disgust") for frame in (4, 5, 6)),
        ckplus("S010", "002", 1, "neutral"), ckplus("S010", "002", 2, "contempt"),
    ],
    "ckplus_csv": [
        said(f"ckextended.csv#{n}", label, split=CK_USAGES[n]) for n, label in enumerate((*FER, "contempt"))
    ],
    "ck48": [
        said("anger/S010_004_00000017.png#0", "anger", subject_id="S010", sequence_id="S010_004"),
        said("happy/S011_006_00000012.png#0", "happy", subject_id="S011", sequence_id="S011_006"),
        said("sadness/S011_002_00000021.png#0", "sadness", subject_id="S011", sequence_id="S011_002"),
    ],
    "rafdb": [
        *(rafdb(f"train_{code:05d}", label) for code, label in enumerate(RAFDB, 1)), rafdb("test_0001", "happiness"),
    ],
    "rafdb_folder": [
        *(
            said(f"train/{code}/train_{code:05d}_aligned.jpg#0", label, split="train")
            for code, label in enumerate(RAFDB, 1)
        ),
        said("test/4/test_0001_aligned.jpg#0", "happiness", split="test"),
    ],
    "rafdb_compound": [
        *(
            said(f"Image/original/train_{code:04d}.jpg#0", label, split="train")
            for code, label in enumerate(COMPOUND, 1)
        ),
        said("Image/original/test_001.jpg#0", "fearfully surprised", split="test"),
    ],
    "emotic": [
        body(
            "a.jpg#0", "Happiness", "Doubt/Confusion", "Disquietment", split="train", box=[-4.5, 2, 90, 200.5],
            valence=1, arousal=-1, gender="male", age="Adult",
        ),
        body(
            "a.jpg#1", "Anger", split="train", box=[1, 2, 3, 4], valence=0, arousal=0, dominance=0, gender="female",
            age="Kid",
        ),
        *(
            body(
                f"{name}.jpg#0", "Peace", "Fear", "Pain", split=split, box=[1, 2, 3, 4], source_votes=[1, 1, 1],
                valence=-1, arousal=1, dominance=0, gender="male",
            )
            for name, split in (("b", "val"), ("c d", "test"))
        ),
    ],
    "emotic_csv": [
        body(
            "a.jpg#0", "Disconnection", "Doubt/Confusion", split="train", box=[86, 58, 564, 628], valence=0, arousal=-1,
            dominance=1, gender="male", age="Adult",
        ),
        body(
            "a.jpg#1", "Anger", split="train", box=[86, 58, 564, 628], arousal=-1, dominance=1, gender="male",
            age="Adult",
        ),
        body(
            "b.jpg#0", "Peace", split="test", box=[1.5, 2, 3, 4], valence=-1, arousal=-1, dominance=-1, gender="male",
            age="Kid",
        ),
    ],
    "fer2013": [said(f"fer2013.csv#{n}", label, split=FER_USAGES[n]) for n, label in enumerate(FER)],
    "fer2013_folder": [
        said("train/angry/Training_123.jpg#0", "anger", split="Training"),
        said("train/happy/Training_7.jpg#0", "happy", split="Training"),
        said("validation/neutral/PublicTest_9.jpg#0", "neutral", split="PublicTest"),
        said("test/sad/PrivateTest_1.jpg#0", "sad", split="PrivateTest"),
    ],
    "ferplus": [
        votes(0, "Training", neutral=4, sadness=1, anger=3, disgust=2), votes(1, "Training", NF=10),
        votes(2, "PublicTest", happiness=10),
    ],
    "jaffe": [
        said("KA.AN1.39.tiff#0", "AN", subject_id="KA"), said("KA.HA2.30.tiff#0", "HA", subject_id="KA"),
        said("YM.SU3.60.tiff#0", "SU", subject_id="YM"),
    ],
    "expw": [
        said("Images/angry_woman_1.jpg#0", "happy", box=[20, 10, 110, 120]),
        said("Images/angry_woman_1.jpg#1", "anger", box=[-7, 5, 50, 60]),
    ],
    "kdef": [
        said("AF01/AF01ANFL.JPG#0", "AN", subject_id="F01", gender="female"),
        said("BF01/BF01AFS.JPG#0", "AF", subject_id="F01", gender="female"),
        said("AM02/AM02SUHR.JPG#0", "SU", subject_id="M02", gender="male"),
        *(said(f"AM{n:02d}/AM{n:02d}NES.JPG#0", "NE", subject_id=f"M{n:02d}", gender="male") for n in range(3, 40)),
    ],
    "rafd": [
        said("Rafd090_01_Caucasian_female_angry_frontal.jpg#0", "angry", subject_id="01", gender="female",
             race="Caucasian"),
        said("Rafd045_61_Moroccan_male_contemptuous_left.jpg#0", "contemptuous", subject_id="61", gender="male",
             race="Moroccan"),
    ],
    "sfew": [
        said(
            f"Train{ALIGNED}/Angry/Airheads_000519240_00000005.png#0", "Angry", split="Train",
            sequence_id="Airheads_000519240",
        ),
        said(
            f"Val{ALIGNED}/Happy/Hall Pass_001_00000002.png#0", "Happy", split="Val", sequence_id="Hall Pass_001",
        ),
    ],
    "hub": [
        said(f"{TRAIN}#0", "surprise", split="train", subject_id="p1", valence=0.5),
        said(f"{TRAIN}#1", "happy", split="train", subject_id="p2"),
        said(f"{TRAIN}#5", split="train", subject_id="p3", valence=0.0),
        said("data/more/c.jpg#0", "fear", split="train", valence=-1.0),
        said(f"{TEST}#0", "sad", split="test"), said(f"{TEST}#1", "surprise", split="test"),
    ],
    "folder": [
        said("train/happy/a.jpg#0", "happy", split="train"), said("train/sad/deeper/b.jpg#0", "sad", split="train"),
        said("test/Furcht/c.PNG#0", "Furcht", split="test"),
    ],
    "csv": [said("images/a.jpg#0", "HAPPINESS")],
    "yolo": [
        said("train/images/a.png#0", "happy", split="train", box=[40, 15, 60, 35]),
        said("train/images/a.png#1", "sad", split="train", box=[10, 5, 30, 15]),
        said("valid/images/d.png#0", "fear", split="valid", box=[85, 20, 105, 30]),
    ],
    "coco": [
        said("train/a.jpg#0", "happy", split="train", box=[1, 2, 31, 42.5]),
        said("train/a.jpg#1", "sad", split="train", box=[50, 2, 80, 42]),
    ],
    "voc": [
        said("train/a.jpg#0", "happy", split="train", box=[1, 2, 30, 40.5]),
        said("train/a.jpg#1", "sad", split="train"),
    ],
    "class_columns": [said("train/a.jpg#0", "Happy", split="train"), said("test/e.jpg#0", "Sad", split="test")],
    "path_list": [
        said("train/a.jpg#0", "happy", split="train"), said("train/b c.jpg#0", "Sadness", split="train"),
        said("test/e.jpg#0", "fear", split="test"),
    ],
    "bu3dfe": [
        said("F0001/F0001_AN01WH_F2D.bmp#0", "AN", subject_id="F0001", gender="female"),
        said("F0003/F0003_SU04AE_F2D.bmp#0", "SU", subject_id="F0003", gender="female"),
        said("M0002/M0002_NE00BL_F2D.bmp#0", "NE", subject_id="M0002", gender="male"),
    ],
    "faces": [
        said("004_o_m_a_b.jpg#0", "anger", subject_id="004", gender="male", age="older"),
        said("140_y_f_h_a.jpg#0", "happiness", subject_id="140", gender="female", age="young"),
    ],
}  # fmt: skip
REFUSED = {
    "affectnet": {
        "700/gone.jpg#0": ("missing_file", f"{LISTS}/validation.csv row 2: no such file: {MANUAL}/700/gone.jpg"),
        f"{MANUAL}/700/x.jpg#0": ("bad_row", f"{LISTS}/validation.csv row 3: expected a code 0 to 10, not '11'"),
    },
    "affectnet_npy": {
        "train_set/images/5.jpg#0": ("unlabelled", "train_set/annotations/5_exp.npy: missing"),
        "train_set/images/6.jpg#0": (
            "missing_file", "train_set/annotations/6_exp.npy: no such picture: train_set/images/6.jpg",
        ),
        "train_set/images/9.jpg#0": ("bad_row", "train_set/annotations/9_exp.npy: expected a code 0 to 7"),
        "val_set/images/8.jpg#0": ("bad_row", "val_set/annotations/8_exp.npy: expected a code 0 to 7"),
    },
    "affectnet_folder": {
        "anger/b.jpg#0": ("conflicting_labels", "labels.csv row 3: surprise, but its folder says anger"),
        "happy/gone.jpg#0": ("missing_file", "labels.csv row 5: no such file: happy/gone.jpg"),
    },
    "ckplus": {
        **{
            f"{CK}/S005/001/S005_001_0000000{n}.png#0": (
                "unlabelled", f"{CK}/S005/001/S005_001_0000000{n}.png: between the neutral and the peak frames",
            )
            for n in (2, 3)
        },
        **{
            f"{CK}/S011/00{s}/S011_00{s}_0000000{n}.png#0": (
                "unlabelled", f"{CK}/S011/00{s}: a sequence without a label",
            )
            for s in (3, 4)
            for n in (1, 2, 3, 4)
        },
        **{
            f"{CK}/S999/001/S999_001_0000000{n}.png#0": (
                "bad_row", "Emotion/S999/001/S999_001_00000004_emotion.txt row 1: expected a code 0 to 7, not "
                "'9.0000000e+00'",
            )
            for n in (1, 2, 3, 4)
        },
    },
    "ckplus_csv": {"ckextended.csv#8": ("bad_row", "ckextended.csv row 10: expected a code 0 to 7, not '8'")},
    "ck48": {},
    "rafdb": {
        "Image/original/test_0002.jpg#0": (
            "bad_row", f"{PATITION} row 9: expected a picture and a code 1 to 7, two cells, not 'test_0002.jpg 8'",
        ),
        "test_0003.jpg#0": ("missing_file", f"{PATITION} row 10: no such file: Image/original/test_0003.jpg"),
    },
    "rafdb_folder": {
        "test/1/test_0002_aligned.jpg#0": (
            "conflicting_labels", "test_labels.csv row 3: code 7, but its folder says 1, surprise",
        ),
        "train_00009_aligned.jpg#0": (
            "missing_file", "train_labels.csv row 9: no such file: train/train_00009_aligned.jpg",
        ),
    },
    "rafdb_compound": {},
    "emotic": {"mscoco/images/gone.jpg#0": ("missing_file", None)},
    "emotic_csv": {
        f"{MSCOCO}/a.jpg#2": (
            "bad_row", "annotations/train.csv row 4: no category of EMOTIC: \"__import__('os').system('touch pwned')\"",
        ),
    },
    "fer2013": {
        "fer2013.csv#7": ("bad_row", "fer2013.csv row 9: expected a code 0 to 6, not '9'"),
        "fer2013.csv#8": ("bad_row", "fer2013.csv row 10: expected 2304 pixels, not 3"),
    },
    "fer2013_folder": {
        f"{name}#0": ("not_original", f"{name}: not named as FER2013's own pictures; a copy or a stranger")
        for name in ("test/sad/stranger.jpg", "train/happy/Training_7.jpg5.jpg")
    },
    "ferplus": {
        "fer2013.csv#3": ("bad_row", "fer2013new.csv row 5: expected ten numbers of votes, at least one above 0"),
    },
    "jaffe": {},
    "expw": {
        "Images/awe_2.jpg#0": (
            "bad_row", "label/label.lst row 4: expected a name, seven numbers and the last one a code 0 to 6, not "
            "'awe_2.jpg 0 1 2 3 4 50 7'",
        ),
        "gone_9.jpg#0": ("missing_file", "label/label.lst row 3: no such file: Images/gone_9.jpg"),
    },
    "kdef": {"AF01/AF01V.JPG#0": ("bad_row", "AF01/AF01V.JPG: not named as AF01ANFL.JPG")},
    "rafd": {},
    "sfew": {
        f"Test{ALIGNED}/Airheads_000519240_00000009.png#0": (
            "unlabelled", f"Test{ALIGNED}/Airheads_000519240_00000009.png: the test labels are not public",
        ),
    },
    "hub": {
        f"{TRAIN}#2": ("missing_file", f"{TRAIN} row 2: no picture"),
        f"{TRAIN}#4": ("missing_file", f"{TRAIN} row 4: no picture"),
    },
    "folder": {"train/loose.jpg#0": ("unlabelled", "train/loose.jpg: in no class folder")},
    "csv": {
        "images/a.jpg#1": ("duplicate_row", "data/legend.csv row 4: says the same as data/legend.csv row 2"),
        "images/b.jpg#0": ("unlabelled", "data/legend.csv row 3: no label"),
    },
    "yolo": {
        "valid/images/b.png#0": ("unlabelled", "valid/labels/b.txt: no face"),
        "valid/images/c.png#0": (
            "bad_row", "valid/labels/c.txt row 1: expected a code 0 to 3 and a box, not '0 0.5 0.5 0.1'",
        ),
        "valid/labels/gone.txt#0": (
            "missing_file", "valid/labels/gone.txt: no picture of this name beside it or in images/",
        ),
    },
    "coco": {
        "gone.jpg#0": ("missing_file", None),
        "a.jpg#0": (
            "bad_row", "train/_annotations.coco.json annotation 3: its picture or category is not in the file",
        ),
        "b.jpg#0": ("unlabelled", "train/_annotations.coco.json: no annotation of b.jpg"),
    },
    "voc": {
        "train/b.jpg#0": ("unlabelled", "train/b.xml: no object"),
        "train/bomb.xml#0": ("bad_row", "train/bomb.xml: not an annotation of Pascal VOC"),
        "other.jpg#0": ("missing_file", None),
    },
    "class_columns": {
        "train/b.jpg#0": ("unlabelled", "train/_classes.csv row 3: no label"),
        "train/c.jpg#0": ("conflicting_labels", "train/_classes.csv row 4: Anger and Happy are both marked"),
        "train/d.jpg#0": ("bad_row", "train/_classes.csv row 5: expected a number of 0 or more for each class"),
    },
    "path_list": {
        "train/gone.jpg#0": ("missing_file", None),
        "train/a.jpg#1": ("bad_row", "lists/train.txt row 4: expected 2 cells, not 3"),
    },
    "bu3dfe": {},
    "faces": {},
}  # fmt: skip
# Faces that the authors cut out themselves.
CUT_OUT = {
    "affectnet_npy", "affectnet_folder", "ck48", "ckplus_csv", "rafdb_folder", "fer2013", "fer2013_folder", "ferplus",
    "sfew",
    "dfew", "ferv39k", "affwild2",
}  # fmt: skip
ROWS |= CLIP_ROWS
REFUSED |= CLIP_REFUSED


def test_every_layout_is_written_out():
    assert ROWS.keys() == REFUSED.keys() == WRITERS.keys()


@pytest.mark.parametrize("fmt", sorted(WRITERS))
def test_every_value_of_every_row_is_the_one_that_stands_there(fmt, read):
    wanted = sorted(ROWS[fmt], key=lambda row: row[0])
    assert list(map(shown, read(fmt).rows)) == wanted


@pytest.mark.parametrize("fmt", sorted(WRITERS))
def test_every_refusal_says_which_row_and_what_would_be_right(fmt, read):
    found = {reject["sample_id"].removeprefix("d/"): reject for reject in read(fmt).rejects}
    assert found.keys() == REFUSED[fmt].keys()
    for sample, (reason, detail) in REFUSED[fmt].items():
        given = found[sample]
        assert (given["reason"], given["source_path"]) == (reason, sample.rpartition("#")[0])
        assert given["dataset"] == "d"
        assert detail is None or given["detail"] == detail


@pytest.mark.parametrize("fmt", sorted(WRITERS))
def test_summary_counts_what_is_there(fmt, read, tmp_path):
    summary = read(fmt).summary
    counts = Counter()
    for _, labels, row in ROWS[fmt]:
        given = row["source_votes"]
        # Of EMOTIC's several labels each holds; of FER+'s votes the one with the most counts.
        held = labels if given is None or "emotic" in fmt else [labels[given.index(max(given))]]
        counts.update((row["source_split"] or "all", label) for label in held)
    assert {(split, label): n for split, of in summary["counts"].items() for label, n in of.items()} == counts
    assert summary["rejected"] == dict(Counter(reason for reason, _ in REFUSED[fmt].values()))
    assert (summary["rows_in"], summary["rows_out"]) == (len(ROWS[fmt]) + len(REFUSED[fmt]), len(ROWS[fmt]))
    assert (summary["format"], summary["dataset"], summary["root"]) == (fmt, "d", "")
    assert summary["files"] == sum(path.is_file() for path in (tmp_path / "raw").rglob("*"))
    assert summary["cut_out"] is (fmt in CUT_OUT)


@pytest.mark.parametrize("fmt", sorted(WRITERS))
def test_every_row_says_in_which_file_it_stands(fmt, tmp_path):
    WRITERS[fmt](tmp_path)
    tree = open_tree(str(tmp_path))
    reader, root, _ = locate(tree, fmt)
    rows = [row for row in reader.read(RawDataset(tree, root, IngestParams(**PARAMS))) if isinstance(row, Annotation)]
    places = [next((name for name in tree.names() if row.row.startswith(name)), None) for row in rows]
    assert None not in places
    # Where a table has several rows each says its own.
    assert len({row.row for row in rows}) == len(rows)
