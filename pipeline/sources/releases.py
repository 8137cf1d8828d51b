"""The public counts of known releases, per split and class, in the labels of their readers.

From the papers and readmes of the datasets; the numbers of every split add up to its published size.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pipeline.sources.rows import NO_SPLIT

Counts = Mapping[str, Mapping[str, int]]  # split -> label -> rows

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
_SFEW_LABELS: Final = ("Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")
_KDEF_LABELS: Final = ("AF", "AN", "DI", "HA", "NE", "SA", "SU")


@dataclass(frozen=True, slots=True)
class Release:
    """One release. `rows` gives the size of each split where no counts per class are public."""

    name: str
    formats: tuple[str, ...]
    labels: Counts
    rows: Mapping[str, int]
    sequences: bool = False  # counted by sequence, not by frame

    def size(self) -> int:
        """Return the number of rows in all splits."""
        return sum(self.rows.values())


def _release(name: str, formats: tuple[str, ...], labels: Counts, *, sequences: bool = False) -> Release:
    return Release(name, formats, labels, {split: sum(of.values()) for split, of in labels.items()}, sequences)


RELEASES: Final = (
    _release(
        "AffectNet",
        ("affectnet",),
        {
            "training": {**_AFFECTNET_TRAINING, "none": 33088, "uncertain": 11645, "no-face": 82415},
            "validation": dict.fromkeys((*_AFFECTNET_TRAINING, "none", "uncertain", "no-face"), 500),
        },
    ),
    _release(
        "AffectNet-8",
        ("affectnet_npy", "affectnet_folder"),
        {"training": _AFFECTNET_TRAINING, "validation": dict.fromkeys(_AFFECTNET_TRAINING, 500)},
    ),
    _release(
        "CK+",
        ("ckplus",),
        {NO_SPLIT: {
            "anger": 45, "contempt": 18, "disgust": 59, "fear": 25, "happy": 69, "sadness": 28, "surprise": 83,
        }},
        sequences=True,
    ),
    _release(
        "CK+48",
        ("ck48",),
        {NO_SPLIT: {
            "anger": 135, "contempt": 54, "disgust": 177, "fear": 75, "happy": 207, "sadness": 84, "surprise": 249,
        }},
    ),
    _release(
        "RAF-DB basic",
        ("rafdb", "rafdb_folder"),
        {
            "train": dict(zip(_RAFDB_LABELS, (1290, 281, 717, 4772, 1982, 705, 2524), strict=True)),
            "test": dict(zip(_RAFDB_LABELS, (329, 74, 160, 1185, 478, 162, 680), strict=True)),
        },
    ),
    Release("RAF-DB compound", ("rafdb_compound",), {}, {"train": 3162, "test": 792}),
    _release(
        "FER2013",
        ("fer2013", "fer2013_folder"),
        {split: dict(zip(_FER_LABELS, counts, strict=True)) for split, counts in _FER2013.items()},
    ),
    Release("FER+", ("ferplus",), {}, {split: sum(counts) for split, counts in _FER2013.items()}),
    _release(
        "JAFFE",
        ("jaffe",),
        {NO_SPLIT: {"AN": 30, "DI": 29, "FE": 32, "HA": 31, "NE": 30, "SA": 31, "SU": 30}},
    ),
    _release(
        "ExpW",
        ("expw",),
        {NO_SPLIT: dict(zip(_FER_LABELS, (3671, 3995, 1088, 30537, 10559, 7060, 34883), strict=True))},
    ),
    _release("KDEF", ("kdef",), {NO_SPLIT: dict.fromkeys(_KDEF_LABELS, 700)}),
    _release(
        "RaFD",
        ("rafd",),
        {NO_SPLIT: dict.fromkeys(
            ("angry", "contemptuous", "disgusted", "fearful", "happy", "neutral", "sad", "surprised"), 1005
        )},
    ),
    _release(
        "SFEW 2.0",
        ("sfew",),
        {
            "Train": dict(zip(_SFEW_LABELS, (178, 52, 78, 184, 144, 161, 94), strict=True)),
            "Val": dict(zip(_SFEW_LABELS, (77, 23, 46, 72, 84, 73, 56), strict=True)),
        },
    ),
)  # fmt: skip
