"""`decode`, `decode_scaled` and `read_size`: bytes in, pixels or one status out."""

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ImageError
from pipeline.images import jpeg, pillow, pnm
from pipeline.images.exif import TRANSPOSED, UPRIGHT, turn, turned_size
from pipeline.images.formats import Format, recognise
from pipeline.schema import Reason

Pixels: TypeAlias = NDArray[np.uint8]


class Header(NamedTuple):
    """What the header alone says. `width` and `height` in pixels after the EXIF turn; `orientation` 1 to 8."""

    width: int
    height: int
    format: Format
    orientation: int


@dataclass(frozen=True, slots=True)
class Scaled:
    """A picture decoded at a part of its size.

    `width` and `height` are those of the full picture after its EXIF turn. A point (x, y) of the full picture, where
    (0, 0) is the outer corner of the first pixel, lies at (x * scale_x + offset_x, y * scale_y + offset_y) of `pixels`.
    Where (0, 0) is the middle of the first pixel, as in OpenCV: (x + 0.5) * scale_x + offset_x - 0.5. The offset is
    less than one pixel and not zero only where a turned picture's size is no multiple of the scale.
    """

    pixels: Pixels
    scale_x: float
    scale_y: float
    offset_x: float
    offset_y: float
    width: int
    height: int


def read_size(content: bytes) -> Header:
    """Read the size from the header alone; no pixel is decoded.

    Raises:
        ImageError: truncated, corrupt, not_an_image or unsupported_format.
    """
    kind = recognise(content)
    if kind is Format.JPEG:
        found = jpeg.read_header(content)
        return Header(*turned_size(found.width, found.height, found.orientation), kind, found.orientation)
    if kind is Format.PNM:
        plain = pnm.read_header(content)
        return Header(plain.width, plain.height, kind, UPRIGHT)
    picture = pillow.open_picture(content, kind)
    return Header(*picture.size, kind, UPRIGHT)


def decode(content: bytes, *, max_pixels: int, min_side_px: int = 1) -> Pixels:
    """Decode a whole picture.

    Args:
        content: the bytes of a file.
        max_pixels: the limit on width * height, checked before anything is decoded.
        min_side_px: the least width and height.

    Returns:
        uint8, (H, W, 3) RGB or (H, W) grey, turned as EXIF says.

    Raises:
        ImageError: with one of the statuses in the package's docstring.
    """
    header = read_size(content)
    check_size(header, max_pixels, min_side_px)
    if header.format is Format.JPEG:
        pixels = jpeg.decode(content, jpeg.read_header(content))
    elif header.format is Format.PNM:
        pixels = pnm.decode(content, pnm.read_header(content))
    else:
        pixels = pillow.to_pixels(pillow.open_picture(content, header.format), header.format)
    return turn(pixels, header.orientation)


def decode_scaled(content: bytes, min_side_px: int, *, max_pixels: int) -> Scaled:
    """Decode a JPEG at 1/2, 3/8, 1/4 or 1/8 where that leaves both sides at least `min_side_px`; all else in full.

    Raises:
        ImageError: with one of the statuses in the package's docstring.
    """
    header = read_size(content)
    check_size(header, max_pixels, 1)
    if header.format is not Format.JPEG:
        pixels = decode(content, max_pixels=max_pixels)
        return Scaled(pixels, 1.0, 1.0, 0.0, 0.0, header.width, header.height)
    stored = jpeg.read_header(content)
    pixels = jpeg.decode(content, stored, min_side_px)
    return _scaled(pixels, stored, jpeg.scale_eighths(stored, min_side_px) / 8)


def _scaled(pixels: Pixels, header: jpeg.JpegHeader, scale: float) -> Scaled:
    # libjpeg gives ceil(size * scale): the scale is a whole number of eighths, not the ratio of the sizes.
    # The part of a pixel that was rounded up lies at the far side; a turn can bring it to the near side.
    far_x, far_y = pixels.shape[1] - header.width * scale, pixels.shape[0] - header.height * scale
    near_x = far_x if header.orientation in (2, 3, 7, 8) else 0.0
    near_y = far_y if header.orientation in (3, 4, 6, 7) else 0.0
    if header.orientation in TRANSPOSED:
        near_x, near_y = near_y, near_x
    width, height = turned_size(header.width, header.height, header.orientation)
    return Scaled(turn(pixels, header.orientation), scale, scale, near_x, near_y, width, height)


def check_size(header: Header, max_pixels: int, min_side_px: int) -> None:
    """Refuse a picture by its size.

    Raises:
        ImageError: too_many_pixels or too_small.
    """
    if header.width * header.height > max_pixels:
        raise ImageError(
            Reason.too_many_pixels, f"{header.width}x{header.height} pixels; the limit is {max_pixels} pixels"
        )
    if min(header.width, header.height) < min_side_px:
        raise ImageError(Reason.too_small, f"{header.width}x{header.height} pixels; the least side is {min_side_px}")
