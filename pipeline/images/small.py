"""BMP, GIF and WebP: the size is read here, before memory is allocated for the pixels; Pillow does the rest.

The blocks of a GIF are checked first, because Pillow skips what is not a block and may find a frame in a damaged file.
"""

import struct
from collections.abc import Iterator
from typing import Final

from pipeline.core.errors import ImageError
from pipeline.core.schema import Reason
from pipeline.images.exif import UPRIGHT, read_orientation
from pipeline.images.formats import Format
from pipeline.images.picture import Pixels
from pipeline.images.pillow import PillowPicture

_OLD_BMP_HEADER: Final = 12
_SCREEN_BYTES: Final = 13
_FRAME_BYTES: Final = 10
# Block types and flags of the GIF89a specification.
_FRAME: Final = 0x2C
_EXTENSION: Final = 0x21
_HAS_PALETTE: Final = 0x80
_PALETTE_BITS: Final = 0x07
_HEADER_BYTES: Final = 12
_CHUNK_BYTES: Final = 8
_MAX_CHUNKS: Final = 10_000
# Bytes a pixel of decoding a WebP, as measured: canvases and frame of RGBA in libwebp, then what Pillow makes of them.
_WEBP_BYTES: Final = 18
# Signatures of the two bitstreams in a WebP (RFC 6386 and RFC 9649); both have sides of 14 bits.
_LOSSY_START: Final = b"\x9d\x01\x2a"
_LOSSLESS_START: Final = b"\x2f"
_SIDE_BITS: Final = 14
_SIDE_MASK: Final = (1 << _SIDE_BITS) - 1


def open_bmp(content: bytes) -> PillowPicture:
    """Read the size of a BMP; a negative height means that the first row is the top one.

    Raises:
        ImageError: truncated or corrupt.
    """
    old = content[14:18] == _OLD_BMP_HEADER.to_bytes(4, "little")
    width, height = _unpack("<HH" if old else "<ii", content, 18, Format.BMP)
    return PillowPicture(content, Format.BMP, *_whole(Format.BMP, abs(width), abs(height)))


class GifPicture(PillowPicture):
    """A GIF whose logical screen has been read; see `Picture`. Only the first frame is used."""

    def decode(self, min_side_px: int = 0) -> Pixels:
        """See `Picture.decode`."""
        if _first_frame_end(self.content) > len(self.content):
            raise ImageError(Reason.truncated, "GIF that ends in its first frame")
        return super().decode(min_side_px)


def open_gif(content: bytes) -> GifPicture:
    """Read the size of a GIF's screen.

    Raises:
        ImageError: truncated or corrupt.
    """
    return GifPicture(content, Format.GIF, *_whole(Format.GIF, *_unpack("<HH3x", content, 6, Format.GIF)))


def open_webp(content: bytes) -> PillowPicture:
    """Parse the chunks of a WebP for its size and its EXIF rotation.

    Raises:
        ImageError: truncated or corrupt.
    """
    size = int.from_bytes(content[4:8], "little") + _CHUNK_BYTES
    if size > len(content) or len(content) < _HEADER_BYTES + _CHUNK_BYTES:
        raise ImageError(Reason.truncated, f"WebP: {len(content)} bytes of {size}")
    chunks = dict(_chunks(content))
    orientation = read_orientation(chunks.get(b"EXIF", b"")) if b"VP8X" in chunks else UPRIGHT
    return PillowPicture(content, Format.WEBP, *_whole(Format.WEBP, *_webp_size(chunks)), orientation, _WEBP_BYTES)


def _whole(kind: Format, width: int, height: int) -> tuple[int, int]:
    if not width or not height:
        raise ImageError(Reason.corrupt, f"{kind} of {width}x{height} pixels")
    return width, height


def _unpack(layout: str, content: bytes, at: int, kind: Format) -> tuple[int, int]:
    try:
        width, height = struct.unpack_from(layout, content, at)
    except struct.error:
        raise ImageError(Reason.truncated, f"{kind} of {len(content)} bytes") from None
    return width, height


def _first_frame_end(content: bytes) -> int:
    """Return the end of the first frame's data; a position beyond the content if the data are incomplete.

    Raises:
        ImageError: no frame, or an unknown block.
    """
    position = _SCREEN_BYTES + _palette_bytes(content[10])
    while position < len(content) and content[position] == _EXTENSION:
        position = _skip_blocks(content, position + 2)
    if position + _FRAME_BYTES >= len(content):
        return len(content) + 1
    if content[position] != _FRAME:
        raise ImageError(Reason.corrupt, f"GIF without a frame but with a block 0x{content[position]:02x}")
    palette = _palette_bytes(content[position + _FRAME_BYTES - 1])
    return _skip_blocks(content, position + _FRAME_BYTES + palette + 1)


def _skip_blocks(content: bytes, position: int) -> int:
    """Return the end of a chain of data blocks, including the empty block that closes it."""
    while position < len(content):
        length = content[position]
        position += 1 + length
        if not length:
            return position
    return len(content) + 1


def _palette_bytes(flags: int) -> int:
    return 3 << (1 + (flags & _PALETTE_BITS)) if flags & _HAS_PALETTE else 0


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (name, content) of each chunk; a repeated name's first content comes last, so that a dict keeps it."""
    found: list[tuple[bytes, bytes]] = []
    position = _HEADER_BYTES
    while position + _CHUNK_BYTES <= len(content) and len(found) < _MAX_CHUNKS:
        length = int.from_bytes(content[position + 4 : position + 8], "little")
        start = position + _CHUNK_BYTES
        found.append((content[position : position + 4], content[start : start + length]))
        position = start + length + length % 2
    yield from reversed(found)


def _webp_size(chunks: dict[bytes, bytes]) -> tuple[int, int]:
    if len(extended := chunks.get(b"VP8X", b"")) >= 10:
        return 1 + int.from_bytes(extended[4:7], "little"), 1 + int.from_bytes(extended[7:10], "little")
    lossy, lossless = chunks.get(b"VP8 ", b""), chunks.get(b"VP8L", b"")
    if lossy[3:6] == _LOSSY_START and len(lossy) >= 10:
        width, height = (side & _SIDE_MASK for side in struct.unpack_from("<HH", lossy, 6))
        return width, height
    if lossless[:1] == _LOSSLESS_START and len(lossless) >= 5:
        bits = int.from_bytes(lossless[1:5], "little")
        return 1 + (bits & _SIDE_MASK), 1 + (bits >> _SIDE_BITS & _SIDE_MASK)
    raise ImageError(Reason.corrupt, "WebP without a picture's header")
