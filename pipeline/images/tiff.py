"""TIFF: the first directory is parsed here, so that cut files, camera raw files and bombs never reach libtiff."""

import os
import struct
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np

from pipeline.core.errors import ImageError
from pipeline.core.schema import Reason
from pipeline.images import pillow
from pipeline.images.deep import STRAYS
from pipeline.images.exif import UPRIGHT, turned_size
from pipeline.images.formats import Format
from pipeline.images.picture import Pixels

_WIDTH, _HEIGHT, _COMPRESSION, _ORIENTATION = 256, 257, 259, 274
_BITS: Final = 258
_SUBFILE, _SUB_IFDS, _DNG_VERSION = 254, 330, 50706
_TILE_WIDTH, _TILE_LENGTH = 322, 323
_STRIPS, _STRIP_BYTES, _TILES, _TILE_BYTES = 273, 279, 324, 325
_SAMPLES: Final = 277
_ROWS_PER_STRIP: Final = 278
_RGBA_BYTES: Final = 4
_MAX_SAMPLES: Final = 6
_JPEG_TABLES: Final = 347
_KINDS: Final = {1: "B", 3: "H", 4: "I"}  # byte, short, long: all that the tags above may be
_UNDEFINED: Final = 7
_DEEP_BITS: Final = 16
_FULL_HIGH_BYTE: Final = 64  # the upper byte of 14 bits is below this
_UNCOMPRESSED: Final = 1
_STDERR: Final = 2
_HEADER_BYTES: Final = 8
_ENTRY_BYTES: Final = 12
_INLINE_BYTES: Final = 4
_MAX_TILE_PIXELS: Final = 1 << 26

Tags = Mapping[int, tuple[int, ...]]


