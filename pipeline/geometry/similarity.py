"""Plane geometry of faces: the five-point template, the similarity that maps onto it, boxes and their overlap.

Points are x, y in pixels; a whole number is the centre of a pixel. Boxes are x0, y0, x1, y1. The first axis of an array
is the face: landmarks ``(n, 5, 2)``, boxes ``(n, 4)``, similarities ``(n, 2, 3)``.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TEMPLATE_NAME: Final = "arcface-112"
# The mean positions that ArcFace aligns to (Deng et al. 2019, insightface's `arcface_dst`), as shares of its
# 112 px crop: the eye at the left of the picture, the eye at the right, nose tip, mouth corner left, then right.
TEMPLATE: Final[Floats] = (
    np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]) / 112
)

# Mean positions of the five points in MTCNN's boxes over 300 video frames, made symmetric, as shares of the box's side.
BOX_PLACES: Final[Floats] = np.array([[0.333, 0.39], [0.667, 0.39], [0.5, 0.588], [0.36, 0.767], [0.64, 0.767]])


def template_points(size_px: int, margin: float) -> Floats:
    """Return the positions of the five points in a crop of this side, (5, 2) in pixels.

    At 112 px and without a margin they are ArcFace's own numbers.

    Args:
        size_px: the side of the square crop.
        margin: the share of the side kept free around ArcFace's own crop, on each side.
    """
    return (margin + (1 - 2 * margin) * TEMPLATE) * size_px


def fit_similarity(points: Floats, target: Floats) -> Floats:
    """Return the similarity (rotation, uniform scale, shift) that maps points onto a target with least squared error.

    This is the closed form of Umeyama (1991) for the plane, in complex numbers. A complex factor is a rotation and a
    scale, so the result can contain neither shear nor reflection.

    Args:
        points: (n, k, 2).
        target: (k, 2).

    Returns:
        (n, 2, 3) affine matrices.
    """
    given = points[..., 0] + 1j * points[..., 1]
    wanted = target[:, 0] + 1j * target[:, 1]
    mean_given, mean_wanted = given.mean(axis=1, keepdims=True), wanted.mean()
    centred = given - mean_given
    spread = (np.abs(centred) ** 2).sum(axis=1)
    # The floor only avoids a division by zero when all points coincide; the numerator is 0 then, too.
    turn = (np.conj(centred) * (wanted - mean_wanted)).sum(axis=1) / np.maximum(spread, 1e-12)
    shift = mean_wanted - turn * mean_given[:, 0]
    rows = [[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]]
    return np.asarray(rows).transpose(2, 0, 1)


def transform_points(matrix: Floats, points: Floats) -> Floats:
    """Apply (2, 3) affine matrices, one or (n,) of them, to points (..., 2)."""
    return points @ np.swapaxes(matrix[..., :2], -1, -2) + matrix[..., None, :, 2]


def invert_similarity(matrix: Floats) -> Floats:
    """Return the inverse of similarities (..., 2, 3)."""
    cosine, sine, x, y = matrix[..., 0, 0], matrix[..., 1, 0], matrix[..., 0, 2], matrix[..., 1, 2]
    squared = cosine * cosine + sine * sine
    cosine, sine = cosine / squared, sine / squared
    rows = [[cosine, sine, -cosine * x - sine * y], [-sine, cosine, sine * x - cosine * y]]
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1))


def roll_deg(landmarks: Floats) -> Floats:
    """Return the angle of the line between the eyes for landmarks (n, 5, 2): degrees, clockwise positive."""
    across = landmarks[:, 1] - landmarks[:, 0]
    return np.asarray(np.degrees(np.arctan2(across[:, 1], across[:, 0])))


def frontality(landmarks: Floats) -> Floats:
    """Return how frontal faces are: 1 if the nose is midway between the eyes, 0 if it is level with one of them.

    It is measured along the line between the eyes, from landmarks (n, 5, 2), so roll does not change it.
    """
    across = landmarks[:, 1] - landmarks[:, 0]
    middle = (landmarks[:, 0] + landmarks[:, 1]) / 2
    squared = np.maximum((across**2).sum(axis=1), 1e-12)
    along = ((landmarks[:, 2] - middle) * across).sum(axis=1) / squared
    # `along` is 0 midway between the eyes and 0.5 at either eye.
    return np.asarray(np.clip(1 - 2 * np.abs(along), 0, 1))


def box_sizes(boxes: Floats) -> Floats:
    """Return the square root of the area of boxes (n, 4); 0 for an empty one."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return np.asarray(np.sqrt(sides[:, 0] * sides[:, 1]))


def points_outside(landmarks: Floats, shape: tuple[int, ...]) -> int:
    """Return how many points (k, 2) lie outside a picture of this shape (height, width, ...)."""
    # Pixel 0 is centred at 0, so the picture begins at -0.5.
    beyond = (landmarks < -0.5) | (landmarks > np.array([shape[1], shape[0]]) - 0.5)
    return int(beyond.any(axis=1).sum())


def overlaps(boxes: Floats, box: Floats) -> Floats:
    """Return the intersection over union of boxes (n, 4) with one box (4,)."""
    given = box.tolist()
    # Plain floats, because there are few boxes and one call to NumPy takes longer than a whole box.
    return np.array([_overlap(one, given) for one in boxes.tolist()])


def _overlap(one: list[float], other: list[float]) -> float:
    wide, high = min(one[2], other[2]) - max(one[0], other[0]), min(one[3], other[3]) - max(one[1], other[1])
    common = max(wide, 0.0) * max(high, 0.0)
    areas = [max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0) for box in (one, other)]
    return common / max(sum(areas) - common, 1e-12)
