"""The rules for every kind of archive: names stay inside, sizes are as declared, and compression ratios are plausible.

An archive is never unpacked to disk. A single hostile member makes the whole archive refused, because nobody packs one
by mistake, so the other members cannot be trusted either.
"""

import io
import re
import time
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from pipeline.core.errors import LineageError, SourceError
from pipeline.core.lineage.identity import FileIdentity, file_md5
from pipeline.core.lineage.known import look_of
from pipeline.core.parallel.pool import Progress, no_progress
from pipeline.core.parallel.units import Units
from pipeline.core.parts import KeptPart, MakePart, PartStore, Task
from pipeline.ingest.trees.hashes import key_of_files, read_hashes, write_hashes
from pipeline.ingest.trees.tree import DamagedError, Tree, buffered, is_junk, stream_md5

# The limit of unpacked to packed size. Photographs hardly shrink and tables shrink tenfold; deflate can reach 1032.
MAX_RATIO: Final = 200
# Up to this size, any ratio is allowed, because 1 MiB does no harm.
FREE_BYTES: Final = 1 << 20
_DRIVE: Final = re.compile(r"^[A-Za-z]:")
_STEP_FILES: Final = 500


class Refuser(Protocol):
    """A function that makes the error with which an archive is refused."""

    def __call__(self, member: str, why: str) -> SourceError:
        """Return the error about a member; the caller raises it."""


def refuser(src: str) -> Refuser:
    """Return the function that makes the errors of the archive `src`."""

    def refuse(member: str, why: str) -> SourceError:
        # A hostile name may have undecodable bytes or thousands of characters, and the message is one line.
        shown = member.encode("utf-8", "backslashreplace").decode()
        return SourceError(f"{src}: member {shown[:200]!r} {why}; the archive is refused")

    return refuse


def member_name(given: str, refuse: Refuser) -> str:
    """Return the name of a member as a name of a tree: POSIX, without empty parts and single dots.

    Raises:
        SourceError: the name is absolute, has a drive letter or contains "..", separated by slashes or backslashes.
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
        """Return the members in the order of their bytes in the file, in which reading all of them is fastest."""

    @abstractmethod
    def raw(self, name: str) -> io.RawIOBase:
        """Return a stream of a member's bytes."""

    def open(self, name: str) -> BinaryIO:
        """Open a member; see `Tree.open`."""
        self.size(name)
        return buffered(self.raw(name))

    def identity(
        self,
        workers: int = 1,  # noqa: ARG002 - one file, one reader
        progress: Progress = no_progress,
        store: PartStore | None = None,
    ) -> str:
        """Return the md5 of the archive file, which is DVC's identity of it; hashes every member as well."""
        self.hash_members(progress, store)
        self._md5 = file_md5(self.file)
        return self._md5

    def hash_members(self, progress: Progress = no_progress, store: PartStore | None = None) -> None:
        """Read every member once and store its md5, or "" for a damaged one, which costs no other member."""
        names = list(self.stored_order())
        tasks = [
            Task(self._key_of(batch), batch)
            for batch in (names[start : start + _STEP_FILES] for start in range(0, len(names), _STEP_FILES))
        ]
        # Not by `map_kept`: the members of most archives can only be read one after the other.
        parts = iter(()) if store is None else self._keep(store, tasks)
        for done, task in enumerate(tasks, 1):
            digests = self._hash(task.job) if store is None else read_hashes(next(parts))
            self._md5s |= dict(zip(task.job, digests, strict=True))
            progress(min(done * _STEP_FILES, len(names)), len(names), "hashing")

    def _keep(self, store: PartStore, tasks: Sequence[Task[list[str]]]) -> Iterator[KeptPart]:
        taken = store.take_over(tasks, 1)
        make = MakePart(self._write, self._key_of, store.folder)
        return store.in_order(tasks, taken, (make(task) for task in tasks if task.key not in taken))

    def _write(self, names: list[str], folder: Path, _: Units) -> bool:
        began_ns = time.time_ns()
        return write_hashes(folder, self._hash(names), [look_of(self.file.stat())], began_ns)

    def _key_of(self, names: list[str]) -> str:
        return key_of_files(names, [look_of(self.file.stat())])

    def _hash(self, names: list[str]) -> list[str]:
        digests = []
        for name in names:
            try:
                digests.append(self.md5(name))
            except DamagedError:
                digests.append("")
        return digests

    def manifest(self) -> Iterator[FileIdentity]:
        """Yield every member with size and md5, sorted; the md5 of a damaged member is ""."""
        return (FileIdentity(name, self._sizes[name], self._md5s[name]) for name in self.names())

    def md5(self, name: str) -> str:
        """Return the md5 of a member's bytes in hex.

        Raises:
            DamagedError: they differ from what was packed.
        """
        if name not in self._md5s:
            with self.open(name) as stream:
                self._md5s[name] = stream_md5(stream)
        if not self._md5s[name]:
            raise DamagedError(f"{self.src}: member {name} is damaged")
        return self._md5s[name]

    def moved(self) -> str | None:
        """Return the path of the archive if its bytes have changed since it was opened, else None."""
        try:
            same = look_of(self.file.stat()) == self._look or file_md5(self.file) == self._md5
        except (OSError, LineageError):
            return self.src
        return None if same else self.src

    def _add(self, name: str, size: int, refuse: Refuser) -> bool:
        """Add a member and return True, or return False for a file that systems leave behind.

        Raises:
            SourceError: there is already a member of this name; two readers could disagree about which one counts.
        """
        if is_junk(name):
            return False
        if name in self._sizes:
            raise refuse(name, "is there twice")
        self._sizes[name] = size
        return True


class Bounded(io.RawIOBase):
    """A raw stream over chunks of bytes. The iterator that yields them counts and checks them."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, target: memoryview, /) -> int:  # type: ignore[override]  # io calls it with a memoryview
        """Read at least one byte into a buffer and return how many; 0 at the end."""
        while not self._rest:
            try:
                self._rest = memoryview(next(self._chunks))
            except StopIteration:
                return 0
        count = min(len(target), len(self._rest))
        target[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
