"""Any csv with path and label or affect, and optionally box, subject, sequence, gender, age, race and split.

The columns are named in params.yaml, or recognised by their usual names.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from pipeline.core.errors import SourceError
from pipeline.ingest.parsing.cut_out import are_named_cut_out
from pipeline.ingest.parsing.delimited import Delimited, TextTable
from pipeline.ingest.parsing.json_lines import JsonLines
from pipeline.ingest.parsing.label_columns import LABEL_NAMES, choose_label
from pipeline.ingest.parsing.label_names import split_of
from pipeline.ingest.parsing.subjects import name_subjects
from pipeline.ingest.parsing.table_columns import KNOWN, columns_of, need_columns
from pipeline.ingest.parsing.table_rows import TableRows, find_named
from pipeline.ingest.raw_dataset import RawDataset, Row, is_picture, join, with_suffix
from pipeline.ingest.readers.reader import Reader
from pipeline.ingest.releases.named_codes import name_codes
from pipeline.ingest.trees.tree import Tree

_LINES: Final = (".jsonl", ".ndjson")
SUFFIXES: Final = (".csv", ".tsv", *_LINES)
# A folder may have thousands of csv files, one per picture; the layout is decided on a few.
_MAX_TABLES: Final = 64
_SAMPLE_ROWS: Final = 64
_AFFECT: Final = frozenset({"valence", "arousal", "dominance"})


class Table(Reader):
    """One table, or one for each split, named after it or in its folder."""

    name = "csv"
    labels = ()
    layout = (
        "a .csv, .tsv or .jsonl with a column for the picture (path, image …) and one for the label (emotion …), or "
        "with valence, arousal or dominance"
    )
    generic = True

    def evidence(self, tree: Tree, root: str) -> str | None:
        """See `Reader.evidence`."""
        for name in islice(tables_in(tree, root), _MAX_TABLES):
            columns = columns_of(open_text(tree, name, {}), {})
            if what := _says(columns):
                records = islice(open_text(tree, name, {}).records(), _SAMPLE_ROWS)
                if any(_is_there(tree, name, record.at(columns["path"])) for record in records):
                    return f"{name} has a column of pictures and one of {what}"
        return None

    def begins(self, tree: Tree, root: str) -> bool:
        """See `Reader.begins`."""
        return next(tables_in(tree, root), None) is not None

    def read(self, raw: RawDataset) -> Iterator[Row]:
        """See `Reader.read`."""
        names = _chosen(raw)
        raw.scales = raw.options.scales
        raw.listed = lambda: (path for name in names for path in _paths(raw, name))
        if "file" not in raw.columns:
            _note_others(raw, names)
        rows = [row for name in names for row in _read_table(raw, name)]
        yield from name_subjects(raw, name_codes(raw, rows))

    def faces_are_cut_out(self, raw: RawDataset) -> bool:
        """See `Reader.faces_are_cut_out`."""
        return are_named_cut_out(raw.tree)


def tables_in(tree: Tree, root: str, depth: int = 3) -> Iterator[str]:
    """Yield every table as text in a folder and up to two folders below it."""
    listing = tree.listing(root)
    yield from (join(root, name) for name in listing.files if name.casefold().endswith(SUFFIXES))
    if depth > 1:
        for folder in listing.folders:
            yield from tables_in(tree, join(root, folder), depth - 1)


def _says(columns: Mapping[str, int]) -> str:
    """Return what a table says of its pictures: labels, or only values of affect; empty for neither."""
    if "path" not in columns:
        return ""
    return "labels" if "label" in columns else ", ".join(sorted(_AFFECT & columns.keys()))


def _chosen(raw: RawDataset) -> list[str]:
    """Return the tables to read: the one named in params.yaml, the only one, or one for each split."""
    if named := raw.columns.get("file"):
        if raw.at(named) not in raw.tree:
            raise SourceError(f"{raw.tree.src}/{named}: missing; columns.file names it")
        return [raw.at(named)]
    said = {
        name: what
        for name in tables_in(raw.tree, raw.root)
        if (what := _says(columns_of(open_text(raw.tree, name, raw.columns), raw.columns)))
    }
    found = [name for name, what in said.items() if what == "labels"] or list(said)
    if not found:
        raise SourceError(f"{raw.tree.src}: looked for {Table.layout}; name file and columns in params.yaml")
    check_splits(raw, found)
    return found


def check_splits(raw: RawDataset, found: Sequence[str]) -> None:
    """Check that several tables or lists are one for each split.

    Raises:
        SourceError: they are not; gives the line to type.
    """
    splits = [split_of(name) for name in found]
    if len(found) > 1 and (None in splits or len(set(splits)) < len(splits)):
        raise SourceError(
            f"{raw.tree.src}: several tables fit, {', '.join(found[:6])}; say in params.yaml, in the entry of the "
            f"dataset, which to read: columns: {{file: {found[0].removeprefix(f'{raw.root}/')}}}"
        )


def _note_others(raw: RawDataset, read: Sequence[str]) -> None:
    """Add a note for every table with a column of pictures that is not read, with its number of rows."""
    others = []
    for name in tables_in(raw.tree, raw.root):
        if name not in read and "path" in columns_of(open_text(raw.tree, name, {}), {}):
            rows = sum(1 for _ in open_text(raw.tree, name, {}).records())
            others.append(f"{name} ({rows} rows)")
    if others:
        raw.notes.append(f"{', '.join(others)}: passed over; pictures, but no column that is known to be their label")


def _read_table(raw: RawDataset, name: str) -> Iterator[Row]:
    table = open_text(raw.tree, name, raw.columns)
    columns = columns_of(table, raw.columns)
    need_columns(table, columns, "path", *(() if _AFFECT & columns.keys() else ("label",)))
    if "label" in columns and "label" not in raw.columns:
        columns["label"] = choose_label(table, LABEL_NAMES, columns, raw.options.meanings())
    # The table may lie in another folder than the pictures.
    bases = [_images(raw)] if "images" in raw.columns else [name.rpartition("/")[0], raw.root]
    rows = TableRows(
        raw, columns, lambda record: find_named(raw, record, columns["path"], bases), raw.meaning, split_of(name)
    )
    yield from rows.read(table)


def _paths(raw: RawDataset, name: str) -> Iterator[str]:
    place = columns_of(open_text(raw.tree, name, raw.columns), raw.columns).get("path", -1)
    return (record.at(place) for record in open_text(raw.tree, name, raw.columns).records())


def _images(raw: RawDataset) -> str:
    folder = raw.at(raw.columns["images"])
    if next(raw.tree.below(folder), None) is None:
        raise SourceError(f"{raw.tree.src}/{folder}: no such folder; columns.images names it")
    return folder


def _is_there(tree: Tree, table: str, given: str) -> bool:
    """Return whether a cell is a picture by its name, or the name of one in the tree without the suffix."""
    return is_picture(given) or bool(given and with_suffix(tree, join(table.rpartition("/")[0], given)))


def open_text(tree: Tree, name: str, given: Mapping[str, str]) -> TextTable:
    """Open a table; a first row with one of the names in `given`, or a usual one, is its header."""
    if name.casefold().endswith(_LINES):
        return JsonLines(tree, name)
    return Delimited(tree, name, [*given.values(), *KNOWN["path"], *KNOWN["label"]])