class TiffPicture:
    """A TIFF whose first directory was read; see `Picture`. Pillow makes its turn itself."""

    orientation = UPRIGHT

    def __init__(self, content: bytes) -> None:
        tags = _read_tags(content)
        width, height = _first(tags, _WIDTH), _first(tags, _HEIGHT)
        if not width or not height:
            raise ImageError(Reason.corrupt, f"TIFF of {width}x{height} pixels")
        if _DNG_VERSION in tags or (_SUB_IFDS in tags and _first(tags, _SUBFILE) == 1):
            raise ImageError(Reason.unsupported_format, "camera raw (DNG, NEF …) is not read; convert it to JPEG")
        tile = (_first(tags, _TILE_WIDTH), _first(tags, _TILE_LENGTH))
        if tile[0] * tile[1] > _MAX_TILE_PIXELS:
            raise ImageError(Reason.corrupt, f"TIFF with tiles of {tile[0]}x{tile[1]} pixels")
        if _first(tags, _SAMPLES) > _MAX_SAMPLES:
            raise ImageError(Reason.corrupt, f"TIFF with {_first(tags, _SAMPLES)} samples a pixel")
        self._content = content
        self._tags = tags
        # libtiff unpacks a strip or tile at once, which may be larger than the picture.
        self._unit_pixels = max(width * min(height, _first(tags, _ROWS_PER_STRIP) or height), tile[0] * tile[1])
        self.width, self.height = turned_size(width, height, _first(tags, _ORIENTATION))

    def decode_bytes(self, min_side_px: int = 0) -> int:  # noqa: ARG002 -- TIFF has no cheaper part
        """See `Picture.decode_bytes`."""
        pixel = pillow.PILLOW_BYTES + (_first(self._tags, _ORIENTATION) != UPRIGHT) * _RGBA_BYTES
        whole = pixel * self.width * self.height + len(self._content)
        if _first(self._tags, _COMPRESSION) == _UNCOMPRESSED:
            return whole
        samples, bits = max(_first(self._tags, _SAMPLES), 1), max(*self._tags.get(_BITS, ()), 8)
        unit = self._unit_pixels * max(_RGBA_BYTES, samples * -(-bits // 8))
        return whole + unit + len(self._content)

    def decode(self, min_side_px: int = 0) -> Pixels:  # noqa: ARG002 -- TIFF has no cheaper part
        """See `Picture.decode`."""
        # Where nothing is compressed the byte counts may be wrong or absent, and Pillow sees an end by itself.
        if _first(self._tags, _COMPRESSION) != _UNCOMPRESSED:
            for starts, sizes in ((_STRIPS, _STRIP_BYTES), (_TILES, _TILE_BYTES)):
                pairs = zip(self._tags.get(starts, ()), self._tags.get(sizes, ()), strict=False)
                if max((start + size for start, size in pairs), default=0) > len(self._content):
                    raise ImageError(Reason.truncated, "TIFF that ends in its picture data")
        picture = pillow.open_pillow(self._content, Format.TIFF)
        if picture.size != (self.width, self.height):
            raise ImageError(Reason.corrupt, "TIFF with two sizes")
        with _quiet_libtiff():
            pixels = pillow.load_samples(picture, Format.TIFF)
        deep = _first(self._tags, _BITS) == _DEEP_BITS and pixels.ndim == 3
        if deep and np.count_nonzero(pixels >= _FULL_HIGH_BYTE) <= pixels.size // STRAYS:
            # Pillow keeps the upper byte of each colour; of 14 bits and fewer in 16 it holds next to nothing.
            raise ImageError(Reason.unsupported_format, "TIFF of colours that fill the lower of 16 bits; make it a PNG")
        return pixels


@contextmanager
def _quiet_libtiff() -> Iterator[None]:
    """Keep libtiff's complaints, which it writes past Python, off the terminal: the status says what is wrong."""
    sys.stderr.flush()
    kept = os.dup(_STDERR)
    try:
        with Path(os.devnull).open("wb") as nothing:
            os.dup2(nothing.fileno(), _STDERR)
        yield
    finally:
        os.dup2(kept, _STDERR)
        os.close(kept)


def _read_tags(content: bytes) -> Tags:
    """Return the whole-number tags of the first directory.

    Raises:
        ImageError: the file ends before the directory or its values.
    """
    order = "<" if content.startswith(b"II") else ">"
    if len(content) < _HEADER_BYTES:
        raise ImageError(Reason.truncated, f"TIFF of {len(content)} bytes")
    (start,) = struct.unpack_from(f"{order}I", content, 4)
    if start + 2 > len(content):
        raise ImageError(Reason.truncated, "TIFF that ends before its directory")
    (count,) = struct.unpack_from(f"{order}H", content, start)
    if start + 2 + count * _ENTRY_BYTES > len(content):
        raise ImageError(Reason.truncated, "TIFF that ends in its directory")
    tags: dict[int, tuple[int, ...]] = {}
    for entry in range(start + 2, start + 2 + count * _ENTRY_BYTES, _ENTRY_BYTES):
        tag, kind, values = struct.unpack_from(f"{order}HHI", content, entry)
        if kind in _KINDS and tag not in tags:
            tags[tag] = _read_values(content, order, _KINDS[kind], values, entry + 8)
        elif tag == _JPEG_TABLES and kind == _UNDEFINED:
            _read_values(content, order, "B", values, entry + 8)
    return tags


def _read_values(content: bytes, order: str, kind: str, count: int, at: int) -> tuple[int, ...]:
    size = struct.calcsize(kind) * count
    if size > _INLINE_BYTES:
        (at,) = struct.unpack_from(f"{order}I", content, at)
    if at + size > len(content):
        raise ImageError(Reason.truncated, "TIFF that ends in its directory's values")
    return struct.unpack_from(f"{order}{count}{kind}", content, at)


def _first(tags: Tags, tag: int) -> int:
    """Return a tag's first value; what TIFF takes for granted where it is absent."""
    values = tags.get(tag)
    return values[0] if values else {_COMPRESSION: _UNCOMPRESSED, _ORIENTATION: UPRIGHT}.get(tag, 0)
