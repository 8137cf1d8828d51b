"""From a found face to what is stored: the crop, its geometry in the source picture, and its line in the ledger."""

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np

from pipeline.faces.cascade import Found
from pipeline.faces.detector import Pixels
from pipeline.faces.geometry import box_sizes, fit_similarity, frontality, roll_deg, template_points
from pipeline.faces.scale import decode_finer, from_source, to_source
from pipeline.faces.warp import outside_share, warp_face
from pipeline.images import Scaled, encode_face
from pipeline.params import AlignParams
from pipeline.schema import Reason

# Landmarks are kept to this part of a pixel, so that the last bits of a network's floats cannot reach the crop.
_GRID: Final = 64


@dataclass(frozen=True, slots=True)
class Crop:
    """One aligned face: encoded, with what faces and ledger add to a sample, and why it is refused if it is."""

    image: bytes
    columns: dict[str, Any]
    ledger: dict[str, Any]
    reason: Reason | None
    detail: str


def cut_face(found: Found, picture: Scaled, content: bytes, params: AlignParams) -> Crop:
    """Warp one face to the template and measure it.

    Args:
        found: the face, in pixels of the decoded picture.
        picture: the decoded picture.
        content: its bytes, to decode it again where the face is small in it.
        params: template, size and thresholds.
    """
    row, target = found.choice.row, template_points(params.size_px, params.margin)
    points = np.round(to_source(found.faces.landmarks[row], picture) * _GRID) / _GRID
    box = to_source(found.faces.boxes[row].reshape(2, 2), picture).reshape(-1)
    matrix = fit_similarity(from_source(points, picture)[None], target)[0]
    finer = decode_finer(content, picture, float(np.hypot(*matrix[:, 0])), params)
    if finer is not None:
        picture, matrix = finer, fit_similarity(from_source(points, finer)[None], target)[0]
    pixels = warp_face(picture.pixels, matrix, params.size_px, params.border)
    shared = {
        "face_score": float(found.faces.scores[row]),
        "detector": found.attempt.detector.name,
        "attempt": found.attempt.name,
        "box_iou": found.choice.box_iou,
    }
    ledger = {
        **shared,
        "face_size_px": float(box_sizes(box[None])[0]),
        "roll_deg": float(roll_deg(points[None])[0]),
        "frontality": float(frontality(points[None])[0]),
        **_light(pixels),
        "outside_share": outside_share(picture.pixels.shape, matrix, params.size_px),
        "other_faces": found.choice.others,
    }
    reason, detail = judge(ledger, params)
    columns = {**shared, "face_box": box.tolist(), "landmarks": points.reshape(-1).tolist()}
    return Crop(b"" if reason else encode_face(pixels), columns, ledger, reason, detail)


def _light(pixels: Pixels) -> dict[str, float]:
    """Measure the inner half of a crop, the face: sharpness and brightness.

    Sharpness is the variance of the Laplacian of the luma 0..255 (Pech-Pacheco et al. 2000), brightness its mean 0..1.
    """
    quarter = len(pixels) // 4
    inner = pixels[quarter : len(pixels) - quarter, quarter : len(pixels) - quarter]
    luma = inner if inner.ndim == 2 else cv2.cvtColor(inner, cv2.COLOR_RGB2GRAY)
    _, deviation = cv2.meanStdDev(cv2.Laplacian(luma, cv2.CV_16S))
    return {"sharpness": float(deviation[0, 0] ** 2), "brightness": cv2.mean(luma)[0] / 255}


def judge(ledger: dict[str, Any], params: AlignParams) -> tuple[Reason | None, str]:
    """Return why a face falls under a threshold, with the value and the threshold, or None and nothing."""
    iou = ledger["box_iou"]
    checks = (
        (Reason.low_score, ledger["face_score"], params.min_score),
        (Reason.low_overlap, 1.0 if iou is None else iou, params.min_box_iou),
        (Reason.small_face, ledger["face_size_px"], params.min_face_px),
        (Reason.not_frontal, ledger["frontality"], params.min_frontality),
        (Reason.blurred, ledger["sharpness"], params.min_sharpness),
        (Reason.bad_exposure, ledger["brightness"], params.min_brightness),
        (Reason.bad_exposure, -ledger["brightness"], -params.max_brightness),
        (Reason.outside_picture, -ledger["outside_share"], -params.max_outside_share),
    )
    for reason, value, least in checks:
        if value < least:
            return reason, f"{abs(value):.3g}; the limit is {abs(least):g}"
    return None, ""
