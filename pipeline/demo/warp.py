"""The warp: where in the portrait each pixel of a rendered face comes from.

Landmarks are moved; between them a thin-plate spline (Bookstein, 1989) says what moves with them. It is solved from
the rendered face back to the portrait, so that every pixel is looked up once. The lips are a cut: above the mouth the
spline is bound to the upper lip, below to the lower one, and what lies between is painted from the portrait's teeth.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.demo.portrait import COLLAR, EARS, HAIRLINE, LANDMARKS, Pixels, Points, to_texture

Floats = NDArray[np.float32]
_STEP_PX: Final = 6
_EYES: Final = ((36, 39, [37, 38, 40, 41]), (45, 42, [43, 44, 46, 47]))
_IRIS_SHIFT: Final = np.array([(0, -0.4), (-0.7, -0.6)])
_UPPER_LIP: Final = [61, 62, 63]
_LOWER_LIP: Final = [65, 66, 67]
_UPPER_OUTLINE: Final = [48, 49, 50, 51, 52, 53, 54, 64, 63, 62, 61, 60]
_LOWER_FACE: Final = [48, 60, 67, 66, 65, 64, 54, 12, 11, 10, 9, 8, 7, 6, 5, 4]
_LOWER_OUTLINE: Final = [60, 67, 66, 65, 64, 54, 55, 56, 57, 58, 59, 48]


@dataclass(frozen=True, slots=True)
class Spline:
    """A thin-plate spline from the plane to the plane."""

    knots: Points  # (K, 2)
    weights: Points  # (K + 3, 2)

    def __call__(self, points: Points) -> Floats:
        """Map (N, 2) points."""
        kernel = _kernel(points.astype(np.float32), self.knots.astype(np.float32))
        weights = self.weights.astype(np.float32)
        count = len(self.knots)
        return np.asarray(kernel @ weights[:count] + weights[count] + points.astype(np.float32) @ weights[count + 1 :])


def build_spline(knots: Points, values: Points) -> Spline:
    """Return the spline that takes each knot to its value; both (K, 2)."""
    count = len(knots)
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = _kernel(knots, knots) + 1e-3 * np.eye(count)
    system[:count, count] = system[count, :count] = 1
    system[:count, count + 1 :] = knots
    system[count + 1 :, :count] = knots.T
    return Spline(knots, np.linalg.solve(system, np.vstack([values, np.zeros((3, 2))])))


def _kernel(points: NDArray[np.floating], knots: NDArray[np.floating]) -> NDArray[np.floating]:
    squared = ((points[:, None] - knots[None]) ** 2).sum(-1)
    return np.asarray(squared * np.log(squared + points.dtype.type(1e-6)))


def warp_face(
    texture: Pixels,
    teeth: Pixels,
    face: Points,
    hair: tuple[Points, Points],
    to_picture: Points,
    size: tuple[int, int],
) -> Pixels:
    """Render a face.

    Args:
        texture: the portrait in a person's colours, (H, W, 4) uint8.
        teeth: the open mouth, (H, W, 3) uint8, as large as the texture.
        face: the 68 landmarks wanted, in portrait pixels.
        hair: the outline of the hair in the portrait and where it goes.
        to_picture: (2, 3) similarity from portrait pixels to pixels of the picture.
        size: width and height of the picture in pixels.

    Returns:
        (height, width, 4) uint8; the last channel is the mask of the person.
    """
    source = np.vstack([LANDMARKS, _irises(LANDMARKS), hair[0], HAIRLINE, EARS, COLLAR])
    target = np.vstack([face, _irises(face), hair[1], _lift(face), EARS, COLLAR])
    every = np.arange(len(source))
    lookup = _lookup(build_spline(*_pair(target, source, np.setdiff1d(every, _LOWER_LIP))), to_picture, (0, 0, *size))
    placed = place(face, to_picture)
    _cut_mouth(lookup, target, source, placed, to_picture)
    pixels = cv2.remap(texture, lookup, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    _paint_mouth(pixels, teeth, face, placed, to_picture)
    return np.asarray(pixels, np.uint8)


def place(points: Points, to_picture: Points) -> Points:
    """Take points through a (2, 3) matrix."""
    return points @ to_picture[:, :2].T + to_picture[:, 2]


def _irises(face: Points) -> Points:
    """Return four points around each iris: it keeps its size while the lids move."""
    around = np.array([(-2.6, 0), (2.6, 0), (0, -2.4), (0, 2.4)])
    middles = [face[[outer, inner]].mean(0) * 0.6 + face[lids].mean(0) * 0.4 for outer, inner, lids in _EYES]
    return np.vstack([middle + shift + around for middle, shift in zip(middles, _IRIS_SHIFT, strict=True)])


def _lift(face: Points) -> Points:
    """Return where the hairline goes: the skin of the forehead moves with the brows."""
    down = (face - LANDMARKS)[:, 1]
    brows = np.array([down[[17, 18]].mean(), down[[19, 20]].mean(), down[[21, 22]].mean(), down[[23, 24]].mean(),
                      down[[25, 26]].mean()])
    return HAIRLINE + np.column_stack([np.zeros(5), np.where(brows < 0, brows, 0.3 * brows)])


def _pair(target: Points, source: Points, rows: NDArray[np.integer]) -> tuple[Points, Points]:
    return target[rows], source[rows]


def _lookup(spline: Spline, to_picture: Points, box: tuple[int, int, int, int]) -> Floats:
    """Return, for each pixel of a box of the picture, where in the texture it comes from: (H, W, 2)."""
    x0, y0, x1, y1 = box
    # The spline is smooth: it is computed on every sixth pixel, one node beyond each side, and interpolated.
    columns, rows = -(-(x1 - x0) // _STEP_PX), -(-(y1 - y0) // _STEP_PX)
    x, y = np.meshgrid(x0 + _nodes(columns), y0 + _nodes(rows))
    inverse = np.asarray(cv2.invertAffineTransform(to_picture))
    nodes = to_texture(spline(place(np.column_stack([x.ravel(), y.ravel()]), inverse)).astype(np.float64))
    coarse = nodes.astype(np.float32).reshape(rows + 2, columns + 2, 2)
    dense = cv2.resize(coarse, None, fx=_STEP_PX, fy=_STEP_PX, interpolation=cv2.INTER_LINEAR)
    inner = dense[_STEP_PX:, _STEP_PX:]
    return np.ascontiguousarray(inner[: y1 - y0, : x1 - x0], np.float32)


def _nodes(count: int) -> Points:
    return (np.arange(-1, count + 1) + 0.5) * _STEP_PX - 0.5


def _box(placed: Points, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    low = np.floor(placed.min(0) - 2).astype(int)
    high = np.ceil(placed.max(0) + 3).astype(int)
    x0, y0 = np.clip(low, 0, (shape[1], shape[0]))
    x1, y1 = np.clip(high, 0, (shape[1], shape[0]))
    return int(x0), int(y0), int(x1), int(y1)


def _mask(outline: Points, box: tuple[int, int, int, int]) -> Pixels:
    mask = np.zeros((box[3] - box[1], box[2] - box[0]), np.uint8)
    cv2.fillPoly(mask, [np.round((outline - box[:2]) * 16).astype(np.int32)], 255, cv2.LINE_AA, shift=4)
    return mask


def _cut_mouth(lookup: Floats, target: Points, source: Points, placed: Points, to_picture: Points) -> None:
    """Bind the lower face to the lower lip of the portrait, blending into the upper face beside the mouth."""
    box = _box(placed[_LOWER_FACE], lookup.shape)
    if box[2] <= box[0] or box[3] <= box[1]:
        return
    rows = np.setdiff1d(np.arange(len(source)), _UPPER_LIP)
    lower = _lookup(build_spline(*_pair(target, source, rows)), to_picture, box)
    soft_px = 3.0 * float(np.hypot(*to_picture[0, :2]))
    weight = cv2.GaussianBlur(_mask(placed[_LOWER_FACE], box), (0, 0), soft_px)
    weight[_mask(placed[_UPPER_OUTLINE], box) > 127] = 0
    weight[_mask(placed[_LOWER_OUTLINE], box) > 127] = 255
    share = weight[..., None] / np.float32(255)
    part = lookup[box[1] : box[3], box[0] : box[2]]
    part[:] = lower * share + part * (1 - share)


def _paint_mouth(pixels: Pixels, teeth: Pixels, face: Points, placed: Points, to_picture: Points) -> None:
    """Paint what shows between the lips: the teeth hang from the upper lip, below them it is dark."""
    box = _box(placed[48:68], pixels.shape)
    inside = _mask(placed[60:68], box)
    if not inside.any():
        return
    x, y = np.meshgrid(np.arange(box[0], box[2]), np.arange(box[1], box[3]))
    inverse = np.asarray(cv2.invertAffineTransform(to_picture))
    wanted = place(np.column_stack([x.ravel(), y.ravel()]).astype(float), inverse)
    across = np.interp(wanted[:, 0], face[60:65, 0], LANDMARKS[60:65, 0])
    below = wanted[:, 1] - np.interp(wanted[:, 0], face[60:65, 0], face[60:65, 1])
    depth = np.interp(across, LANDMARKS[60:65, 0], LANDMARKS[60:65, 1]) + below
    lookup = to_texture(np.column_stack([across, depth])).astype(np.float32).reshape(*inside.shape, 2)
    painted = cv2.remap(teeth, lookup, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    share = cv2.GaussianBlur(inside, (0, 0), 0.7)[..., None] / 255.0
    part = pixels[box[1] : box[3], box[0] : box[2], :3]
    part[:] = np.round(painted * share + part * (1 - share))
