"""Random access in a gzip file.

The state of the decompressor is saved at intervals, and a seek resumes from the nearest saved state before it. The idea
is that of `zran.c`, an example in zlib (Mark Adler), which saves the window and the bit offset. Here it is a copy of
zlib's whole state.
"""

import io
import zlib
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from pipeline.core.errors import SourceError
from pipeline.ingest.trees.archive import FREE_BYTES, MAX_RATIO

_CHUNK_BYTES: Final = 1 << 16
# A saved state has zlib's window of 32 KiB and up to 64 KiB of unread input, so 512 of them take at most about 50 MB,
# whatever the size of the archive. In a small archive, one per MiB is enough.
_MAX_POINTS: Final = 512
_MIN_SPACING_BYTES: Final = 1 << 20
_GZIP: Final = 16 + zlib.MAX_WBITS  # zlib's way to ask for a gzip header and checksum


@dataclass(frozen=True, slots=True)
class _Point:
    """Where reading can resume: offset in the data, offset in the file, the decompressor, and its unread input."""

    at: int
    file_at: int
    inflater: Any
    packed: bytes


class GzipStream(io.RawIOBase):
    """The decompressed bytes of a gzip file, with `seek`.

    When they are read for the first time, they are checked against the limit of the compression ratio.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._file: BinaryIO = path.open("rb")
        self._spacing = max(_MIN_SPACING_BYTES, path.stat().st_size // _MAX_POINTS)
        self._inflater = zlib.decompressobj(_GZIP)
        self._packed = b""
        self._at = 0
        self._points = [_Point(0, 0, self._inflater.copy(), b"")]

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True: `seek` works."""
        return True

    def tell(self) -> int:
        """Return the offset in the decompressed data, in bytes."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to an offset in the decompressed data, or to its end if that comes first.

        Raises:
            SourceError: the file is damaged, cut off, or unpacks to too much.
        """
        wanted = offset + (self._at if whence == io.SEEK_CUR else 0)
        place = bisect_right([point.at for point in self._points], wanted) - 1
        point = self._points[place]
        # Where the stream is already between the saved state and the target, it just reads on.
        if wanted < self._at or point.at > self._at:
            self._file.seek(point.file_at)
            self._inflater, self._packed, self._at = point.inflater.copy(), point.packed, point.at
        while self._at < wanted and self._next(min(_CHUNK_BYTES * 4, wanted - self._at)):
            pass
        return self._at

    def readinto(self, target: memoryview, /) -> int:  # type: ignore[override]  # io calls it with a memoryview
        """Read at least one byte into a buffer and return how many; 0 at the end of the data."""
        chunk = self._next(len(target))
        target[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()

    def drain(self) -> int:
        """Read to the end, so that everything is checked once, and return the number of bytes."""
        while self._next(_CHUNK_BYTES * 4):
            pass
        return self._at

    def _next(self, want: int) -> bytes:
        while want and (not self._inflater.eof or self._join_next()):
            try:
                chunk = self._inflater.decompress(self._packed, want)
            except zlib.error as error:
                raise SourceError(f"{self._path}: damaged: {error}") from None
            self._packed = self._inflater.unused_data if self._inflater.eof else self._inflater.unconsumed_tail
            if chunk:
                self._at += len(chunk)
                self._keep_point()
                return chunk
            if not self._inflater.eof and not self._packed:
                self._packed = self._file.read(_CHUNK_BYTES)
                if not self._packed:
                    raise SourceError(f"{self._path}: damaged: it ends in the middle; fetch it again")
        return b""

    def _join_next(self) -> bool:
        """Begin the next member of a gzip file made of several; return False if only zeros follow."""
        while not (rest := self._packed.lstrip(b"\0")):
            self._packed = self._file.read(_CHUNK_BYTES)
            if not self._packed:
                return False
        self._packed = rest
        self._inflater = zlib.decompressobj(_GZIP)
        return True

    def _keep_point(self) -> None:
        file_at, last = self._file.tell(), self._points[-1]
        if self._at <= last.at:
            return
        # Compared with what has been read of the file so far, so that a bomb is noticed before it has unpacked much.
        if self._at > FREE_BYTES and self._at > MAX_RATIO * file_at:
            raise SourceError(f"{self._path}: unpacks to more than {MAX_RATIO} times its size; the archive is refused")
        if file_at - last.file_at >= self._spacing and not self._inflater.eof:
            self._points.append(_Point(self._at, file_at, self._inflater.copy(), self._packed))
