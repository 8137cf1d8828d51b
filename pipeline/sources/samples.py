"""Rows of a reader gathered into the table of samples: ids given, doubles found, labels counted.

Held in Arrow batches as they come, so that a million rows with 68 points each stay within hundreds of megabytes.
"""

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.output import Reject
from pipeline.schema import SAMPLES, Reason
from pipeline.sources.rows import NO_SPLIT, Annotation, Refusal, Row
from pipeline.sources.tree import DamagedError, Tree

_BATCH_ROWS: Final = 4096
# The columns that a reader gives, by the name of the annotation's attribute.
_COLUMNS: Final = {
    "source_box": "box",
    "source_box_kind": "box_kind",
    "source_landmarks": "landmarks",
    "subject_id": "subject",
    "sequence_id": "sequence",
    "source_split": "split",
    "source_labels": "labels",
    "source_votes": "votes",
    "valence": "valence",
    "arousal": "arousal",
    "dominance": "dominance",
}


@dataclass(slots=True)
class Listed:
    """What a dump lists, whether or not the pictures are there: what its release's counts are about."""

    rows: Counter[str] = field(default_factory=Counter)  # by split
    labels: Counter[tuple[str, str]] = field(default_factory=Counter)  # by split and label, of rows with one label
    affect: dict[str, list[tuple[float, float]]] = field(default_factory=dict)  # valence and arousal by label
    sequences: set[tuple[str, str, str]] = field(default_factory=set)  # split, label, sequence

    def add(self, row: Annotation) -> None:
        """Count one row."""
        split = row.split or NO_SPLIT
        self.rows[split] += 1
        if len(row.labels) != 1:
            return
        self.labels[split, row.labels[0]] += 1
        if row.sequence is not None:
            self.sequences.add((split, row.labels[0], row.sequence))
        if row.valence is not None and row.arousal is not None:
            self.affect.setdefault(row.labels[0], []).append((row.valence, row.arousal))


@dataclass(frozen=True, slots=True)
class _First:
    """The first row of a face, for the doubles that may follow."""

    ordinal: int
    labels: tuple[str, ...]
    row: str


class Samples:
    """The samples of one raw tree: `add` every row, `close`, then take `table` and `rejects`."""

    def __init__(self, dataset: str, tree: Tree) -> None:
        self.rows_in = 0
        self.listed = Listed()
        self.rejects: list[Reject] = []
        self.table = SAMPLES.empty_table()
        self._dataset = dataset
        self._tree = tree
        self._numbers: Counter[str] = Counter()
        self._first: dict[Hashable, _First] = {}
        self._doubts: dict[int, str] = {}  # ordinal of a kept row -> the row that contradicts it
        self._kept = 0
        self._waiting: list[tuple[Annotation, str, int]] = []
        self._batches: list[pa.RecordBatch] = []

    def add(self, row: Row) -> None:
        """Take one row."""
        self.rows_in += 1
        if isinstance(row, Refusal):
            self._refuse(row.path, None, row.reason, row.detail)
            return
        if row.labels:
            self.listed.add(row)
        if isinstance(row.path, Refusal):
            self._refuse(row.path.path, row.n, row.path.reason, row.path.detail)
        elif printable(row.path) != row.path:
            self._refuse(row.path, row.n, Reason.bad_row, f"{row.row}: its name is no UTF-8; rename it")
        elif not row.labels:
            self._refuse(row.path, row.n, Reason.unlabelled, f"{row.row}: no label")
        else:
            self._take(row, row.path)

    def close(self) -> None:
        """End the last batch, take out the rows that another contradicts, and sort."""
        self._flush()
        table = pa.Table.from_batches(self._batches, SAMPLES)
        self._batches.clear()
        self._first.clear()
        if self._doubts:
            doubtful = sorted(self._doubts)
            for ordinal, sample in zip(doubtful, table.take(doubtful).to_pylist(), strict=True):
                detail = self._doubts[ordinal]
                self.rejects.append(
                    Reject(sample["sample_id"], self._dataset, Reason.conflicting_labels, detail, sample["source_path"])
                )
            table = table.filter(pa.array([ordinal not in self._doubts for ordinal in range(table.num_rows)]))
        self.table = _sorted(table)

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the number of samples by split and label; of votes, the label with the most counts."""
        found: Counter[tuple[str, str]] = Counter()
        for batch in self.table.select(["source_split", "source_labels", "source_votes"]).to_batches(_BATCH_ROWS):
            for split, labels, votes in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                counted = labels if votes is None else [labels[votes.index(max(votes))]]
                found.update((split or NO_SPLIT, label) for label in counted)
        splits = sorted({split for split, _ in found})
        return {split: {label: n for (of, label), n in sorted(found.items()) if of == split} for split in splits}

    def _take(self, row: Annotation, path: str) -> None:
        key = row.row if row.distinct else (path, row.n, row.box)
        first = self._first.get(key)
        if first is None:
            try:
                self._tree.md5(path)
            except DamagedError as error:
                self._refuse(path, row.n, Reason.corrupt, f"{row.row}: {error}")
                return
            self._first[key] = _First(self._kept, row.labels, row.row)
            self._kept += 1
            self._waiting.append((row, path, self._number(path, row.n)))
            if len(self._waiting) >= _BATCH_ROWS:
                self._flush()
        elif _same(first.labels, row.labels):
            self._refuse(path, None, Reason.duplicate_row, f"{row.row}: says the same as {first.row}")
        else:
            detail = f"{', '.join(first.labels)} in {first.row}, {', '.join(row.labels)} in {row.row}"
            self._doubts.setdefault(first.ordinal, detail)
            self._refuse(path, None, Reason.conflicting_labels, detail)

    def _number(self, path: str, given: int | None) -> int:
        number = self._numbers[path] if given is None else given
        self._numbers[path] = max(self._numbers[path], number + 1)
        return number

    def _refuse(self, path: str, n: int | None, reason: Reason, detail: str) -> None:
        path, detail = printable(path), printable(detail)
        sample_id = f"{self._dataset}/{path}#{self._number(path, n)}"
        self.rejects.append(Reject(sample_id, self._dataset, reason, detail, path))

    def _flush(self) -> None:
        if not self._waiting:
            return
        rows = [row for row, _, _ in self._waiting]
        columns: dict[str, Sequence[Any]] = {
            "sample_id": [f"{self._dataset}/{path}#{number}" for _, path, number in self._waiting],
            "dataset": [self._dataset] * len(rows),
            "source_path": [path for _, path, _ in self._waiting],
            "source_md5": [self._tree.md5(path) for _, path, _ in self._waiting],
            **{column: [getattr(row, name) for row in rows] for column, name in _COLUMNS.items()},
        }
        arrays = [pa.array(columns[field_.name], field_.type) for field_ in SAMPLES]
        self._batches.append(pa.RecordBatch.from_arrays(arrays, schema=SAMPLES))
        self._waiting.clear()


def _sorted(table: pa.Table) -> pa.Table:
    """Sort by sample_id, one column at a time: the whole is never there twice."""
    order = pc.sort_indices(table["sample_id"])
    columns = []
    for name in SAMPLES.names:
        columns.append(table[name].take(order).combine_chunks())
        table = table.drop_columns([name])
    return pa.table(columns, schema=SAMPLES)


def printable(text: str) -> str:
    """Return text that every table can hold: bytes of a name that are no UTF-8 are written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def _same(labels: Sequence[str], others: Sequence[str]) -> bool:
    return [label.casefold() for label in labels] == [label.casefold() for label in others]
