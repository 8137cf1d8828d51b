"""The public counts of known releases, per split and class, with the labels of their readers.

Each names the source of its numbers. If only sizes are public, or only those could be checked, there are no counts per
class, because a wrong number would refuse a correct dataset. The counts of every split add up to its published size.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pipeline.core.split_names import TEST, VAL, split_name
from pipeline.ingest.raw_dataset import NO_SPLIT

Counts = Mapping[str, Mapping[str, int]]  # split -> label -> rows

HELD_OUT: Final = frozenset({VAL, TEST})

_AFFECTNET_TRAINING: Final = {
    "neutral": 74874, "happy": 134415, "sad": 25459, "surprise": 14090, "fear": 6378, "disgust": 3803, "anger": 24882,
    "contempt": 3750,
}  # fmt: skip
_FER2013: Final = {
    "Training": (3995, 436, 4097, 7215, 4830, 3171, 4965),
    "PublicTest": (467, 56, 496, 895, 653, 415, 607),
    "PrivateTest": (491, 55, 528, 879, 594, 416, 626),
}
_FER_LABELS: Final = ("anger", "disgust", "fear", "happy", "sad", "surprise", "neutral")
_RAFDB_LABELS: Final = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
_KDEF_LABELS: Final = ("AF", "AN", "DI", "HA", "NE", "SA", "SU")


@dataclass(frozen=True, slots=True)
class Release:
    """One release. `rows` has the size of each split, or of all under `NO_SPLIT`; `source` says who publishes it."""

    name: str
    formats: tuple[str, ...]
    labels: Counts
    rows: Mapping[str, int]
    source: str
    sequences: bool = False  # counted by sequence, not by frame

    def size(self) -> int:
        """Return the number of rows in all splits."""
        return sum(self.rows.values())


def split_key(name: str) -> str:
    """Return train, val or test for the name of a split; other names are returned unchanged."""
    return split_name(name) or name


def _release(name: str, formats: tuple[str, ...], labels: Counts, source: str, *, sequences: bool = False) -> Release:
    rows = {split: sum(of.values()) for split, of in labels.items()}
    return Release(name, formats, labels, rows, source, sequences)


RELEASES: Final = (
    _release(
        "AffectNet",
        ("affectnet",),
        {
            "training": {**_AFFECTNET_TRAINING, "none": 33088, "uncertain": 11645, "no-face": 82415},
            "validation": dict.fromkeys((*_AFFECTNET_TRAINING, "none", "uncertain", "no-face"), 500),
        },
        "Mollahosseini, Hasani, Mahoor: AffectNet, TAC 2019, table 3, less 500 of each class for validation; "
        "github.com/coder-xinxiaohai/AffectNet_Processing counts the same rows in training.csv",
    ),
    _release(
        "AffectNet-8",
        ("affectnet_npy", "affectnet_folder"),
        {"training": _AFFECTNET_TRAINING, "validation": dict.fromkeys(_AFFECTNET_TRAINING, 500)},
        "as AffectNet, the eight expressions alone: 287,651 and 4,000",
    ),
    _release(
        "CK+",
        ("ckplus",),
        {NO_SPLIT: {
            "anger": 45, "contempt": 18, "disgust": 59, "fear": 25, "happy": 69, "sadness": 28, "surprise": 83,
        }},
        "Lucey et al., CVPR Workshops 2010, table 1: 327 labelled sequences",
        sequences=True,
    ),
    _release(
        "CK+48",
        ("ck48",),
        {NO_SPLIT: {
            "anger": 135, "contempt": 54, "disgust": 177, "fear": 75, "happy": 207, "sadness": 84, "surprise": 249,
        }},
        "three frames of each of CK+'s 327 sequences; huggingface.co/datasets/AlirezaF138/ckplus-dataset: 981",
    ),
    _release(
        "CK+ as csv of pixels",
        ("ckplus_csv",),
        {NO_SPLIT: {
            "anger": 45, "disgust": 59, "fear": 25, "happy": 69, "sad": 28, "surprise": 83, "neutral": 593,
            "contempt": 18,
        }},
        "readme of huggingface.co/datasets/AlirezaF138/ckplus-dataset at 7047232: 920 pictures",
    ),
    _release(
        "RAF-DB basic",
        ("rafdb", "rafdb_folder"),
        {
            "train": dict(zip(_RAFDB_LABELS, (1290, 281, 717, 4772, 1982, 705, 2524), strict=True)),
            "test": dict(zip(_RAFDB_LABELS, (329, 74, 160, 1185, 478, 162, 680), strict=True)),
        },
        "Li, Deng, Du, CVPR 2017; sizes 12,271 and 3,068 in the release's readme",
    ),
    Release(
        "EMOTIC",
        ("emotic", "emotic_csv"),
        {},
        {NO_SPLIT: 34320},
        "Kosti, Alvarez, Recasens, Lapedriza, TPAMI 2020: 34,320 people in 23,571 pictures",
    ),
    _release(
        "FER2013",
        ("fer2013", "fer2013_folder"),
        {split: dict(zip(_FER_LABELS, counts, strict=True)) for split, counts in _FER2013.items()},
        "Goodfellow et al., ICONIP 2013, section 3: 35,887 pictures and these counts over all splits; "
        "splits of 28,709 and twice 3,589",
    ),
    Release(
        "FER+",
        ("ferplus",),
        {},
        {split: sum(counts) for split, counts in _FER2013.items()},
        "github.com/microsoft/FERPlus: a row for each of FER2013",
    ),
    _release(
        "JAFFE",
        ("jaffe",),
        {NO_SPLIT: {"AN": 30, "DI": 29, "FE": 32, "HA": 31, "NE": 30, "SA": 31, "SU": 30}},
        "Lyons, Akamatsu, Kamachi, Gyoba, FG 1998; zenodo.org/records/3451524: 213 pictures",
    ),
    _release(
        "ExpW",
        ("expw",),
        {NO_SPLIT: dict(zip(_FER_LABELS, (3671, 3995, 1088, 30537, 10559, 7060, 34883), strict=True))},
        "Zhang, Luo, Loy, Tang, IJCV 2018: 91,793 faces",
    ),
    _release(
        "KDEF",
        ("kdef",),
        {NO_SPLIT: dict.fromkeys(_KDEF_LABELS, 700)},
        "kdef.se: 70 people, 7 expressions, 5 angles, 2 sessions: 4,900 pictures",
    ),
    _release(
        "RaFD",
        ("rafd",),
        {NO_SPLIT: dict.fromkeys(
            ("angry", "contemptuous", "disgusted", "fearful", "happy", "neutral", "sad", "surprised"), 1005
        )},
        "Langner et al., Cognition and Emotion 2010: 67 people, 8 expressions, 3 gazes, 5 angles: 8,040 pictures",
    ),
    # Of all frames: those whose faces the authors could align are fewer, and how many of which class is not public.
    Release("SFEW 2.0", ("sfew",), {}, {"Train": 958, "Val": 436}, "EmotiW 2015, SReco; hyper.ai/datasets/18168"),
)  # fmt: skip
