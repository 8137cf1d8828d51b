"""Small raw trees of clips in the native layouts: folders of frames with lists, and videos."""

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from pipeline.demo.clips import write_video

TIMES_MS = (0, 200, 400)  # of the frames that 5 a second choose


def put(root: Path, name: str, content: bytes | str | None = None) -> Path:
    """Write one file; a picture's bytes are its name, so that every md5 is another."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    given = name if content is None else content
    path.write_bytes(given.encode() if isinstance(given, str) else given)
    return path


@cache
def video(suffix: str, shade: int = 0) -> bytes:
    """Return the bytes of a video of 0.5 s with 10 frames a second."""
    frames = [np.full((48, 64, 3), 10 * number + shade, np.uint8) for number in range(5)]
    with TemporaryDirectory() as folder:
        path = Path(folder, f"a{suffix}")
        write_video(path, frames, range(0, 500, 100))
        return path.read_bytes()


def write_dfew(root: Path) -> None:
    for number, names in {"00001": ("1.jpg", "2.jpg", "10.jpg"), "00020": ("1.jpg",)}.items():
        for name in names:
            put(root, f"Clip/clip_224x224/{number}/{name}")
    put(root, "Clip/clip_224x224_16f/00001/1.jpg")
    lists = "EmoLabel_DataSplit"
    put(root, f"{lists}/train(single-labeled)/set_1.csv", "video_name,label\n1,1\n300,7\n")
    put(root, f"{lists}/test(single-labeled)/set_1.csv", "video_name,label\n20,6\n")
    put(root, f"{lists}/train(single-labeled)/set_2.csv", "video_name,label\n20,6\n1,2\n")
    put(root, f"{lists}/readme.csv", "a,b\n1,2\n")


def write_ferv39k(root: Path) -> None:
    for clip in ("Action/Sad/0010", "Crime/Happy/0010"):
        put(root, f"2_ClipsforFaceCrop/{clip}/{clip[-4:]}_0001.jpg")
    put(root, "4_setups/All_scenes/train_All.csv", "Action/Sad/0010 Sad\nAction/Sad/0011 Sad\n")
    put(root, "4_setups/All_scenes/test_All.csv", "Crime/Happy/0010 Happy\nCrime/Happy/0012 Joyful-ish\n")
    put(root, "4_setups/Action/train_Action.csv", "Sad/0010 Sad\nSad/0011 Sad\n")


def write_mafw(root: Path) -> None:
    put(root, "data/frames/00001/00001.jpg")
    put(root, "data/clips/00002.mp4", video(".mp4"))
    lists = "Train & Test Set/single/no_caption"
    put(root, f"{lists}/set_1/train.txt", "00001.mp4 anger\n00002.mp4 helplessness\n")
    put(root, f"{lists}/set_1/test.txt", "00003.mp4 contempt\n")
    put(root, "Train & Test Set/compound/no_caption/set_1/train.txt", "00001.mp4 anger_fear\n")


def write_oulu_casia(root: Path) -> None:
    for number in range(5):
        put(root, f"OriginalImg/VL/Strong/P001/Anger/{number:03d}.jpeg")
    put(root, "OriginalImg/NI/Dark/P001/Surprise/000.jpeg")
    put(root, "OriginalImg/NI/Dark/P001/Surprise/001.jpeg")
    put(root, "OriginalImg/VL/Strong/P001/readme.jpeg")


def write_afew_va(root: Path) -> None:
    points = [[float(10 + number), float(20 + 2 * number)] for number in range(68)]
    frames = {
        "00000": {"landmarks": points, "valence": 10.0, "arousal": -10.0},
        "00001": {"landmarks": points[:5], "valence": 0.0, "arousal": 5.0},
        "00002": {"landmarks": points, "valence": 0.0, "arousal": 5.0},
    }
    put(root, "001/001.json", json.dumps({"video_id": "001", "actor": "Somebody", "frames": frames}))
    put(root, "001/00000.png")
    put(root, "001/00001.png")
    put(root, "002/002.json", "{")
    put(root, "002/00000.png")


def write_affwild2(root: Path) -> None:
    header = "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other\n"
    put(root, "annotations/EXPR_Set/Train_Set/1-30.txt", header + "4\n-1\n7\n9\n-1\n0\n")
    put(root, "annotations/VA_Set/Validation_Set/1-30.txt", "valence,arousal\n0.5,-0.25\n0.1,0.2\n-5,-5\n0,0\n-5,-5\n")
    put(root, "annotations/VA_Set/Validation_Set/1-30_left.txt", "valence,arousal\n1,-1\n")
    for name in ("1-30/00001.jpg", "1-30/00002.jpg", "1-30/00003.jpg", "1-30_left/00001.jpg"):
        put(root, f"cropped_aligned/{name}")


def write_ravdess(root: Path) -> None:
    put(root, "Actor_12/01-01-03-01-01-01-12.mp4", video(".mp4"))
    put(root, "Actor_12/02-01-03-01-01-01-12.mp4", video(".mp4", 9))
    put(root, "Actor_01/02-01-02-01-02-01-01.mp4", video(".mp4", 20))
    put(root, "Actor_01/03-01-02-01-02-01-01.wav")
    for number in range(12):
        put(root, f"Actor_03/02-01-0{number % 8 + 1}-01-01-0{number // 8 + 1}-03.mp4", video(".mp4", 30 + number))
    put(root, "Actor_01/x.mp4", video(".mp4", 60))


def write_cremad(root: Path) -> None:
    put(root, "VideoFlash/1001_DFA_ANG_XX.avi", video(".avi"))
    put(root, "VideoFlash/1002_IEO_SAD_HI.webm", b"torn")
    people = "ActorID,Age,Sex,Race,Ethnicity\n1001,51,Male,Caucasian,Not Hispanic\n"
    put(root, "VideoDemographics.csv", people)


def write_meld(root: Path) -> None:
    header = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season\n"
    put(root, "train_sent_emo.csv", header + '1,"Hi, you",Ross,joy,positive,0,0,8\n2,No,Joey,anger,negative,0,1,8\n')
    put(root, "test_sent_emo.csv", header + "1,So,Monica,neutral,neutral,0,0,8\n")
    put(root, "train/train_splits/dia0_utt0.mp4", video(".mp4"))
    put(root, "output_repeated_splits_test/dia0_utt0.mp4", video(".mp4", 90))


def write_video_folder(root: Path) -> None:
    put(root, "train/Anger/0001.avi", video(".avi"))
    put(root, "train/Happy/0001.avi", video(".avi", 50))
    put(root, "test/Happy/deeper/0002.MKV", video(".mkv"))
    put(root, "test/loose.mp4", video(".mp4"))
    put(root, "test/Anger/torn.mp4", video(".mp4")[:300])


def write_mafw_compound(root: Path) -> None:
    lists = "Train & Test Set/compound/no_caption"
    for fold in (1, 2):
        put(root, f"{lists}/set_{fold}/train.txt", "00001.mp4\tanger_disgust\n00002.mp4  fear\n00004.mp4 anger_glee\n")
        put(root, f"{lists}/set_{fold}/test.txt", "00003.mp4 anger_disgust_anxiety\n")
    for number in (1, 2, 3, 4):
        put(root, f"data/frames/{number:05d}/00001.png")


def write_rml(root: Path) -> None:
    put(root, "rml-1/s1/an1.avi", video(".avi", 11))
    put(root, "rml-2/S4/Mandarin/an1.avi", video(".avi", 12))
    put(root, "rml-2/s4/su12.AVI", video(".avi", 13))
    for number in range(17):
        put(root, f"rml-3/s8/{('di', 'fe', 'ha', 'sa')[number % 4]}{number}.avi", video(".avi", 20 + number))
    put(root, "rml-1/intro/an1.avi", video(".avi", 14))


def write_baum1(root: Path) -> None:
    sheet = "1,1,31,S001_001,Anger,1,Female\n2,1,31,S001_002,Unsure,13,Female\n3,15,20,S015_007,Happiness,9,Male\n"
    sheet += "4,2,40,S002_001,Bored?,2,Male\n"
    put(root, "Annotations_BAUM1s.csv", f"No,Subject,Age,Clip,Emotion,Code,Gender\n{sheet}")
    put(root, "Annotations_BAUM1s.xlsx", b"PK")
    put(root, "Annotations_BAUM1a.csv", "Clip Name,Emotion,Emotion code\nS001_001,Interest,6\nS009_001,Fear,4\n")
    put(root, "BAUM1s_MP4 - All/s001/S001_001.mp4", video(".mp4", 31))
    put(root, "BAUM1s_MP4 - All/s001/S001_002.mp4", video(".mp4", 32))
    put(root, "BAUM1a_MP4_all/s001/S001_001.mp4", video(".mp4", 33))


CLIP_WRITERS = {
    "dfew": write_dfew, "ferv39k": write_ferv39k, "mafw": write_mafw, "oulu_casia": write_oulu_casia,
    "afew_va": write_afew_va, "affwild2": write_affwild2, "ravdess": write_ravdess, "cremad": write_cremad,
    "meld": write_meld, "video_folder": write_video_folder,
    "mafw_compound": write_mafw_compound, "rml": write_rml, "baum1": write_baum1,
}  # fmt: skip
