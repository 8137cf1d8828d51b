"""The warp: for each pixel of a rendered face, the place in the portrait that it comes from.

Landmarks are moved, and a smooth map moves everything else with them. It maps the rendered face back to the portrait,
so that every pixel is looked up once. The mouth is a cut: above it, the map follows the upper lip, below it the lower
one, and what is between them is painted from the portrait's teeth.
"""

from dataclasses import dataclass
from typing import Final, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.demo.portrait import (
    CLOTHES,
    EARS,
    HAIR,
    HAIRLINE,
    LANDMARKS,
    Pixels,
    Points,
    blend,
    to_texture,
)
from pipeline.demo.spline import Spline, build_spline

Floats = NDArray[np.float32]
Number = TypeVar("Number", np.float32, np.uint8)
Box = tuple[int, int, int, int]  # x0, y0, x1, y1 in pixels, the end left out

_UPPER_LIP: Final = [61, 62, 63]
_LOWER_LIP: Final = [65, 66, 67]
_UPPER_OUTLINE: Final = [48, 49, 50, 51, 52, 53, 54, 64, 63, 62, 61, 60]
_LOWER_OUTLINE: Final = [60, 67, 66, 65, 64, 54, 55, 56, 57, 58, 59, 48]
_LOWER_FACE: Final = [48, 60, 67, 66, 65, 64, 54, 12, 11, 10, 9, 8, 7, 6, 5, 4]
_EYES: Final = ((36, 39, [37, 38, 40, 41]), (45, 42, [43, 44, 46, 47]))
_IRIS_SHIFT: Final = np.array([(0, -0.4), (-0.7, -0.6)])
_IRIS_AROUND: Final = np.array([(-2.6, 0), (2.6, 0), (0, -2.4), (0, 2.4)])
# Closed lips meet inside the red of the lip and not at its rim, where the portrait's teeth shine through.
_RIM: Final = np.zeros((68, 2))
_RIM[_UPPER_LIP] = (0, -0.9)
_RIM[_LOWER_LIP] = (0, 0.9)
# The map is computed on a grid and interpolated; its step in portrait pixels, on the face and around it.
_FACE_STEP: Final = 2.6
_FIELD_STEP: Final = 12.0


@dataclass(frozen=True)
class Placement:
    """The position of a face: a rotation, scale and shift from portrait pixels to pixels of the picture.

    Points are converted by plain products and sums, because the last bit of a matrix product depends on the processor.
    """

    scale: float
    roll_deg: float  # clockwise
    middle: tuple[float, float]  # of the face, in the picture
    origin: tuple[float, float]  # the same point in the portrait

    def _turn(self) -> tuple[float, float]:
        angle = np.deg2rad(self.roll_deg)
        # Rounded: the C library's cosine may differ in its last bit from machine to machine.
        return round(self.scale * float(np.cos(angle)), 9), round(self.scale * float(np.sin(angle)), 9)

    def place(self, points: Points) -> Points:
        """Convert portrait pixels to pixels of the picture, (N, 2)."""
        along, across = self._turn()
        x, y = points[:, 0] - self.origin[0], points[:, 1] - self.origin[1]
        return np.column_stack([along * x - across * y + self.middle[0], across * x + along * y + self.middle[1]])

    def back(self, points: Points) -> Points:
        """Convert pixels of the picture to portrait pixels, (N, 2)."""
        along, across = self._turn()
        square = along * along + across * across
        x, y = points[:, 0] - self.middle[0], points[:, 1] - self.middle[1]
        return np.column_stack(
            [(along * x + across * y) / square + self.origin[0], (along * y - across * x) / square + self.origin[1]]
        )


@dataclass(frozen=True)
class Mask:
    """A person's look, ready to be warped: RGB and the outline of the person, (H, W, 4), and the open mouth."""

    texture: Pixels
    teeth: Pixels
    texture_scale: float  # texture pixels per portrait pixel


