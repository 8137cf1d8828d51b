"""One picture at many sizes, made once: what MTCNN's first network sweeps over, and what the other two are cut from.

Each level is half the one before it. They lie side by side on one sheet, a black column between them, so that all crops
of a picture, whatever their size, are one call to OpenCV, and find black beyond the picture. The first network sees all
its scales in one picture too: packed, and cells that lie across a seam are left out.

Boxes here are MTCNN's: a crop reaches from x0 - 1 to x1, counted from the outer edge of the first pixel.
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

_LEVELS: Final = 16  # more than any picture has
# From a box's numbers to the edges of its crop, where whole numbers are the centres of pixels.
_EDGES: Final = np.array([-2.0, -2.0, -1.0, -1.0])
FACTOR: Final = 0.709  # between two scales of the first network, as in Zhang et al. (2016)


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a picture, whole pixels, the last ones excluded."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width_px(self) -> int:
        """Return the width."""
        return self.right - self.left

    @property
    def height_px(self) -> int:
        """Return the height."""
        return self.bottom - self.top

    @property
    def corners(self) -> tuple[int, int, int, int]:
        """Return left, top, right, bottom."""
        return self.left, self.top, self.right, self.bottom

    @property
    def short_px(self) -> int:
        """Return the shorter side."""
        return min(self.width_px, self.height_px)


@dataclass(frozen=True, slots=True)
class Pyramid:
    """The levels of one region on a sheet.

    `sheet` is (H, W) or (H, W, 3). Level k begins at column `columns[k]` and has `widths[k]` x `heights[k]` pixels.
    `scale` are the pixels of level 0 for one pixel of the picture, along x and y. `ends` says of the region's left,
    top, right and bottom whether the picture ends there (1) or goes on (0). `shape` is the picture's.

    One with a turn stands for the picture turned, clockwise: boxes and crops are of the turned picture, though only
    the crops are turned.
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
        """Return the pixels of one level."""
        column = self.columns[number]
        return self.sheet[: self.heights[number], column : column + self.widths[number]]


def build_pyramid(pixels: Pixels, region: Region, short_px: int, levels: int = _LEVELS) -> Pyramid:
    """Return the pyramid of a region, its first level with a shorter side of at most `short_px`, with some levels."""
    part = pixels[region.top : region.bottom, region.left : region.right]
    first, scale = _reduce(part, short_px)
    made = [first]
    while min(made[-1].shape[:2]) >= 2 * CELL_PX and len(made) < levels:
        made.append(_halve(made[-1]))
    widths = np.array([level.shape[1] for level in made])
    columns = np.concatenate([[0], np.cumsum(widths + 1)[:-1]])
    sheet = np.zeros((first.shape[0], int(columns[-1] + widths[-1]), *first.shape[2:]), np.uint8)
    for column, level in zip(columns, made, strict=True):
        sheet[: level.shape[0], column : column + level.shape[1]] = level
    heights = np.array([level.shape[0] for level in made])
    return Pyramid(region, sheet, columns, widths, heights, scale, _ends(region, pixels.shape), pixels.shape)


def _ends(region: Region, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return of left, top, right and bottom whether a picture of this shape ends where the region does."""
    height, width = shape[:2]
    return int(region.left <= 0), int(region.top <= 0), int(region.right >= width), int(region.bottom >= height)


def _reduce(part: Pixels, short_px: int) -> tuple[Pixels, tuple[float, float]]:
    """Shrink to a shorter side of `short_px`: by averaging whole blocks first, then by less than two."""
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

    `places` are row, column, height, width of each scale, `widths` the last of these. Of the cells that lie within one
    scale, `cells` gives the flat index in the network's output, `corners` x, y in pixels of that scale, `scales` which.
    """

    size: tuple[int, int]
    places: tuple[tuple[int, int, int, int], ...]
    widths: NDArray[np.int64]
    cells: NDArray[np.intp]
    corners: Floats32
    scales: NDArray[np.intp]


@lru_cache(maxsize=256)
def build_layout(height: int, width: int) -> Layout:
    """Pack the scales of a picture: the finest of this height and width, the coarsest of at least one cell."""
    places, row, column, column_width = [], 0, 0, 0
    h, w = float(height), float(width)
    while min(round(h), round(w)) >= CELL_PX:
        if row + round(h) > height:
            row, column, column_width = 0, column + column_width, 0
        places.append((row, column, round(h), round(w)))
        row += round(h) + round(h) % STRIDE_PX
        column_width = max(column_width, round(w) + round(w) % STRIDE_PX)
        h, w = h * FACTOR, w * FACTOR
    # Even, or the network's pooling would round up and give a row or column of cells more.
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
    """Return how many 12 px cells, 2 px apart, lie in an extent."""
    return (extent_px - CELL_PX) // STRIDE_PX + 1


def pack(pyramid: Pyramid, layout: Layout) -> Floats32:
    """Return the packed picture of the first network, (1, 3, height, width), 0..255."""
    sheet = np.zeros((*layout.size, *pyramid.sheet.shape[2:]), np.uint8)
    for row, column, height, width in layout.places:
        # The smallest level that is not smaller: what remains is less than a factor of two.
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
    """Return boxes of many pictures as squares of one size.

    Args:
        pyramids: of the pictures.
        owners: (n,) which of them a box is of; ascending.
        boxes: (n, 4) in pixels of the picture. Beyond the picture is black, as in the original MTCNN; where it goes on
            beyond the region, the region's last pixel stands for it.
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
    """Return the boxes as they lie on the pictures before their turn."""
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
    """Return the columns and rows of the sheets that the crops sample, (n, side_px) each.

    Each box is read from the level where it is between one and two times as large as the crop.
    """
    regions = np.array([pyramid.region.corners for pyramid in pyramids], float)[owners]
    scales = np.array([pyramid.scale for pyramid in pyramids])[owners]
    # facenet-pytorch cuts the fractions off: half a pixel towards the top left, on the average.
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
    # One pixel beyond a level is black.
    ends = np.array([pyramid.ends for pyramid in pyramids])[owners, :, None]
    at = np.minimum(np.maximum(at, -ends[:, :2]), places[:, :2, None] - 1 + ends[:, 2:])
    return (at[:, 0] + places[:, 2:]).astype(np.float32), at[:, 1].astype(np.float32)
