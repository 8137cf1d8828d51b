"""What every detector is: pictures in, the faces of each out. A new one is one file and one line in `BUILDERS`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Hint:
    """What the dataset says about where the face is: a box in pixels of the view, around the face or the whole body."""

    box: Floats  # (4,) x0, y0, x1, y1
    kind: str  # "face" or "body"


@dataclass(frozen=True, slots=True)
class View:
    """One picture as a detector sees it: RGB (H, W, 3) or grey (H, W), and what is known about its face."""

    pixels: Pixels
    hint: Hint | None = None


@dataclass(frozen=True, slots=True)
class Faces:
    """The faces of one view, in its pixels: boxes (n, 4), scores (n,) in 0..1, landmarks (n, 5, 2)."""

    boxes: Floats
    scores: Floats
    landmarks: Floats

    def __len__(self) -> int:
        """Return the number of faces."""
        return len(self.scores)

    @staticmethod
    def none() -> "Faces":
        """Return no face at all."""
        return Faces(np.zeros((0, 4)), np.zeros(0), np.zeros((0, 5, 2)))

    def take(self, rows: NDArray[np.intp]) -> "Faces":
        """Return these faces, in this order."""
        return Faces(self.boxes[rows], self.scores[rows], self.landmarks[rows])


class Detector(Protocol):
    """Finds the faces of pictures. One object lives in each worker process and is used from one thread."""

    name: str  # the family, as the column `detector` has it

    def detect(self, views: Sequence[View]) -> list[Faces]:
        """Return the faces of each view, in order. What it returns for one view does not depend on the others."""
        ...


def as_rgb(pixels: Pixels) -> Pixels:
    """Return (H, W, 3) contiguous pixels; grey is repeated."""
    if pixels.ndim == 2:
        return np.repeat(pixels[:, :, None], 3, axis=2)
    return np.ascontiguousarray(pixels)
