"""A raw tree: the files of a raw dataset by their POSIX names, whether they are in a folder or inside an archive.

Readers see only names and bytes. A tree never returns anything outside its root: a link that leads out of it cannot be
read, and an archive with a member that would unpack outside is refused (`pipeline.ingest.trees.archive`).
"""

import hashlib
import io
import unicodedata
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from pipeline.core.errors import SourceError
from pipeline.core.lineage.identity import FileIdentity
from pipeline.core.parallel.pool import Progress, no_progress
from pipeline.core.parts import PartStore

# No picture or annotation file that is read at once is this large; big tables are streamed. A hostile file that is
# larger would otherwise take all memory.
MAX_READ_BYTES: Final = 512 << 20
_CHUNK_BYTES: Final = 1 << 20
# What operating systems, file servers and tools leave in folders, in lower case. They are part of no dataset.
_JUNK_NAMES: Final = frozenset({".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini", ".gitignore", ".gitkeep"})
_JUNK_FOLDERS: Final = frozenset(
    {"__macosx", "@eadir", ".git", ".ipynb_checkpoints", ".thumbnails", "$recycle.bin", "system volume information"}
)


@dataclass(slots=True)
class Listing:
    """The folders and files directly in one folder, sorted; names without the folder."""

    folders: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


class DamagedError(SourceError):
    """A member of an archive has other bytes than those that were packed. The rest of the archive can be used."""


class Tree(ABC):
    """The files of one raw dataset. Names are POSIX paths relative to the root, and never lead out of it."""

    def __init__(self, src: str) -> None:
        self.src = src
        self._listings: dict[str, Listing] | None = None
        self._loose: dict[str, list[str]] | None = None
        self._by_base: dict[str, list[str]] | None = None
        self._by_stem: dict[str, list[str]] | None = None

    @abstractmethod
    def names(self) -> list[str]:
        """Return the name of every file, sorted."""

    @abstractmethod
    def __contains__(self, name: str) -> bool:
        """Return whether there is a file of this name."""

    @abstractmethod
    def size(self, name: str) -> int:
        """Return the size of a file in bytes, as its folder or archive states it."""

    @abstractmethod
    def open(self, name: str) -> BinaryIO:
        """Open a file for reading its bytes from the start.

        Raises:
            SourceError: there is no such file, or it differs from what the archive declares.
        """

    @abstractmethod
    def identity(self, workers: int = 1, progress: Progress = no_progress, store: PartStore | None = None) -> str:
        """Return the md5 by which DVC identifies the folder or the archive file; reads every byte once.

        Args:
            workers: threads that read.
            progress: called with the number of files that are hashed.
            store: where hashes are kept until the stage has its result, so that a killed run goes on where it was.
        """

    @abstractmethod
    def manifest(self) -> Iterator[FileIdentity]:
        """Yield every file with size and md5, sorted; call after `identity`."""

    @abstractmethod
    def md5(self, name: str) -> str:
        """Return the md5 of a file's bytes in hex."""

    @abstractmethod
    def moved(self) -> str | None:
        """Return the name of a file that has changed since the tree was opened, or None."""

    def outside(self, name: str) -> str | None:  # noqa: ARG002 - only folders can hold links
        """Return where a name leads if it is a link out of the tree, else None."""
        return None

    def unfollowed(self) -> dict[str, str]:
        """Return the links that are not followed, with their targets; DVC's identity may include what they lead to."""
        return {}

    def read(self, name: str) -> bytes:
        """Return the bytes of a file.

        Raises:
            SourceError: there is no such file, it has more than 512 MiB, or differs from what the archive declares.
        """
        if self.size(name) > MAX_READ_BYTES:
            raise SourceError(f"{self.src}: {name} has {self.size(name)} bytes; at most {MAX_READ_BYTES} are read")
        with self.open(name) as stream:
            return stream.read()

    def listing(self, folder: str) -> Listing:
        """Return the content of one folder ("" is the root), without files that systems leave behind, see `is_junk`."""
        if self._listings is None:
            self._listings = _index_folders(self.names())
        return self._listings.get(folder, _NOTHING)

    def below(self, folder: str) -> Iterator[str]:
        """Yield the names of all files below a folder: its own files first, then folder by folder."""
        prefix = f"{folder}/" if folder else ""
        listing = self.listing(folder)
        yield from (prefix + name for name in listing.files)
        for name in listing.folders:
            yield from self.below(prefix + name)

    def match(self, name: str) -> list[str]:
        """Return the files of this name, or whose names differ from it only in case or Unicode normal form.

        Lists made on Windows or macOS spell paths in another case or normal form than the files that ship with them.
        """
        if self._loose is None:
            self._loose = defaultdict(list)
            for known in self.names():
                self._loose[_loose(known)].append(known)
        return self._loose.get(_loose(name), [])

    def ending(self, name: str) -> list[str]:
        """Return the files whose path ends with the components of `name`.

        If there is none, case and Unicode normal form are ignored. Lists often contain paths of their author's machine.
        """
        if self._by_base is None:
            self._by_base = defaultdict(list)
            for known in self.names():
                self._by_base[_loose(known.rpartition("/")[2])].append(known)
        candidates = self._by_base.get(_loose(name.rpartition("/")[2]), [])
        exact = [known for known in candidates if f"/{known}".endswith(f"/{name}")]
        return exact or [known for known in candidates if f"/{_loose(known)}".endswith(f"/{_loose(name)}")]

    def with_stem(self, stem: str) -> list[str]:
        """Return the files, in any folder, whose base name without its last suffix is this one, as `match` compares."""
        if self._by_stem is None:
            self._by_stem = defaultdict(list)
            for known in self.names():
                base = known.rpartition("/")[2]
                self._by_stem[_loose(base.rpartition(".")[0] or base)].append(known)
        return self._by_stem.get(_loose(stem), [])


_NOTHING: Final = Listing()


def stream_md5(stream: BinaryIO) -> str:
    """Return the md5 of the rest of a stream, in hex."""
    digest = hashlib.md5(usedforsecurity=False)
    while chunk := stream.read(_CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()


def buffered(raw: io.RawIOBase) -> BinaryIO:
    """Return a raw stream with a buffer of 1 MiB."""
    return io.BufferedReader(raw, _CHUNK_BYTES)


def is_junk(name: str) -> bool:
    """Return whether a file is one that operating systems and tools leave behind, and no part of a dataset."""
    # "._" begins the resource forks that macOS puts beside each file of an archive, "._face.jpg" among them.
    parts = name.casefold().split("/")
    return parts[-1] in _JUNK_NAMES or parts[-1].startswith("._") or not _JUNK_FOLDERS.isdisjoint(parts[:-1])


def _index_folders(names: list[str]) -> dict[str, Listing]:
    listings: dict[str, Listing] = {"": Listing()}
    for name in names:
        if is_junk(name):
            continue
        folder, _, base = name.rpartition("/")
        if folder not in listings:
            _add_folder(listings, folder)
        listings[folder].files.append(base)
    for listing in listings.values():
        listing.folders.sort()
        listing.files.sort()
    return listings


def _add_folder(listings: dict[str, Listing], folder: str) -> None:
    added = []
    while folder not in listings:
        listings[folder] = Listing()
        parent, _, base = folder.rpartition("/")
        added.append((parent, base))
        folder = parent
    for parent, base in added:
        listings[parent].folders.append(base)


def _loose(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
