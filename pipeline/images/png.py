"""PNG: every chunk's length and checksum checked here, pixels by Pillow from the chunks that hold them.

Text, profiles and animation never reach the decoder, so nothing in them can blow up.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple

from pipeline.errors import ImageError
from pipeline.images import pillow
from pipeline.images.exif import UPRIGHT, read_orientation
from pipeline.images.formats import Format
from pipeline.images.picture import Pixels
from pipeline.schema import Reason

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_IHDR_BYTES: Final = 13
_CHUNK_BYTES: Final = 12
_MAX_CHUNKS: Final = 100_000
_DECODED: Final = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})


class _Chunk(NamedTuple):
    """A chunk's type, and where its content starts and ends."""

    kind: bytes
    start: int
    end: int


class PngPicture:
    """A PNG whose chunks were walked; see `Picture`."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._chunks = tuple(_chunks(content))
        first = self._chunks[0]
        if first.kind != b"IHDR" or first.end - first.start != _IHDR_BYTES:
            raise ImageError(Reason.corrupt, "PNG that does not begin with its header")
        self.width, self.height = struct.unpack_from(">II", content, first.start)
        if not self.width or not self.height:
            raise ImageError(Reason.corrupt, f"PNG of {self.width}x{self.height} pixels")
        exif = next((chunk for chunk in self._chunks if chunk.kind == b"eXIf"), None)
        self.orientation = read_orientation(content[exif.start : exif.end]) if exif else UPRIGHT

    def decode(self, min_side_px: int = 0) -> Pixels:  # noqa: ARG002 -- PNG has no cheaper part
        """See `Picture.decode`."""
        parts = [_SIGNATURE]
        for chunk in self._chunks:
            if chunk.kind in _DECODED:
                parts.append(self._checked(chunk))
            elif chunk.kind[:1].isupper():
                name = chunk.kind.decode("ascii", "replace")
                raise ImageError(Reason.unsupported_format, f"PNG with a chunk {name} is not read; convert it")
        clean = b"".join(parts)
        return pillow.load_samples(pillow.open_pillow(clean, Format.PNG), Format.PNG)

    def _checked(self, chunk: _Chunk) -> bytes:
        name = chunk.kind.decode("ascii", "replace")
        if zlib.crc32(self._content[chunk.start - 4 : chunk.end]) != _long(self._content, chunk.end):
            raise ImageError(Reason.corrupt, f"PNG with a wrong checksum in {name}")
        return self._content[chunk.start - 8 : chunk.end + 4]


def _chunks(content: bytes) -> Iterator[_Chunk]:
    """Yield the chunks up to and with IEND.

    Raises:
        ImageError: the file ends before IEND, or has too many chunks.
    """
    position = len(_SIGNATURE)
    for _ in range(_MAX_CHUNKS):
        if position + _CHUNK_BYTES > len(content):
            raise ImageError(Reason.truncated, "PNG without its end")
        start = position + 8
        end = start + _long(content, position)
        kind = content[position + 4 : start]
        if not kind.isalpha():
            raise ImageError(Reason.corrupt, f"PNG with a chunk named {kind!r}")
        if end + 4 > len(content):
            raise ImageError(Reason.truncated, f"PNG that ends in its chunk {kind.decode('ascii', 'replace')}")
        yield _Chunk(kind, start, end)
        if kind == b"IEND":
            return
        position = end + 4
    raise ImageError(Reason.corrupt, f"PNG with more than {_MAX_CHUNKS} chunks")


def _long(content: bytes, position: int) -> int:
    return int.from_bytes(content[position : position + 4], "big")
