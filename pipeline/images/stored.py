"""How a face is stored: JPEG of quality 98 with full colour resolution, and one channel if the face is grey."""

from typing import Final

import numpy as np
import simplejpeg

from pipeline.core.errors import ImageError
from pipeline.core.schema import Reason
from pipeline.images.picture import Pixels

QUALITY: Final = 98
_GREY_DIMENSIONS: Final = 2


def encode_face(pixels: Pixels) -> bytes:
    """Encode a face for storage. The same pixels are the same bytes.

    Args:
        pixels: uint8, (H, W, 3) RGB or (H, W) grey.

    Raises:
        ValueError: another shape or type.
    """
    if pixels.dtype != np.uint8:
        raise ValueError(f"a face is uint8, not {pixels.dtype}")
    if pixels.ndim == _GREY_DIMENSIONS:
        grey = np.ascontiguousarray(pixels[:, :, None])
        return bytes(simplejpeg.encode_jpeg(grey, quality=QUALITY, colorspace="GRAY", colorsubsampling="Gray"))
    colour = np.ascontiguousarray(pixels)
    return bytes(simplejpeg.encode_jpeg(colour, quality=QUALITY, colorspace="RGB", colorsubsampling="444"))


def decode_face(content: bytes) -> Pixels:
    """Decode a stored face: uint8, (H, W, 3) RGB or (H, W) grey.

    Raises:
        ImageError: not the bytes of a whole JPEG.
    """
    try:
        _, _, colorspace, _ = simplejpeg.decode_jpeg_header(content)
        if colorspace == "Gray":
            grey: Pixels = simplejpeg.decode_jpeg(content, colorspace="GRAY")
            return grey[:, :, 0]
        colour: Pixels = simplejpeg.decode_jpeg(content, colorspace="RGB")
    except ValueError as error:
        raise ImageError(Reason.corrupt, f"a stored face cannot be decoded: {error}") from None
    return colour


def decode_grey_face(content: bytes, min_side_px: int) -> Pixels:
    """Decode a stored face as grey, (H, W) uint8: its smallest eighth with sides of at least `min_side_px`.

    A JPEG holds its luma apart and its low frequencies first, so this costs a third of `decode_face`.

    Raises:
        ImageError: not the bytes of a whole JPEG.
    """
    try:
        grey: Pixels = simplejpeg.decode_jpeg(content, colorspace="GRAY", min_height=min_side_px, min_width=min_side_px)
    except ValueError as error:
        raise ImageError(Reason.corrupt, f"a stored face cannot be decoded: {error}") from None
    return grey[:, :, 0]
