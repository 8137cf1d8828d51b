"""PNG: lengths and checksums of all chunks are checked here; Pillow gets only the chunks that it needs for the pixels.

Text, profiles and animation never reach the decoder, so a decompression bomb in them does no harm.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from pipeline.core.errors import ImageError
from pipeline.core.schema import Reason
from pipeline.images import pillow
from pipeline.images.deep import decode_deep_png
from pipeline.images.exif import UPRIGHT, read_orientation
from pipeline.images.formats import Format
from pipeline.images.picture import Pixels
from pipeline.images.pillow import PILLOW_BYTES

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_IHDR_BYTES: Final = 13
_CHUNK_BYTES: Final = 12
_STEP_BYTES: Final = 1 << 20
_PIECE_BYTES: Final = 1 << 16
# Colour type -> bytes a pixel of decoding 16 bits per sample: OpenCV's samples, a copy of them, and the result.
_DEEP_BYTES: Final = {0: 5, 2: 15, 4: 19, 6: 19}
# Colour type -> samples per pixel.
_SAMPLES: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Colour type -> allowed bits per sample (PNG specification, 11.2.2).
_DEPTHS: Final = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
# Where each pass of an interlaced PNG starts, x and y, and its steps (PNG specification, 8.2).
_ADAM7: Final = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_DEEP_BITS: Final = 16
# A real file has a few thousand at most; walking millions of empty chunks would take minutes.
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
        self.width: int
        self.height: int
        self.width, self.height = struct.unpack_from(">II", content, first.start)
        if not self.width or not self.height:
            raise ImageError(Reason.corrupt, f"PNG of {self.width}x{self.height} pixels")
        exif = next((chunk for chunk in self._chunks if chunk.kind == b"eXIf"), None)
        self.orientation = read_orientation(content[exif.start : exif.end]) if exif else UPRIGHT

    def decode_bytes(self, min_side_px: int = 0) -> int:  # noqa: ARG002 -- PNG has no cheaper part
        """See `Picture.decode_bytes`."""
        depth, colour = (int(byte) for byte in self._content[self._chunks[0].start + 8 : self._chunks[0].start + 10])
        pixel = _DEEP_BYTES.get(colour, PILLOW_BYTES) if depth == _DEEP_BITS else PILLOW_BYTES
        return pixel * self.width * self.height + 2 * len(self._content)

    def decode(self, min_side_px: int = 0) -> Pixels:  # noqa: ARG002 -- PNG has no cheaper part
        """See `Picture.decode`."""
        # Views, because of the picture's data there may be hundreds of megabytes.
        parts: list[memoryview | bytes] = [_SIGNATURE]
        data: list[memoryview] = []
        for chunk in self._chunks:
            if chunk.kind in _DECODED:
                parts.append(self._checked(chunk))
                if chunk.kind == b"IDAT":
                    data.append(memoryview(self._content)[chunk.start : chunk.end])
            elif chunk.kind[:1].isupper():
                name = chunk.kind.decode("ascii", "replace")
                raise ImageError(Reason.unsupported_format, f"PNG with a chunk {name} is not read; convert it")
        clean = b"".join(parts)
        self._check_rows(data)
        if self._content[self._chunks[0].start + 8] == _DEEP_BITS:
            return decode_deep_png(clean)
        return pillow.load_samples(pillow.open_pillow(clean, Format.PNG), Format.PNG)

    def _check_rows(self, data: Sequence[memoryview]) -> None:
        """Decompress and count the rows: if a complete stream is too short, Pillow leaves the last rows black."""
        expected = self._data_bytes()
        inflater, found = zlib.decompressobj(), 0
        try:
            # In pieces, because zlib copies what it has not yet inflated.
            for part in (piece for whole in data for piece in _pieces(whole)):
                found += len(inflater.decompress(part, _STEP_BYTES))
                while inflater.unconsumed_tail and found < expected:
                    found += len(inflater.decompress(inflater.unconsumed_tail, _STEP_BYTES))
                if found >= expected or inflater.eof:
                    break
        except zlib.error as error:
            raise ImageError(Reason.corrupt, f"PNG: {error}") from None
        if found < expected:
            raise ImageError(Reason.truncated, f"PNG with {found} bytes of rows of {expected}")

    def _data_bytes(self) -> int:
        """Return the number of bytes of all rows; each row is preceded by one byte for its filter."""
        depth, colour, _, _, interlaced = self._content[self._chunks[0].start + 8 : self._chunks[0].end]
        if depth not in _DEPTHS.get(colour, ()):
            raise ImageError(Reason.corrupt, f"PNG of colour type {colour} with {depth} bits a sample")
        bits = depth * _SAMPLES[colour]
        passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
        sizes = ((-(-(self.width - x) // dx), -(-(self.height - y) // dy)) for x, y, dx, dy in passes)
        return sum(height * (1 + (width * bits + 7) // 8) for width, height in sizes if width > 0 and height > 0)

    def _checked(self, chunk: _Chunk) -> memoryview:
        name = chunk.kind.decode("ascii", "replace")
        content = memoryview(self._content)
        if zlib.crc32(content[chunk.start - 4 : chunk.end]) != _long(self._content, chunk.end):
            raise ImageError(Reason.corrupt, f"PNG with a wrong checksum in {name}")
        return content[chunk.start - 8 : chunk.end + 4]


def _pieces(data: memoryview) -> Iterator[memoryview]:
    for start in range(0, len(data), _PIECE_BYTES):
        yield data[start : start + _PIECE_BYTES]


def _chunks(content: bytes) -> Iterator[_Chunk]:
    """Yield the chunks up to IEND, included.

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
