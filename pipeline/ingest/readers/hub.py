"""Tables with a picture a row: Parquet of the Hugging Face Hub, and the Arrow files of `save_to_disk`."""

from collections.abc import Iterator, Sequence
from typing import Final

from pipeline.core.errors import SourceError
from pipeline.core.schema import IMAGE_TABLE_SUFFIXES, Reason
from pipeline.ingest.dataset_options import SettingError
from pipeline.ingest.parsing.delimited import Record
from pipeline.ingest.parsing.label_columns import LABEL_NAMES, choose_label
from pipeline.ingest.parsing.label_names import class_word, is_split, split_of
from pipeline.ingest.parsing.picture_table import PictureTable, open_table, picture_table
from pipeline.ingest.parsing.subjects import name_subjects
from pipeline.ingest.parsing.table_columns import columns_of, need_columns
from pipeline.ingest.parsing.table_rows import Place, TableRows, find_named
from pipeline.ingest.raw_dataset import RawDataset, RejectedRow, Row, is_picture, join
from pipeline.ingest.readers.reader import Reader
from pipeline.ingest.releases.named_codes import name_codes
from pipeline.ingest.trees.tree import Tree

# What `datasets` leaves beside the tables of `save_to_disk`: results of functions, no data.
_CACHE: Final = "cache-"
_MAX_DEPTH: Final = 4


class Hub(Reader):
    """`data/train-00000-of-00001.parquet` and the like; a sample's picture is in its row, or the file that it names."""

    name = "hub"
    labels = ()
    layout = "a .parquet or .arrow with a column of pictures, or of their paths, and one for the label"
    pictures_in_table = True

    def evidence(self, tree: Tree, root: str) -> str | None:
        """See `Reader.evidence`."""
        if root:  # its tables are searched for in all folders
            return None
        return next((f"{name} is a table of pictures" for name in _tables(tree, root) if _fits(tree, name)), None)

    def begins(self, tree: Tree, root: str) -> bool:
        """See `Reader.begins`."""
        return next(_tables(tree, root), None) is not None

    def read(self, raw: RawDataset) -> Iterator[Row]:
        """See `Reader.read`."""
        names = list(_tables(raw.tree, raw.root))
        _check_one(raw, names)
        raw.scales = raw.options.scales
        raw.listed = lambda: (path for name in names for path in _paths(raw, name))
        rows = [row for name in names for row in _read_table(raw, name)]
        what = f"{names[0]} is a table of pictures with labels that are codes"
        yield from name_subjects(raw, name_codes(raw, rows, what))

    def picture(self, tree: Tree, path: str, n: int) -> bytes:
        """See `Reader.picture`."""
        return picture_table(tree, path).read(n) if path.casefold().endswith(IMAGE_TABLE_SUFFIXES) else tree.read(path)


def _tables(tree: Tree, root: str, depth: int = _MAX_DEPTH) -> Iterator[str]:
    listing = tree.listing(root)
    for name in listing.files:
        if name.casefold().endswith(IMAGE_TABLE_SUFFIXES) and not name.startswith(_CACHE):
            yield join(root, name)
    if depth > 1:
        for folder in listing.folders:
            yield from _tables(tree, join(root, folder), depth - 1)


def _fits(tree: Tree, name: str) -> bool:
    """Return whether a table has pictures or their paths; where nothing else is there, `read` says why it is none."""
    try:
        table = open_table(tree, name)
        return table.picture is not None or {"path", "label"} <= columns_of(table, {}).keys()
    except SourceError:
        return not any(map(is_picture, tree.names()))


def _paths(raw: RawDataset, name: str) -> Iterator[str]:
    table = open_table(raw.tree, name)
    place = columns_of(table, raw.columns).get("path", -1) if table.picture is None else -1
    return (record.at(place) for record in table.records()) if place >= 0 else iter(())


def _check_one(raw: RawDataset, names: Sequence[str]) -> None:
    """Refuse two configurations of one dataset: most often, they hold the same pictures with other labels."""
    homes: dict[str, str] = {}
    for name in names:
        folder = name.rpartition("/")[0]
        home = folder.rpartition("/")[0] if is_split(folder.rpartition("/")[2]) else folder
        homes.setdefault(home, name)
    if len(homes) > 1:
        first, second = list(homes.values())[:2]
        raise SourceError(f"{raw.tree.src}: {first} and {second} are two configurations; give --src the folder of one")


def _read_table(raw: RawDataset, name: str) -> Iterator[Row]:
    table = open_table(raw.tree, name)
    columns = columns_of(table, raw.columns)
    if table.picture is None:
        need_columns(table, columns, "path")
    if table.others:
        raw.notes.append(f"{name}: of its columns of pictures {table.picture} is read, not {', '.join(table.others)}")
    columns["label"] = _label(raw, table, columns)
    pictures = table.pictures() if table.picture is not None else None
    bases, split = [name.rpartition("/")[0], raw.root], split_of(name)

    def place(record: Record) -> Place:
        if pictures is None:
            return find_named(raw, record, columns, bases, split)
        n, (held, path) = int(record.row.rpartition(" ")[2]), next(pictures)
        if held:
            return name, n
        if not path:
            return RejectedRow(name, Reason.missing_file, f"{record.row}: no picture"), n
        return raw.find_ending(path, bases, record.row, split), None

    yield from TableRows(raw, columns, place, raw.meaning, split).read(table)


def _label(raw: RawDataset, table: PictureTable, columns: dict[str, int]) -> int:
    """Return the label's column: as told, the only one whose classes are emotions, or by its usual name."""
    header = table.header or ()
    if "label" in raw.columns:
        return columns["label"]
    emotional = [
        column for column, names in table.classes.items() if sum(class_word(name) is not None for name in names) > 1
    ]
    if len(emotional) == 1:
        return list(header).index(emotional[0])
    if emotional:
        raise SettingError(
            f"{table.where}: {' and '.join(emotional)} have classes that are emotions; say in params.yaml which is the "
            f"label: columns: {{label: {emotional[0]}}}",
            {"columns": {"label": emotional[0]}},
        )
    need_columns(table, columns, "label")
    return choose_label(table, LABEL_NAMES, columns, raw.options.meanings())
