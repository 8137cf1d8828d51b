"""Size, times and md5 of many files in packed arrays: half a million files take 32 bytes each besides their names."""

import os
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

from pipeline.core.lineage.known import look_of

_MD5_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class FileStamp:
    """A file as it was when the tree was opened: its size in bytes, and a 64-bit hash of size, times and inode."""

    size: int
    look: int

    @classmethod
    def of(cls, found: os.stat_result) -> Self:
        """Return the stamp of a file with this stat."""
        return cls(found.st_size, hash(look_of(found)))


class FileIndex:
    """Files sorted by name, with size, look and md5. Call `add` for each one, then `close`, before anything else."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._sizes = array("q")
        self._looks = array("q")
        self._md5s = bytearray()

    def add(self, name: str, stamp: FileStamp) -> None:
        """Add a file under a name that is not there yet."""
        self.names.append(name)
        self._sizes.append(stamp.size)
        self._looks.append(stamp.look)

    def close(self) -> None:
        """Sort the files by name, so that they can be looked up."""
        order = sorted(range(len(self.names)), key=self.names.__getitem__)
        self.names = [self.names[place] for place in order]
        self._sizes = array("q", (self._sizes[place] for place in order))
        self._looks = array("q", (self._looks[place] for place in order))

    def place(self, name: str) -> int | None:
        """Return the index of a name in the sorted names, or None if there is no such file."""
        place = bisect_left(self.names, name)
        return place if place < len(self.names) and self.names[place] == name else None

    def stamp(self, place: int) -> FileStamp:
        """Return the stamp of the file at an index."""
        return FileStamp(self._sizes[place], self._looks[place])

    def keep_md5s(self, digests: Iterator[str]) -> None:
        """Store the md5 of every file, in hex, in the order of the names."""
        self._md5s = bytearray()
        for digest in digests:
            self._md5s += bytes.fromhex(digest)

    def md5(self, place: int) -> str | None:
        """Return the md5 of the file at an index in hex, or None if none were stored."""
        return self._md5s[_MD5_BYTES * place : _MD5_BYTES * (place + 1)].hex() or None
