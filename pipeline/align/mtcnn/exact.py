"""MTCNN as facenet-pytorch runs it with its defaults; the reference for the fast version.

Boxes and landmarks are equal to those of facenet-pytorch if every box lies inside the picture. What lies outside is
black, as in the authors' code (Zhang et al. 2016), and not cut off.

Every pyramid level and every crop is computed from one integral image. This works because facenet-pytorch resizes by
averaging areas (`interpolate(mode="area")`), and the sum over any rectangle takes four look-ups.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.align.detectors.detector import Faces, Pixels, View, as_rgb
from pipeline.align.mtcnn.networks import CELL_PX, OUTPUT_PX, REFINE_PX, STRIDE_PX, Floats32, Networks

Ints = NDArray[np.int32] | NDArray[np.int64]

_CHUNK: Final = 512  # crops per run, so that a picture of a crowd does not fill the memory


@dataclass(frozen=True, slots=True)
class Settings:
    """The parameters of facenet-pytorch's `MTCNN`, with its defaults.

    `min_face_px` is the side of the smallest face that is searched for, `thresholds` are the least scores (0..1) of the
    three networks, and `factor` is the ratio of one scale of the pyramid to the one before.
    """

    min_face_px: int = 20
    thresholds: tuple[float, float, float] = (0.6, 0.7, 0.7)
    factor: float = 0.709


class MtcnnExact:
    """Finds every face of at least `min_face_px` in a picture."""

    name = "mtcnn"

    def __init__(self, networks: Networks, settings: Settings = Settings()) -> None:
        self._networks = networks
        self._settings = settings

    def detect(self, views: Sequence[View]) -> list[Faces]:
        """Return the faces of each view as facenet-pytorch's `MTCNN.detect` does, best score first, without hints."""
        return [self._detect(as_rgb(view.pixels)) for view in views]

    def _detect(self, pixels: Pixels) -> Faces:
        sums = np.asarray(cv2.integral(pixels), np.int32)
        boxes = self._propose(sums)
        if len(boxes):
            boxes = self._refine(sums, boxes)
        return self._output(sums, boxes) if len(boxes) else Faces.none()

    def _propose(self, sums: Ints) -> Floats32:
        height, width = sums.shape[0] - 1, sums.shape[1] - 1
        found = []
        for scale in pyramid_scales(min(height, width), self._settings):
            # The + 1 is facenet-pytorch's own way of rounding up.
            size = int(height * scale + 1), int(width * scale + 1)
            level = average_boxes(sums, np.array([[0, 0, width, height]]), size)
            scores, corrections = self._networks.propose([level])[0]
            cells = cells_to_boxes(scores, corrections, scale, self._settings.thresholds[0])
            found.append(cells[suppress(cells[:, :4], cells[:, 4], 0.5)])
        boxes = np.concatenate(found) if found else np.zeros((0, 9), np.float32)
        boxes = boxes[suppress(boxes[:, :4], boxes[:, 4], 0.7)]
        sides = (boxes[:, 2:4] - boxes[:, :2])[:, [0, 1, 0, 1]]
        return square(boxes[:, :4] + boxes[:, 5:] * sides)

    def _refine(self, sums: Ints, boxes: Floats32) -> Floats32:
        boxes, crops = _crops(sums, boxes, REFINE_PX)
        scores, corrections = _in_chunks(self._networks.refine, crops)
        keep = np.flatnonzero(scores > self._settings.thresholds[1])
        keep = keep[suppress(boxes[keep], scores[keep], 0.7)]
        return square(correct(boxes[keep], corrections[keep]))

    def _output(self, sums: Ints, boxes: Floats32) -> Faces:
        boxes, crops = _crops(sums, boxes, OUTPUT_PX)
        scores, corrections, points = _in_chunks(self._networks.output, crops)
        keep = np.flatnonzero(scores > self._settings.thresholds[2])
        boxes, scores = boxes[keep], scores[keep]
        sides = boxes[:, 2:] - boxes[:, :2] + 1
        landmarks = points[keep] * sides[:, None] + boxes[:, None, :2] - 1
        boxes = correct(boxes, corrections[keep])
        order = suppress_nested(boxes, scores, 0.7)
        return Faces(boxes[order].astype(float), scores[order].astype(float), landmarks[order].astype(float))


def pyramid_scales(side_px: int, settings: Settings) -> list[float]:
    """Return the scales of the pyramid of a picture with this short side, finest first.

    At the finest one, a face of `min_face_px` measures 12 px, the cell of the first network; at the coarsest one, the
    short side still holds a cell.
    """
    scale = CELL_PX / settings.min_face_px
    smallest, scales = side_px * scale, []
    while smallest >= CELL_PX:
        scales.append(scale)
        scale *= settings.factor
        smallest *= settings.factor
    return scales


def average_boxes(sums: Ints, boxes: Ints, size: tuple[int, int]) -> Floats32:
    """Resize parts of a picture to one size by averaging areas (or repeating pixels), as torch's adaptive pooling does.

    Args:
        sums: (H + 1, W + 1, 3), the integral image.
        boxes: (n, 4) integers x0, y0, x1, y1, without the last row and column. What lies outside the picture is black.
        size: height and width of the result.

    Returns:
        (n, 3, height, width) float32, 0..255.
    """
    top, bottom = _bins(boxes[:, 1], boxes[:, 3], size[0])
    left, right = _bins(boxes[:, 0], boxes[:, 2], size[1])
    # Two divisions as in torch: one division by the area would round differently.
    high = (bottom - top).astype(np.float32)[:, :, None, None]
    wide = (right - left).astype(np.float32)[:, None, :, None]
    # Clipping cuts off the part outside the picture, which thus adds 0 to the sum. The divisor is that of the whole
    # rectangle, so this part counts as black.
    y0, y1 = (np.clip(edges, 0, sums.shape[0] - 1)[:, :, None] for edges in (top, bottom))
    x0, x1 = (np.clip(edges, 0, sums.shape[1] - 1)[:, None, :] for edges in (left, right))
    total = sums[y1, x1] - sums[y0, x1] - sums[y1, x0] + sums[y0, x0]
    means = total.astype(np.float32) / high / wide
    return np.ascontiguousarray(means.transpose(0, 3, 1, 2))


