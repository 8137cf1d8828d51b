"""Random access in a gzip file: the state of the inflater is kept at intervals, and reading resumes at the nearest.

The idea is that of zlib's own example `zran.c` (Adler): here a copy of zlib's state stands for window and bit offset.
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
_MAX_POINTS: Final = 512
_MIN_SPACING_BYTES: Final = 1 << 20
_GZIP: Final = 16 + zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class _Point:
    """Where reading can resume: place in the data, place in the file, the inflater there and what it has not eaten."""

    at: int
    file_at: int
    inflater: Any
    packed: bytes


class GzipStream(io.RawIOBase):
    """The inflated bytes of a gzip file, with `seek`. Checked against the ratio as they are first read."""

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
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it has `seek`."""
        return True

    def tell(self) -> int:
        """Return the place in the inflated data."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a place in the inflated data."""
        wanted = offset + (self._at if whence == io.SEEK_CUR else 0)
        place = bisect_right([point.at for point in self._points], wanted) - 1
        point = self._points[place]
        if wanted < self._at or point.at > self._at:
            self._file.seek(point.file_at)
            self._inflater, self._packed, self._at = point.inflater.copy(), point.packed, point.at
        while self._at < wanted and self._next(min(_CHUNK_BYTES * 4, wanted - self._at)):
            pass
        return self._at

    def readinto(self, target: memoryview, /) -> int:  # type: ignore[override]  # io calls it with a memoryview
        """Fill a buffer with at least one byte, unless the data has ended."""
        chunk = self._next(len(target))
        target[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()

    def drain(self) -> int:
        """Read to the end, so that all is checked once; return how many bytes there are."""
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
        """Begin the next of joined gzip files; False where only padding follows."""
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
        if self._at > FREE_BYTES and self._at > MAX_RATIO * file_at:
            raise SourceError(f"{self._path}: unpacks to more than {MAX_RATIO} times its size; the archive is refused")
        if file_at - last.file_at >= self._spacing and not self._inflater.eof:
            self._points.append(_Point(self._at, file_at, self._inflater.copy(), self._packed))
