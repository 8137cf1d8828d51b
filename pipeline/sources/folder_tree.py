"""A folder as a raw tree: every file below it; links that stay inside are followed, links that lead out never."""

import os
import re
import stat
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

from pipeline.errors import SourceError
from pipeline.lineage.identity import DVC_CONTROLS, FileIdentity, folder_md5, is_ignored
from pipeline.sources.tree import Tree, stream_md5
from pipeline.workers import Progress, no_progress

# Where DVC keeps files when its cache is linked into the workspace: `dvc checkout` made such links, no dump did.
_DVC_CACHE: Final = re.compile(r"/files/md5/[0-9a-f]{2}/[0-9a-f]{30}$")
_BATCH: Final = 512


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a file looked like when the tree was opened."""

    size: int
    mtime_ns: int


class FolderTree(Tree):
    """The files below a folder, as `pipeline.lineage.identity` and DVC see them."""

    def __init__(self, src: str, *, walk: bool = True) -> None:
        super().__init__(src)
        self._real_root = os.path.realpath(src)
        self._outside: dict[str, str] = {}
        self._dangling: dict[str, str] = {}
        self._stamps: dict[str, Stamp] = {}
        self._md5s: dict[str, str] = {}
        if walk:
            self._walk("", (self._real_root,))
        self._names = sorted(self._stamps)

    def names(self) -> list[str]:
        """Return the name of every file, sorted."""
        return self._names

    def __contains__(self, name: str) -> bool:
        return name in self._stamps

    def size(self, name: str) -> int:
        """Return the size of a file in bytes."""
        return self._stamp(name).size

    def open(self, name: str) -> BinaryIO:
        """Open a file; see `Tree.open`."""
        self._stamp(name)
        try:
            return self._path(name).open("rb")
        except OSError as error:
            raise SourceError(f"{self._path(name)}: cannot be read: {error.strerror}") from None

    def outside(self, name: str) -> str | None:
        """Say where a name leads that is a link out of the tree, or lies below one."""
        while name:
            if name in self._outside:
                return self._outside[name]
            name = name.rpartition("/")[0]
        return None

    def unfollowed(self) -> dict[str, str]:
        """Return the links out of the tree, and those to nothing, with where they lead."""
        return dict(sorted({**self._outside, **self._dangling}.items()))

    def identity(self, workers: int = 1, progress: Progress = no_progress) -> str:
        """Return DVC's ``.dir`` identity of the folder; threads, because hashing and reading release Python's lock."""
        names = iter(self._names)
        batches = list(iter(lambda: list(islice(names, _BATCH)), []))
        done = 0
        with ThreadPoolExecutor(max(1, workers)) as pool:
            for batch, digests in zip(batches, pool.map(self._hash, batches), strict=True):
                self._md5s.update(zip(batch, digests, strict=True))
                done += len(batch)
                progress(done, len(self._names), "hashing")
        return folder_md5(self.manifest())

    def manifest(self) -> list[FileIdentity]:
        """Return every file with size and md5; call after `identity`."""
        return [FileIdentity(name, self._stamps[name].size, self._md5s[name]) for name in self._names]

    def md5(self, name: str) -> str:
        """Return the md5 of a file's bytes in hex."""
        if name not in self._md5s:
            self._md5s[name] = self._hash([name])[0]
        return self._md5s[name]

    def moved(self) -> str | None:
        """Return the first file whose size or time of change is another than when the tree was opened."""
        for name in self._names:
            try:
                now = self._path(name).stat()
            except OSError:
                return name
            if Stamp(now.st_size, now.st_mtime_ns) != self._stamps[name]:
                return name
        return None

    def is_simple(self, name: str) -> bool:
        """Look for one file without a walk; say whether it is there, a regular file and inside."""
        if name not in self._stamps and ".." not in name.split("/") and not name.startswith("/"):
            try:
                found = self._path(name).stat()
            except (OSError, ValueError):
                return False
            if stat.S_ISREG(found.st_mode) and self._stays_inside(name):
                self._stamps[name] = Stamp(found.st_size, found.st_mtime_ns)
        return name in self._stamps

    def _hash(self, names: Sequence[str]) -> list[str]:
        digests = []
        for name in names:
            with self.open(name) as stream:
                digests.append(stream_md5(stream))
        return digests

    def _path(self, name: str) -> Path:
        return Path(self.src, name)

    def _stamp(self, name: str) -> Stamp:
        stamp = self._stamps.get(name)
        if stamp is None:
            target = self.outside(name)
            raise SourceError(
                f"{self._path(name)}: " + (f"a link out of the tree, to {target}" if target else "missing")
            )
        return stamp

    def _walk(self, folder: str, opened: tuple[str, ...]) -> None:
        try:
            with os.scandir(self._path(folder)) as entries:
                found = list(entries)
        except OSError as error:
            raise SourceError(f"{self._path(folder)}: cannot be read: {error.strerror}") from None
        for entry in found:
            if entry.name in DVC_CONTROLS:
                raise SourceError(f"{entry.path}: with it DVC passes over files of this tree; move it out of the tree")
            if not is_ignored(entry.name, folder=entry.is_dir()):
                self._take(entry, f"{folder}/{entry.name}" if folder else entry.name, opened)

    def _take(self, entry: os.DirEntry[str], name: str, opened: tuple[str, ...]) -> None:
        if entry.is_symlink() and not self._stays_inside(name):
            self._outside[name] = str(self._path(name).readlink())
        elif entry.is_dir():
            real = os.path.realpath(self._path(name)) if entry.is_symlink() else f"{opened[-1]}/{entry.name}"
            # A link to a folder above it would go round for ever.
            if real not in opened:
                self._walk(name, (*opened, real))
        else:
            self._take_file(entry, name)

    def _take_file(self, entry: os.DirEntry[str], name: str) -> None:
        try:
            found = entry.stat()
        except OSError:
            if entry.is_symlink():
                self._dangling[name] = str(self._path(name).readlink())
            return
        # Reading a pipe or a device could last for ever.
        if stat.S_ISREG(found.st_mode):
            self._stamps[name] = Stamp(found.st_size, found.st_mtime_ns)

    def _stays_inside(self, name: str) -> bool:
        real = os.path.realpath(self._path(name))
        inside = real == self._real_root or real.startswith(self._real_root.rstrip("/") + "/")
        return inside or (Path(real).is_file() and _DVC_CACHE.search(real) is not None)
