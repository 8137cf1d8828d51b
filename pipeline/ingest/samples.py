"""Collecting the rows of a reader into the table of samples: assigning ids, finding duplicate rows, counting labels.

Rows are packed as they arrive and sorted in slices as they are written, so that 100,000 rows with 68 points each take
only some hundred megabytes; `make bench-ingest` measures that.
"""

import hashlib
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core.schema import SAMPLES, Reason
from pipeline.core.stage_output import Reject
from pipeline.ingest.parsing.attributes import Attributes
from pipeline.ingest.parsing.copies import copies
from pipeline.ingest.parsing.scales import NOT_GIVEN, AffectScales
from pipeline.ingest.raw_dataset import NO_SPLIT, Annotation, RawDataset, RejectedRow, Row, is_picture, name_of
from pipeline.ingest.trees.tree import DamagedError

_BATCH_ROWS: Final = 8192
# Rows per written slice: a multiple of a row group, as `tables.write_slices` requires.
_SLICE_ROWS: Final = 8192
_MAX_WORDS: Final = 32
# If at least this share of the pairs of valence and arousal is on the scale of their columns, the others are slips.
_MOST: Final = 0.9
# Column -> attribute of `Annotation`, for the columns that a reader provides.
_COLUMNS: Final = {
    "source_box": "box",
    "source_box_kind": "box_kind",
    "subject_id": "subject",
    "sequence_id": "sequence",
    "source_split": "split",
    "source_labels": "labels",
    "source_votes": "votes",
    "valence": "valence",
    "arousal": "arousal",
    "dominance": "dominance",
    "time_s": "time_s",
    **{one.name: f"attributes.{one.name}" for one in fields(Attributes)},
}
_POINTS: Final = "source_landmarks"
_BATCH: Final = pa.schema([field_ for field_ in SAMPLES if field_.name != _POINTS])
_values: Final = attrgetter(*(_COLUMNS[name] for name in _BATCH.names if name in _COLUMNS))
_COUNTED: Final = ("source_split", "source_labels", "source_votes")


@dataclass(slots=True)
class Listed:
    """Counts of what a raw dataset lists, whether or not the pictures exist, as a release's counts are."""

    rows: Counter[str] = field(default_factory=Counter)  # by split
    labels: Counter[tuple[str, str]] = field(default_factory=Counter)  # by split and label, of rows with one label
    # By label, of rows with both: valence, arousal, valence, …
    affect: defaultdict[str, "array[float]"] = field(default_factory=lambda: defaultdict(lambda: array("f")))
    sequences: set[tuple[str, str, str]] = field(default_factory=set)  # split, label, sequence
    # Split, and the word before "_" in a picture's name, which may be the release's own split; at most `_MAX_WORDS`.
    words: set[tuple[str, str]] = field(default_factory=set)

    def add(self, row: Annotation) -> None:
        """Count one row."""
        split = row.split or NO_SPLIT
        self.rows[split] += 1
        if len(self.words) < _MAX_WORDS:
            self.words.add((split, name_of(row.path).rpartition("/")[2].partition("_")[0]))
        if len(row.labels) != 1:
            return
        self.labels[split, row.labels[0]] += 1
        if row.sequence is not None:
            self.sequences.add((split, row.labels[0], row.sequence))
        if row.valence is not None and row.arousal is not None:
            self.affect[row.labels[0]].extend((row.valence, row.arousal))

    def rescale(self, raw: RawDataset, dropped: Set[str]) -> None:
        """Convert the collected valence and arousal to [-1, 1].

        If a column was dropped but most of its values are on its scale, these still show the order of the labels.
        """
        low, high = np.array([raw.scale("valence"), raw.scale("arousal")]).T
        for label, values in self.affect.items():
            pairs = np.frombuffer(values, np.float32).reshape(-1, 2)
            if "valence" not in raw.scales:
                pairs = pairs[(pairs > NOT_GIVEN).all(axis=1)]
            within = pairs[((pairs >= low) & (pairs <= high)).all(axis=1)]
            if dropped & {"valence", "arousal"}:
                pairs = within if len(within) >= _MOST * len(pairs) else pairs[:0]
            self.affect[label] = array("f", ((pairs * 2 - low - high) / (high - low)).astype(np.float32).tobytes())


@dataclass(frozen=True, slots=True)
class _First:
    """The first row of a face, for the doubles that may follow."""

    ordinal: int
    labels: tuple[str, ...]
    row: str


