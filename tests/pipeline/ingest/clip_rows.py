"""Every row and every refusal of the trees of `clip_layouts`, written out by hand."""

from pipeline.core.schema import SAMPLES

_SHOWN = (
    "source_split", "subject_id", "sequence_id", "source_box", "source_box_kind", "source_votes", "valence", "arousal",
    "dominance", "gender", "age", "age_years", "race", "time_s",
)  # fmt: skip
assert set(_SHOWN) <= set(SAMPLES.names)


def said(sample, *labels, split=None, sequence=None, box=None, points=0, **more):
    found = dict.fromkeys(_SHOWN) | {"source_split": split, "sequence_id": sequence, "source_box": box} | more
    return sample, list(labels), found | {"source_box_kind": "face" if box else None, "points": points}


def frames(path, label, times_ms=(0, 200, 400), split=None, **more):
    """Return the rows of a video."""
    return [said(f"{path}#{at:09d}", label, split=split, sequence=path, time_s=at / 1000, **more) for at in times_ms]


CLIP, FERV, OULU, LISTS = "Clip/clip_224x224", "2_ClipsforFaceCrop", "OriginalImg", "EmoLabel_DataSplit"
MAN, WOMAN = {"gender": "male"}, {"gender": "female"}
RAVDESS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
CLIP_ROWS = {
    "dfew": [
        *(said(f"{CLIP}/00001/{name}.jpg#0", "happy", sequence=f"{CLIP}/00001") for name in (1, 2, 10)),
        said(f"{CLIP}/00020/1.jpg#0", "disgust", sequence=f"{CLIP}/00020"),
    ],
    "ferv39k": [
        said(f"{FERV}/{clip}/0010_0001.jpg#0", label, split=split, sequence=f"{FERV}/{clip}")
        for clip, label, split in (("Action/Sad/0010", "Sad", "train"), ("Crime/Happy/0010", "Happy", "test"))
    ],
    "mafw": [
        said("data/frames/00001/00001.jpg#0", "anger", split="train", sequence="data/frames/00001"),
        *frames("data/clips/00002.mp4", "helplessness", split="train"),
    ],
    "oulu_casia": [
        *(
            said(f"{OULU}/VL/Strong/P001/Anger/{number:03d}.jpeg#0", label, subject_id="P001",
                 sequence=f"{OULU}/VL/Strong/P001/Anger")
            for number, label in ((0, "Neutral"), (2, "Anger"), (3, "Anger"), (4, "Anger"))
        ),
        *(
            said(f"{OULU}/NI/Dark/P001/Surprise/{number:03d}.jpeg#0", label, subject_id="P001",
                 sequence=f"{OULU}/NI/Dark/P001/Surprise")
            for number, label in ((0, "Neutral"), (1, "Surprise"))
        ),
    ],
    "afew_va": [
        said("001/00000.png#0", "none", box=[10, 20, 77, 154], points=136, valence=1, arousal=-1,
             subject_id="Somebody", sequence="001"),
        said("001/00001.png#0", "none", valence=0, arousal=0.5, subject_id="Somebody", sequence="001"),
    ],
    "affwild2": [
        said("cropped_aligned/1-30/00001.jpg#0", "Happiness", split="train", subject_id="1-30", sequence="1-30",
             valence=0.5, arousal=-0.25),
        said("cropped_aligned/1-30/00002.jpg#0", "none", split="train", subject_id="1-30", sequence="1-30",
             valence=0.10000000149011612, arousal=0.20000000298023224),
        said("cropped_aligned/1-30/00003.jpg#0", "Other", split="train", subject_id="1-30", sequence="1-30"),
        said("cropped_aligned/1-30_left/00001.jpg#0", "none", split="validation", subject_id="1-30_left",
             sequence="1-30", valence=1, arousal=-1),
    ],
    "ravdess": [
        *frames("Actor_12/01-01-03-01-01-01-12.mp4", "happy", subject_id="12", **WOMAN),
        *frames("Actor_01/02-01-02-01-02-01-01.mp4", "calm", subject_id="01", **MAN),
        *(
            row
            for number in range(12)
            for row in frames(
                f"Actor_03/02-01-0{number % 8 + 1}-01-01-0{number // 8 + 1}-03.mp4", RAVDESS[number % 8],
                subject_id="03", **MAN,
            )
        ),
    ],
    "cremad": frames(
        "VideoFlash/1001_DFA_ANG_XX.avi", "ANG", subject_id="1001", gender="male", age="40-69", age_years=51,
        race="Caucasian",
    ),
    "meld": [
        *frames("train/train_splits/dia0_utt0.mp4", "joy", split="train", subject_id="Ross"),
        *frames("output_repeated_splits_test/dia0_utt0.mp4", "neutral", split="test", subject_id="Monica"),
    ],
    "video_folder": [
        *frames("train/Anger/0001.avi", "Anger", split="train"),
        *frames("train/Happy/0001.avi", "Happy", split="train"),
        *frames("test/Happy/deeper/0002.MKV", "Happy", split="test"),
    ],
    "mafw_compound": [
        said(f"data/frames/{clip}/00001.png#0", *labels.split(), sequence=f"data/frames/{clip}")
        for clip, labels in (("00001", "anger disgust"), ("00002", "fear"), ("00003", "anger disgust anxiety"))
    ],
    "rml": [
        *frames("rml-1/s1/an1.avi", "an", subject_id="s1"),
        *frames("rml-2/S4/Mandarin/an1.avi", "an", subject_id="s4"),
        *frames("rml-2/s4/su12.AVI", "su", subject_id="s4"),
        *(
            row
            for number in range(17)
            for label in [("di", "fe", "ha", "sa")[number % 4]]
            for row in frames(f"rml-3/s8/{label}{number}.avi", label, subject_id="s8")
        ),
    ],
    "baum1": [
        *frames("BAUM1s_MP4 - All/s001/S001_001.mp4", "anger", subject_id="S001", **WOMAN),
        *frames("BAUM1s_MP4 - All/s001/S001_002.mp4", "unsure", subject_id="S001", **WOMAN),
        *frames("BAUM1a_MP4_all/s001/S001_001.mp4", "interest", subject_id="S001"),
    ],
}  # fmt: skip
MISSING = "no folder of frames and no video of this name"
TRAIN, ALL = f"{LISTS}/train(single-labeled)", "4_setups/All_scenes"
EXPR = "annotations/EXPR_Set/Train_Set/1-30.txt"
CLIP_REFUSED = {
    "dfew": {
        "1#0": (
            "conflicting_labels", f"sad in {TRAIN}/set_2.csv row 3; happy in {TRAIN}/set_1.csv row 2, which is kept",
        ),
        "300#0": ("missing_file", f"{TRAIN}/set_1.csv row 3: {MISSING}"),
    },
    "ferv39k": {
        "Action/Sad/0011#0": ("missing_file", f"{ALL}/train_All.csv row 2: {MISSING}"),
        "Crime/Happy/0012#0": (
            "bad_row", f"{ALL}/test_All.csv row 2: expected one of Angry, Disgust, Fear, Happy, Neutral, Sad, Surprise",
        ),
    },
    "mafw": {
        "00003#0": ("missing_file", f"Train & Test Set/single/no_caption/set_1/test.txt row 1: {MISSING}"),
    },
    "oulu_casia": {
        f"{OULU}/VL/Strong/P001/Anger/001.jpeg#0": (
            "unlabelled", f"{OULU}/VL/Strong/P001/Anger/001.jpeg: between the neutral and the peak frames",
        ),
        f"{OULU}/VL/Strong/P001/readme.jpeg#0": (
            "bad_row", f"{OULU}/VL/Strong/P001: not in folders of a lamp, a person and an expression",
        ),
    },
    "afew_va": {
        "001/00002.png#0": ("missing_file", "001/001.json frame 00002: no such file: 001/00002.png"),
        "002/002.json#0": ("bad_row", "002/002.json: no json with frames"),
    },
    "affwild2": {
        "cropped_aligned/1-30/00004.jpg#0": ("bad_row", f"{EXPR} row 5: expected a code 0 to 7 or -1, not '9'"),
        "cropped_aligned/1-30/00005.jpg#0": (
            "unlabelled", f"{EXPR} frame 5: neither an expression nor valence and arousal",
        ),
        "cropped_aligned/1-30/00006.jpg#0": (
            "missing_file", f"{EXPR} frame 6: no face was found in it by the authors",
        ),
    },
    "ravdess": {
        "Actor_12/02-01-03-01-01-01-12.mp4#0": (
            "duplicate_row",
            "Actor_12/02-01-03-01-01-01-12.mp4: shows the same pictures as Actor_12/01-01-03-01-01-01-12.mp4",
        ),
        "Actor_01/x.mp4#0": ("bad_row", "Actor_01/x.mp4: not named as 01-01-03-01-01-01-12.mp4"),
    },
    "cremad": {
        "VideoFlash/1002_IEO_SAD_HI.webm#0": (
            "corrupt",
            "VideoFlash/1002_IEO_SAD_HI.webm: not a readable video: Invalid data found when processing input",
        ),
    },
    "meld": {"dia0_utt1#0": ("missing_file", "train_sent_emo.csv row 3: no video dia0_utt1 in a folder of train")},
    "video_folder": {
        "test/Anger/torn.mp4#0": ("corrupt", None),
        "test/loose.mp4#0": ("unlabelled", "test/loose.mp4: in no class folder"),
    },
    "mafw_compound": {
        "00004#0": (
            "bad_row",
            "Train & Test Set/compound/no_caption/set_1/train.txt row 3: expected one of anger, disgust, fear, "
            "happiness, neutral, sadness, surprise, contempt, anxiety, helplessness, disappointment",
        ),
    },
    "rml": {"rml-1/intro/an1.avi#0": ("bad_row", "rml-1/intro/an1.avi: not named as an1.avi")},
    "baum1": {
        "S015_007#0": ("conflicting_labels", "Annotations_BAUM1s.csv row 4: happiness, but the code is 9"),
        "S002_001#0": (
            "bad_row",
            "Annotations_BAUM1s.csv row 5: expected one of anger, boredom, bothered, concentrating, contempt, disgust, "
            "fear, happiness, neutral, sadness, surprise, thinking, unsure",
        ),
        "S009_001#0": ("missing_file", "Annotations_BAUM1a.csv row 3: no video S009_001"),
    },
}  # fmt: skip
