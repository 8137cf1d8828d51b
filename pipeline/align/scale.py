"""Choose the scale at which a picture is decoded: fine enough for the crop, and no finer.

A JPEG can be decoded at an eighth to a half of its size in a fraction of the time. The dataset's box says how large the
face is. Without a box, a face of a quarter of the picture is assumed; if it turns out to be smaller, the picture is
decoded again.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from pipeline.align.detectors.detector import Floats, Hint, View
from pipeline.core.params import AlignParams
from pipeline.geometry.similarity import TEMPLATE
from pipeline.images import Header, Scaled, open_picture

# The distance between the eyes as a share of a face box's side. Rather too small than too large: the picture is then
# decoded somewhat finer than necessary, and seldom a second time.
_EYES_OVER_BOX: Final = 0.35
# The side of the face as a share of the shorter side of the dataset's box, by the kind of box.
_FACE_OVER_BOX: Final = {"face": 1.0, "body": 0.25}
_FACE_OVER_PICTURE: Final = 0.25
# If the crop would enlarge the decoded picture by more than this factor, the picture is decoded at a finer scale.
_ENLARGES: Final = 1.25


def hint_of(row: dict[str, Any], place: Sequence[float] = ()) -> Hint | None:
    """Return where a sample's face is, in pixels of the full picture: at a person's place, else in the dataset's box.

    Args:
        row: of the samples.
        place: a point or a box that a person gave, or nothing.

    Returns:
        None if neither says anything.
    """
    if place:
        return Hint(np.asarray([*place[:2], *place[-2:]], float), "point" if len(place) == 2 else "face")
    box = row["source_box"]
    return None if box is None else Hint(np.asarray(box, float), row["source_box_kind"] or "face")


def view_of(picture: Scaled, hint: Hint | None) -> View:
    """Return a decoded picture as a view, with the hint converted from full to decoded pixels."""
    if hint is None:
        return View(picture.pixels)
    scale = np.array([picture.scale_x, picture.scale_y] * 2)
    return View(picture.pixels, replace(hint, box=hint.box * scale + [picture.offset_x, picture.offset_y] * 2))


def to_source(points: Floats, pictures: Sequence[Scaled]) -> Floats:
    """Convert points (n, k, 2) of n decoded pictures to full pixels; a whole number is the centre of a pixel."""
    scale, offset = _axes(pictures)
    # Scaling keeps the picture's edge in place, which is half a pixel before the centre of pixel 0.
    return (points + 0.5 - offset) / scale - 0.5


def from_source(points: Floats, pictures: Sequence[Scaled]) -> Floats:
    """Convert points (n, k, 2) of n full pictures to decoded pixels; the inverse of `to_source`."""
    scale, offset = _axes(pictures)
    return (points + 0.5) * scale + offset - 0.5


def search_side_px(header: Header, hint: Hint | None, params: AlignParams) -> int:
    """Return the shorter side, in pixels, at which a picture has to be decoded so that the crop is not enlarged.

    At that size the eyes are expected to be as far apart as in the crop. It is never more than the picture has.

    Args:
        header: size of the full picture.
        hint: the dataset's box, in pixels of the full picture, or None.
        params: size and margin of the crop.
    """
    short = min(header.width, header.height)
    if hint is None or hint.kind == "point":
        face_px = _FACE_OVER_PICTURE * short
    else:
        face_px = _FACE_OVER_BOX[hint.kind] * float((hint.box[2:] - hint.box[:2]).min())
    least = short * _crop_eyes_px(params) / (_EYES_OVER_BOX * max(1.0, face_px))
    return int(np.ceil(min(short, least)))


def decode_finer(content: bytes, picture: Scaled, enlarged: float, params: AlignParams) -> Scaled | None:
    """Decode a picture again if the crop would enlarge it, or return None if it is fine enough.

    Args:
        content: the encoded picture.
        picture: the same picture as it was decoded for the search.
        enlarged: crop pixels per pixel of the decoded picture; above 1, the crop enlarges it.
        params: for `max_decode_mb`.

    Raises:
        ImageError: the picture cannot be decoded.
    """
    if enlarged <= _ENLARGES or picture.scale_x >= 1:
        return None
    short = min(picture.width, picture.height)
    least = int(np.ceil(min(short, short * picture.scale_x * enlarged)))
    return open_picture(content).decode_scaled(least, max_bytes=params.max_decode_mb * 10**6)


def _crop_eyes_px(params: AlignParams) -> float:
    """Return the distance between the eyes in the crop, in pixels."""
    return float(TEMPLATE[1, 0] - TEMPLATE[0, 0]) * (1 - 2 * params.margin) * params.size_px


def _axes(pictures: Sequence[Scaled]) -> tuple[Floats, Floats]:
    """Return the scale and the offset of each picture along x and y, both (n, 1, 2)."""
    axes = [(picture.scale_x, picture.scale_y, picture.offset_x, picture.offset_y) for picture in pictures]
    scale, offset = np.split(np.array(axes)[:, None], 2, axis=2)
    return scale, offset