def warp_face(mask: Mask, face: Points, hair: Points, placement: Placement, size: tuple[int, int]) -> Pixels:
    """Render a face.

    Args:
        mask: the person.
        face: the desired 68 landmarks, in portrait pixels.
        hair: the desired outline of the hair, in portrait pixels.
        placement: the position of the face.
        size: width and height of the picture in pixels.

    Returns:
        (height, width, 4) uint8: RGB and the outline of the person.
    """
    source = np.vstack([LANDMARKS + _RIM, _irises(LANDMARKS), HAIR, HAIRLINE, EARS, CLOTHES])
    target = np.vstack([face, _irises(face), hair, _lift(face), EARS, _make_room(face)])
    upper = _bind(target, source, np.setdiff1d(np.arange(len(source)), _LOWER_LIP))
    placed = placement.place(face)
    whole = (0, 0, *size)
    lookup = _lookup(upper, placement, whole, _FIELD_STEP)
    head = _box(placed, size, grow=0.12)
    _part(lookup, head)[:] = _lookup(upper, placement, head, _FACE_STEP)
    _cut_mouth(lookup, _bind(target, source, _lower_knots(len(source))), placed, placement)
    pixels = sample(mask.texture, to_texture(lookup, mask.texture_scale))
    _paint_mouth(pixels, mask, face, placed, placement)
    return pixels


