"""A picture at several scales. MTCNN's first network searches all of them; crops for the other two are cut from them.

Each level is half as large as the one before. The levels lie side by side on one sheet, separated by a black column.
Thus one call to OpenCV cuts all crops of a picture, whatever their size, and what lies outside the picture is black.
The scales for the first network are packed into one picture, too, so that it runs once; cells that cross from one scale
into another are ignored.

Boxes follow MTCNN's convention: a crop reaches from x0 - 1 to x1, measured from the outer edge of the first pixel.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.align.detectors.detector import Floats, Pixels
from pipeline.align.mtcnn.networks import CELL_PX, STRIDE_PX, Floats32
from pipeline.align.turn import FULL_DEG, turn_boxes

_LEVELS: Final = 16  # more than any picture has, since each level is half the one before
# Added to a box of MTCNN's, gives the edges of its crop in coordinates where whole numbers are the centres of pixels.
_EDGES: Final = np.array([-2.0, -2.0, -1.0, -1.0])
FACTOR: Final = 0.709  # from one scale of the first network to the next, as in Zhang et al. (2016): half the area


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a picture, in whole pixels; `right` and `bottom` are excluded."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width_px(self) -> int:
        """Return the width, in pixels."""
        return self.right - self.left

    @property
    def height_px(self) -> int:
        """Return the height, in pixels."""
        return self.bottom - self.top

    @property
    def corners(self) -> tuple[int, int, int, int]:
        """Return left, top, right, bottom."""
        return self.left, self.top, self.right, self.bottom

    @property
    def short_px(self) -> int:
        """Return the shorter side, in pixels."""
        return min(self.width_px, self.height_px)


@dataclass(frozen=True, slots=True)
class Pyramid:
    """The levels of one region of a picture, on one sheet.

    `sheet` is (H, W) or (H, W, 3). Level k begins at column `columns[k]` and has `widths[k]` x `heights[k]` pixels.
    `scale` is the number of pixels of level 0 per pixel of the picture, along x and y. `ends` says for the left, top,
    right and bottom edge of the region whether the picture ends there (1) or continues (0). `shape` is the picture's.

    With a `turn_deg`, the pyramid represents the picture turned clockwise by it: boxes are given and crops returned as
    on the turned picture. The sheet itself is not turned, only the crops are.
    """

    region: Region
    sheet: Pixels
    columns: NDArray[np.int64]
    widths: NDArray[np.int64]
    heights: NDArray[np.int64]
    scale: tuple[float, float]
    ends: tuple[int, int, int, int]
    shape: tuple[int, ...]
    turn_deg: int = 0

    def level(self, number: int) -> Pixels:
        """Return the pixels of one level, (H, W) or (H, W, 3), as a view of the sheet."""
        column = self.columns[number]
        return self.sheet[: self.heights[number], column : column + self.widths[number]]


def build_pyramid(pixels: Pixels, region: Region, short_px: int, levels: int = _LEVELS) -> Pyramid:
    """Build the pyramid of a region.

    Args:
        pixels: (H, W) or (H, W, 3), the whole picture.
        region: the part of it that is searched.
        short_px: the largest shorter side of level 0, which is the region itself if that is not larger.
        levels: the largest number of levels; there are fewer if the next one would be smaller than a cell of 12 px.
    """
    part = pixels[region.top : region.bottom, region.left : region.right]
    first, scale = _reduce(part, short_px)
    made = [first]
    while min(made[-1].shape[:2]) >= 2 * CELL_PX and len(made) < levels:
        made.append(_halve(made[-1]))
    # One more column per level is the black column between neighbours.
    widths = np.array([level.shape[1] for level in made])
    columns = np.concatenate([[0], np.cumsum(widths + 1)[:-1]])
    sheet = np.zeros((first.shape[0], int(columns[-1] + widths[-1]), *first.shape[2:]), np.uint8)
    for column, level in zip(columns, made, strict=True):
        sheet[: level.shape[0], column : column + level.shape[1]] = level
    heights = np.array([level.shape[0] for level in made])
    return Pyramid(region, sheet, columns, widths, heights, scale, _ends(region, pixels.shape), pixels.shape)


def _ends(region: Region, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return for left, top, right and bottom whether a picture of this shape ends where the region does, 1 or 0."""
    height, width = shape[:2]
    return int(region.left <= 0), int(region.top <= 0), int(region.right >= width), int(region.bottom >= height)


