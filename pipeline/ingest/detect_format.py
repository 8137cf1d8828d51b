"""Recognising the layout of a tree: every reader checks, and exactly one may find its own."""

from collections.abc import Iterator, Sequence
from typing import Final

from pipeline.core.errors import SourceError, UsageError
from pipeline.ingest.clues import read_clues
from pipeline.ingest.dataset_options import SettingError
from pipeline.ingest.raw_dataset import is_picture, join
from pipeline.ingest.readers.reader import Reader
from pipeline.ingest.trees.pointers import check_not_pointers
from pipeline.ingest.trees.tree import Listing, Tree

AUTO: Final = "auto"
# A raw dataset is often unpacked one or two folders deeper than its layout begins.
_MAX_DEPTH: Final = 2
_MAX_ROOTS: Final = 256  # a level may have a folder per picture, and each would be asked by every reader
_TABLES: Final = (".csv", ".tsv")
_MAX_CLUES: Final = 3
_FOLDERS: Final = ("folder", "video_folder")


def find_reader(readers: Sequence[Reader], fmt: str) -> Reader:
    """Return the reader of a format.

    Raises:
        UsageError: there is none; names those there are.
    """
    found = next((reader for reader in readers if reader.name == fmt), None)
    if found is None:
        names = ", ".join(reader.name for reader in readers)
        raise UsageError(f"format {fmt!r}: unknown; one of {AUTO}, {names}")
    return found


def detect_among(readers: Sequence[Reader], tree: Tree) -> tuple[Reader, str, str]:
    """Return the reader whose layout a tree has, the folder where it begins, and the evidence.

    Raises:
        SourceError: no reader or more than one recognises the tree; says what was searched for.
    """
    _check_not_empty(tree)
    # Generic layouts (class folders, any csv) fit nearly every tree, so they are tried only after all others.
    for generic in (False, True):
        found = [(reader, *where) for reader in readers if reader.generic is generic and (where := _look(reader, tree))]
        if len(found) == 1:
            return found[0]
        if found:
            lists = [one for one in found if one[0].name not in _FOLDERS]
            # A list of all pictures says more than the folders that they are in, and its labels are compared to those.
            if len(lists) == 1 and lists[0][0].names_all(tree, lists[0][1]):
                return lists[0]
            ways = "; ".join(f"--format {reader.name}: {why}" for reader, _, why in found)
            choice = {"format": found[0][0].name}
            raise SettingError(f"{tree.src}: fits more than one format; choose: {ways}", choice)
    raise SourceError(f"{tree.src}: no known layout{_clues(tree)}; prep formats lists the layouts that are read")


def find_root(reader: Reader, tree: Tree) -> str:
    """Return the folder in which the layout of a given format begins.

    Raises:
        SourceError: the tree does not have this layout.
    """
    _check_not_empty(tree)
    found = _look(reader, tree)
    if found:
        return found[0]
    root = next((root for root in roots(tree, generic=reader.generic) if reader.begins(tree, root)), None)
    if root is None:
        raise SourceError(f"{tree.src}: not {reader.name}: looked for {reader.layout}{_clues(tree)}")
    return root


def _look(reader: Reader, tree: Tree) -> tuple[str, str] | None:
    found: list[tuple[str, str]] = []
    for root in roots(tree, generic=reader.generic):
        if found and root.count("/") + bool(root) > found[0][0].count("/") + bool(found[0][0]):
            break
        if why := reader.evidence(tree, root):
            found.append((root, why))
    if len(found) > 1:
        raise SourceError(
            f"{tree.src}: holds {reader.name} twice: {found[0][1]}; {found[1][1]}; give --src one of them"
        )
    return found[0] if found else None


def roots(tree: Tree, *, generic: bool) -> Iterator[str]:
    """Yield the folders where a layout may begin, the root first, then level by level."""
    level, depth = [""], 0
    while depth <= _MAX_DEPTH:
        yield from level
        listings = [(root, tree.listing(root)) for root in level]
        # Folders around all others say nothing, however many there are.
        wrapped = len(level) == 1 and _is_wrapper(listings[0][1])
        # Any folder could be one of class folders, so a generic layout may begin deeper only if nothing else is data.
        if generic and not wrapped:
            return
        depth += not wrapped
        level = [join(root, name) for root, listing in listings for name in listing.folders][:_MAX_ROOTS]


def _is_wrapper(listing: Listing) -> bool:
    data = [name for name in listing.files if is_picture(name) or name.casefold().endswith(_TABLES)]
    return len(listing.folders) == 1 and not data


def _check_not_empty(tree: Tree) -> None:
    if not tree.names():
        for name, target in tree.unfollowed().items():
            raise SourceError(f"{tree.src}/{name}: a link out of the tree, to {target}, and nothing else is there")
        raise SourceError(f"{tree.src}: empty; expected the files of a dataset as it was unpacked, or its archive")
    check_not_pointers(tree)


def _clues(tree: Tree) -> str:
    """Say what the tree is, for the error, and what to do or to type."""
    found = read_clues(tree)[:_MAX_CLUES]
    return f". It has {'; '.join(map(str, found))}; prep inspect {tree.src} says more" if found else ""
