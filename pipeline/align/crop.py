"""Turn a detected face into what is stored: the crop, its geometry in the source picture, and its row of detections."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np

from pipeline.align.cascade import Found
from pipeline.align.detectors.detector import Floats, Pixels
from pipeline.align.mtcnn.networks import load_networks
from pipeline.align.refine import refine_landmarks
from pipeline.align.scale import decode_finer, from_source, to_source
from pipeline.core.errors import ImageError
from pipeline.core.params import AlignParams
from pipeline.core.schema import Reason
from pipeline.geometry.similarity import (
    box_sizes,
    fit_similarity,
    frontality,
    points_outside,
    roll_deg,
    template_points,
)
from pipeline.geometry.warp import outside_shares, warp_face
from pipeline.images import Scaled, encode_face

# Landmarks are rounded to 1/64 pixel, so that differences in the last bits of a network's floats do not reach the crop.
_GRID: Final = 64


@dataclass(frozen=True, slots=True)
class Crop:
    """One aligned face.

    `image` is the encoded crop, empty if the face is rejected. `columns` are added to the sample in the table of faces;
    they are empty if the crop could not be cut. `detections` are added in the table of detections. `reason` is None
    unless the face is rejected; `detail` explains it.
    """

    image: bytes
    columns: dict[str, Any]
    detections: dict[str, Any]
    reason: Reason | None
    detail: str


def cut_faces(
    found: Sequence[Found],
    pictures: Sequence[Scaled],
    contents: Sequence[bytes],
    params: AlignParams,
    at: Callable[[int], None] | None = None,
) -> list[Crop]:
    """Warp one face of each picture to the template and measure it.

    Args:
        found: the faces, one per picture, in pixels of the decoded pictures.
        pictures: the decoded pictures, possibly at a reduced scale.
        contents: their encoded bytes, from which a picture is decoded at a finer scale if its face is small.
        params: margin and size of the crop, refinement of the landmarks, and the limits on impossible faces.
        at: called with the index of each face before it is decoded again and warped.

    Returns:
        One crop per face, in order. Boxes and landmarks in it are pixels of the source picture at full scale.
    """
    if not found:
        return []
    rows = [one.choice.row for one in found]
    points = np.stack([one.faces.landmarks[row] for one, row in zip(found, rows, strict=True)])
    if params.refine != "none":
        seen = [picture.pixels for picture in pictures]
        points = refine_landmarks(seen, points, load_networks(), mirrored=params.refine == "mirrored")
    # Rounded before the fit, so that the stored landmarks are exactly those that the crop was made with.
    points = np.round(to_source(points, pictures) * _GRID) / _GRID
    boxes = np.stack([one.faces.boxes[row] for one, row in zip(found, rows, strict=True)])
    boxes = to_source(boxes.reshape(-1, 2, 2), pictures).reshape(-1, 4)
    target = template_points(params.size_px, params.margin)
    # For all faces at once: NumPy's calls take longer than the arithmetic of one face.
    matrices = fit_similarity(from_source(points, pictures), target)
    enlarged = np.hypot(matrices[:, 0, 0], matrices[:, 1, 0]).tolist()
    shapes = [picture.pixels.shape for picture in pictures]
    measures = [
        {**measure, **_beyond(one, shape)}
        for measure, one, shape in zip(
            _measure(points, boxes, shapes, matrices, params.size_px), found, shapes, strict=True
        )
    ]
    crops = []
    for index, (one, picture, matrix) in enumerate(zip(found, pictures, matrices, strict=True)):
        if at is not None:
            at(index)
        try:
            finer = decode_finer(contents[index], picture, enlarged[index], params)
        except ImageError as error:
            # The small picture could be decoded, the large one cannot: mostly for want of memory.
            detections = {**_origin(one), **measures[index], "other_faces": one.choice.others}
            crops.append(Crop(b"", {}, detections, Reason(error.status), error.detail))
            continue
        if finer is None:
            pixels = warp_face(picture.pixels, matrix, params.size_px, params.border)
        else:
            again = fit_similarity(from_source(points[index : index + 1], [finer]), target)[0]
            pixels = warp_face(finer.pixels, again, params.size_px, params.border)
        crops.append(_account(one, pixels, measures[index], (boxes[index], points[index]), params))
    return crops


def _measure(
    points: Floats, boxes: Floats, shapes: Sequence[tuple[int, ...]], matrices: Floats, size_px: int
) -> list[dict[str, float]]:
    """Return the columns of the detections that describe the geometry of each face."""
    columns = {
        "face_size_px": box_sizes(boxes),
        "roll_deg": roll_deg(points),
        "frontality": frontality(points),
        "outside_share": outside_shares(shapes, matrices, size_px),
    }
    return [dict(zip(columns, row, strict=True)) for row in np.stack(list(columns.values()), axis=1).tolist()]


def is_possible(found: Found, shape: tuple[int, ...], params: AlignParams) -> bool:
    """Return whether a detection can be a face in a picture of this shape (height, width, ...), whatever its score."""
    return refuse(_beyond(found, shape), params)[0] is None


def _beyond(found: Found, shape: tuple[int, ...]) -> dict[str, float]:
    """Return the measures that show that a detection cannot be a face.

    They are the number of landmarks outside the picture, and the area of the box as a share of the picture's; both in
    the scale at which the picture was searched.
    """
    row = found.choice.row
    share = float(box_sizes(found.faces.boxes[row : row + 1])[0]) ** 2 / (shape[0] * shape[1])
    return {"points_outside": points_outside(found.faces.landmarks[row], shape), "picture_share": share}


def _account(
    found: Found, pixels: Pixels, measures: dict[str, float], place: tuple[Floats, Floats], params: AlignParams
) -> Crop:
    """Measure one crop, and encode it unless it is rejected; the measures of a rejected face are kept, too."""
    shared = _origin(found)
    detections = {**shared, **measures, **_light(pixels), "other_faces": found.choice.others}
    reason, detail = refuse(detections, params)
    columns = {**shared, "face_box": place[0].tolist(), "landmarks": place[1].reshape(-1).tolist()}
    return Crop(b"" if reason else encode_face(pixels), columns, detections, reason, detail)


def _origin(found: Found) -> dict[str, Any]:
    """Return the columns that say how a face was found."""
    return {
        "face_score": found.score,
        "detector": found.attempt.detector.name,
        "attempt": found.attempt.name,
        "turn_deg": found.turn_deg,
        "box_iou": found.choice.box_iou,
    }


def _light(pixels: Pixels) -> dict[str, float]:
    """Return sharpness and brightness of the inner half of a crop, where the face is.

    Sharpness is the variance of the Laplacian of the luma 0..255 (Pech-Pacheco et al. 2000), and brightness the mean of
    the luma, scaled to 0..1.
    """
    quarter = len(pixels) // 4
    inner = pixels[quarter : len(pixels) - quarter, quarter : len(pixels) - quarter]
    luma = inner if inner.ndim == 2 else cv2.cvtColor(inner, cv2.COLOR_RGB2GRAY)
    # In 16 bits with a sign, because the Laplacian of a luma of 0..255 lies between -1020 and 1020.
    _, deviation = cv2.meanStdDev(cv2.Laplacian(luma, cv2.CV_16S))
    return {"sharpness": float(deviation[0, 0] ** 2), "brightness": cv2.mean(luma)[0] / 255}


def refuse(measures: Mapping[str, Any], params: AlignParams) -> tuple[Reason | None, str]:
    """Return why a detection cannot be a face, or None if it can.

    Args:
        measures: `points_outside`, the number of landmarks (0..5) outside the picture, and `picture_share`, the area of
            the box over that of the picture.
        params: the limits; a value at the limit passes.

    Returns:
        The reason, and a text with the value and the limit; None and an empty text for a possible face.
    """
    for reason, value, most in (
        (Reason.points_outside, measures["points_outside"], params.max_points_outside),
        (Reason.larger_than_picture, measures["picture_share"], params.max_picture_share),
    ):
        if value > most:
            return reason, f"{value:.3g}; the limit is {most:g}"
    return None, ""
