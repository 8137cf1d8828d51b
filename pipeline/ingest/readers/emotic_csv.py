"""EMOTIC as csv, as the usual conversion of its mat file writes it: one person per row, lists as text.

Kosti, Alvarez, Recasens, Lapedriza: Context Based Emotion Recognition using EMOTIC Dataset, TPAMI 2019.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pipeline.core.schema import Reason
from pipeline.ingest.parsing.delimited import Delimited, Record
from pipeline.ingest.parsing.label_names import is_split
from pipeline.ingest.parsing.literals import read_literal
from pipeline.ingest.parsing.scales import KINDS
from pipeline.ingest.raw_dataset import Annotation, RawDataset, RejectedRow, Row, join, name_of, stem
from pipeline.ingest.readers.emotic import (
    CATEGORIES,
    SCALE,
    count_categories,
    emotic_box,
    mean_rating,
    picture_folders,
    votes_of,
)
from pipeline.ingest.readers.reader import Reader
from pipeline.ingest.trees.tree import Tree

_COLUMNS: Final = (
    "Index",
    "Folder",
    "Filename",
    "Image Size",
    "BBox",
    "Categorical_Labels",
    "Continuous_Labels",
    "Gender",
    "Age",
)
_SPLITS: Final = ("train", "val", "test")


class EmoticCsv(Reader):
    """`train.csv`, `val.csv`, `test.csv`; cells are parsed as literals, never evaluated."""

    name = "emotic_csv"
    labels = CATEGORIES
    multi_label = True
    layout = (
        "csv with the columns Folder, Filename, BBox, Categorical_Labels and Continuous_Labels, or with such cells and "
        "no header"
    )

    def evidence(self, tree: Tree, root: str) -> str | None:
        """See `Reader.evidence`."""
        name = next(_candidates(tree, root), None)
        return f"{name} has EMOTIC's columns" if name else None

    def read(self, raw: RawDataset) -> Iterator[Row]:
        """See `Reader.read`."""
        bases = picture_folders(raw)
        raw.scales = dict.fromkeys(KINDS, SCALE)
        raw.listed = lambda: _given(raw)
        # Person -> labels -> row. Within one table two people may well share a box.
        people: dict[tuple[str, str, str], dict[str, str]] = {}
        for name in _tables(raw.tree, raw.root):
            split = next((split for split in _SPLITS if split in stem(name).casefold()), None)
            current: list[tuple[tuple[str, str, str], str, str]] = []
            for record in Delimited(raw.tree, name, _COLUMNS).records():
                labels = record.get("Categorical_Labels")
                person = (record.get("Folder"), record.get("Filename"), record.get("BBox") or labels)
                if earlier := people.get(person):
                    yield _again(record, labels, earlier)
                    continue
                current.append((person, labels, record.row))
                yield _row(raw, record, bases, split)
            for person, labels, row in current:
                people.setdefault(person, {})[labels] = row


def _tables(tree: Tree, root: str) -> list[str]:
    """Return all tables, those of a split first, because a table of all rows repeats their people."""
    return sorted(_candidates(tree, root), key=lambda name: not is_split(stem(name).rpartition("_")[2]))


def _given(raw: RawDataset) -> Iterator[str]:
    for name in _tables(raw.tree, raw.root):
        records = Delimited(raw.tree, name, _COLUMNS).records()
        yield from (join(record.get("Folder").strip("/"), record.get("Filename")) for record in records)


def _again(record: Record, labels: str, earlier: Mapping[str, str]) -> RejectedRow:
    """Reject a row about a person that an earlier table has."""
    given = join(record.get("Folder").strip("/"), record.get("Filename"))
    if labels in earlier:
        return RejectedRow(given, Reason.duplicate_row, f"{record.row}: says the same as {earlier[labels]}")
    said, row = next(iter(earlier.items()))
    return RejectedRow(given, Reason.conflicting_labels, f"{said} in {row}, which is kept; {labels} in {record.row}")


def _candidates(tree: Tree, root: str) -> Iterator[str]:
    for folder in (root, join(root, "Annotations"), join(root, "annotations")):
        names = (join(folder, name) for name in tree.listing(folder).files if name.casefold().endswith(".csv"))
        yield from (name for name in names if _fits(tree, name))


def _fits(tree: Tree, name: str) -> bool:
    table = Delimited(tree, name, _COLUMNS)
    if table.header is not None:
        return table.has("Folder", "Filename", "BBox", "Categorical_Labels")
    cells = dict(zip(_COLUMNS, table.first, strict=False))
    categories = count_categories(_annotators(read_literal(cells.get("Categorical_Labels", ""))))
    box = _floats(read_literal(cells.get("BBox", "")))
    return bool(categories) and len(box) >= 4 and not isinstance(categories, str)


def _row(raw: RawDataset, record: Record, bases: list[str], split: str | None) -> Row:
    given = join(record.get("Folder").strip("/"), record.get("Filename"))
    cell = record.get("Categorical_Labels")
    labels = read_literal(cell)
    annotators = _annotators(labels)
    known = count_categories(annotators)
    if not record.get("Filename"):
        return RejectedRow(given, Reason.bad_row, f"{record.row}: no file")
    if (surplus := record.surplus()) is not None:
        return RejectedRow(given, Reason.bad_row, surplus)
    path = raw.find_ending(given, bases, record.row)
    if isinstance(known, str) or (cell and not isinstance(labels, list)):
        wrong = known if isinstance(known, str) else cell[:80]
        return RejectedRow(name_of(path), Reason.bad_row, f"{record.row}: no category of EMOTIC: {wrong!r}")
    box = emotic_box(_floats(read_literal(record.get("BBox"))))
    if box is None and record.get("BBox"):
        raw.drop("BBox (expected [x1, y1, x2, y2])", record.row)
    affect = _affect(raw, record)
    return Annotation(
        path,
        tuple(known),
        record.row,
        distinct=True,
        votes=votes_of(known, annotators),
        box=box,
        box_kind="body" if box else None,
        split=split,
        valence=affect[0],
        arousal=affect[1],
        dominance=affect[2],
        attributes=raw.attributes(record.row, gender=record.get("Gender"), age=record.get("Age")),
    )


def _annotators(value: Any) -> list[list[str]]:
    """Return the choices of each annotator.

    A cell is a list of names, a list of lists, or a list in which a name is repeated once for each annotator who chose
    it. In the last case, the first occurrences are taken as the first annotator's, and so on, which gives the same
    counts.
    """
    if not isinstance(value, list):
        return [[value]] if isinstance(value, str) else []
    if any(isinstance(one, list) for one in value):
        return [one for inner in value for one in _annotators(inner)]
    annotators: list[list[str]] = []
    times: Counter[str] = Counter()
    for name in (one for one in value if isinstance(one, str)):
        times[name] += 1
        if times[name] > len(annotators):
            annotators.append([])
        annotators[times[name] - 1].append(name)
    return annotators


def _floats(value: Any) -> list[float]:
    # An array of one row, as NumPy may have it, is its row.
    given = value[0] if isinstance(value, list) and len(value) == 1 else value
    return [float(one) for one in given if isinstance(one, int | float)] if isinstance(given, list) else []


def _affect(raw: RawDataset, record: Record) -> list[float | None]:
    """Return valence, arousal and dominance; for lists of several annotators, the means of the given values."""
    cell = record.get("Continuous_Labels")
    value = read_literal(cell)
    given = value if isinstance(value, list) else []
    people: Sequence[Any] = given if given and isinstance(given[0], list) else [given]
    found = [[one[place] for one in people if isinstance(one, list) and len(one) > place] for place in range(3)]
    if cell and any(map(_beyond, found)):
        raw.drop("Continuous_Labels (expected valence, arousal and dominance of 1 to 10)", record.row)
    return [mean_rating(ratings) for ratings in found]


def _beyond(ratings: Sequence[Any]) -> bool:
    """Return whether ratings were given but none is usable; NaN means that nobody gave one."""
    return mean_rating(ratings) is None and (not ratings or any(str(one) not in {"nan", "None"} for one in ratings))
