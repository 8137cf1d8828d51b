"""What many files looked like at one moment, packed: half a million of them take their names and 32 bytes each."""

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
    """What a file looked like when the tree was opened: its size in bytes, and 64 bits of its times and its inode."""

    size: int
    look: int

    @classmethod
    def of(cls, found: os.stat_result) -> Self:
        """Return what a file looks like."""
        return cls(found.st_size, hash(look_of(found)))


class FileIndex:
    """Files by name, sorted, with size, look and, once it is known, md5. Filled first, then `close`d."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._sizes = array("q")
        self._looks = array("q")
        self._md5s = bytearray()

    def add(self, name: str, stamp: FileStamp) -> None:
        """Take a file; its name is a new one."""
        self.names.append(name)
        self._sizes.append(stamp.size)
        self._looks.append(stamp.look)

    def close(self) -> None:
        """Sort what was taken."""
        order = sorted(range(len(self.names)), key=self.names.__getitem__)
        self.names = [self.names[place] for place in order]
        self._sizes = array("q", (self._sizes[place] for place in order))
        self._looks = array("q", (self._looks[place] for place in order))

    def place(self, name: str) -> int | None:
        """Return where a name stands among the sorted ones; None where there is no such file."""
        place = bisect_left(self.names, name)
        return place if place < len(self.names) and self.names[place] == name else None

    def stamp(self, place: int) -> FileStamp:
        """Return what the file at a place looked like."""
        return FileStamp(self._sizes[place], self._looks[place])

    def keep_md5s(self, digests: Iterator[str]) -> None:
        """Take the md5, in hex, of every file in the order of the names."""
        self._md5s = bytearray()
        for digest in digests:
            self._md5s += bytes.fromhex(digest)

    def md5(self, place: int) -> str | None:
        """Return the md5 of the file at a place in hex; None where it was never taken."""
        return self._md5s[_MD5_BYTES * place : _MD5_BYTES * (place + 1)].hex() or None
