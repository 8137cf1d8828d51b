"""The protocol of a detector: pictures in, the faces of each picture out. `BUILDERS` of the cascade lists them all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Hint:
    """The box around the face or the whole body, or a point in the face, in pixels of the view."""

    box: Floats  # (4,) x0, y0, x1, y1; of a point x, y, x, y
    kind: str  # "face", "body" or "point"


@dataclass(frozen=True, slots=True)
class View:
    """One picture as a detector gets it: RGB (H, W, 3) or grey (H, W), with the dataset's box if there is one."""

    pixels: Pixels
    hint: Hint | None = None


@dataclass(frozen=True, slots=True)
class Faces:
    """The faces of one view.

    `boxes` are (n, 4) x0, y0, x1, y1 and `landmarks` (n, 5, 2) x, y, both in pixels of the view; `scores` are (n,) in
    0..1. The landmarks are the eye at the left of the picture, the eye at the right, the tip of the nose, and the left
    and right corner of the mouth.
    """

    boxes: Floats
    scores: Floats
    landmarks: Floats

    def __len__(self) -> int:
        """Return the number of faces."""
        return len(self.scores)

    @staticmethod
    def none() -> "Faces":
        """Return an object with zero faces."""
        return Faces(np.zeros((0, 4)), np.zeros(0), np.zeros((0, 5, 2)))

    def take(self, rows: NDArray[np.intp]) -> "Faces":
        """Return the faces with these indices, in this order."""
        return Faces(self.boxes[rows], self.scores[rows], self.landmarks[rows])


class Detector(Protocol):
    """Finds the faces in pictures. Each worker process makes one object and uses it from one thread."""

    name: str  # the value of the column `detector`; several attempts may share it

    def detect(self, views: Sequence[View]) -> list[Faces]:
        """Return the faces of each view, in order.

        The faces of one view must not depend on the other views, because batches change with the machine.
        """
        ...


def as_rgb(pixels: Pixels) -> Pixels:
    """Return pixels (H, W, 3), contiguous; a grey picture is repeated in all three channels."""
    if pixels.ndim == 2:
        return np.repeat(pixels[:, :, None], 3, axis=2)
    return np.ascontiguousarray(pixels)
