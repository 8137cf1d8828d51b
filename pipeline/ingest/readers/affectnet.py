"""AffectNet, csv release: lists of manually and of automatically annotated pictures.

Mollahosseini, Hasani, Mahoor: AffectNet, IEEE TAC 2017. Columns and codes as in the release's own readme.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from pipeline.core.schema import Reason
from pipeline.ingest.parsing.codes import Codes
from pipeline.ingest.parsing.delimited import Delimited, Record, number, numbers
from pipeline.ingest.parsing.scales import NOT_GIVEN
from pipeline.ingest.raw_dataset import Annotation, Box, RawDataset, RejectedRow, Row, is_picture, join, name_of
from pipeline.ingest.readers.reader import Reader
from pipeline.ingest.trees.tree import Tree

CODES: Final = (
    "neutral",
    "happy",
    "sad",
    "surprise",
    "fear",
    "disgust",
    "anger",
    "contempt",
    "none",
    "uncertain",
    "no-face",
)
_COLUMNS: Final = (
    "subDirectory_filePath",
    "face_x",
    "face_y",
    "face_width",
    "face_height",
    "facial_landmarks",
    "expression",
    "valence",
    "arousal",
)
_LISTS: Final = {
    "manual": (
        ("training", "Manually_Annotated_file_lists/training.csv"),
        ("validation", "Manually_Annotated_file_lists/validation.csv"),
    ),
    "automatic": (("automatic", "Automatically_Annotated_file_lists/automatically_annotated.csv"),),
}
_LOOSE: Final = {"training": "training.csv", "validation": "validation.csv", "automatic": "automatically_annotated.csv"}
_SAMPLE_ROWS: Final = 50
# 68 points, x and y.
LANDMARKS: Final = 136
_PICTURES: Final = {"manual": "Manually_Annotated_Images", "automatic": "Automatically_Annotated_Images"}


class AffectNet(Reader):
    """Lists in csv, pictures in numbered folders; boxes, 68 points, valence and arousal."""

    name = "affectnet"
    labels = CODES
    layout = "Manually_Annotated_file_lists/{training,validation}.csv with subDirectory_filePath"

    def evidence(self, tree: Tree, root: str) -> str | None:
        """See `Reader.evidence`."""
        name = next((name for _, _, name in _lists(tree, root) if _fits(tree, name)), None)
        return f"{name} has AffectNet's columns" if name else None

    def read(self, raw: RawDataset) -> Iterator[Row]:
        """See `Reader.read`."""
        raw.notes.extend(_missing(raw))
        # Neutral is the most common class, so a list without code 0 but with all others numbers them from 1.
        codes = Codes(raw, CODES, never=({*range(1, 8)}, {*range(1, 9)}))
        raw.listed = lambda: _given(raw)
        for kind, split, name in _lists(raw.tree, raw.root):
            if raw.params.affectnet_lists not in {kind, "both"}:
                raw.notes.append(f"{name} was passed over: ingest.affectnet_lists is {raw.params.affectnet_lists}")
                continue
            bases = _bases(raw, kind)
            for record in Delimited(raw.tree, name, _COLUMNS).records():
                yield _row(raw, record, bases, split, codes)
        codes.check()


def _given(raw: RawDataset) -> Iterator[str]:
    for _, _, name in _lists(raw.tree, raw.root):
        yield from (record.get(_COLUMNS[0]) for record in Delimited(raw.tree, name, _COLUMNS).records())


def _lists(tree: Tree, root: str) -> Iterator[tuple[str, str, str]]:
    for kind, lists in _LISTS.items():
        for split, name in lists:
            found = _file(tree, root, name) or _file(tree, root, _LOOSE[split])
            if found is not None:
                yield kind, split, found


def _file(tree: Tree, folder: str, name: str) -> str | None:
    """Return the file with a name below a folder, ignoring case; one with the exact name is preferred."""
    if (as_it_stands := join(folder, name)) in tree:
        return as_it_stands
    first, _, rest = name.partition("/")
    listing = tree.listing(folder)
    alike = (
        join(folder, one) for one in (listing.folders if rest else listing.files) if one.casefold() == first.casefold()
    )
    return next((found for one in alike if (found := _file(tree, one, rest) if rest else one)), None)


def _fits(tree: Tree, name: str) -> bool:
    """Return whether a list is AffectNet's, by its header or, without one, by the cells of its first rows.

    The name is not enough, because many datasets have a training.csv.
    """
    table = Delimited(tree, name, _COLUMNS)
    if table.header is not None:
        return table.has("subDirectory_filePath", "expression")
    rows = [record.cells for record in islice(table.records(), _SAMPLE_ROWS)]
    code = _COLUMNS.index("expression")
    fitting = [cells for cells in rows if len(cells) > code and is_picture(cells[0]) and affectnet_label(cells[code])]
    return 2 * len(fitting) > len(rows)


def _missing(raw: RawDataset) -> Iterator[str]:
    """Say which of the two manual lists is not there while the other is, and which list is there twice."""
    for split, loose in _LOOSE.items():
        name = next((name for _, of, name in _lists(raw.tree, raw.root) if of == split), None)
        if name is not None and name != raw.at(loose) and raw.at(loose) in raw.tree:
            yield f"{raw.at(loose)} was passed over, as {name} is there"
    there = {split for _, split, _ in _lists(raw.tree, raw.root)}
    for split, name in _LISTS["manual"]:
        if split not in there and there & {"training", "validation"}:
            yield f"{name}: no such file; its rows are missing"


def _bases(raw: RawDataset, kind: str) -> list[str]:
    named = _PICTURES[kind]
    # The archives of the release unpack into a folder of the same name once more, depending on the tool.
    there = {folder.casefold(): raw.at(folder) for folder in raw.tree.listing(raw.root).folders}
    top = there.get(named.casefold(), raw.at(named))
    candidates = (top, f"{top}/{named}", there.get("images", raw.at("images")), raw.root)
    return [base for base in candidates if raw.tree.listing(base).folders] or [raw.at(named)]


def _row(raw: RawDataset, record: Record, bases: list[str], split: str, codes: Codes) -> Row:
    given, code = record.get("subDirectory_filePath"), record.get("expression")
    label = codes.label(code, record.row) if code else None
    if not given:
        return RejectedRow("", Reason.bad_row, f"{record.row}: no path")
    if (surplus := record.surplus()) is not None:
        return RejectedRow(given, Reason.bad_row, surplus)
    path = raw.find_ending(given, bases, record.row)
    if code and label is None:
        return RejectedRow(name_of(path), Reason.bad_row, f"{record.row}: expected {codes.expected}, not {code[:40]!r}")
    box = _box(raw, record)
    return Annotation(
        path,
        (label,) if label else (),
        record.row,
        box=box,
        box_kind="face" if box else None,
        landmarks=_landmarks(raw, record),
        split=split,
        valence=read_affect(raw, "valence", record.get("valence"), record.row),
        arousal=read_affect(raw, "arousal", record.get("arousal"), record.row),
    )


def affectnet_label(text: str) -> str | None:
    """Return the native name of a code, whether written as 3 or 3.0; None for anything else."""
    code = number(text)
    return CODES[int(code)] if code is not None and code in range(len(CODES)) else None


def read_affect(raw: RawDataset, what: str, text: str, row: str) -> float | None:
    """Return a valence or arousal; None for -2, which means "not given", and for anything but a number.

    Args:
        raw: counts values that are not numbers.
        what: valence or arousal.
        text: the cell, "" if it is empty.
        row: file and line, for the note.
    """
    value = number(text)
    if value is None and text:
        raw.drop(f"{what} (expected -1 to 1, or -2 for not given)", row)
    return None if value == NOT_GIVEN else value


def _box(raw: RawDataset, record: Record) -> Box | None:
    sides = [record.get(f"face_{side}") for side in ("x", "y", "width", "height")]
    x, y, width, height = (number(side) for side in sides)
    if x is not None and y is not None and width is not None and height is not None and width > 0 and height > 0:
        return x, y, x + width, y + height
    if any(sides):
        raw.drop("box (expected four numbers, width and height above 0)", record.row)
    return None


def _landmarks(raw: RawDataset, record: Record) -> list[float] | None:
    text = record.get("facial_landmarks").strip("; ")
    points = numbers(text, lambda cell: cell.split(";"))
    if points is not None and len(points) == LANDMARKS:
        return points
    if text:
        raw.drop("list of landmarks (expected 68 points as x;y;x;y…)", record.row)
    return None