def _bins(first: Ints, last: Ints, count: int) -> tuple[Ints, Ints]:
    steps, extent = np.arange(count), (last - first)[:, None]
    return first[:, None] + steps * extent // count, first[:, None] - (-(steps + 1) * extent // count)


def cells_to_boxes(scores: Floats32, corrections: Floats32, scale: float, threshold: float) -> Floats32:
    """Convert the first network's cells to boxes.

    Args:
        scores: (h, w) in 0..1.
        corrections: (4, h, w), as shares of the box's sides.
        scale: of the pyramid level.
        threshold: the least score.

    Returns:
        (n, 9) x0, y0, x1, y1 in pixels of the picture, the score, and four corrections, for each cell with that score.
    """
    rows, columns = np.nonzero(scores >= threshold)
    corner = STRIDE_PX * np.stack([columns, rows], axis=1).astype(np.float32)
    low, high = np.floor((corner + 1) / np.float32(scale)), np.floor((corner + CELL_PX) / np.float32(scale))
    parts = [low, high, scores[rows, columns, None], corrections[:, rows, columns].T]
    return np.concatenate(parts, axis=1, dtype=np.float32)


def square(boxes: Floats32) -> Floats32:
    """Grow boxes (n, 4) to squares around their centres, in facenet-pytorch's order of operations."""
    sides = boxes[:, 2:] - boxes[:, :2]
    longest = sides.max(axis=1, keepdims=True)
    low = boxes[:, :2] + sides * np.float32(0.5) - longest * np.float32(0.5)
    return np.concatenate([low, low + longest], axis=1)


def correct(boxes: Floats32, corrections: Floats32) -> Floats32:
    """Move the edges of boxes (n, 4) by a network's corrections (n, 4), which are shares of the sides."""
    sides = (boxes[:, 2:] - boxes[:, :2] + 1)[:, [0, 1, 0, 1]]
    return boxes + corrections * sides


def suppress(boxes: Floats32, scores: Floats32, threshold: float) -> NDArray[np.intp]:
    """Return the indices of the boxes that survive non-maximum suppression by intersection over union, best first.

    It computes in float32 and in torchvision's order of operations. The corners of cells are integers, so overlaps of
    exactly the threshold are common, and they have to be rounded in the same way.
    """
    order, kept = np.argsort(-scores, kind="stable"), []
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        low, high = np.maximum(boxes[best, :2], boxes[order, :2]), np.minimum(boxes[best, 2:4], boxes[order, 2:4])
        common = np.maximum(high - low, 0).prod(axis=1)
        order = order[common / (areas[best] + areas[order] - common) <= np.float32(threshold)]
    return np.asarray(kept, np.intp)


def suppress_nested(boxes: Floats32, scores: Floats32, threshold: float) -> NDArray[np.intp]:
    """Return the indices of the boxes that survive suppression by the covered share of the smaller box, best first."""
    # Not a stable sort, because facenet-pytorch uses this one. Two boxes that are clipped to the same pixels have the
    # same score, and which one NumPy's default sort puts first depends on the processor. As both use the same sort,
    # both keep the same box when they run on the same machine.
    order, kept = np.argsort(scores)[::-1], []
    areas = (boxes[:, 2:] - boxes[:, :2] + 1).prod(axis=1)
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        low, high = np.maximum(boxes[best, :2], boxes[order, :2]), np.minimum(boxes[best, 2:], boxes[order, 2:])
        common = np.maximum(high - low + 1, 0).prod(axis=1)
        order = order[common / np.minimum(areas[best], areas[order]) <= np.float32(threshold)]
    return np.asarray(kept, np.intp)


def _crops(sums: Ints, boxes: Floats32, side_px: int) -> tuple[Floats32, Floats32]:
    """Return the boxes that touch the picture, and their pixels averaged to squares of this side.

    The part of a box outside the picture is black, as in the authors' code (`pad.m` of MTCNN v1). facenet-pytorch cuts
    this part off and stretches the rest, but maps the network's answer back as if it were about the whole box, so its
    points are wrong by what was cut off.
    """
    height, width = sums.shape[0] - 1, sums.shape[1] - 1
    # From one-based corners to the first and the excluded last pixel; like facenet-pytorch, it cuts off fractions.
    whole = np.trunc(boxes).astype(np.int64) - np.array([1, 1, 0, 0])
    touching = (np.minimum(whole[:, 2:], [width, height]) > np.maximum(whole[:, :2], 0)).all(axis=1)
    return boxes[touching], average_boxes(sums, whole[touching], (side_px, side_px))


def _in_chunks(network: Callable[[Floats32], tuple[Floats32, ...]], crops: Floats32) -> tuple[Floats32, ...]:
    parts = [network(crops[start : start + _CHUNK]) for start in range(0, max(1, len(crops)), _CHUNK)]
    return tuple(np.concatenate(outputs) for outputs in zip(*parts, strict=True))
