"""Opening the path given as `--src` as a tree: a folder, an archive, or a folder with archives in it."""

import os
import stat
from pathlib import Path
from typing import BinaryIO, Final

from pipeline.core.errors import SourceError
from pipeline.ingest.trees.archive import ArchiveTree
from pipeline.ingest.trees.folder import FolderTree
from pipeline.ingest.trees.overlay import OverlayTree, archives_of
from pipeline.ingest.trees.tar import GZIP_MAGIC, TarTree
from pipeline.ingest.trees.tree import Tree
from pipeline.ingest.trees.zip import ZipTree

# The second one is an empty zip, which has only the end of a directory.
_ZIP_MAGICS: Final = (b"PK\3\4", b"PK\5\6")
_TAR_MAGIC: Final = b"ustar"
_TAR_MAGIC_AT: Final = 257


def open_tree(src: str) -> Tree:
    """Open a folder, an archive (.zip, .tar, .tar.gz, .tgz), or a folder that contains archives.

    Raises:
        SourceError: the path does not exist, is not an archive that can be read, or contains a hostile archive.
    """
    path = Path(src)
    try:
        if path.is_file():
            return _open_archive(src)
        if not path.is_dir():
            raise SourceError(f"{src}: nothing is there; expected a folder or an archive of a dataset")
    except OSError as error:
        raise SourceError(f"{src}: cannot be read: {error.strerror}") from None
    folder = FolderTree(src)
    archives = archives_of(folder)
    return OverlayTree(folder, archives, _open_archive) if archives else folder


def open_known(src: str) -> Tree:
    """Open a tree to read files whose names are already known, such as those in samples.parquet.

    A folder is not walked, which takes long for half a million files, until a name is not found at its own path.

    Raises:
        SourceError: see `open_tree`.
    """
    return KnownFolder(src) if Path(src).is_dir() else open_tree(src)


class KnownFolder(FolderTree):
    """A folder of which only some files will be read, by their names. It is walked only if a name is not found."""

    def __init__(self, src: str) -> None:
        super().__init__(src, walk=False)
        self._whole: Tree | None = None

    def open(self, name: str) -> BinaryIO:
        """Open a file; see `Tree.open`."""
        return self._open(name) if self._look(name) else self._walked().open(name)

    def size(self, name: str) -> int:
        """Return the size of a file in bytes."""
        found = self._look(name)
        return self._walked().size(name) if found is None else found.st_size

    def _look(self, name: str) -> os.stat_result | None:
        """Return the stat of one file without walking the folder; None if it is missing, not regular, or outside."""
        if ".." in name.split("/") or name.startswith("/"):
            return None
        try:
            found = self._path(name).stat()
        except (OSError, ValueError):
            return None
        return found if stat.S_ISREG(found.st_mode) and self._stays_inside(name) else None

    def _walked(self) -> Tree:
        if self._whole is None:
            self._whole = open_tree(self.src)
        return self._whole


def _open_archive(src: str) -> ArchiveTree:
    with Path(src).open("rb") as stream:
        head = stream.read(_TAR_MAGIC_AT + len(_TAR_MAGIC))
    if head.startswith(_ZIP_MAGICS):
        return ZipTree(src)
    # The content decides. Only a tar older than ustar, which has no magic bytes, is recognised by its suffix.
    if head.startswith(GZIP_MAGIC) or head[_TAR_MAGIC_AT:] == _TAR_MAGIC or src.casefold().endswith(".tar"):
        return TarTree(src)
    raise SourceError(f"{src}: not an archive that is read in place; expected a folder, .zip, .tar or .tar.gz")
