"""Any csv with path and label, and optionally box, subject, split, valence and arousal.

The columns are named in params.yaml, or recognised by their usual names.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from pipeline.core.errors import SourceError
from pipeline.core.schema import Reason
from pipeline.ingest.parsing.boxes import box_columns
from pipeline.ingest.parsing.cut_out import are_named_cut_out
from pipeline.ingest.parsing.delimited import Delimited, Record, number, squash
from pipeline.ingest.parsing.label_columns import LABEL_NAMES, choose_label
from pipeline.ingest.parsing.label_names import class_word, is_split
from pipeline.ingest.parsing.subjects import name_subjects
from pipeline.ingest.raw_dataset import Annotation, Box, RawDataset, RejectedRow, Row, is_picture, join, name_of, stem
from pipeline.ingest.readers.reader import Reader
from pipeline.ingest.trees.tree import Tree

SUFFIXES: Final = (".csv", ".tsv")
# A folder may have thousands of csv files, one per picture; the layout is decided on a few.
_MAX_TABLES: Final = 64
_SAMPLE_ROWS: Final = 64
_BOX: Final = ("x0", "y0", "x1", "y1", "width", "height")
_NUMBERS: Final = ("valence", "arousal", "dominance", *_BOX)
# Usual names of columns, squashed (letters and digits in lower case), the most specific first.
KNOWN: Final[Mapping[str, tuple[str, ...]]] = {
    "path": (
        "path", "imagepath", "imgpath", "filepath", "pth", "subdirectoryfilepath", "image", "images", "imagename",
        "img", "imgname", "file", "filename", "name", "picture", "photo",
    ),
    "label": LABEL_NAMES,
    "subject": ("subject", "subjectid", "person", "personid", "identity", "actor", "actorid", "participant"),
    "sequence": ("sequence", "sequenceid", "video", "videoid", "clip", "clipid"),
    "split": ("split", "usage", "subset", "partition"),
    "valence": ("valence",),
    "arousal": ("arousal",),
    "dominance": ("dominance",),
}  # fmt: skip


class Table(Reader):
    """One csv, or one for each split."""

    name = "csv"
    labels = ()
    layout = (
        "a .csv or .tsv with a column for the picture (path, image, file …) and one for the label (label, emotion …)"
    )
    generic = True

    def evidence(self, tree: Tree, root: str) -> str | None:
        """See `Reader.evidence`."""
        for name in islice(_tables(tree, root), _MAX_TABLES):
            columns = columns_of(tree, name, {})
            if {"path", "label"} <= columns.keys():
                records = islice(_open(tree, name, {}).records(), _SAMPLE_ROWS)
                if any(is_picture(record.at(columns["path"])) for record in records):
                    return f"{name} has a column of pictures and one of labels"
        return None

    def begins(self, tree: Tree, root: str) -> bool:
        """See `Reader.begins`."""
        return next(_tables(tree, root), None) is not None

    def read(self, raw: RawDataset) -> Iterator[Row]:
        """See `Reader.read`."""
        names = _chosen(raw)
        raw.scales = raw.options.scales
        raw.listed = lambda: (path for name in names for path in _paths(raw, name))
        if "file" not in raw.columns:
            _note_others(raw, names)
        rows = [row for name in names for row in _read_table(raw, name)]
        yield from name_subjects(raw, rows)

    def faces_are_cut_out(self, raw: RawDataset) -> bool:
        """See `Reader.faces_are_cut_out`."""
        return are_named_cut_out(raw.tree)


def _tables(tree: Tree, root: str, depth: int = 3) -> Iterator[str]:
    listing = tree.listing(root)
    yield from (join(root, name) for name in listing.files if name.casefold().endswith(SUFFIXES))
    if depth > 1:
        for folder in listing.folders:
            yield from _tables(tree, join(root, folder), depth - 1)


def _chosen(raw: RawDataset) -> list[str]:
    """Return the tables to read: the one named in params.yaml, the only one, or one for each split."""
    if named := raw.columns.get("file"):
        if raw.at(named) not in raw.tree:
            raise SourceError(f"{raw.tree.src}/{named}: missing; columns.file names it")
        return [raw.at(named)]
    found = [
        name
        for name in _tables(raw.tree, raw.root)
        if {"path", "label"} <= columns_of(raw.tree, name, raw.columns).keys()
    ]
    if not found:
        raise SourceError(f"{raw.tree.src}: looked for {Table.layout}; name file and columns in params.yaml")
    if len(found) > 1 and not all(is_split(stem(name)) for name in found):
        raise SourceError(f"{raw.tree.src}: several tables fit: {', '.join(found[:6])}; name one in columns.file")
    return found


def _note_others(raw: RawDataset, read: Sequence[str]) -> None:
    """Add a note for every table with a column of pictures that is not read, with its number of rows."""
    others = []
    for name in _tables(raw.tree, raw.root):
        if name not in read and "path" in columns_of(raw.tree, name, {}):
            rows = sum(1 for _ in _open(raw.tree, name, {}).records())
            others.append(f"{name} ({rows} rows)")
    if others:
        raw.notes.append(f"{', '.join(others)}: passed over; pictures, but no column that is known to be their label")


def _read_table(raw: RawDataset, name: str) -> Iterator[Row]:
    columns = columns_of(raw.tree, name, raw.columns)
    _need(columns, raw, name)
    if "label" not in raw.columns:
        columns["label"] = choose_label(
            _open(raw.tree, name, raw.columns), LABEL_NAMES, columns, raw.options.meanings()
        )
    split = stem(name) if is_split(stem(name)) else None
    folder = name.rpartition("/")[0]
    bases = [_images(raw)] if "images" in raw.columns else [folder, raw.root]
    against: list[str] = []
    for record in _open(raw.tree, name, raw.columns).records():
        surplus = record.surplus()
        row = RejectedRow(_path(record, columns), Reason.bad_row, surplus) if surplus else _row(
            raw, record, columns, bases, split)  # fmt: skip
        if isinstance(row, Annotation):
            for what in _unusable(row, record, columns):
                raw.drop(what, record.row)
            against.extend(_contradiction(raw, row))
        yield row
    if against:
        raw.notes.append(f"{against[0]}; the folder says another class in {len(against)} of {raw.compared} rows")


def _paths(raw: RawDataset, name: str) -> Iterator[str]:
    place = columns_of(raw.tree, name, raw.columns).get("path", -1)
    return (record.at(place) for record in _open(raw.tree, name, raw.columns).records())


def _images(raw: RawDataset) -> str:
    folder = raw.at(raw.columns["images"])
    if next(raw.tree.below(folder), None) is None:
        raise SourceError(f"{raw.tree.src}/{folder}: no such folder; columns.images names it")
    return folder


def _contradiction(raw: RawDataset, row: Annotation) -> Iterator[str]:
    """Compare the label of a row with the name of its folder, if both name one of the eight classes."""
    path = name_of(row.path)
    folder, label = class_word(path.rpartition("/")[0].rpartition("/")[2]), class_word("".join(row.labels))
    if folder is None or label is None:
        return
    raw.compared += 1
    if folder != label:
        raw.contradicted += 1
        yield f"{row.row}: {label}, but in the folder {folder}"


def _unusable(row: Annotation, record: Record, columns: Mapping[str, int]) -> Iterator[str]:
    """Yield the impossible values of a row: affect that is not a number, a box without area, text for a number."""
    for role, value in (("valence", row.valence), ("arousal", row.arousal), ("dominance", row.dominance)):
        if value is None and role in columns and record.at(columns[role]):
            yield f"{role} (expected a number)"
    if "split" in columns and (given := record.at(columns["split"])) and not is_split(given):
        yield "split (expected train, val or test)"
    sides = [record.at(columns[side]) for side in _BOX if side in columns]
    if row.box is None and len(sides) >= 4 and any(sides):
        yield "box (expected numbers, x1 > x0 and y1 > y0)"


def _open(tree: Tree, name: str, given: Mapping[str, str]) -> Delimited:
    return Delimited(tree, name, [*given.values(), *KNOWN["path"], *KNOWN["label"]])


def columns_of(tree: Tree, name: str, given: Mapping[str, str]) -> dict[str, int]:
    """Return role -> index of the column, as named in params.yaml or by its usual names.

    Raises:
        SourceError: a named column is not in the table.
    """
    table = _open(tree, name, given)
    if table.header is None:
        return _columns_by_content(table)
    places = {squash(cell): index for index, cell in reversed(list(enumerate(table.header)))}
    found: dict[str, int] = {}
    for role in (*KNOWN, *_BOX):
        if role not in given:
            continue
        if squash(given[role]) not in places:
            raise SourceError(f"{table.where}: no column {given[role]!r}; it has {', '.join(table.header)}")
        found[role] = places[squash(given[role])]
    for role, names in KNOWN.items():
        index = next((places[known] for known in names if known in places), None)
        if role not in found and index is not None and index not in found.values():
            found[role] = index
    # A person who names one side names all of them.
    return found if given.keys() & set(_BOX) else found | box_columns(places)


def _columns_by_content(table: Delimited) -> dict[str, int]:
    """Find the columns of a table without a header: that of pictures by its suffixes, that of labels by its words."""
    records = list(islice(table.records(), _SAMPLE_ROWS))
    width = min((len(record.cells) for record in records), default=0)
    columns = [[record.at(index) for record in records] for index in range(width)]
    paths = [index for index, cells in enumerate(columns) if sum(map(is_picture, cells)) > len(cells) / 2]
    words = [index for index, cells in enumerate(columns) if index not in paths and _are_words(cells)]
    rest = words or [index for index in range(width) if index not in paths]
    return {"path": paths[0], "label": rest[0]} if len(paths) == 1 and len(rest) == 1 else {}


def _are_words(cells: Sequence[str]) -> bool:
    return any(cell and number(cell) is None for cell in cells) and len(set(cells)) <= max(2, len(cells) // 2)


def _need(columns: Mapping[str, int], raw: RawDataset, name: str) -> None:
    for role in ("path", "label"):
        if role not in columns:
            raise SourceError(
                f"{raw.tree.src}/{name}: no column for the {role}; name it in params.yaml: columns.{role}"
            )


def _path(record: Record, columns: Mapping[str, int]) -> str:
    return record.cells[columns["path"]] if columns["path"] < len(record.cells) else ""


def _row(raw: RawDataset, record: Record, columns: Mapping[str, int], bases: Sequence[str], split: str | None) -> Row:
    def text(role: str) -> str | None:
        return record.at(columns[role]) or None if role in columns else None

    given = _path(record, columns)
    if not given.strip():
        return RejectedRow("", Reason.bad_row, f"{record.row}: no path")
    label, given_split = text("label"), text("split")
    values = {role: number(text(role) or "") for role in _NUMBERS}
    box = _box(values)
    return Annotation(
        # The table may lie in another folder than the pictures.
        raw.find_ending(given, bases, record.row),
        (raw.meaning(label, record.row),) if label else (),
        record.row,
        box=box,
        box_kind="face" if box else None,
        subject=text("subject"),
        sequence=text("sequence"),
        split=given_split if given_split and is_split(given_split) else split,
        valence=values["valence"],
        arousal=values["arousal"],
        dominance=values["dominance"],
    )


def _box(values: Mapping[str, float | None]) -> Box | None:
    x0, y0, x1, y1 = (values[side] for side in ("x0", "y0", "x1", "y1"))
    width, height = values["width"], values["height"]
    if x0 is None or y0 is None:
        return None
    x1 = x0 + width if x1 is None and width is not None else x1
    y1 = y0 + height if y1 is None and height is not None else y1
    return (x0, y0, x1, y1) if x1 is not None and y1 is not None and x1 > x0 and y1 > y0 else None
