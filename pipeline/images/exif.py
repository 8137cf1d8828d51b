"""EXIF orientation: read from a TIFF structure with bounds checked, and applied to pixels and to geometry."""

import struct
from typing import Final

import numpy as np

from pipeline.images.picture import Pixels

UPRIGHT: Final = 1
# The orientations that mirror the stored columns, that mirror the stored rows, and that then swap rows and columns.
FLIPPED_X: Final = frozenset({2, 3, 7, 8})
FLIPPED_Y: Final = frozenset({3, 4, 6, 7})
TRANSPOSED: Final = frozenset({5, 6, 7, 8})
_ORIENTATION_TAG: Final = 0x0112
# Types of TIFF fields: 16 and 32 bits. Some cameras write the orientation as LONG.
_SHORT: Final = 3
_LONG: Final = 4
_PREFIX: Final = b"Exif\x00\x00"
_HEADER_BYTES: Final = 8
_ENTRY_BYTES: Final = 12
# A real directory has some dozens of entries.
_MAX_ENTRIES: Final = 512


def read_orientation(block: bytes) -> int:
    """Return the orientation, 1 to 8, of an EXIF block; 1 if it is absent or invalid.

    Args:
        block: a TIFF structure, with or without the ``Exif`` prefix that JPEG puts before it.
    """
    tiff = block.removeprefix(_PREFIX)
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < _HEADER_BYTES:
        return UPRIGHT
    (start,) = struct.unpack_from(f"{order}I", tiff, 4)
    if start + 2 > len(tiff):
        return UPRIGHT
    (entries,) = struct.unpack_from(f"{order}H", tiff, start)
    for number in range(min(entries, _MAX_ENTRIES)):
        offset = start + 2 + number * _ENTRY_BYTES
        if offset + _ENTRY_BYTES > len(tiff):
            break
        tag, kind = struct.unpack_from(f"{order}HH", tiff, offset)
        if tag == _ORIENTATION_TAG and kind in (_SHORT, _LONG):
            (value,) = struct.unpack_from(f"{order}{'H' if kind == _SHORT else 'I'}", tiff, offset + 8)
            return int(value) if UPRIGHT <= value <= max(TRANSPOSED) else UPRIGHT
    return UPRIGHT


def turned_size(width: int, height: int, orientation: int) -> tuple[int, int]:
    """Return (width, height) after the rotation."""
    return (height, width) if orientation in TRANSPOSED else (width, height)


def turn(pixels: Pixels, orientation: int) -> Pixels:
    """Return the pixels rotated and mirrored as EXIF says, contiguous in memory."""
    if orientation == UPRIGHT:
        return pixels
    turned = pixels[:: -1 if orientation in FLIPPED_Y else 1, :: -1 if orientation in FLIPPED_X else 1]
    return np.ascontiguousarray(turned.swapaxes(0, 1) if orientation in TRANSPOSED else turned)