class _Points:
    """A growing column of lists of numbers, packed: batches of them would have to be copied into one piece later."""

    def __init__(self) -> None:
        self._values = array("f")
        self._ends = array("i", [0])
        self._missing = array("b")

    def add(self, points: Sequence[float] | None) -> None:
        """Take one row."""
        self._values.extend(points or ())
        self._ends.append(len(self._values))
        self._missing.append(points is None)

    def column(self) -> pa.Array:
        """Return all rows."""
        values = pa.Array.from_buffers(pa.float32(), len(self._values), [None, pa.py_buffer(self._values)])
        ends = pa.Array.from_buffers(pa.int32(), len(self._ends), [None, pa.py_buffer(self._ends)])
        missing = pa.array(self._missing, pa.int8()).cast(pa.bool_())
        return pa.ListArray.from_arrays(ends, values, mask=missing)


class Samples:
    """The samples of one raw tree: `add` every row, `close`, then take `rows_out`, `slices` and `rejects`."""

    def __init__(self, dataset: str, raw: RawDataset, *, multi_label: bool = False) -> None:
        self.rows_in = 0
        self.rows_out = 0
        self.listed = Listed()
        self.rejects: list[Reject] = []
        self._dataset = dataset
        self._raw = raw
        self._multi_label = multi_label
        self._tree = raw.tree
        self._affect = AffectScales(raw)
        self._numbers: Counter[bytes] = Counter()  # by the key of a path
        self._first: dict[bytes, _First] = {}  # by the key of a face
        self._doubts: dict[int, str] = {}  # ordinal of a kept row -> the row that contradicts it
        self._kept = 0
        self._waiting: list[tuple[Any, ...]] = []  # values in the order of _BATCH
        self._batches: list[pa.RecordBatch] = []
        self._points = _Points()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._table = SAMPLES.empty_table()

    def unnamed(self) -> list[str]:
        """Return the pictures of the tree that no row has named, sorted; call before `close`."""
        names = (name for name in self._tree.below("") if is_picture(name))
        return sorted(name for name in names if _key(printable(name)) not in self._numbers)

    def add(self, row: Row) -> None:
        """Take one row."""
        self.rows_in += 1
        if isinstance(row, RejectedRow):
            self._refuse(row.path, None, row.reason, row.detail)
            return
        self._affect.see(row)
        if row.labels:
            self.listed.add(row)
        if isinstance(row.path, RejectedRow):
            self._refuse(row.path.path, row.n, row.path.reason, row.path.detail)
        elif printable(row.path) != row.path:
            self._refuse(row.path, row.n, Reason.bad_row, f"{row.row}: its name is no UTF-8; rename it")
        elif not row.labels and row.valence is None and row.arousal is None and row.dominance is None:
            self._refuse(row.path, row.n, Reason.unlabelled, f"{row.row}: no label")
        else:
            self._take(row, row.path)

    def close(self) -> None:
        """End the last batch, judge its columns as wholes, and take out the rows that another contradicts."""
        self._flush()
        self._table = _in_one_piece(pa.Table.from_batches(self._batches, _BATCH), self._points.column())
        self._batches.clear()
        self._judge()
        self._first.clear()
        self._numbers.clear()
        for ordinal, detail in sorted(self._doubts.items()):
            sample_id, path = (self._table[name][ordinal].as_py() for name in ("sample_id", "source_path"))
            self.rejects.append(Reject(sample_id, self._dataset, Reason.conflicting_labels, detail, path))

        self.rows_out = int(self._table.num_rows) - len(self._doubts)

    def slices(self) -> Iterator[pa.Table]:
        """Yield the table of samples, sorted by sample_id, a slice at a time; once, then the rows are let go."""
        order = pc.sort_indices(self._table["sample_id"])
        if self._doubts:
            order = order.filter(pc.invert(pc.is_in(order, pa.array(self._doubts.keys(), pa.uint64()))))
        for start in range(0, len(order), _SLICE_ROWS):
            found = self._table.take(order[start : start + _SLICE_ROWS])
            self._count(found)
            yield found
        self._table = SAMPLES.empty_table()

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the number of samples by split and label, of all slices.

        Of votes for one of several labels, the one with the most counts; of labels that hold at once, each.
        """
        splits = sorted({split for split, _ in self._counts})
        return {split: {label: n for (of, label), n in sorted(self._counts.items()) if of == split} for split in splits}

    def _judge(self) -> None:
        """Bring affect to [-1, 1] and put copies of one picture into one sequence."""
        self._table = self._affect.bring(self._table)
        self.listed.rescale(self._raw, self._affect.dropped().keys())
        self._raw.notes.extend(self._affect.notes())
        paths, labels = (self._table[name].to_pylist() for name in ("source_path", "source_labels"))
        found = copies(paths, labels)
        if not found:
            return
        sequences = self._table["sequence_id"].to_pylist()
        for place, name in found.items():
            sequences[place] = sequences[place] or name
        place = SAMPLES.get_field_index("sequence_id")
        self._table = self._table.set_column(place, SAMPLES.field(place), pa.array(sequences, pa.string()))
        self._raw.notes.append(
            f"{len(found)} pictures are {len(set(found.values()))} and copies of them by their names, such as "
            f"{paths[next(iter(found))]}: sequence_id keeps them together"
        )

    def _count(self, rows: pa.Table) -> None:
        for split, labels, votes in zip(*(rows[name].to_pylist() for name in _COUNTED), strict=True):
            counted = labels if votes is None or self._multi_label else [labels[votes.index(max(votes))]]
            self._counts.update((split or NO_SPLIT, label) for label in counted)

    def _take(self, row: Annotation, path: str) -> None:
        key = face_key(row, path)
        first = self._first.get(key)
        if first is None:
            try:
                self._tree.md5(path)
            except DamagedError as error:
                self._refuse(path, row.n, Reason.corrupt, f"{row.row}: {error}")
                return
            self._first[key] = _First(self._kept, row.labels, row.row)
            self._kept += 1
            number = self._number(path, row.n)
            # Frames of a video have as many digits, so that they are sorted by time.
            name = f"{self._dataset}/{path}#{number if row.time_s is None else f'{number:09d}'}"
            self._waiting.append((name, self._dataset, path, number, self._tree.md5(path), *_values(row)))
            self._points.add(row.landmarks)
            if len(self._waiting) >= _BATCH_ROWS:
                self._flush()
        elif same_labels(first.labels, row.labels):
            self._refuse(path, None, Reason.duplicate_row, f"{row.row}: says the same as {first.row}")
        else:
            detail = f"{', '.join(first.labels)} in {first.row}, {', '.join(row.labels)} in {row.row}"
            self._doubts.setdefault(first.ordinal, detail)
            self._refuse(path, None, Reason.conflicting_labels, detail)

    def _number(self, path: str, given: int | None) -> int:
        key = _key(path)
        number = self._numbers[key] if given is None else given
        self._numbers[key] = max(self._numbers[key], number + 1)
        return number

    def _refuse(self, path: str, n: int | None, reason: Reason, detail: str) -> None:
        path, detail = printable(path), printable(detail)
        sample_id = f"{self._dataset}/{path}#{self._number(path, n)}"
        self.rejects.append(Reject(sample_id, self._dataset, reason, detail, path))

    def _flush(self) -> None:
        if not self._waiting:
            return
        columns = zip(*self._waiting, strict=True)
        arrays = [pa.array(column, field_.type) for column, field_ in zip(columns, _BATCH, strict=True)]
        self._batches.append(pa.RecordBatch.from_arrays(arrays, schema=_BATCH))
        self._waiting.clear()


def _in_one_piece(table: pa.Table, points: pa.Array) -> pa.Table:
    """Return the table of samples, its rows to be taken in any order; a column at a time, never all of it twice."""
    columns = []
    for name in SAMPLES.names:
        columns.append(points if name == _POINTS else table[name].combine_chunks())
        table = table if name == _POINTS else table.drop_columns([name])
    return pa.table(columns, schema=SAMPLES)


def face_key(row: Annotation, path: str) -> bytes:
    """Return what stands for the face of a row: itself, its number in the picture, or else its box."""
    if row.distinct:
        return _key(row.row)
    return _key(path, row.n) if row.n is not None else _key(path, row.box)


def _key(*parts: object) -> bytes:
    """Return what stands for a face or a path among hundreds of thousands: two never share one."""
    return hashlib.blake2b(repr(parts).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def printable(text: str) -> str:
    """Return text that every table can hold: bytes of a name that are no UTF-8 are written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def same_labels(labels: Sequence[str], others: Sequence[str]) -> bool:
    """Return whether two rows say the same, whatever the case of their words."""
    return [label.casefold() for label in labels] == [label.casefold() for label in others]
