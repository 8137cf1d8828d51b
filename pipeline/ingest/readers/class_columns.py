"""Tables with a column for each class: marks of 0 and 1, such as Roboflow's `_classes.csv`, or numbers of votes."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final

from pipeline.core.errors import SourceError
from pipeline.core.schema import Reason
from pipeline.ingest.parsing.delimited import Record, TextTable, number
from pipeline.ingest.parsing.label_names import class_word, split_of
from pipeline.ingest.parsing.subjects import name_subjects
from pipeline.ingest.parsing.table_columns import columns_of
from pipeline.ingest.parsing.table_rows import find_named
from pipeline.ingest.raw_dataset import Annotation, RawDataset, RejectedRow, Row, name_of
from pipeline.ingest.readers.csv_table import check_splits, open_text, tables_in
from pipeline.ingest.readers.reader import Reader
from pipeline.ingest.trees.tree import Tree

_MAX_TABLES: Final = 64
_MIN_CLASSES: Final = 3
# What annotators could choose besides the classes, squashed.
_NONE: Final = frozenset({"unknown", "uncertain", "none", "nf", "noface", "nonface", "other", "others"})


class ClassColumns(Reader):
    """`filename,Anger,Happy,…`: a cell of 1 marks the class; if cells have more than 1, all are votes."""

    name = "class_columns"
    labels = ()
    layout = "a .csv with a column for the picture and one for each class, of marks or votes"
    generic = True

    def evidence(self, tree: Tree, root: str) -> str | None:
        """See `Reader.evidence`."""
        name = next((name for name in islice(tables_in(tree, root), _MAX_TABLES) if _fits(tree, name)), None)
        return f"{name} has a column of pictures and one for each class" if name else None

    def read(self, raw: RawDataset) -> Iterator[Row]:
        """See `Reader.read`."""
        names = [name for name in tables_in(raw.tree, raw.root) if _fits(raw.tree, name)]
        check_splits(raw, names)
        if not names:
            raise SourceError(f"{raw.tree.src}: looked for {self.layout}")
        raw.listed = lambda: (path for name in names for path in _paths(raw, name))
        are_votes = any(_has_votes(open_text(raw.tree, name, {})) for name in names)
        rows = [row for name in names for row in _rows(raw, name, are_votes=are_votes)]
        yield from name_subjects(raw, rows)


def _fits(tree: Tree, name: str) -> bool:
    table = open_text(tree, name, {})
    columns = columns_of(table, {})
    return "path" in columns and "label" not in columns and len(_classes(table)) >= _MIN_CLASSES


def _classes(table: TextTable) -> dict[str, int]:
    """Return class -> index of its column; {} unless some are emotions."""
    header = [cell.strip() for cell in table.header or ()]
    emotions = {cell: place for place, cell in enumerate(header) if class_word(cell)}
    others = {cell: place for place, cell in enumerate(header) if cell.casefold().replace(" ", "") in _NONE}
    return emotions | others if emotions else {}


def _has_votes(table: TextTable) -> bool:
    places = _classes(table).values()
    return any((number(record.at(place)) or 0) > 1 for record in table.records() for place in places)


def _paths(raw: RawDataset, name: str) -> Iterator[str]:
    table = open_text(raw.tree, name, {})
    place = columns_of(table, {})["path"]
    return (record.at(place) for record in table.records())


def _rows(raw: RawDataset, name: str, *, are_votes: bool) -> Iterator[Row]:
    table = open_text(raw.tree, name, {})
    classes, path, split = _classes(table), columns_of(table, {})["path"], split_of(name)
    bases = [name.rpartition("/")[0], raw.root]
    for record in table.records():
        yield _row(raw, record, classes, find_named(raw, record, path, bases)[0], split, are_votes=are_votes)


def _row(
    raw: RawDataset,
    record: Record,
    classes: Mapping[str, int],
    path: str | RejectedRow,
    split: str | None,
    *,
    are_votes: bool,
) -> Row:
    if (surplus := record.surplus()) is not None:
        return RejectedRow(name_of(path), Reason.bad_row, surplus)
    given = {label: number(record.at(place) or "0") for label, place in classes.items()}
    values = [value for value in given.values() if value is not None and value >= 0]
    if len(values) < len(given):
        return RejectedRow(
            name_of(path), Reason.bad_row, f"{record.row}: expected a number of 0 or more for each class"
        )
    if are_votes:
        labels, votes = (tuple(classes), tuple(values)) if any(values) else ((), None)
        return Annotation(path, labels, record.row, split=split, votes=votes)
    marked = [label for label, value in given.items() if value]
    if len(marked) > 1:
        detail = f"{record.row}: {' and '.join(marked)} are both marked"
        return RejectedRow(name_of(path), Reason.conflicting_labels, detail)
    return Annotation(path, tuple(raw.meaning(label, record.row) for label in marked), record.row, split=split)
