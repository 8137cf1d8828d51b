"""What every archive is held to, whatever its kind: names that stay inside, sizes that are true, ratios that are sane.

An archive is never unpacked. One member that is hostile condemns the archive: no one ships such a thing by mistake, and
the rest of it deserves no trust.
"""

import io
import re
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from pipeline.core.errors import LineageError, SourceError
from pipeline.core.lineage.identity import FileIdentity, file_md5
from pipeline.core.lineage.known import look_of
from pipeline.core.parallel.pool import Progress, no_progress
from pipeline.ingest.trees.tree import DamagedError, Tree, buffered, is_junk, stream_md5

# Photographs do not shrink and tables shrink tenfold; deflate's utmost is 1032.
MAX_RATIO: Final = 200
# What is smaller cannot hurt, whatever its ratio.
FREE_BYTES: Final = 1 << 20
_DRIVE: Final = re.compile(r"^[A-Za-z]:")
_STEP_FILES: Final = 500


class Refuser(Protocol):
    """Makes the error that condemns an archive."""

    def __call__(self, member: str, why: str) -> SourceError:
        """Return the error, to be raised."""


def refuser(src: str) -> Refuser:
    """Return what makes this archive's errors."""

    def refuse(member: str, why: str) -> SourceError:
        shown = member.encode("utf-8", "backslashreplace").decode()
        return SourceError(f"{src}: member {shown[:200]!r} {why}; the archive is refused")

    return refuse


def member_name(given: str, refuse: Refuser) -> str:
    """Return a member's name as a tree's: POSIX, without empty parts and dots.

    Raises:
        SourceError: absolute, with a drive, or with "..", under either system's separators.
    """
    name = given.replace("\\", "/")
    if name.startswith("/") or _DRIVE.match(name):
        raise refuse(given, "has an absolute path")
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if ".." in parts:
        raise refuse(given, "leads out of the archive with '..'")
    return "/".join(parts)


class ArchiveTree(Tree):
    """The members of one archive file."""

    def __init__(self, src: str) -> None:
        super().__init__(src)
        self.file = Path(src)
        self._look = look_of(self.file.stat())
        self._md5 = ""
        self._sizes: dict[str, int] = {}
        self._md5s: dict[str, str] = {}
        self._sorted: list[str] | None = None

    def names(self) -> list[str]:
        """Return the name of every member that is a file, sorted."""
        if self._sorted is None:
            self._sorted = sorted(self._sizes)
        return self._sorted

    def __contains__(self, name: str) -> bool:
        return name in self._sizes

    def size(self, name: str) -> int:
        """Return the declared size of a member in bytes."""
        if name not in self._sizes:
            raise SourceError(f"{self.src}: no member {name!r}")
        return self._sizes[name]

    @abstractmethod
    def stored_order(self) -> Iterable[str]:
        """Return the members in the order in which they lie in the file, the fastest to read them all."""

    @abstractmethod
    def raw(self, name: str) -> io.RawIOBase:
        """Return a stream of a member's bytes."""

    def open(self, name: str) -> BinaryIO:
        """Open a member; see `Tree.open`."""
        self.size(name)
        return buffered(self.raw(name))

    def identity(self, workers: int = 1, progress: Progress = no_progress) -> str:  # noqa: ARG002 - one file, one reader
        """Return the md5 of the archive file, which is what DVC calls it; hashes every member as well."""
        self.hash_members(progress)
        self._md5 = file_md5(self.file)
        return self._md5

    def hash_members(self, progress: Progress = no_progress) -> None:
        """Read every member once and keep its md5; a damaged one has none."""
        for done, name in enumerate(self.stored_order(), 1):
            try:
                self.md5(name)
            except DamagedError:
                self._md5s[name] = ""
            if done % _STEP_FILES == 0:
                progress(done, len(self._sizes), "hashing")

    def manifest(self) -> Iterator[FileIdentity]:
        """Yield every member with size and md5, sorted; "" where it is damaged."""
        return (FileIdentity(name, self._sizes[name], self._md5s[name]) for name in self.names())

    def md5(self, name: str) -> str:
        """Return the md5 of a member's bytes in hex.

        Raises:
            DamagedError: they are not what was packed.
        """
        if name not in self._md5s:
            with self.open(name) as stream:
                self._md5s[name] = stream_md5(stream)
        if not self._md5s[name]:
            raise DamagedError(f"{self.src}: member {name} is damaged")
        return self._md5s[name]

    def moved(self) -> str | None:
        """Return the archive's name if it changed since it was opened."""
        try:
            same = look_of(self.file.stat()) == self._look or file_md5(self.file) == self._md5
        except (OSError, LineageError):
            return self.src
        return None if same else self.src

    def _add(self, name: str, size: int, refuse: Refuser) -> bool:
        """Take a member; say whether it was taken: what systems leave behind is not."""
        if is_junk(name):
            return False
        if name in self._sizes:
            raise refuse(name, "is there twice")
        self._sizes[name] = size
        return True


class Bounded(io.RawIOBase):
    """A stream of chunks that must be `size` bytes in all."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, target: memoryview, /) -> int:  # type: ignore[override]  # io calls it with a memoryview
        """Fill a buffer."""
        while not self._rest:
            try:
                self._rest = memoryview(next(self._chunks))
            except StopIteration:
                return 0
        count = min(len(target), len(self._rest))
        target[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
