"""A folder as a raw tree: every file below it. Links are followed if they stay inside the folder, and only then."""

import io
import os
import re
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from pipeline.core.errors import SourceError
from pipeline.core.lineage.identity import DVC_CONTROLS, FileIdentity, folder_md5, is_ignored
from pipeline.core.lineage.known import Look, look_of
from pipeline.core.parallel.engine import map_ordered
from pipeline.core.parallel.pool import Progress, finish_units, no_progress
from pipeline.core.parallel.units import Units
from pipeline.core.parts import PartStore, Task, map_kept
from pipeline.ingest.trees.file_index import FileIndex, FileStamp
from pipeline.ingest.trees.hashes import key_of_files, read_hashes, write_hashes
from pipeline.ingest.trees.tree import Tree, stream_md5

# A file in DVC's cache. If `cache.type` is symlink, `dvc checkout` makes links that lead there, and these are followed.
_DVC_CACHE: Final = re.compile(r"/files/md5/[0-9a-f]{2}/[0-9a-f]{30}$")
# Files hashed per task, so that half a million small files do not become as many tasks.
_BATCH: Final = 512


class FolderTree(Tree):
    """The files below a folder, the same ones that `pipeline.core.lineage.identity` and DVC see."""

    def __init__(self, src: str, *, walk: bool = True) -> None:
        super().__init__(src)
        self._real_root = os.path.realpath(src)
        self._outside: dict[str, str] = {}
        self._dangling: dict[str, str] = {}
        self._index = FileIndex()
        self._asked: dict[str, str] = {}  # md5 of single files that were asked for before, or without, `identity`
        if walk:
            self._walk("", (self._real_root,))
        self._index.close()

    def names(self) -> list[str]:
        """Return the name of every file, sorted."""
        return self._index.names

    def __contains__(self, name: str) -> bool:
        return self._index.place(name) is not None

    def size(self, name: str) -> int:
        """Return the size of a file in bytes."""
        return self._index.stamp(self._place(name)).size

    def open(self, name: str) -> BinaryIO:
        """Open a file; see `Tree.open`."""
        self._place(name)
        return self._open(name)

    def outside(self, name: str) -> str | None:
        """Return where a name leads if it is a link out of the tree, or below one; else None."""
        while name:
            if name in self._outside:
                return self._outside[name]
            name = name.rpartition("/")[0]
        return None

    def unfollowed(self) -> dict[str, str]:
        """Return the links that lead out of the tree or to nothing, with their targets."""
        return dict(sorted({**self._outside, **self._dangling}.items()))

    def identity(self, workers: int = 1, progress: Progress = no_progress, store: PartStore | None = None) -> str:
        """Return DVC's ``.dir`` identity of the folder; reads every byte once, in `workers` threads."""
        # Threads are enough, because reading and hashing release the interpreter's lock.
        self._index.keep_md5s(self._hash_all(workers, progress, store))
        return folder_md5(self.manifest())

    def manifest(self) -> Iterator[FileIdentity]:
        """Yield every file with size and md5, sorted; call after `identity`."""
        for place, name in enumerate(self.names()):
            yield FileIdentity(name, self._index.stamp(place).size, self._index.md5(place) or "")

    def md5(self, name: str) -> str:
        """Return the md5 of a file's bytes in hex; a file is read the first time only."""
        place = self._index.place(name)
        known = None if place is None else self._index.md5(place)
        if known is not None:
            return known
        if name not in self._asked:
            with self.open(name) as stream:
                self._asked[name] = stream_md5(stream)
        return self._asked[name]

    def moved(self) -> str | None:
        """Return the first file whose content has changed since the tree was opened, or None.

        Only files with another size, time or inode are read again.
        """
        for place, name in enumerate(self.names()):
            try:
                now = os.stat(f"{self.src}/{name}")  # noqa: PTH116 - making a Path takes longer than the stat
            except OSError:
                return name
            if FileStamp.of(now) != self._index.stamp(place) and _hash(_Batch(self.src, [name])) != [
                self._index.md5(place)
            ]:
                return name
        return None

    def _hash_all(self, workers: int, progress: Progress, store: PartStore | None) -> Iterator[str]:
        names = self.names()
        batches = [_Batch(self.src, names[start : start + _BATCH]) for start in range(0, len(names), _BATCH)]

        def report(done: int) -> None:
            progress(done, len(names), "hashing")

        if store is None:
            for digests in map_ordered(_hash, batches, workers, report, threads=True):
                yield from digests
            return
        tasks = [Task(_key_of(batch), batch) for batch in batches]
        for part in map_kept(store, _write, _key_of, tasks, workers, _count, report, threads=True):
            yield from read_hashes(part)

    def _path(self, name: str) -> Path:
        return Path(self.src, name)

    def _open(self, name: str) -> BinaryIO:
        return _open(self.src, name)

    def _place(self, name: str) -> int:
        place = self._index.place(name)
        if place is None:
            target = self.outside(name)
            raise SourceError(
                f"{self._path(name)}: " + (f"a link out of the tree, to {target}" if target else "missing")
            )
        return place

    def _walk(self, folder: str, opened: tuple[str, ...]) -> None:
        inside = f"{folder}/" if folder else ""
        try:
            with os.scandir(self._path(folder)) as entries:
                # Files are taken one by one and only folders kept: an entry caches its stat, and a folder may contain
                # half a million files.
                folders = [entry for entry in entries if self._take(entry, inside + entry.name)]
        except OSError as error:
            raise SourceError(f"{self._path(folder)}: cannot be read: {error.strerror}") from None
        for entry in folders:
            name = inside + entry.name
            real = os.path.realpath(self._path(name)) if entry.is_symlink() else f"{opened[-1]}/{entry.name}"
            # A link to a folder that contains it would be followed for ever.
            if real not in opened:
                self._walk(name, (*opened, real))

    def _take(self, entry: os.DirEntry[str], name: str) -> bool:
        """Add an entry of a folder to the index; return whether it is a folder, which must be walked."""
        if entry.name in DVC_CONTROLS:
            raise SourceError(f"{entry.path}: with it DVC passes over files of this tree; move it out of the tree")
        folder = _is_folder(entry)
        if is_ignored(entry.name, folder=folder):
            return False
        if entry.is_symlink() and not self._stays_inside(name):
            self._outside[name] = str(self._path(name).readlink())
            return False
        if not folder:
            self._take_file(entry, name)
        return folder

    def _take_file(self, entry: os.DirEntry[str], name: str) -> None:
        try:
            found = entry.stat()
        except OSError:
            if entry.is_symlink():
                self._dangling[name] = str(self._path(name).readlink())
            return
        # Reading a pipe or a device might never end.
        if stat.S_ISREG(found.st_mode):
            self._index.add(name, FileStamp.of(found))

    def _stays_inside(self, name: str) -> bool:
        real = os.path.realpath(self._path(name))
        inside = real == self._real_root or real.startswith(self._real_root.rstrip("/") + "/")
        return inside or (Path(real).is_file() and _DVC_CACHE.search(real) is not None)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Some files to hash, by their names below a folder."""

    src: str
    names: Sequence[str]


def _hash(batch: _Batch) -> list[str]:
    digests = []
    for name in batch.names:
        with _open(batch.src, name) as stream:
            digests.append(stream_md5(stream))
    finish_units(len(digests))
    return digests


def _write(batch: _Batch, folder: Path, _: Units) -> bool:
    began_ns = time.time_ns()
    return write_hashes(folder, _hash(batch), _looks(batch), began_ns)


def _key_of(batch: _Batch) -> str:
    return key_of_files(batch.names, _looks(batch))


def _looks(batch: _Batch) -> list[Look]:
    try:
        return [look_of(os.stat(f"{batch.src}/{name}")) for name in batch.names]  # noqa: PTH116 - see `FolderTree.moved`
    except OSError as error:
        raise SourceError(f"{error.filename}: cannot be read: {error.strerror}") from None


def _count(batch: _Batch) -> int:
    return len(batch.names)


def _open(src: str, name: str) -> BinaryIO:
    try:
        # The same as Path.open, but making a Path takes longer than reading a small file.
        return io.BufferedReader(io.FileIO(f"{src}/{name}"))
    except OSError as error:
        raise SourceError(f"{src}/{name}: cannot be read: {error.strerror}") from None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # too many levels: the link leads to itself
        return False
