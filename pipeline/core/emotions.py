"""The eight shared classes in their order, 0 to 7, which every table, shard and network of this project uses."""

from enum import IntEnum
from typing import Final


class Emotion(IntEnum):
    """One shared class. The number is the class index and never changes."""

    anger = 0
    contempt = 1
    disgust = 2
    fear = 3
    happy = 4
    neutral = 5
    sad = 6
    surprise = 7


CLASSES: Final[tuple[str, ...]] = tuple(emotion.name for emotion in Emotion)
# AffectNet's own number of each class. People who know its literature expect these, so reports print both.
AFFECTNET: Final[dict[str, int]] = {
    "anger": 6,
    "contempt": 7,
    "disgust": 5,
    "fear": 4,
    "happy": 1,
    "neutral": 0,
    "sad": 2,
    "surprise": 3,
}

NO_CLASS: Final = -1
UNCLASSED: Final = "unclassed"


def class_name(label: int) -> str:
    """Return the name of a class by its index; `unclassed` for NO_CLASS, a row with affect alone."""
    return UNCLASSED if label == NO_CLASS else CLASSES[label]
