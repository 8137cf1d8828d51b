"""JPEG: header walked in Python, pixels by libjpeg-turbo in strict mode, so that cut data is never filled with grey."""

import re
import struct
from dataclasses import dataclass
from typing import Final

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from pipeline.errors import ImageError
from pipeline.images.exif import UPRIGHT, read_orientation
from pipeline.schema import Reason

_SOI: Final = b"\xff\xd8"
_NO_LENGTH: Final = frozenset({0x01, *range(0xD0, 0xD8)})
_FRAMES: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_UNREAD_FRAMES: Final = {
    0xC3: "lossless", 0xC5: "hierarchical", 0xC6: "hierarchical", 0xC7: "hierarchical lossless",
    0xCB: "lossless arithmetic", 0xCD: "hierarchical", 0xCE: "hierarchical", 0xCF: "hierarchical lossless",
}  # fmt: skip
_JPEG_LS: Final = 0xF7
_SOS: Final = 0xDA
_EOI: Final = 0xD9
_APP1: Final = 0xE1
_FRAME_BYTES: Final = 6
_BITS: Final = 8
_MAX_SCANS: Final = 500
_GREY: Final = 1
_CMYK: Final = 4
_EXTRANEOUS: Final = re.compile(r"(\d+) extraneous bytes before marker 0x([0-9a-f]{2})")
_LEFT_OVER_BYTES: Final = 64
_LEFT_OVER_SHARE: Final = 0.01


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """What the segments before the first scan say. `width` and `height` are as stored, before the EXIF turn."""

    width: int
    height: int
    components: int
    orientation: int


def read_header(content: bytes) -> JpegHeader:
    """Walk the segments up to the first scan.

    Raises:
        ImageError: truncated before the first scan, corrupt, or a kind of JPEG that is not read.
    """
    frame: tuple[int, int, int] | None = None
    orientation = UPRIGHT
    position = len(_SOI)
    while True:
        marker, start, end = _segment(content, position)
        if marker == _SOS:
            break
        if marker in _FRAMES or marker == _JPEG_LS:
            frame = _read_frame(marker, content[start:end])
        elif marker == _APP1 and orientation == UPRIGHT and content.startswith(b"Exif", start):
            orientation = read_orientation(content[start:end])
        position = end
    if frame is None:
        raise ImageError(Reason.corrupt, "JPEG data before its frame header")
    return JpegHeader(*frame, orientation)


def decode(content: bytes, header: JpegHeader, min_side_px: int = 0) -> NDArray[np.uint8]:
    """Decode to uint8 (H, W, 3) RGB or (H, W) grey, not turned.

    Args:
        content: the whole file.
        header: of `read_header`.
        min_side_px: decode at 1/2, 3/8, 1/4 or 1/8 if that leaves the short side at least this long; 0: at full size.
            Scales between 1/2 and 1 cost more than full size in libjpeg-turbo and are not used.

    Raises:
        ImageError: truncated or corrupt.
    """
    if content.count(b"\xff\xda") > _MAX_SCANS:
        raise ImageError(Reason.corrupt, f"JPEG with more than {_MAX_SCANS} scans")
    colorspace = {_GREY: "GRAY", _CMYK: "CMYK"}.get(header.components, "RGB")
    try:
        pixels = _decode_turbo(content, colorspace, min_side_px, strict=True)
    except ValueError as error:
        _judge(content, str(error))
        pixels = _decode_turbo(content, colorspace, min_side_px, strict=False)
    if header.components == _GREY:
        return pixels[:, :, 0]
    return _from_inverted_cmyk(pixels) if header.components == _CMYK else pixels


def scale_eighths(header: JpegHeader, min_side_px: int) -> int:
    """Return the scale, in eighths, at which `decode` gives this picture: 1, 2, 3, 4 or 8."""
    short = min(header.width, header.height)
    return next((n for n in (1, 2, 3, 4) if -(-short * n // 8) >= min_side_px > 0), 8)


def _decode_turbo(content: bytes, colorspace: str, min_side_px: int, *, strict: bool) -> NDArray[np.uint8]:
    if min_side_px <= 0:
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(content, colorspace=colorspace, strict=strict)
        return pixels
    scaled: NDArray[np.uint8] = simplejpeg.decode_jpeg(
        content, colorspace=colorspace, min_height=min_side_px, min_width=min_side_px, min_factor=2, strict=strict
    )
    return scaled


def _judge(content: bytes, message: str) -> None:
    """Return if libjpeg's complaint leaves the picture whole.

    Strict mode stops at the first complaint. Bytes left over before the end marker come last of all: every block has
    been decoded by then. Few of them are padding; many mean that the decoder lost its place.

    Raises:
        ImageError: otherwise.
    """
    left_over = _EXTRANEOUS.search(message)
    if left_over and int(left_over[2], 16) == _EOI:
        if int(left_over[1]) <= max(_LEFT_OVER_BYTES, _LEFT_OVER_SHARE * len(content)):
            return
        raise ImageError(Reason.corrupt, f"JPEG with {left_over[1]} bytes of picture data left over")
    truncated = "premature end" in message.lower()
    raise ImageError(Reason.truncated if truncated else Reason.corrupt, f"JPEG: {message}")


def _segment(content: bytes, position: int) -> tuple[int, int, int]:
    """Return the marker at or after `position` and the start and end of its segment's content."""
    found = content.find(b"\xff", position)
    while found >= 0 and content[found + 1 : found + 2] in (b"\xff", b"\x00"):
        found = content.find(b"\xff", found + 1)
    if found < 0 or found + 2 > len(content):
        raise ImageError(Reason.truncated, "JPEG without picture data")
    marker = content[found + 1]
    start = found + 2
    if marker in _NO_LENGTH:
        return marker, start, start
    if marker == _EOI:
        raise ImageError(Reason.truncated, "JPEG without picture data")
    length = int.from_bytes(content[start : start + 2], "big")
    if start + max(length, 2) > len(content):
        raise ImageError(Reason.truncated, "JPEG that ends in its header")
    if length < 2:
        raise ImageError(Reason.corrupt, f"JPEG segment 0x{marker:02x} of length {length}")
    return marker, start + 2, start + length


def _read_frame(marker: int, segment: bytes) -> tuple[int, int, int]:
    """Return (width, height, components)."""
    if marker == _JPEG_LS:
        raise ImageError(Reason.unsupported_format, "JPEG-LS is not read; convert it to JPEG or PNG")
    if marker in _UNREAD_FRAMES:
        raise ImageError(Reason.unsupported_format, f"{_UNREAD_FRAMES[marker]} JPEG is not read; convert it to PNG")
    if len(segment) < _FRAME_BYTES:
        raise ImageError(Reason.corrupt, "JPEG frame header too short")
    bits, height, width, components = struct.unpack_from(">BHHB", segment)
    if bits != _BITS:
        raise ImageError(Reason.unsupported_format, f"JPEG with {bits} bits a sample is not read; convert it to PNG")
    if not width or not height:
        raise ImageError(Reason.corrupt, f"JPEG of {width}x{height} pixels")
    if components not in (_GREY, 3, _CMYK):
        raise ImageError(Reason.unsupported_format, f"JPEG with {components} components is not read")
    return width, height, components


def _from_inverted_cmyk(cmyk: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Convert CMYK as Adobe writes it into JPEG, inverted: red = cyan * black."""
    product = cmyk[:, :, :3].astype(np.uint16) * cmyk[:, :, 3:]
    return ((product + 127) // 255).astype(np.uint8)
