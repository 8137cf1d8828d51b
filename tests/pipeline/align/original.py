"""MTCNN with black beyond the picture, as its authors wrote it: facenet-pytorch's networks, NumPy's padding.

facenet-pytorch clips a box to the picture and stretches what is left; everything else here is its own code.
"""

import numpy as np
import torch
from facenet_pytorch.models.utils import detect_face as facenet
from torch import Tensor

_THRESHOLDS = 0.6, 0.7, 0.7


def original_detect(detector, pixels: np.ndarray):
    """Return boxes (n, 4), scores and landmarks of an RGB picture, best score first."""
    with torch.inference_mode():
        boxes, points = _detect(detector, pixels)
    order = np.argsort(-boxes[:, 4], kind="stable")
    return boxes[order, :4], boxes[order, 4], points[order]


def _detect(detector, pixels: np.ndarray):
    boxes = _proposed(detector, pixels)
    offsets, scores = detector.rnet(padded_crops(pixels, boxes, 24))
    passed = scores[:, 1] > _THRESHOLDS[1]
    boxes, offsets = torch.cat([boxes[passed, :4], scores[passed, 1:]], 1), offsets[passed]
    kept = _suppressed(boxes, 0.7)
    boxes = facenet.rerec(facenet.bbreg(boxes[kept], offsets[kept]))
    offsets, shares, scores = detector.onet(padded_crops(pixels, boxes, 48))
    passed = scores[:, 1] > _THRESHOLDS[2]
    boxes, offsets = torch.cat([boxes[passed, :4], scores[passed, 1:]], 1), offsets[passed]
    sides = (boxes[:, 2:4] - boxes[:, :2] + 1)[:, None]
    points = shares[passed].reshape(-1, 2, 5).permute(0, 2, 1) * sides + boxes[:, None, :2] - 1
    boxes = facenet.bbreg(boxes, offsets)
    kept = facenet.batched_nms_numpy(boxes[:, :4], boxes[:, 4], torch.zeros(len(boxes)), 0.7, "Min")
    return boxes[kept].numpy(), points[kept].numpy()


def _proposed(detector, pixels: np.ndarray) -> Tensor:
    picture = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float()
    height, width = pixels.shape[:2]
    scale, found = 12 / 20, []
    while min(height, width) * scale >= 12:
        level = facenet.imresample(picture, (int(height * scale + 1), int(width * scale + 1)))
        offsets, scores = detector.pnet((level - 127.5) * 0.0078125)
        cells, _ = facenet.generateBoundingBox(offsets, scores[:, 1], scale, _THRESHOLDS[0])
        found.append(cells[_suppressed(cells, 0.5)])
        scale *= 0.709
    boxes = torch.cat(found)
    boxes = boxes[_suppressed(boxes, 0.7)]
    sides = (boxes[:, 2:4] - boxes[:, :2])[:, [0, 1, 0, 1]]
    return facenet.rerec(torch.cat([boxes[:, :4] + boxes[:, 5:] * sides, boxes[:, 4:5]], 1))


def _suppressed(boxes: Tensor, threshold: float) -> Tensor:
    return facenet.batched_nms(boxes[:, :4], boxes[:, 4], torch.zeros(len(boxes)), threshold)


def padded_crops(pixels: np.ndarray, boxes: Tensor, side_px: int) -> Tensor:
    """Return the squares (n, 3, side_px, side_px) of boxes (n, 4), -1..1, black beyond the picture."""
    crops = []
    height, width = pixels.shape[:2]
    for left, top, right, bottom in boxes[:, :4].trunc().int().tolist():
        room = max(0, 1 - left, 1 - top, right - width, bottom - height)
        wide = np.pad(pixels, [(room, room), (room, room), (0, 0)])
        cut = wide[top - 1 + room : bottom + room, left - 1 + room : right + room]
        crop = torch.from_numpy(cut.copy()).permute(2, 0, 1)[None].float()
        crops.append(facenet.imresample(crop, (side_px, side_px)))
    return (torch.cat(crops) - 127.5) * 0.0078125