def _reduce(part: Pixels, short_px: int) -> tuple[Pixels, tuple[float, float]]:
    """Shrink a region to a shorter side of `short_px`, and return it with its scale along x and y.

    Averaging whole blocks is fast and avoids aliasing; the interpolation after it shrinks by less than a factor of two.
    """
    short = min(part.shape[:2])
    if short <= short_px:
        return part, (1.0, 1.0)
    block = short // short_px
    if block > 1:
        height, width = part.shape[0] // block, part.shape[1] // block
        whole = part[: height * block, : width * block]
        part = np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    ratio = short_px / min(part.shape[:2])
    width, height = round(part.shape[1] * ratio), round(part.shape[0] * ratio)
    scale = width / part.shape[1] / block, height / part.shape[0] / block
    return np.asarray(cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8), scale


def _halve(level: Pixels) -> Pixels:
    height, width = level.shape[0] // 2, level.shape[1] // 2
    small = cv2.resize(level[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


@dataclass(frozen=True, slots=True)
class Layout:
    """How the scales of the first network are packed into one picture of `size` (height, width).

    `places` gives row, column, height and width of each scale, `widths` the widths alone. The n cells that lie within
    one scale are described by `cells` (n,), their flat indices in the network's output, `scales` (n,), the numbers of
    their scales, and `corners` (n, 2), x and y in pixels of that scale.
    """

    size: tuple[int, int]
    places: tuple[tuple[int, int, int, int], ...]
    widths: NDArray[np.int64]
    cells: NDArray[np.intp]
    corners: Floats32
    scales: NDArray[np.intp]


# Cached, because pictures of a dataset often have the same few sizes.
@lru_cache(maxsize=256)
def build_layout(height: int, width: int) -> Layout:
    """Plan where each scale of a picture goes.

    Args:
        height: of the finest scale, in pixels. Scales follow by `FACTOR`, as long as both sides hold a cell of 12 px.
        width: of the finest scale, in pixels.
    """
    places, row, column, column_width = [], 0, 0, 0
    h, w = float(height), float(width)
    while min(round(h), round(w)) >= CELL_PX:
        # The scales are stacked in columns that are as high as the finest one.
        if row + round(h) > height:
            row, column, column_width = 0, column + column_width, 0
        places.append((row, column, round(h), round(w)))
        # Each scale begins at an even pixel, where a cell of the network begins, too.
        row += round(h) + round(h) % STRIDE_PX
        column_width = max(column_width, round(w) + round(w) % STRIDE_PX)
        h, w = h * FACTOR, w * FACTOR
    # Even, because the network's pooling rounds up and would otherwise add a row or a column of cells.
    size = height + height % STRIDE_PX, column + column_width
    columns = _cells(size[1])
    cells, corners, scales = [], [], []
    for number, (top, left, high, wide) in enumerate(places):
        rows, across = np.arange(_cells(high)), np.arange(_cells(wide))
        grid = (top // STRIDE_PX + rows[:, None]) * columns + left // STRIDE_PX + across
        cells.append(grid.ravel())
        corners.append(STRIDE_PX * np.stack(np.meshgrid(across, rows), axis=-1).reshape(-1, 2))
        scales.append(np.full(grid.size, number))
    return Layout(
        size,
        tuple(places),
        np.array([place[3] for place in places]),
        np.concatenate(cells),
        np.concatenate(corners).astype(np.float32),
        np.concatenate(scales),
    )


def _cells(extent_px: int) -> int:
    """Return how many cells of 12 px, 2 px apart, fit into an extent."""
    return (extent_px - CELL_PX) // STRIDE_PX + 1


def pack(pyramid: Pyramid, layout: Layout) -> Floats32:
    """Return the packed picture for the first network, float32 (1, 3, height, width) in 0..255."""
    sheet = np.zeros((*layout.size, *pyramid.sheet.shape[2:]), np.uint8)
    for row, column, height, width in layout.places:
        # The smallest level that is not smaller than the scale, so that the interpolation shrinks by less than a factor
        # of two.
        number = int(np.searchsorted(-pyramid.heights, -height, side="right")) - 1
        level = pyramid.level(max(0, number))
        if level.shape[:2] != (height, width):
            level = np.asarray(cv2.resize(level, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
        sheet[row : row + height, column : column + width] = level
    channels = sheet[None] if sheet.ndim == 2 else sheet.transpose(2, 0, 1)
    packed = np.empty((1, 3, *layout.size), np.float32)
    packed[0] = channels
    return packed


def cut_crops(pyramids: list[Pyramid], owners: NDArray[np.intp], boxes: Floats, side_px: int) -> Floats32:
    """Cut boxes out of many pictures and scale them to squares of one size.

    What lies outside the picture is black, as in the authors' MTCNN. Where the picture continues outside the region,
    the region's last pixel is repeated, because black would look like the end of the picture.

    Args:
        pyramids: those of the pictures.
        owners: (n,) the index of each box's picture, in ascending order.
        boxes: (n, 4) in pixels of the picture, or of the turned picture if its pyramid has a turn.
        side_px: the side of the squares.

    Returns:
        (n, 3, side_px, side_px) float32, 0..255.
    """
    crops = np.empty((len(boxes), 3, side_px, side_px), np.float32)
    starts = np.searchsorted(owners, np.arange(len(pyramids) + 1)).tolist()
    xs, ys = _samples(pyramids, owners, _laid_back(pyramids, starts, boxes), side_px)
    for pyramid, start, end in zip(pyramids, starts[:-1], starts[1:], strict=True):
        if start == end:
            continue
        map_x = np.repeat(xs[start:end], side_px, axis=0)
        map_y = np.repeat(ys[start:end].reshape(-1, 1), side_px, axis=1)
        cut = cv2.remap(pyramid.sheet, map_x, map_y, cv2.INTER_LINEAR).reshape(end - start, side_px, side_px, -1)
        if pyramid.turn_deg:
            cut = np.rot90(cut, -pyramid.turn_deg // 90, axes=(1, 2))
        crops[start:end] = cut.transpose(0, 3, 1, 2)
    return crops


def _laid_back(pyramids: list[Pyramid], starts: list[int], boxes: Floats) -> Floats:
    """Map boxes of turned pictures back to the pictures before the turn."""
    if not any(pyramid.turn_deg for pyramid in pyramids):
        return boxes
    edges = boxes + _EDGES
    for pyramid, start, end in zip(pyramids, starts[:-1], starts[1:], strict=True):
        if pyramid.turn_deg:
            high, wide = pyramid.shape[:2]
            turned = (high, wide) if pyramid.turn_deg % 180 == 0 else (wide, high)
            edges[start:end] = turn_boxes(edges[start:end], turned, FULL_DEG - pyramid.turn_deg)
    return np.asarray(edges - _EDGES)


def _samples(
    pyramids: list[Pyramid], owners: NDArray[np.intp], boxes: Floats, side_px: int
) -> tuple[Floats32, Floats32]:
    """Return the columns and rows of the sheets at which the crops are sampled, (n, side_px) each.

    Each box is read from the level where it is one to two times as large as the crop, so that linear interpolation is
    enough; from the last level if it is larger there, and from the first if it is smaller everywhere.
    """
    regions = np.array([pyramid.region.corners for pyramid in pyramids], float)[owners]
    scales = np.array([pyramid.scale for pyramid in pyramids])[owners]
    # facenet-pytorch cuts off the fractions of the corners. On the average, this moves a crop half a pixel to the left
    # and up, which is done here for every crop.
    low, high = boxes[:, :2] - 1.5, boxes[:, 2:] - 0.5
    sides = (high - low).max(axis=1) * scales[:, 0] / side_px
    last = np.array([len(pyramid.columns) - 1 for pyramid in pyramids])[owners]
    number = np.minimum(np.log2(np.maximum(sides, 1)).astype(np.intp), last)
    places = np.array(
        [
            (pyramids[owner].widths[level], pyramids[owner].heights[level], pyramids[owner].columns[level])
            for owner, level in zip(owners.tolist(), number.tolist(), strict=True)
        ]
    )
    steps = (np.arange(side_px) + 0.5) / side_px
    edges = (low - regions[:, :2])[:, :, None] + steps * (high - low)[:, :, None]
    at = edges * (scales * 0.5 ** number[:, None])[:, :, None] - 0.5
    # The pixel just outside a level is black. Positions further out are moved onto it where the picture ends, and onto
    # the last pixel of the level where the picture continues.
    ends = np.array([pyramid.ends for pyramid in pyramids])[owners, :, None]
    at = np.minimum(np.maximum(at, -ends[:, :2]), places[:, :2, None] - 1 + ends[:, 2:])
    return (at[:, 0] + places[:, 2:]).astype(np.float32), at[:, 1].astype(np.float32)
