"""The samples of all datasets in one table: person, sequence, picture, class and official split of each."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.core.emotions import NO_CLASS
from pipeline.core.errors import DataError
from pipeline.core.names import LABELS_NAME
from pipeline.core.schema import FACES, LABELS, PICTURE_TABLE_SUFFIXES
from pipeline.core.tables import read_table

UNLABELLED: Final = NO_CLASS
_SHARED_COLUMNS: Final = ("dataset", "source_path", "subject_id", "sequence_id")
_FACE_COLUMNS: Final = ("sample_id", *_SHARED_COLUMNS, "source_md5")
_LABEL_COLUMNS: Final = ("sample_id", *_SHARED_COLUMNS, "source_split", "label")
_FACE_SCHEMA: Final = pa.schema([FACES.field(name) for name in _FACE_COLUMNS])
_LABEL_SCHEMA: Final = pa.schema([LABELS.field(name) for name in _LABEL_COLUMNS])


@dataclass(frozen=True, slots=True)
class SplitRows:
    """N samples sorted by sample_id: all that have labels or are aligned.

    Samples of which nothing is said are included because they can link two others.

    Attributes:
        sample_ids, datasets: (N,) of each sample.
        subjects, sequences: (N,) names that are unique over all datasets, or None.
        paths: (N,) `<dataset>/<source path>`, or the sample id if one file contains many pictures.
        pictures: (N,) md5 of the picture's bytes; None if it was not aligned or one file contains many pictures.
        official: (N,) the dataset's own name of the split, or None.
        labels: (N,) class index, or UNLABELLED.
        used: (N,) whether the sample belongs into a set: it has a class, or affect without one.
        aligned: (N,) whether there is a face.
    """

    sample_ids: list[str]
    datasets: NDArray[np.str_]
    subjects: list[str | None]
    sequences: list[str | None]
    paths: list[str]
    pictures: list[str | None]
    official: list[str | None]
    labels: NDArray[np.int64]
    used: NDArray[np.bool_]
    aligned: NDArray[np.bool_]

    def without(self, left_out: NDArray[np.bool_]) -> "SplitRows":
        """Return the same samples, some of which (N,) belong into no set."""
        labels = np.where(left_out, UNLABELLED, self.labels)
        return replace(self, labels=labels, used=self.used & ~left_out)


def read_rows(aligned: Mapping[str, Path], labels: Mapping[str, Path]) -> SplitRows:
    """Read the faces (without pixels) and labels of all datasets.

    Raises:
        TableError: a table is missing or torn.
        DataError: a table contains rows of another dataset, or one sample twice.
    """
    labelled = {
        folder / LABELS_NAME: _read(folder / LABELS_NAME, name, _LABEL_COLUMNS, LABELS)
        for name, folder in labels.items()
    }
    _check_once(labelled)
    rows = pa.concat_tables([_LABEL_SCHEMA.empty_table(), *labelled.values()])
    found = [_read(folder, name, _FACE_COLUMNS, FACES) for name, folder in aligned.items()]
    faces = pa.concat_tables([_FACE_SCHEMA.empty_table(), *found])
    ids = pa.chunked_array([*rows["sample_id"].chunks, *faces["sample_id"].chunks], pa.string()).unique().sort()
    at_label, at_face = (pc.index_in(ids, value_set=table["sample_id"]) for table in (rows, faces))
    columns = {
        name: pc.if_else(pc.is_valid(at_label), _take(rows, name, at_label), _take(faces, name, at_face))
        for name in _SHARED_COLUMNS
    }
    return _collect(
        pa.table(
            {
                "sample_id": ids,
                **columns,
                "source_split": _take(rows, "source_split", at_label),
                "label": pc.fill_null(_take(rows, "label", at_label), UNLABELLED),
                "used": pc.is_valid(at_label),
                "source_md5": _take(faces, "source_md5", at_face),
                "aligned": pc.is_valid(at_face),
            }
        )
    )


def _take(table: pa.Table, column: str, at: pa.Array) -> pa.Array:
    return table[column].take(at).combine_chunks()


def _read(path: Path, dataset: str, columns: tuple[str, ...], schema: pa.Schema) -> pa.Table:
    table = read_table(path, columns, schema)
    foreign = table.filter(pc.not_equal(table["dataset"], dataset))
    if len(foreign):
        first, other = foreign["sample_id"][0].as_py(), foreign["dataset"][0].as_py()
        raise DataError(f"{path}: {first!r} is of {other!r}; expected only rows of {dataset!r}")
    return table


def _check_once(tables: Mapping[Path, pa.Table]) -> None:
    chunks = [chunk for table in tables.values() for chunk in table["sample_id"].chunks]
    ids = pa.chunked_array(chunks, pa.string())
    if pc.count_distinct(ids).as_py() == len(ids):
        return
    counts = ids.value_counts()
    twice = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")[0]
    path = [path for path, table in tables.items() if pc.is_in(twice, value_set=table["sample_id"]).as_py()][-1]
    raise DataError(f"{path}: {twice.as_py()!r} is there twice; a sample has one label")


def _collect(table: pa.Table) -> SplitRows:
    subjects, sample_ids = table["subject_id"], table["sample_id"]
    names = pc.utf8_lower(table["source_path"])
    of_table = reduce(pc.or_, (pc.ends_with(names, suffix) for suffix in PICTURE_TABLE_SUFFIXES))
    none = pa.scalar(None, pa.string())
    return SplitRows(
        sample_ids=sample_ids.to_pylist(),
        datasets=np.array(_texts(table["dataset"]), dtype=np.str_),
        subjects=_texts(_joined(table["dataset"], subjects)),
        # CK+ numbers the sequences of each subject from 1, so a sequence is unique only together with its subject.
        sequences=_texts(_joined(table["dataset"], pc.fill_null(subjects, ""), table["sequence_id"])),
        paths=_texts(pc.if_else(of_table, sample_ids, _joined(table["dataset"], table["source_path"]))),
        pictures=_texts(pc.if_else(of_table, none, table["source_md5"])),
        official=_texts(table["source_split"]),
        labels=table["label"].to_numpy().astype(np.int64),
        used=table["used"].to_numpy(),
        aligned=table["aligned"].to_numpy(),
    )


def _joined(*columns: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return names that are unique over all datasets; null where one is null."""
    return pc.binary_join_element_wise(*columns, "/")


def _texts(column: pa.ChunkedArray) -> list[Any]:
    """Return the values of a column; equal ones are one object, which saves most of the memory of names."""
    packed = column.combine_chunks().dictionary_encode()
    names = packed.dictionary.to_pylist()
    return [None if at is None else names[at] for at in packed.indices.to_pylist()]
