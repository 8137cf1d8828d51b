"""Pictures turned by quarters, and what was found on them brought back. A turn is in degrees, clockwise."""

from dataclasses import replace
from typing import Final

import numpy as np

from pipeline.faces.detector import Faces, Floats, View

QUARTERS: Final = (180, 90, 270)  # the likeliest first
_FULL_DEG: Final = 360


def turn_view(view: View, turn_deg: int) -> View:
    """Return the picture turned, its hint with it."""
    pixels = np.ascontiguousarray(np.rot90(view.pixels, -turn_deg // 90))
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


def turn_back(faces: Faces, turned: View, turn_deg: int) -> Faces:
    """Return faces of a turned picture in pixels of the picture as it lay; the eye that was at the left stays first."""
    shape, back = turned.pixels.shape, (_FULL_DEG - turn_deg) % _FULL_DEG
    return Faces(turn_boxes(faces.boxes, shape, back), faces.scores, turn_points(faces.landmarks, shape, back))
