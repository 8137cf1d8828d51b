"""Pictures turned by quarters, and what was found on them brought back. A turn is in degrees, clockwise."""

from dataclasses import replace
from typing import Final

import cv2
import numpy as np

from pipeline.align.detectors.detector import Faces, Floats, View

QUARTERS: Final = (180, 90, 270)  # the likeliest first
FULL_DEG: Final = 360
# OpenCV turns a picture in a fraction of the time that NumPy takes to copy a turned one.
_ROTATIONS: Final = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


def turn_view(view: View, turn_deg: int) -> View:
    """Return the picture turned, its hint with it."""
    pixels = np.asarray(cv2.rotate(view.pixels, _ROTATIONS[turn_deg]), np.uint8) if turn_deg else view.pixels
    hint = view.hint
    if hint is not None:
        hint = replace(hint, box=turn_boxes(hint.box[None], view.pixels.shape, turn_deg)[0])
    return replace(view, pixels=pixels, hint=hint)


def turn_points(points: Floats, shape: tuple[int, ...], turn_deg: int) -> Floats:
    """Return points (..., 2) of a picture of this shape where they lie on the turned one; whole numbers are centres."""
    height, width = shape[:2]
    x, y = points[..., 0], points[..., 1]
    right, bottom = width - 1 - x, height - 1 - y
    return np.stack({0: (x, y), 90: (bottom, x), 180: (right, bottom), 270: (y, right)}[turn_deg], axis=-1)


def turn_boxes(boxes: Floats, shape: tuple[int, ...], turn_deg: int) -> Floats:
    """Return boxes (n, 4) of a picture of this shape as they lie on the turned one."""
    corners = turn_points(boxes.reshape(-1, 2, 2), shape, turn_deg)
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


def turn_back(faces: Faces, shape: tuple[int, ...], turn_deg: int) -> Faces:
    """Return faces of a picture of this shape that was turned in its own pixels; the eye at the left stays first."""
    turned, back = (shape[:2] if turn_deg % 180 == 0 else shape[1::-1]), (FULL_DEG - turn_deg) % FULL_DEG
    return Faces(turn_boxes(faces.boxes, turned, back), faces.scores, turn_points(faces.landmarks, turned, back))
