"""What a tree is of which no reader recognises the layout, and what to type or to do so that one can."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from pipeline.core.errors import SourceError
from pipeline.core.schema import IMAGE_TABLE_SUFFIXES
from pipeline.ingest.dataset_options import UNSAID, classes_line, code_of
from pipeline.ingest.parsing.delimited import Delimited
from pipeline.ingest.parsing.label_names import is_split
from pipeline.ingest.parsing.picture_table import open_table
from pipeline.ingest.parsing.table_columns import KNOWN, columns_of
from pipeline.ingest.raw_dataset import is_picture
from pipeline.ingest.trees.overlay import SUFFIXES
from pipeline.ingest.trees.tree import Tree

ARCHIVES: Final = (".zip", ".tar", ".tar.gz", ".tgz", ".rar", ".7z", ".tar.xz", ".tar.bz2", ".zst")
VIDEOS: Final = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".wmv", ".flv", ".mpg", ".mpeg", ".m4v", ".mts")
# Kinds of files that may hold what is missing, by their suffix.
_KINDS: Final = {
    ".npy": "NumPy arrays", ".npz": "NumPy arrays", ".mat": "MATLAB's arrays", ".h5": "HDF5", ".hdf5": "HDF5",
    ".pkl": "pickles, which run code when they are read", ".pickle": "pickles, which run code when they are read",
    ".pt": "files of PyTorch", ".pth": "files of PyTorch", ".tfrecord": "TFRecord", ".tfrecords": "TFRecord",
    ".mdb": "LMDB", ".lmdb": "LMDB", ".rec": "RecordIO", ".xml": "XML", ".json": "JSON",
    ".xlsx": "Excel", ".xls": "Excel", ".db": "a database", ".sqlite": "a database", ".wav": "sound",
}  # fmt: skip
_TEXTS: Final = frozenset({"", ".txt", ".lst", ".md", ".pdf", ".html", ".yaml", ".yml"})
_ROLES: Final = ("path", "label")
_MAX_TABLES: Final = 16
_MAX_NAMED: Final = 12
# More numbered folders are people or clips.
MAX_CLASSES: Final = 20


@dataclass(frozen=True, slots=True)
class Clue:
    """What a part of a tree is, and the remedy: what to do, or what to type in the dataset's entry in params.yaml."""

    what: str
    remedy: str
    entry: Mapping[str, Any] = field(default_factory=dict)  # the same, as the dataset's entry has it

    def __str__(self) -> str:
        return f"{self.what}: {self.remedy}"


def read_clues(tree: Tree) -> list[Clue]:
    """Return what a tree is, the most telling first."""
    return [clue for find in _FINDERS for clue in find(tree)]


def unread_archives(tree: Tree) -> list[str]:
    """Return the archives in a tree that are not read: of an unsupported kind, or inside another archive."""
    return [name for name in tree.names() if name.casefold().endswith(ARCHIVES)]


def _archives(tree: Tree) -> Iterator[Clue]:
    names = unread_archives(tree)
    inner = [name for name in names if name.casefold().endswith(SUFFIXES)]
    others = [name for name in names if name not in inner]
    if inner:
        yield Clue(f"{_some(inner, 'archive')}, inside another one", "unpack the outer one, and what is in it is read")
    if others:
        yield Clue(f"{_some(others, 'archive')} of a kind that is not read in place", "unpack")


def _picture_tables(tree: Tree) -> Iterator[Clue]:
    for name in islice((name for name in tree.names() if name.casefold().endswith(IMAGE_TABLE_SUFFIXES)), _MAX_TABLES):
        try:
            header = open_table(tree, name).header or ()
        except SourceError as error:
            yield Clue(str(error).removeprefix(f"{tree.src}/"), "fetch it again")
            return
        yield Clue(f"{name} is a table without pictures, with {_named(header)}", "columns: {path: …, label: …}")
        return


