"""A folder with archives in it as one raw tree, as if each archive had been unpacked where it is.

If all members of an archive are below one top folder, they appear beside the archive, otherwise in a folder with its
name, as desktop tools unpack them. An archive that has been unpacked already, so that all of its files are there, is
ignored.
"""

from collections.abc import Callable, Iterator
from typing import BinaryIO, Final

from pipeline.core.errors import SourceError
from pipeline.core.lineage.identity import FileIdentity
from pipeline.core.parallel.pool import Progress, no_progress
from pipeline.core.parts import PartStore
from pipeline.ingest.raw_dataset import join
from pipeline.ingest.trees.archive import ArchiveTree
from pipeline.ingest.trees.folder import FolderTree
from pipeline.ingest.trees.tree import Tree

SUFFIXES: Final = (".zip", ".tar", ".tar.gz", ".tgz")


class OverlayTree(Tree):
    """The files of a folder, and the members of the archives in it, under one set of names."""

    def __init__(self, folder: FolderTree, archives: list[str], open_archive: Callable[[str], ArchiveTree]) -> None:
        super().__init__(folder.src)
        self._folder = folder
        self._archives: list[ArchiveTree] = []
        packed = set(archives)
        self._places: dict[str, tuple[Tree, str]] = {
            name: (folder, name) for name in folder.names() if name not in packed
        }
        for name in archives:
            self._lay(name, open_archive(f"{folder.src}/{name}"))
        self._sorted = sorted(self._places)

    def names(self) -> list[str]:
        """Return every name, sorted."""
        return self._sorted

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def size(self, name: str) -> int:
        """Return the size of a file in bytes."""
        tree, inner = self._place(name)
        return tree.size(inner)

    def open(self, name: str) -> BinaryIO:
        """Open a file; see `Tree.open`."""
        tree, inner = self._place(name)
        return tree.open(inner)

    def md5(self, name: str) -> str:
        """Return the md5 of a file's bytes in hex."""
        tree, inner = self._place(name)
        return tree.md5(inner)

    def identity(self, workers: int = 1, progress: Progress = no_progress, store: PartStore | None = None) -> str:
        """Return DVC's identity of the folder with its archives packed; hashes the members as well, for `md5`."""
        for archive in self._archives:
            archive.hash_members(progress, store)
        return self._folder.identity(workers, progress, store)

    def manifest(self) -> Iterator[FileIdentity]:
        """Yield every file of the folder with its archives packed, because that is what DVC tracks."""
        return self._folder.manifest()

    def moved(self) -> str | None:
        """Return the name of a file that has changed since the tree was opened, or None."""
        return self._folder.moved()

    def outside(self, name: str) -> str | None:
        """Return where a name leads if it is a link out of the tree, else None."""
        return self._folder.outside(name)

    def unfollowed(self) -> dict[str, str]:
        """Return the links that are not followed, with their targets."""
        return self._folder.unfollowed()

    def _place(self, name: str) -> tuple[Tree, str]:
        return self._places.get(name) or (self._folder, name)

    def _lay(self, name: str, archive: ArchiveTree) -> None:
        at, _, base = name.rpartition("/")
        # Several top folders, or loose files beside one, would be mixed with the neighbours of the archive.
        if len({member.partition("/")[0] for member in archive.names()}) != 1 or archive.listing("").files:
            at = join(at, without_suffix(base))
        placed = {join(at, member): member for member in archive.names()}
        # A file that is there under the same name and with the same size is taken for the unpacked member.
        known = [full for full in placed if full in self._places]
        for full in known:
            tree, inner = self._places[full]
            if tree.size(inner) != archive.size(placed[full]):
                raise SourceError(f"{self.src}: {full} is there twice, and in {name} of another size; remove one")
        if len(known) == len(placed):
            return
        self._archives.append(archive)
        for full, member in placed.items():
            self._places.setdefault(full, (archive, member))


def archives_of(folder: FolderTree) -> list[str]:
    """Return the names of all archives below a folder, known by their suffix."""
    return [name for name in folder.names() if name.casefold().endswith(SUFFIXES)]


def without_suffix(name: str) -> str:
    """Return an archive's name without .zip, .tar, .tar.gz or .tgz."""
    suffix = max((suffix for suffix in SUFFIXES if name.casefold().endswith(suffix)), key=len, default="")
    return name[: len(name) - len(suffix)]
