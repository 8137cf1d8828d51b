"""Any csv with path and label or affect, and optionally box, subject, sequence, gender, age, race and split.

The columns are named in params.yaml, or recognised by their usual names.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from pipeline.core.errors import SourceError
from pipeline.ingest.dataset_options import SettingError, code_of
from pipeline.ingest.parsing.clips import with_frames
from pipeline.ingest.parsing.cut_out import are_named_cut_out
from pipeline.ingest.parsing.delimited import Delimited, Record, TextTable
from pipeline.ingest.parsing.json_lines import JsonLines
from pipeline.ingest.parsing.label_columns import LABEL_NAMES, choose_label
from pipeline.ingest.parsing.label_names import class_word, split_of
from pipeline.ingest.parsing.subjects import name_subjects
from pipeline.ingest.parsing.table_columns import KNOWN, columns_of, need_columns
from pipeline.ingest.parsing.table_rows import Place, TableRows, cover, find_named
from pipeline.ingest.raw_dataset import RawDataset, Row, is_medium, join, without_suffix
from pipeline.ingest.readers.reader import Reader
from pipeline.ingest.releases.named_codes import name_codes
from pipeline.ingest.trees.tree import Tree

_LINES: Final = (".jsonl", ".ndjson")
SUFFIXES: Final = (".csv", ".tsv", *_LINES)
# A folder may have thousands of csv files, one per picture; the layout is decided on a few.
_MAX_TABLES: Final = 64
_SAMPLE_ROWS: Final = 64
_AFFECT: Final = frozenset({"valence", "arousal", "dominance"})
_MOST: Final = 0.5


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
            table = open_text(tree, name, {})
            columns = picture_columns(tree, table, {})
            if _has_class_columns(table, columns):
                continue
            if (what := _says(columns)) and _are_there(tree, table, columns["path"]):
                return f"{name} has a column of pictures and one of {what}"
        return None

    def begins(self, tree: Tree, root: str) -> bool:
        """See `Reader.begins`."""
        return next(tables_in(tree, root), None) is not None

    def names_all(self, tree: Tree, root: str) -> bool:
        """See `Reader.names_all`."""
        tables = [open_text(tree, name, {}) for name in islice(tables_in(tree, root), _MAX_TABLES)]
        places = [(table, picture_columns(tree, table, {})) for table in tables]
        said = [(table, columns) for table, columns in places if _says(columns) == "labels"]
        rows = [(record.at(of["path"]), record.at(of["label"])) for table, of in said for record in table.records()]
        words = any(label and code_of(label) is None for _, label in rows)
        return words and cover(tree, root, (path for path, _ in rows))

    def read(self, raw: RawDataset) -> Iterator[Row]:
        """See `Reader.read`."""
        names = _chosen(raw)
        raw.scales = raw.options.scales
        raw.listed = lambda: (path for name in names for path in _paths(raw, name))
        if "file" not in raw.columns:
            _note_others(raw, names)
        rows = [row for name in names for row in _read_table(raw, name)]
        yield from with_frames(raw, name_subjects(raw, name_codes(raw, rows)))

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


def _has_class_columns(table: TextTable, columns: Mapping[str, int]) -> bool:
    """Return whether columns of classes say the labels, so that affect is not all that the table has."""
    return "label" not in columns and sum(class_word(cell) is not None for cell in table.header or ()) > 1


def _chosen(raw: RawDataset) -> list[str]:
    """Return the tables to read: the one named in params.yaml, the only one, or one for each split."""
    if named := raw.columns.get("file"):
        if raw.at(named) not in raw.tree:
            raise SourceError(f"{raw.tree.src}/{named}: missing; columns.file names it")
        return [raw.at(named)]
    said = {
        name: what
        for name in tables_in(raw.tree, raw.root)
        if (what := _says(picture_columns(raw.tree, open_text(raw.tree, name, raw.columns), raw.columns)))
    }
    found = [name for name, what in said.items() if what == "labels"] or list(said)
    if not found:
        raise SourceError(f"{raw.tree.src}: looked for {Table.layout}; name file and columns in params.yaml")
    if not _one_for_each_split(found):
        # The table of most pictures is suggested; one without a picture, such as a list of the classes, does not fit.
        there = {name: _pictures(raw, name) for name in found}
        found = sorted((name for name in found if there[name]), key=lambda name: -there[name]) or found
    check_splits(raw, found)
    return found


def _pictures(raw: RawDataset, name: str) -> int:
    """Return the number of rows of a table with the name of a picture in the tree, in whatever folder."""
    bases = (path.replace("\\", "/").rpartition("/")[2] for path in _paths(raw, name))
    return sum(bool(base and (raw.tree.ending(base) or without_suffix(raw.tree, base))) for base in bases)


def _one_for_each_split(found: Sequence[str]) -> bool:
    splits = [split_of(name) for name in found]
    return len(found) == 1 or (None not in splits and len(set(splits)) == len(splits))


def check_splits(raw: RawDataset, found: Sequence[str]) -> None:
    """Check that several tables or lists are one for each split.

    Raises:
        SourceError: they are not; gives the line to type.
    """
    if found and not _one_for_each_split(found):
        file = found[0].removeprefix(f"{raw.root}/")
        raise SettingError(
            f"{raw.tree.src}: several tables fit, {', '.join(found[:6])}; say in params.yaml, in the entry of the "
            f"dataset, which to read: columns: {{file: {file}}}",
            {"columns": {"file": file}},
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
    columns = picture_columns(raw.tree, table, raw.columns)
    need_columns(table, columns, "path", *(() if _AFFECT & columns.keys() else ("label",)))
    if "label" in columns and "label" not in raw.columns:
        columns["label"] = choose_label(table, LABEL_NAMES, columns, raw.options.meanings())
    # The table may lie in another folder than the pictures.
    bases = [_images(raw)] if "images" in raw.columns else [name.rpartition("/")[0], raw.root]
    split = split_of(name)

    def place(record: Record) -> Place:
        return find_named(raw, record, columns, bases, split)

    yield from TableRows(raw, columns, place, raw.meaning, split).read(table)


def _paths(raw: RawDataset, name: str) -> Iterator[str]:
    table = open_text(raw.tree, name, raw.columns)
    place = picture_columns(raw.tree, table, raw.columns).get("path", -1)
    return (record.at(place) for record in table.records())


def _images(raw: RawDataset) -> str:
    folder = raw.at(raw.columns["images"])
    if next(raw.tree.below(folder), None) is None:
        raise SourceError(f"{raw.tree.src}/{folder}: no such folder; columns.images names it")
    return folder


def picture_columns(tree: Tree, table: TextTable, given: Mapping[str, str]) -> dict[str, int]:
    """Return role -> index of the column as `columns_of` does; the pictures' is known by what is in it, too.

    A column with a usual name gives way to the only one whose cells are names of pictures in the tree, if none of its
    own are: `name` may be a person's, and `id` a picture's.
    """
    columns = columns_of(table, given)
    header = table.header or ()
    if "path" in given or ("path" in columns and _are_there(tree, table, columns["path"])):
        return columns
    taken = {index for role, index in columns.items() if role != "path"}
    named = [index for index in range(len(header)) if index not in taken and _are_there(tree, table, index, most=True)]
    # `video` is the sequence of a picture's row, unless each row is about a video.
    if not named and "path" not in columns and "sequence" in columns:
        named = [index for index in (columns["sequence"],) if _are_there(tree, table, index, most=True)]
    return {**columns, "path": named[0]} if len(named) == 1 else columns


def _are_there(tree: Tree, table: TextTable, index: int, *, most: bool = False) -> bool:
    """Return whether cells are pictures by their names, or the names of those in the tree without the suffix.

    Args:
        tree: the tree.
        table: its table.
        index: the column.
        most: more than half of them must be there, and differ, as codes do not; else one is enough.
    """
    cells = [record.at(index) for record in islice(table.records(), _SAMPLE_ROWS)]
    there = sum(is_medium(cell) or bool(cell and without_suffix(tree, cell)) for cell in cells)
    return there > _MOST * len(cells) and 2 * len({*cells}) > len(cells) if most else there > 0


def open_text(tree: Tree, name: str, given: Mapping[str, str]) -> TextTable:
    """Open a table; a first row with one of the names in `given`, or a usual one, is its header."""
    if name.casefold().endswith(_LINES):
        return JsonLines(tree, name)
    known = [*KNOWN["path"], *KNOWN["label"]]
    table = Delimited(tree, name, [*given.values(), *known])
    # A number that is given for a column may also stand in the first row of a table without a header.
    return Delimited(tree, name, known) if any(map(is_medium, table.header or ())) else table
