"""WebP: container and size read here, before libwebp makes room for the whole canvas; pixels by Pillow."""

from collections.abc import Iterator
from typing import Final

from pipeline.core.errors import ImageError
from pipeline.core.schema import Reason
from pipeline.images import pillow
from pipeline.images.exif import UPRIGHT, read_orientation
from pipeline.images.formats import Format
from pipeline.images.picture import Pixels

_HEADER_BYTES: Final = 12
_CHUNK_BYTES: Final = 8
_MAX_CHUNKS: Final = 10_000
_LOSSY_START: Final = b"\x9d\x01\x2a"
_LOSSLESS_START: Final = b"\x2f"
_SIDE_BITS: Final = 14
_SIDE_MASK: Final = (1 << _SIDE_BITS) - 1


class WebpPicture:
    """A WebP whose chunks were walked; see `Picture`."""

    def __init__(self, content: bytes) -> None:
        size = int.from_bytes(content[4:8], "little") + _CHUNK_BYTES
        if size > len(content) or len(content) < _HEADER_BYTES + _CHUNK_BYTES:
            raise ImageError(Reason.truncated, f"WebP: {len(content)} bytes of {size}")
        chunks = dict(_chunks(content))
        self._content = content
        self.width, self.height = _read_size(chunks)
        self.orientation = read_orientation(chunks.get(b"EXIF", b"")) if b"VP8X" in chunks else UPRIGHT

    def decode(self, min_side_px: int = 0) -> Pixels:  # noqa: ARG002 -- WebP has no cheaper part here
        """See `Picture.decode`."""
        picture = pillow.open_pillow(self._content, Format.WEBP)
        if picture.size != (self.width, self.height):
            raise ImageError(Reason.corrupt, "WebP whose canvas and picture differ in size")
        return pillow.load_samples(picture, Format.WEBP)


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


def _read_size(chunks: dict[bytes, bytes]) -> tuple[int, int]:
    if len(extended := chunks.get(b"VP8X", b"")) >= 10:
        return 1 + int.from_bytes(extended[4:7], "little"), 1 + int.from_bytes(extended[7:10], "little")
    lossy, lossless = chunks.get(b"VP8 ", b""), chunks.get(b"VP8L", b"")
    if lossy[3:6] == _LOSSY_START and len(lossy) >= 10:
        width, height = (int.from_bytes(lossy[at : at + 2], "little") & _SIDE_MASK for at in (6, 8))
    elif lossless[:1] == _LOSSLESS_START and len(lossless) >= 5:
        bits = int.from_bytes(lossless[1:5], "little")
        width, height = 1 + (bits & _SIDE_MASK), 1 + (bits >> _SIDE_BITS & _SIDE_MASK)
    else:
        raise ImageError(Reason.corrupt, "WebP without a picture's header")
    if not width or not height:
        raise ImageError(Reason.corrupt, f"WebP of {width}x{height} pixels")
    return width, height
