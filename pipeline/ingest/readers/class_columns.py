"""Tables with a column for each class: marks of 0 and 1, such as Roboflow's `_classes.csv`, votes, or shares of 1."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from enum import Enum
from itertools import islice
from typing import Final

from pipeline.core.errors import SourceError
from pipeline.core.schema import Reason
from pipeline.ingest.clues import MAX_CLASSES
from pipeline.ingest.dataset_options import code_of
from pipeline.ingest.parsing.clips import with_frames
from pipeline.ingest.parsing.delimited import Record, TextTable, number, squash
from pipeline.ingest.parsing.label_names import class_word, split_of
from pipeline.ingest.parsing.subjects import name_subjects
from pipeline.ingest.parsing.table_rows import Place, TableRows, find_named
from pipeline.ingest.raw_dataset import Annotation, RawDataset, RejectedRow, Row, name_of
from pipeline.ingest.readers.csv_table import check_splits, open_text, picture_columns, tables_in
from pipeline.ingest.readers.reader import Reader
from pipeline.ingest.releases.named_codes import name_codes
from pipeline.ingest.trees.tree import Tree

_MAX_TABLES: Final = 64
_MIN_CLASSES: Final = 2
_ROBOFLOW: Final = "_classes.csv"  # where all other columns are classes
# What annotators could choose besides the classes, squashed.
_NONE: Final = frozenset(
    {"unknown", "uncertain", "none", "nf", "noface", "nonface", "other", "others", "unlabeled", "unlabelled"}
)
_PERCENT: Final = 100
_MARKS: Final = {"true": "1", "false": "0"}


class _Kind(Enum):
    """What the numbers of a table are."""

    marks = "0 or 1"
    votes = "counts of annotators"
    shares = "shares of 1, such as a network's answers"


class ClassColumns(Reader):
    """`filename,Anger,Happy,…`: a cell of 1 marks the class; more than 1 are votes; shares of 1 become percents."""

    name = "class_columns"
    labels = ()
    layout = "a .csv with a column for the picture and one for each class, of marks, votes or shares"
    generic = True

    def evidence(self, tree: Tree, root: str) -> str | None:
        """See `Reader.evidence`."""
        name = next((name for name in islice(tables_in(tree, root), _MAX_TABLES) if _fits(tree, name)), None)
        return f"{name} has a column of pictures and one for each class" if name else None

    def read(self, raw: RawDataset) -> Iterator[Row]:
        """See `Reader.read`."""
        told = raw.columns.get("file")
        tables = tables_in(raw.tree, raw.root) if told is None else [raw.at(told)]
        names = [name for name in tables if name in raw.tree and _fits(raw.tree, name)]
        check_splits(raw, names)
        if not names:
            raise SourceError(f"{raw.tree.src}: looked for {self.layout}")
        raw.scales = raw.options.scales
        raw.listed = lambda: (path for name in names for path in _paths(raw, name))
        kinds = {_kind(raw.tree, name) for name in names}
        kind = next(one for one in (_Kind.votes, _Kind.shares, _Kind.marks) if one in kinds)
        rows = [row for name in names for row in _rows(raw, name, kind)]
        named = name_codes(raw, rows, f"{names[0]} has a column for each of the classes")
        yield from with_frames(raw, name_subjects(raw, named))


def _fits(tree: Tree, name: str) -> bool:
    table = open_text(tree, name, {})
    columns = picture_columns(tree, table, {})
    return "path" in columns and "label" not in columns and len(_classes(tree, table)) >= _MIN_CLASSES


def _classes(tree: Tree, table: TextTable) -> dict[str, int]:
    """Return class -> index of its column: emotions, codes alone, or whatever Roboflow has; {} if there are none."""
    path = picture_columns(tree, table, {}).get("path")
    header = {cell.strip(): place for place, cell in enumerate(table.header or ()) if place != path}
    if table.name.rpartition("/")[2] == _ROBOFLOW or _are_codes(header):
        return header
    emotions = {cell: place for cell, place in header.items() if class_word(cell)}
    others = {cell: place for cell, place in header.items() if squash(cell) in _NONE}
    return emotions | others if emotions else {}


def _are_codes(header: Mapping[str, int]) -> bool:
    """Return whether columns are numbered from 0 or 1 on, as classes are, and not as pixels."""
    codes = [code_of(cell) for cell in header]
    return len(codes) <= MAX_CLASSES and codes in ([*range(len(codes))], [*range(1, len(codes) + 1)])


def _kind(tree: Tree, name: str) -> _Kind:
    table = open_text(tree, name, {})
    places = _classes(tree, table).values()
    values = {_value(record.at(place)) or 0 for record in table.records() for place in places}
    if any(value > 1 for value in values):
        return _Kind.votes
    return _Kind.shares if values - {0, 1} else _Kind.marks


def _value(cell: str) -> float | None:
    """Return the number in a cell; pandas writes marks as True and False."""
    return number(_MARKS.get(cell.strip().casefold(), cell))


def _paths(raw: RawDataset, name: str) -> Iterator[str]:
    table = open_text(raw.tree, name, {})
    place = picture_columns(raw.tree, table, raw.columns)["path"]
    return (record.at(place) for record in table.records())


def _rows(raw: RawDataset, name: str, kind: _Kind) -> Iterator[Row]:
    table = open_text(raw.tree, name, {})
    classes, split = _classes(raw.tree, table), split_of(name)
    columns = {
        role: place
        for role, place in picture_columns(raw.tree, table, raw.columns).items()
        if role == "path" or place not in classes.values()
    }
    bases = [name.rpartition("/")[0], raw.root]

    def place_of(record: Record) -> Place:
        return find_named(raw, record, columns, bases, split)

    # All but the label is read as in any table: split, subject, sequence, affect, gender, age, race and box.
    rows = TableRows(raw, columns, place_of, raw.meaning, split).read(table)
    for record, row in zip(table.records(), rows, strict=True):
        yield _labelled(raw, record, row, classes, kind) if isinstance(row, Annotation) else row


def _labelled(raw: RawDataset, record: Record, row: Annotation, classes: Mapping[str, int], kind: _Kind) -> Row:
    given = {label: _value(record.at(place) or "0") for label, place in classes.items()}
    values = [value for value in given.values() if value is not None and value >= 0]
    if len(values) < len(given):
        return RejectedRow(
            name_of(row.path), Reason.bad_row, f"{record.row}: expected a number of 0 or more for each class"
        )
    if kind is not _Kind.marks:
        # A vote of 1 counts as a slip, so shares are given as percents.
        votes = tuple(value * _PERCENT if kind is _Kind.shares else value for value in values)
        named = tuple(raw.meaning(label, record.row) for label in classes)
        return replace(row, labels=named, votes=votes) if any(votes) else row
    marked = [label for label, value in given.items() if value]
    if len(marked) > 1:
        detail = f"{record.row}: {' and '.join(marked)} are both marked"
        return RejectedRow(name_of(row.path), Reason.conflicting_labels, detail)
    return replace(row, labels=tuple(raw.meaning(label, record.row) for label in marked))