def _text_tables(tree: Tree) -> Iterator[Clue]:
    texts = [name for name in tree.names() if name.casefold().endswith((".csv", ".tsv"))]
    for name in texts[:_MAX_TABLES]:
        try:
            table = Delimited(tree, name, [*KNOWN["path"], *KNOWN["label"]])
            header = table.header or table.first
            known = columns_of(table, {})
        except SourceError as error:
            yield Clue(str(error).removeprefix(f"{tree.src}/"), "fetch it again, or save it as a plain csv")
            continue
        # Columns without names have numbers.
        names = header if table.header is not None else [f"{place}" for place in range(1, len(header) + 1)]
        if table.header is None and "path" not in known:
            known |= dict([("path", place) for place, cell in enumerate(header) if is_picture(cell)][:1])
        columns = {role: names[known[role]] if role in known else UNSAID for role in _ROLES}
        there = ", ".join(f"{role}: {json.dumps(of) if of.isdecimal() else of}" for role, of in columns.items())
        missing = [role for role in _ROLES if role not in known]
        lacks = f"none is known for the {' or the '.join(missing)}" if missing else "its pictures are not in the tree"
        yield Clue(
            f"csv table {name} with {_named(header) if table.header else _unnamed(header)}, of which {lacks}",
            f"format: csv, columns: {{file: {name}, {there}}}" if missing else "put them beside it",
            {"format": "csv", "columns": {"file": name, **columns}} if missing else {},
        )


def _videos(tree: Tree) -> Iterator[Clue]:
    if names := [name for name in tree.names() if name.casefold().endswith(VIDEOS)]:
        kinds = ", ".join(sorted({suffix_of(name) for name in names}))
        yield Clue(
            f"{kinds} files, {_some(names, 'video')}",
            "add the release's lists, or put them into folders of the classes",
        )


def _folders(tree: Tree) -> Iterator[Clue]:
    """Say what the folders of pictures are called, if that may be what their pictures show."""
    homes = Counter(name.rpartition("/")[0] for name in tree.names() if is_picture(name))
    names = sorted({folder.rpartition("/")[2] for folder in homes} - {""}, key=lambda name: (len(name), name))
    names = [name for name in names if not is_split(name)]
    total = homes.total()
    if not total:
        return
    if len(names) > MAX_CLASSES and all(code_of(name) is not None for name in names):
        yield Clue(
            f"numbered folders, {names[0]} to {names[-1]}, with {total} pictures",
            "so many are people or clips, not classes; add the release's lists of labels",
        )
    elif 1 < len(names) <= _MAX_NAMED and any(code_of(name) is None for name in names):
        yield Clue(
            f"{total} pictures in folders that are named after no expression, {', '.join(names)}",
            f"if they are the classes: {classes_line(names)}",
            {"format": "folder", "classes": dict.fromkeys(names, UNSAID)},
        )
    else:
        where = f"in {len(names)} folders" if len(names) > 1 else f"in {names[0]}/" if names else "without folders"
        yield Clue(f"{total} pictures {where}, and nothing that labels them", "add the release's lists of labels")


def _kinds(tree: Tree) -> Iterator[Clue]:
    by_kind: dict[str, list[str]] = {}
    for name in tree.names():
        if kind := _KINDS.get(suffix_of(name)):
            by_kind.setdefault(kind, []).append(name)
    for kind, names in by_kind.items():
        yield Clue(f"{_some(names, 'file')} of {kind}", "not read; give the release's own pictures and lists")


def _others(tree: Tree) -> Iterator[Clue]:
    names = [
        name for name in tree.names() if not is_picture(name) and suffix_of(name) in {"", ".txt", ".lst", ".md", ".pdf"}
    ]
    if len(names) == len(tree.names()):
        yield Clue(f"{_some(names, 'file')} of text, and no picture", "add the pictures")


_FINDERS: Final[tuple[Callable[[Tree], Iterator[Clue]], ...]] = (
    _archives, _picture_tables, _text_tables, _videos, _folders, _kinds, _others
)  # fmt: skip


def _some(names: list[str], noun: str) -> str:
    return f"{len(names)} {noun}{'s' if len(names) > 1 else ''}{', such as ' if len(names) > 1 else ', '}{names[0]}"


def _named(header: Sequence[str]) -> str:
    return f"the columns {', '.join(header[:_MAX_NAMED])}"


def _unnamed(first: Sequence[str]) -> str:
    return f"{len(first)} columns without a header, in its first row {', '.join(first[:_MAX_NAMED])}"


def suffix_of(name: str) -> str:
    """Return the suffix of a file's name in lower case, with its point; "" if it has none."""
    base, dot, suffix = name.rpartition("/")[2].rpartition(".")
    return f".{suffix.casefold()}" if base and dot else ""
