"""At which scale a picture is decoded: enough pixels for the crop, and no more than that.

A JPEG can be decoded at eighths of its size in a fraction of the time. Where the dataset gives a box, it says how large
the face is; elsewhere a face of a quarter of the picture is assumed, and decoded again should it be smaller.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from pipeline.align.detectors.detector import Floats, Hint, View
from pipeline.core.params import AlignParams
from pipeline.geometry.similarity import TEMPLATE
from pipeline.images import Header, Scaled, open_picture

# The distance between the eyes as a share of a face box's side, on the small side.
_EYES_OVER_BOX: Final = 0.35
# The face as a share of what the dataset's box is around.
_FACE_OVER_BOX: Final = {"face": 1.0, "body": 0.25}
_FACE_OVER_PICTURE: Final = 0.25
# A crop that enlarges the decoded picture by more than this is cut from a finer one, if there is one.
_ENLARGES: Final = 1.25


def hint_of(row: dict[str, Any]) -> Hint | None:
    """Return what a sample's row says about where its face is, in pixels of the full picture."""
    box = row["source_box"]
    return None if box is None else Hint(np.asarray(box, float), row["source_box_kind"] or "face")


def view_of(picture: Scaled, hint: Hint | None) -> View:
    """Return a decoded picture with its hint brought to the decoded pixels."""
    if hint is None:
        return View(picture.pixels)
    scale = np.array([picture.scale_x, picture.scale_y] * 2)
    return View(picture.pixels, replace(hint, box=hint.box * scale + [picture.offset_x, picture.offset_y] * 2))


def to_source(points: Floats, pictures: Sequence[Scaled]) -> Floats:
    """Bring points (n, k, 2) from n decoded pictures to the full ones; whole numbers are the centres of pixels."""
    scale, offset = _axes(pictures)
    return (points + 0.5 - offset) / scale - 0.5


def from_source(points: Floats, pictures: Sequence[Scaled]) -> Floats:
    """Bring points (n, k, 2) from n full pictures to the decoded ones; whole numbers are the centres of pixels."""
    scale, offset = _axes(pictures)
    return (points + 0.5) * scale + offset - 0.5


def search_side_px(header: Header, hint: Hint | None, params: AlignParams) -> int:
    """Return the shorter side that leaves enough of a picture's face for the crop, as far as is known."""
    short = min(header.width, header.height)
    if hint is None:
        face_px = _FACE_OVER_PICTURE * short
    else:
        face_px = _FACE_OVER_BOX[hint.kind] * float((hint.box[2:] - hint.box[:2]).min())
    least = short * _crop_eyes_px(params) / (_EYES_OVER_BOX * max(1.0, face_px))
    return int(np.ceil(min(short, least)))


def decode_finer(content: bytes, picture: Scaled, enlarged: float, params: AlignParams) -> Scaled | None:
    """Decode a picture again where its crop would enlarge it, or return None where it is fine enough.

    Args:
        content: the encoded picture.
        picture: as it was decoded.
        enlarged: pixels of the crop for one of the decoded picture.
        params: for the limit on pixels.
    """
    if enlarged <= _ENLARGES or picture.scale_x >= 1:
        return None
    short = min(picture.width, picture.height)
    least = int(np.ceil(min(short, short * picture.scale_x * enlarged)))
    return open_picture(content).decode_scaled(least, max_pixels=params.max_pixels)


def _crop_eyes_px(params: AlignParams) -> float:
    """Return the distance between the eyes in the crop."""
    return float(TEMPLATE[1, 0] - TEMPLATE[0, 0]) * (1 - 2 * params.margin) * params.size_px


def _axes(pictures: Sequence[Scaled]) -> tuple[Floats, Floats]:
    """Return scale and offset of each picture, (n, 1, 2)."""
    axes = [(picture.scale_x, picture.scale_y, picture.offset_x, picture.offset_y) for picture in pictures]
    scale, offset = np.split(np.array(axes)[:, None], 2, axis=2)
    return scale, offset