def sample(pixels: Pixels, lookup: Floats) -> Pixels:
    """Return the pixels at (H, W, 2) positions, bilinear, in fixed point, so that every machine gives the same."""
    whole, fraction = cv2.convertMaps(lookup[..., 0], lookup[..., 1], cv2.CV_16SC2)
    return np.asarray(cv2.remap(pixels, whole, fraction, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _bind(target: Points, source: Points, knots: NDArray[np.integer]) -> Spline:
    return build_spline(target[knots], source[knots])


def _lower_knots(count: int) -> NDArray[np.integer]:
    """Return the knots of the lower face: jaw, nose, mouth without the upper lip's rim, ears and clothes."""
    mouth = [number for number in range(48, 68) if number not in _UPPER_LIP]
    return np.array([*range(17), *range(30, 36), *mouth, *range(count - len(EARS) - len(CLOTHES), count)])


def _irises(face: Points) -> Points:
    """Return four points around each iris: it keeps its size while the lids move."""
    middles = [face[[outer, inner]].mean(0) * 0.6 + face[lids].mean(0) * 0.4 for outer, inner, lids in _EYES]
    return np.vstack([middle + shift + _IRIS_AROUND for middle, shift in zip(middles, _IRIS_SHIFT, strict=True)])


def _lift(face: Points) -> Points:
    """Return the new hairline, because the skin of the forehead moves up with the brows."""
    down = (face - LANDMARKS)[:, 1]
    brows = np.array([down[pair].mean() for pair in ([17, 18], [19, 20], [21, 22], [23, 24], [25, 26])])
    return np.asarray(HAIRLINE + np.column_stack([np.zeros(5), np.where(brows < 0, brows, 0.3 * brows)]))


def _make_room(face: Points) -> Points:
    """Return the new outline of the clothes, because the collar must give way to the chin."""
    clothes = CLOTHES.copy()
    below = face[[6, 8, 10]] + (0, 9)
    clothes[:3, 1] = np.maximum(clothes[:3, 1], below[:, 1])
    return clothes


def _lookup(spline: Spline, placement: Placement, box: Box, step: float) -> Floats:
    """Return where in the portrait each pixel of a box of the picture comes from: (H, W, 2) portrait pixels."""
    width, height = box[2] - box[0], box[3] - box[1]
    step_px = max(2, round(step * placement.scale))
    columns, rows = -(-width // step_px) + 1, -(-height // step_px) + 1
    x, y = np.meshgrid(box[0] + step_px * np.arange(columns), box[1] + step_px * np.arange(rows))
    wanted = placement.back(np.column_stack([x.ravel(), y.ravel()]).astype(np.float64))
    nodes = spline(wanted).astype(np.float32).reshape(rows, columns, 2)
    # Between the nodes: along the rows, then along the columns, as plain products and sums.
    share = (np.arange(step_px, dtype=np.float32) / np.float32(step_px))[:, None]
    tall = (nodes[:-1, None] + (nodes[1:] - nodes[:-1])[:, None] * share[None, :, None]).reshape(-1, columns, 2)
    tall = tall[:height]
    wide = tall[:, :-1, None] + (tall[:, 1:] - tall[:, :-1])[:, :, None] * share[None, None]
    return np.ascontiguousarray(wide.reshape(height, -1, 2)[:, :width])


def _box(placed: Points, size: tuple[int, int], *, grow: float = 0.0) -> Box:
    """Return the box around points, grown by a share of its larger side, within the picture."""
    margin = 3 + grow * float(np.ptp(placed, axis=0).max())
    x0, y0 = np.clip(np.floor(placed.min(0) - margin).astype(int), 0, size)
    x1, y1 = np.clip(np.ceil(placed.max(0) + margin).astype(int), 0, size)
    return int(x0), int(y0), int(x1), int(y1)


def _part(lookup: NDArray[Number], box: Box) -> NDArray[Number]:
    return lookup[box[1] : box[3], box[0] : box[2]]


def _fill(outline: Points, box: Box) -> Pixels:
    mask = np.zeros((box[3] - box[1], box[2] - box[0]), np.uint8)
    cv2.fillPoly(mask, [np.round((outline - box[:2]) * 16).astype(np.int32)], 255, cv2.LINE_AA, shift=4)
    return mask


def _cut_mouth(lookup: Floats, spline: Spline, placed: Points, placement: Placement) -> None:
    """Bind the lower face to the lower lip of the portrait, blending into the upper face beside the mouth."""
    box = _box(placed[_LOWER_FACE], (lookup.shape[1], lookup.shape[0]))
    if box[2] <= box[0] or box[3] <= box[1]:
        return
    lower = _lookup(spline, placement, box, _FACE_STEP)
    weight = np.asarray(cv2.GaussianBlur(_fill(placed[_LOWER_FACE], box), (0, 0), 3.0 * placement.scale))
    weight[_fill(placed[_UPPER_OUTLINE], box) > 127] = 0
    weight[_fill(placed[_LOWER_OUTLINE], box) > 127] = 255
    share = weight[..., None] / np.float32(255)
    part = _part(lookup, box)
    part[:] = lower * share + part * (1 - share)


def _paint_mouth(pixels: Pixels, mask: Mask, face: Points, placed: Points, placement: Placement) -> None:
    """Paint what shows between the lips: the teeth hang from the upper lip, below them it is dark."""
    box = _box(placed[48:68], (pixels.shape[1], pixels.shape[0]))
    inside = _fill(placed[60:68], box)
    if not inside.any():
        return
    x, y = np.meshgrid(np.arange(box[0], box[2]), np.arange(box[1], box[3]))
    wanted = placement.back(np.column_stack([x.ravel(), y.ravel()]).astype(np.float64))
    across = np.interp(wanted[:, 0], face[60:65, 0], LANDMARKS[60:65, 0])
    below = wanted[:, 1] - np.interp(wanted[:, 0], face[60:65, 0], face[60:65, 1])
    depth = np.interp(across, LANDMARKS[60:65, 0], LANDMARKS[60:65, 1]) + below
    positions = np.column_stack([across, depth]).astype(np.float32).reshape(*inside.shape, 2)
    painted = sample(mask.teeth, to_texture(positions, mask.texture_scale))
    soft = np.asarray(cv2.GaussianBlur(inside, (0, 0), 0.7), np.uint8)
    part = _part(pixels, box)[..., :3]
    part[:] = blend(painted, part, soft)
