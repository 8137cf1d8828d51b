"""Lists of a path and a label a line, in a .txt or .lst: one, or one for each split."""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from pipeline.core.errors import SourceError
from pipeline.ingest.dataset_options import UNSAID, SettingError, code_of
from pipeline.ingest.parsing.clips import with_frames
from pipeline.ingest.parsing.cut_out import are_named_cut_out
from pipeline.ingest.parsing.delimited import Record
from pipeline.ingest.parsing.label_names import split_of
from pipeline.ingest.parsing.line_table import LineTable
from pipeline.ingest.parsing.subjects import name_subjects
from pipeline.ingest.parsing.table_columns import columns_of, need_columns
from pipeline.ingest.parsing.table_rows import Place, TableRows, cover, find_named
from pipeline.ingest.raw_dataset import RawDataset, Row, is_medium, join
from pipeline.ingest.readers.csv_table import check_splits
from pipeline.ingest.readers.reader import Reader
from pipeline.ingest.releases.named_codes import name_codes
from pipeline.ingest.trees.tree import Tree

_SUFFIXES: Final = (".txt", ".lst", ".list")
_MAX_LISTS: Final = 64
_TWO: Final = 2  # cells that need no explanation


class PathList(Reader):
    """`train/a.jpg 3`; with more cells, `columns` says which is what, by their numbers from 1 on."""

    name = "path_list"
    labels = ()
    layout = "a .txt or .lst with a path and a label a line"
    generic = True

    def evidence(self, tree: Tree, root: str) -> str | None:
        """See `Reader.evidence`."""
        name = next((name for name in islice(_lists(tree, root), _MAX_LISTS) if _fits(tree, name)), None)
        return f"{name} lists pictures, each with a label" if name else None

    def begins(self, tree: Tree, root: str) -> bool:
        """See `Reader.begins`."""
        return next(_lists(tree, root), None) is not None

    def names_all(self, tree: Tree, root: str) -> bool:
        """See `Reader.names_all`."""
        tables = [LineTable(tree, name) for name in islice(_lists(tree, root), _MAX_LISTS) if _fits(tree, name)]
        cells = [cell for table in tables for record in table.records() for cell in record.cells]
        words = any(code_of(cell) is None for cell in cells if not is_medium(cell))
        return words and cover(tree, root, filter(is_medium, cells))

    def read(self, raw: RawDataset) -> Iterator[Row]:
        """See `Reader.read`."""
        names = _chosen(raw)
        raw.scales = raw.options.scales
        raw.listed = lambda: (path for name in names for path in _paths(raw, name))
        rows = [row for name in names for row in _read_list(raw, name)]
        what = f"{names[0]} is a list of paths with a number each"
        yield from with_frames(raw, name_subjects(raw, name_codes(raw, rows, what)))

    def faces_are_cut_out(self, raw: RawDataset) -> bool:
        """See `Reader.faces_are_cut_out`."""
        return are_named_cut_out(raw.tree)


def _lists(tree: Tree, root: str, depth: int = 3) -> Iterator[str]:
    listing = tree.listing(root)
    yield from (join(root, name) for name in listing.files if name.casefold().endswith(_SUFFIXES))
    if depth > 1:
        for folder in listing.folders:
            yield from _lists(tree, join(root, folder), depth - 1)


def _fits(tree: Tree, name: str) -> bool:
    try:
        table = LineTable(tree, name)
    except SourceError:  # no text
        return False
    return (
        len(table.listed) * 2 > len(list(islice(table.records(), len(table.listed) * 2))) and len(table.header) >= _TWO
    )


def _chosen(raw: RawDataset) -> list[str]:
    if named := raw.columns.get("file"):
        if raw.at(named) not in raw.tree:
            raise SourceError(f"{raw.tree.src}/{named}: missing; columns.file names it")
        return [raw.at(named)]
    found = [name for name in _lists(raw.tree, raw.root) if _fits(raw.tree, name)]
    if not found:
        raise SourceError(f"{raw.tree.src}: looked for {PathList.layout}")
    check_splits(raw, found)
    return found


def _columns(raw: RawDataset, table: LineTable) -> dict[str, int]:
    """Return role -> cell: as told, by the names in the first line, or of two cells the path and the other one."""
    columns = columns_of(table, raw.columns)
    if {"path", "label"} <= columns.keys():
        return columns
    if len(table.header) != _TWO:
        shown = " ".join(table.listed[0]) if table.listed else ""
        raise SettingError(
            f"{table.where}: {len(table.header)} cells a line, such as {shown[:80]!r}; which is the label? Say it in "
            f'params.yaml, in the entry of the dataset: columns: {{path: "1", label: "2"}}',
            {"columns": {"path": "1", "label": UNSAID}},
        )
    path = 0 if is_medium(table.listed[0][0]) else 1
    return {**columns, "path": path, "label": 1 - path}


def _read_list(raw: RawDataset, name: str) -> Iterator[Row]:
    table = LineTable(raw.tree, name)
    columns = _columns(raw, table)
    need_columns(table, columns, "path", "label")
    bases = [raw.at(raw.columns["images"])] if "images" in raw.columns else [name.rpartition("/")[0], raw.root]

    split = split_of(name)

    def place(record: Record) -> Place:
        return find_named(raw, record, columns, bases, split)

    yield from TableRows(raw, columns, place, raw.meaning, split).read(table)


def _paths(raw: RawDataset, name: str) -> Iterator[str]:
    table = LineTable(raw.tree, name)
    place = _columns(raw, table)["path"]
    return (record.at(place) for record in table.records())
