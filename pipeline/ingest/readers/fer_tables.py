"""The tables of FER2013's pixels: which ones a folder has, the split of each, and rows that are in two of them."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

from pipeline.core.schema import Reason
from pipeline.ingest.dataset_options import UNSAID, SettingError, classes_line
from pipeline.ingest.parsing.delimited import Delimited, Record, number
from pipeline.ingest.parsing.pixels import COLUMNS, open_pixels
from pipeline.ingest.raw_dataset import Annotation, RawDataset, RejectedRow, Row, join, name_of, stem
from pipeline.ingest.releases.counts import RELEASES
from pipeline.ingest.trees.tree import Tree

CODES: Final = ("anger", "disgust", "fear", "happy", "sad", "surprise", "neutral")
_CKEXTENDED: Final = "ckextended"
_CKEXTENDED_ROWS: Final = range(800, 1000)  # 920, or a copy that lost or gained a few
# Words in a table's name that give its split, the most specific first.
_SPLITS: Final = {
    "public": "PublicTest", "publictest": "PublicTest", "private": "PrivateTest", "privatetest": "PrivateTest",
    "train": "Training", "training": "Training", "val": "PublicTest", "valid": "PublicTest",
    "validation": "PublicTest", "dev": "PublicTest",
}  # fmt: skip
_TEST: Final = "test"
# Shares of classes differ by chance, too, and among so few rows by much.
_MIN_ROWS: Final = 50
_FAR: Final = 0.1


def pixel_files(tree: Tree, root: str) -> list[str]:
    """Return all tables of pixels in a folder: those that name splits first, those without emotions last."""
    names = (join(root, name) for name in tree.listing(root).files)
    tables = [table for name in names if (table := open_pixels(tree, name))]
    # A contest's test.csv has no emotions; its rows are counted all the same.
    tables.sort(key=lambda table: (not table.has("emotion"), not table.has("Usage")))
    return [table.name for table in tables]


def is_ckextended(tree: Tree, name: str) -> bool:
    """Return whether a table of pixels is CK+ and not FER2013, by its name, or by its size and a code FER2013 lacks."""
    if stem(name).casefold() == _CKEXTENDED:
        return True
    records = islice(Delimited(tree, name, COLUMNS).records(), _CKEXTENDED_ROWS.stop)
    codes = Counter(number(record.get("emotion")) for record in records)
    return codes.total() in _CKEXTENDED_ROWS and codes[len(CODES)] > 0


def named_split(name: str, beside: Iterable[str]) -> str | None:
    """Return the official split that a table is named after.

    Args:
        name: the table.
        beside: all tables that are read. If one is for validation, `test` is the private test set; otherwise it may be
            either or both, and keeps its name.
    """
    split = _split(name)
    return "PrivateTest" if split == _TEST and "PublicTest" in map(_split, beside) else split


def note_others(raw: RawDataset, read: Sequence[str]) -> None:
    """Add a note for every table of pixels in the tree that is not read, with its number of rows."""
    others = [
        f"{name} ({sum(1 for _ in table.records())} rows)"
        for name in raw.tree.below("")
        if name not in read and (table := open_pixels(raw.tree, name))
    ]
    if others:
        raw.notes.append(f"{', '.join(others)}: passed over; the pictures are those of {', '.join(read)}")


def check_shares(raw: RawDataset, counts: Counter[str]) -> None:
    """Check that the classes have about the shares of FER2013's, where only the columns say that it is FER2013.

    The codes of another dataset, or in another order, would give every row a wrong label without a word. The distance
    is half of the sum of the shares' differences, which for a random draw of n rows is about 1 / sqrt(n).

    Args:
        raw: the dataset, for the error.
        counts: rows by label, of rows without `Usage`.

    Raises:
        SettingError: the shares are too far away; gives the line to type.
    """
    of_release = next(release.labels for release in RELEASES if release.name == "FER2013")
    known = sum(map(Counter, of_release.values()), Counter[str]())
    total = counts.total()
    distance = sum(abs(counts[name] / max(total, 1) - known[name] / known.total()) for name in CODES) / 2
    if total < _MIN_ROWS or distance <= _FAR + total**-0.5:
        return
    codes = [str(code) for code, name in enumerate(CODES) if counts[name]]
    shown = ", ".join(f"{counts[CODES[int(code)]]} of {code}" for code in codes)
    raise SettingError(
        f"{raw.tree.src}: a table of pixels with the columns of FER2013, but without its Usage, and with other shares "
        f"of the codes ({shown}): FER2013 has {known.total()} pictures, {known['disgust'] / known.total():.1%} of them "
        "of 1 (disgust); say in params.yaml, in the entry of the dataset, what the codes mean (FER2013's are "
        f"{', '.join(f'{code} {name}' for code, name in enumerate(CODES))}): {classes_line(codes)}",
        {"classes": dict.fromkeys(codes, UNSAID)},
    )


class EarlierTables:
    """The pictures of the tables read so far, so that a row that a second table repeats is not a second face.

    Equal pictures within one table, or in tables of two splits, are kept, because FER2013 itself has some of both.
    """

    def __init__(self) -> None:
        self._earlier: dict[bytes, list[Annotation]] = {}
        self._current: dict[bytes, list[Annotation]] = {}

    def end_table(self) -> None:
        """Treat the rows taken since the last call as those of an earlier table."""
        for key, rows in self._current.items():
            self._earlier.setdefault(key, []).extend(rows)
        self._current.clear()

    def take(self, row: Row, record: Record, split: str | None) -> Row:
        """Return the row, or a rejected row if an earlier table has the same picture with the same label."""
        if isinstance(row, RejectedRow) and row.reason is not Reason.unlabelled:
            return row
        pixels = " ".join(record.get("pixels").split())
        key = hashlib.blake2b(pixels.encode(), digest_size=16).digest()
        split = record.get("Usage") or split
        earlier = [one for one in self._earlier.get(key, ()) if _may_be_one(split, one.split)]
        said = row.labels if isinstance(row, Annotation) else None
        same = next((one for one in earlier if said in (None, one.labels)), None)
        if same is not None:
            path = row.path if isinstance(row, RejectedRow) else name_of(row.path)
            return RejectedRow(path, Reason.duplicate_row, f"{record.row}: the same picture as {same.row}")
        if isinstance(row, RejectedRow):
            return row
        if earlier:
            # The same picture with another label: as a second row of the first, both are rejected as contradictory.
            return replace(row, path=earlier[0].path, n=earlier[0].n)
        self._current.setdefault(key, []).append(row)
        return row


def _may_be_one(split: str | None, other: str | None) -> bool:
    given = {split, other}
    return len(given) == 1 or None in given or (_TEST in given and given <= {_TEST, "PublicTest", "PrivateTest"})


def _split(name: str) -> str | None:
    words = set(re.findall("[a-z]+", stem(name).casefold()))
    found = next((split for word, split in _SPLITS.items() if word in words), None)
    return found or (_TEST if words & {"test", "testing"} else None)
