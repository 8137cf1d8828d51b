"""Pointers of Git LFS: a few lines of text where a file should be, left by a clone without `git lfs pull`."""

from typing import Final

from pipeline.core.errors import SourceError
from pipeline.ingest.trees.tree import Tree

_MAGIC: Final = b"version https://git-lfs.github.com/spec/"
_SIZES: Final = range(100, 200)  # bytes
_SAMPLE: Final = 32
_REMEDY: Final = "a pointer of Git LFS and not the file itself: git lfs pull fetches it"


def check_no_pointer(tree: Tree, name: str) -> None:
    """Check that a file is itself.

    Raises:
        SourceError: it is a pointer.
    """
    if is_pointer(tree, name):
        raise SourceError(f"{tree.src}/{name}: {_REMEDY}")


def is_pointer(tree: Tree, name: str) -> bool:
    """Return whether a file is a pointer."""
    if tree.size(name) not in _SIZES:
        return False
    with tree.open(name) as stream:
        return stream.read(len(_MAGIC)) == _MAGIC


def check_not_pointers(tree: Tree) -> None:
    """Check that the files of a tree are themselves, on some from everywhere.

    Raises:
        SourceError: most are pointers.
    """
    names = tree.names()
    some = names[:: max(1, len(names) // _SAMPLE)]
    found = [name for name in some if is_pointer(tree, name)]
    if 2 * len(found) > len(some):
        raise SourceError(f"{tree.src}: {found[0]} and most other files: {_REMEDY}")
