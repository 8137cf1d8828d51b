"""FER2013, csv: 35,887 faces of 48x48 grey values, written as text.

Goodfellow et al.: Challenges in Representation Learning, ICONIP 2013.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import ClassVar, Final

from pipeline.schema import Reason
from pipeline.sources.delimited import Delimited, Record, number
from pipeline.sources.pixels import COLUMNS, SIDE_PX, pixel_table
from pipeline.sources.reader import Reader
from pipeline.sources.rows import Annotation, Dump, Refusal, Row, join, stem
from pipeline.sources.tree import Tree

CODES: Final = ("anger", "disgust", "fear", "happy", "sad", "surprise", "neutral")
_VOTES_NAME: Final = "fer2013new.csv"
_CKEXTENDED: Final = "ckextended"
_CKEXTENDED_ROWS: Final = range(800, 1000)  # 920, or a copy that lost or gained a few
_SPLITS: Final = {"train": "Training", "test": "PublicTest"}


class Fer2013(Reader):
    """`emotion,pixels,Usage`; the picture of a sample is its row."""

    name = "fer2013"
    labels: ClassVar[tuple[str, ...]] = CODES
    layout = "a csv with the columns emotion, pixels and Usage"
    pictures_in_table = True

    def evidence(self, tree: Tree, root: str) -> str | None:
        """See `Reader.evidence`."""
        # The same pictures, relabelled: FER+.
        if votes_file(tree, root) or (root and votes_file(tree, root.rpartition("/")[0])):
            return None
        name = next(iter(pixel_files(tree, root)), None)
        if name is None or not Delimited(tree, name, COLUMNS).has("emotion") or is_ckextended(tree, name):
            return None
        return f"{name} holds pixels as text"

    def begins(self, tree: Tree, root: str) -> bool:
        """See `Reader.begins`."""
        return bool(pixel_files(tree, root))

    def read(self, dump: Dump) -> Iterator[Row]:
        """See `Reader.read`."""
        names = pixel_files(dump.tree, dump.root)
        others = [name for name in dump.tree.below("") if name not in names and _has_pixels(dump.tree, name)]
        if others:
            dump.notes.append(f"{', '.join(others)}: passed over; the pictures are those of {', '.join(names)}")
        for name in names:
            for n, record in enumerate(Delimited(dump.tree, name, COLUMNS).records()):
                yield self._row(record, name, n)

    def picture(self, tree: Tree, path: str, n: int) -> bytes:
        """See `Reader.picture`."""
        return pixel_table(tree, path).read(n)

    def _row(self, record: Record, name: str, n: int) -> Row:
        code, last = record.get("emotion"), len(self.labels) - 1
        if not code:
            return Refusal(name, Reason.unlabelled, f"{record.row}: no emotion")
        value = number(code)
        if value not in range(last + 1) or count_pixels(record.get("pixels")) != SIDE_PX * SIDE_PX:
            detail = f"{record.row}: expected a code 0 to {last} and {SIDE_PX * SIDE_PX} pixels, not {code[:20]!r}"
            return Refusal(name, Reason.bad_row, detail)
        split = record.get("Usage") or _SPLITS.get(stem(name).casefold())
        return Annotation(name, (self.labels[int(value or 0)],), record.row, n=n, split=split)


def is_ckextended(tree: Tree, name: str) -> bool:
    """Say whether a table of pixels is CK+, not FER2013: by its name, or by its size and a code that FER2013 lacks."""
    if stem(name).casefold() == _CKEXTENDED:
        return True
    records = islice(Delimited(tree, name, COLUMNS).records(), _CKEXTENDED_ROWS.stop)
    codes = Counter(number(record.get("emotion")) for record in records)
    return codes.total() in _CKEXTENDED_ROWS and codes[len(CODES)] > 0


def votes_file(tree: Tree, root: str) -> str | None:
    """Return the table of FER+'s votes in a folder."""
    return next((join(root, name) for name in tree.listing(root).files if name.casefold() == _VOTES_NAME), None)


def pixel_files(tree: Tree, root: str) -> list[str]:
    """Return the tables of pixels: the one with all splits if there is one, else one a split."""
    named = [join(root, name) for name in tree.listing(root).files if name.casefold().endswith(".csv")]
    tables = [table for name in named if (table := Delimited(tree, name, COLUMNS)).header and table.has("pixels")]
    whole = [table.name for table in tables if table.has("Usage", "emotion")]
    # A contest's test.csv has no emotions; its rows are counted all the same.
    return whole[:1] or [table.name for table in sorted(tables, key=lambda table: not table.has("emotion"))]


def _has_pixels(tree: Tree, name: str) -> bool:
    if not name.casefold().endswith(".csv"):
        return False
    table = Delimited(tree, name, COLUMNS)
    return table.header is not None and table.has("pixels")


def count_pixels(text: str) -> int:
    """Return how many values a row has, without reading them where one blank stands between any two."""
    plain = text.strip()
    count = plain.count(" ") + 1
    return count if count == SIDE_PX * SIDE_PX else len(plain.split())
