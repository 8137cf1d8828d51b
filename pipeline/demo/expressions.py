"""The eight expressions as facial action units, and the action units as moves of the 68 landmarks.

An expression is a set of action units with intensities, as in the Facial Action Coding System (Ekman and Friesen,
1978; the prototypes follow EMFACS, Friesen and Ekman, 1983). An action unit moves landmarks; moves are in pixels of
the portrait (43.5 px between the eyes), `out` away from the middle of the face and `down` the picture.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline.core.emotions import Emotion
from pipeline.demo.portrait import LANDMARKS, Points

Units = Mapping[str, float]
Move = tuple[float, float]  # out, down


@dataclass(frozen=True, slots=True)
class Expression:
    """Action units with intensities (1 is strong), and the valence and arousal of the expression (-1..1)."""

    units: Units
    valence: float
    arousal: float


# The mouth of the portrait smiles; this is the same mouth at rest. Points 48-67.
_MOUTH_AT_REST: Final = np.array(
    [
        *((206.8, 145.6), (212.5, 142.9), (219.3, 141.2), (223, 141.8), (226.7, 141.2), (234, 143), (240.5, 146)),
        *((235, 150.3), (229, 152.8), (223.2, 153.5), (217.2, 152.8), (211.8, 150)),
        *((208, 145.7), (215.3, 146), (223, 146.4), (231, 146.2), (239.3, 146)),
        *((231, 146.4), (223, 146.6), (215.3, 146.2)),
    ]
)
# Left half of the picture; the right half mirrors it. Landmark -> move.
_UNITS: Final[Mapping[str, Mapping[int, Move]]] = {
    "1": {21: (0.6, -6.5), 20: (0, -4), 19: (0, -1)},
    "2": {17: (0, -4), 18: (0, -6), 19: (0, -6), 20: (0, -3)},
    "4": {21: (-4, 5.5), 20: (-3, 4.2), 19: (-1.8, 2.6), 18: (-0.6, 1.2), 27: (0, 1)},
    "5": {37: (0, -2.3), 38: (0, -2.3), 41: (0, 0.7), 40: (0, 0.7)},
    "6": {40: (0, -1.3), 41: (0, -1.4), 36: (0, -0.4)},
    "7": {37: (0, 1.1), 38: (0, 1.1), 40: (0, -1.2), 41: (0, -1.2)},
    "9": {31: (1.6, -3.2), 32: (0.6, -2.4), 33: (0, -1.2), 30: (0, -2), 29: (0, -2.2), 28: (0, -1.6), 21: (-1, 2)},
    "10": {49: (0.5, -2), 50: (0.4, -4), 51: (0, -3.6), 61: (0.4, -3.4), 62: (0, -3), 31: (0.8, -1)},
    "12": {48: (6, -6), 60: (6, -6), 49: (3.4, -2.6), 59: (3.4, -2.6), 61: (2, -0.8), 67: (2, -0.8), 50: (1, 0)},
    "14": {48: (3.2, -2.2), 60: (3, -2.2), 49: (1, -0.6), 59: (1, -0.6)},
    "15": {48: (0.8, 5.6), 60: (0.6, 5.4), 49: (0, 2), 59: (0.4, 2.8), 61: (0, 1.3), 67: (0, 1.3)},
    "17": {57: (0, -2.4), 58: (0, -2), 66: (0, -1.8), 62: (0, -1.8), 61: (0, -1.2), 67: (0, -1.2), 8: (0, -2)},
    "20": {48: (5, 1.2), 60: (5, 1.2), 49: (2.6, 0.2), 59: (2.6, 0.8), 67: (2, 0), 61: (2, 0)},
    "23": {
        48: (-1.5, 0), 60: (-1.5, 0), 49: (0, 1.2), 50: (0, 2), 51: (0, 1.8),
        57: (0, -2.6), 58: (0, -2.4), 59: (0, -1.2),
    },
    "25": {66: (0, 3), 67: (0, 2.6), 57: (0, 2.6), 58: (0, 2.4), 59: (0, 1.4), 62: (0, -0.8), 61: (0, -0.6)},
    "26": {
        66: (0, 15), 67: (-0.5, 13), 57: (0, 15), 58: (0, 14), 59: (-1.5, 10), 48: (-3.5, 4), 60: (-3, 4),
        49: (-1.5, 0), 8: (0, 12), 7: (0, 11.5), 6: (-0.5, 9.5), 5: (-1, 7), 4: (-1, 4), 3: (-0.5, 1.5),
    },
}  # fmt: skip
EXPRESSIONS: Final[Mapping[Emotion, Expression]] = {
    Emotion.anger: Expression({"4": 1.0, "5": 0.45, "7": 0.5, "23": 0.9, "9": 0.15, "17": 0.3}, -0.5, 0.65),
    Emotion.contempt: Expression({"12R": 0.6, "14R": 1.0, "7R": 0.3, "2L": 0.2}, -0.55, 0.2),
    Emotion.disgust: Expression({"9": 1.0, "10": 0.9, "4": 0.15, "7": 0.6, "15": 0.35, "17": 0.2}, -0.7, 0.35),
    Emotion.fear: Expression(
        {"1": 1.0, "2": 0.5, "4": 0.35, "5": 0.9, "20": 0.9, "15": 0.5, "25": 0.6, "26": 0.4}, -0.3, 0.8
    ),
    Emotion.happy: Expression({"6": 0.9, "12": 1.0, "25": 1.0}, 0.8, 0.25),
    Emotion.neutral: Expression({}, 0.0, 0.0),
    Emotion.sad: Expression({"1": 0.9, "4": 0.3, "15": 0.9, "17": 0.5, "7": 0.25}, -0.7, -0.35),
    Emotion.surprise: Expression({"1": 0.9, "2": 1.0, "5": 0.9, "26": 1.0}, 0.15, 0.8),
}
# The smallest distances, in portrait pixels, between the lids, between lid and brow, and across the red of a lip.
_EYE_PX: Final = 3.6
_BROW_PX: Final = 5.0
_LIP_PX: Final = 1.8
# Landmark -> the one on the other side.
_MIRROR: Final = np.array(
    [
        *(*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31),
        *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),
        *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65),
    ]
)


def at_rest() -> Points:
    """Return the 68 landmarks of the portrait with its mouth closed and its eyes as open as at rest."""
    points = LANDMARKS.copy()
    points[48:68] = _MOUTH_AT_REST
    points[[37, 38, 43, 44], 1] -= 0.5
    points[[40, 41, 46, 47], 1] += 0.3
    points[6:11, 1] -= 1.0
    return points


def moves(units: Units) -> Points:
    """Return how far each of the 68 landmarks moves, (68, 2) pixels of the portrait.

    A unit's name may end in L or R: it then acts on that half of the picture alone.
    """
    total = np.zeros((68, 2))
    for name, intensity in units.items():
        side = name[-1] if name[-1] in "LR" else ""
        for landmark, (out, down) in _UNITS[name.rstrip("LR")].items():
            mirrored = int(_MIRROR[landmark])
            if side != "R":
                total[landmark] += (-out * intensity, down * intensity)
            if side != "L" and mirrored != landmark:
                total[mirrored] += (out * intensity, down * intensity)
            elif side == "R":
                total[landmark] += (0, down * intensity)
    return total


def keep_apart(face: Points) -> Points:
    """Return the 68 landmarks without crossings, in portrait pixels, because a warp must not fold the face.

    Brows stay above the eyes, eyes stay open, and lips keep some red.
    """
    held = face.copy()
    for upper, lower in (([37, 38], [41, 40]), ([43, 44], [47, 46])):
        closed = np.maximum(0, _EYE_PX - (held[lower, 1] - held[upper, 1])) / 2
        held[upper, 1] -= closed
        held[lower, 1] += closed
    for brow, lid in (([17, 18, 19, 20, 21], [36, 37, 38, 39]), ([22, 23, 24, 25, 26], [42, 43, 44, 45])):
        held[brow, 1] = np.minimum(held[brow, 1], np.interp(held[brow, 0], *held[lid].T) - _BROW_PX)
    upper, lower = [49, 50, 51, 52, 53], [55, 56, 57, 58, 59]
    held[upper, 1] = np.minimum(held[upper, 1], np.interp(held[upper, 0], *held[60:65].T) - _LIP_PX)
    rim = held[[60, 67, 66, 65, 64]].T
    held[lower, 1] = np.maximum(held[lower, 1], np.interp(held[lower, 0], *rim) + _LIP_PX)
    return held
