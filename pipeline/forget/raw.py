"""Looking into a raw tree for withdrawn pictures: its files, members of its archives, and rows of its tables."""

import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pipeline.forget.holder import RAW, TABLE, UNPROVEN, Holder
from pipeline.forget.look import Seen, Wanted
from pipeline.ingest.clues import unread_archives
from pipeline.ingest.registry import Tree, open_tree
from pipeline.ingest.trees.folder import FolderTree
from pipeline.ingest.trees.overlay import SUFFIXES

_TABLES: Final = (".parquet", ".arrow")


def in_raw(wanted: Wanted, src: str) -> Iterator[Holder]:
    """Yield each file, member and table of a raw tree that shows what is looked for.

    All archives are looked into, also those whose files lie unpacked beside them.

    Raises:
        SourceError: the tree or an archive in it cannot be read.
    """
    path = Path(src)
    if path.is_file():
        yield from _in_archive(wanted, path)
    elif path.exists():
        folder = FolderTree(src)
        for name, kind, seen, detail in _in_tree(wanted, folder):
            yield Holder(kind, f"{src}/{name}", tuple(sorted(seen.samples)), detail)
        for name in unread_archives(folder):
            if name.casefold().endswith(SUFFIXES):
                yield from _in_archive(wanted, path / name)
            else:
                yield Holder(UNPROVEN, f"{src}/{name}", (), "an archive of a kind that is not read in place")


def _in_archive(wanted: Wanted, path: Path) -> Iterator[Holder]:
    found = list(_in_tree(wanted, open_tree(str(path))))
    stored = _stored_names(path) if found else {}
    for name, kind, seen, detail in found:
        yield Holder(kind, str(path), tuple(sorted(seen.samples)), detail, stored.get(name, name))


def _in_tree(wanted: Wanted, tree: Tree) -> Iterator[tuple[str, str, Seen, str]]:
    """Yield the name, the kind, what is seen, and what it is in words, of each file that shows what is looked for."""
    tree.identity(1)
    for file in tree.manifest():
        if (sample := wanted.by_md5(file.md5)) is not None:
            yield file.path, RAW, Seen(frozenset([sample])), "the picture as the dataset ships it"
        elif file.path.casefold().endswith(_TABLES):
            seen = _in_table(wanted, tree, file.path)
            if seen.torn:
                yield file.path, UNPROVEN, seen, "a table that cannot be read to its end"
            elif seen.samples:
                yield file.path, TABLE, seen, "a table of the dataset with the picture in a row"


def _in_table(wanted: Wanted, tree: Tree, name: str) -> Seen:
    with tempfile.NamedTemporaryFile() as copy, tree.open(name) as stream:  # a member of an archive has no place
        shutil.copyfileobj(stream, copy)
        copy.flush()
        return wanted.in_file(Path(copy.name), "")


def _stored_names(archive: Path) -> dict[str, str]:
    """Return the names of the members as they are stored, which tar and zip must be told, by those of the tree."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            names = packed.namelist()
    else:
        with tarfile.open(archive) as packed_tar:
            names = packed_tar.getnames()
    return {_name_in_tree(name): name for name in names}


def _name_in_tree(stored: str) -> str:
    return "/".join(part for part in stored.replace("\\", "/").split("/") if part not in {"", "."})
