"""Turn pictures by quarters and map detections back. A turn is 0, 90, 180 or 270 degrees, clockwise."""

from dataclasses import replace
from typing import Final

import cv2
import numpy as np

from pipeline.align.detectors.detector import Faces, Floats, View

QUARTERS: Final = (180, 90, 270)  # the most likely one first
FULL_DEG: Final = 360
# OpenCV, because NumPy takes several times as long to copy the view that `np.rot90` returns.
_ROTATIONS: Final = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


def turn_view(view: View, turn_deg: int) -> View:
    """Return the picture turned clockwise, with its hint turned in the same way; a turn of 0 copies nothing."""
    pixels = np.asarray(cv2.rotate(view.pixels, _ROTATIONS[turn_deg]), np.uint8) if turn_deg else view.pixels
    hint = view.hint
    if hint is not None:
        hint = replace(hint, box=turn_boxes(hint.box[None], view.pixels.shape, turn_deg)[0])
    return replace(view, pixels=pixels, hint=hint)


def turn_points(points: Floats, shape: tuple[int, ...], turn_deg: int) -> Floats:
    """Map points of a picture to the turned picture.

    Args:
        points: (..., 2) x, y in pixels; a whole number is the centre of a pixel.
        shape: (height, width, ...) of the picture before the turn.
        turn_deg: 0, 90, 180 or 270, clockwise.
    """
    height, width = shape[:2]
    x, y = points[..., 0], points[..., 1]
    right, bottom = width - 1 - x, height - 1 - y
    return np.stack({0: (x, y), 90: (bottom, x), 180: (right, bottom), 270: (y, right)}[turn_deg], axis=-1)


def turn_boxes(boxes: Floats, shape: tuple[int, ...], turn_deg: int) -> Floats:
    """Map boxes (n, 4) of a picture of this shape (height, width, ...) to the turned picture.

    A turn exchanges corners, so the result is put in order again: x0 <= x1 and y0 <= y1.
    """
    corners = turn_points(boxes.reshape(-1, 2, 2), shape, turn_deg)
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


def turn_back(faces: Faces, shape: tuple[int, ...], turn_deg: int) -> Faces:
    """Map faces that were found on the turned picture back to the picture.

    The landmarks keep their order: the first eye is the one at the left when the face is upright.

    Args:
        faces: boxes and landmarks in pixels of the turned picture.
        shape: (height, width, ...) of the picture before the turn.
        turn_deg: the turn that is undone, clockwise.
    """
    turned, back = (shape[:2] if turn_deg % 180 == 0 else shape[1::-1]), (FULL_DEG - turn_deg) % FULL_DEG
    return Faces(turn_boxes(faces.boxes, turned, back), faces.scores, turn_points(faces.landmarks, turned, back))
