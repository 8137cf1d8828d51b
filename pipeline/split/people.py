"""The samples of all datasets in one table: person, sequence, picture, class and official split of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.core.errors import DataError
from pipeline.core.names import LABELS_NAME
from pipeline.core.schema import FACES, LABELS
from pipeline.core.tables import read_table

UNLABELLED: Final = -1
_FACE_COLUMNS: Final = ("sample_id", "dataset", "source_path", "source_md5", "subject_id", "sequence_id")
_LABEL_COLUMNS: Final = ("sample_id", "dataset", "source_path", "subject_id", "sequence_id", "source_split", "label")
# Files that contain many pictures, so that their path and md5 do not identify one of them.
_TABLE_SUFFIXES: Final = (".csv", ".tsv")


@dataclass(frozen=True, slots=True)
class SplitRows:
    """N samples sorted by sample_id: all that are labelled or aligned.

    Aligned samples without a label are included because they can link two labelled ones.

    Attributes:
        sample_ids, datasets: (N,) of each sample.
        subjects, sequences: (N,) names that are unique over all datasets, or None.
        paths: (N,) `<dataset>/<source path>`, or the sample id if one file contains many pictures.
        pictures: (N,) md5 of the picture's bytes; None if it was not aligned or one file contains many pictures.
        official: (N,) the dataset's own name of the split, or None.
        labels: (N,) class index, or UNLABELLED.
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
    aligned: NDArray[np.bool_]


def read_rows(aligned: Mapping[str, Path], labels: Mapping[str, Path]) -> SplitRows:
    """Read the faces (without pixels) and labels of all datasets.

    Raises:
        TableError: a table is missing or torn.
        DataError: a table contains rows of another dataset, or one sample twice.
    """
    merged: dict[str, dict[str, object]] = {}
    for name, folder in labels.items():
        path = folder / LABELS_NAME
        for row in _read(path, name, _LABEL_COLUMNS, LABELS):
            if merged.setdefault(str(row["sample_id"]), row) is not row:
                raise DataError(f"{path}: {row['sample_id']!r} is there twice; a sample has one label")
    for name, folder in aligned.items():
        for row in _read(folder, name, _FACE_COLUMNS, FACES):
            merged.setdefault(str(row["sample_id"]), row).update(source_md5=row["source_md5"], aligned=True)
    return _collect([merged[sample_id] for sample_id in sorted(merged)])


def _read(path: Path, dataset: str, columns: tuple[str, ...], schema: pa.Schema) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = read_table(path, columns, schema).to_pylist()
    for row in rows:
        if row["dataset"] != dataset:
            raise DataError(f"{path}: {row['sample_id']!r} is of {row['dataset']!r}; expected only rows of {dataset!r}")
    return rows


def _collect(rows: list[dict[str, object]]) -> SplitRows:
    paths = [_path(row) for row in rows]
    return SplitRows(
        sample_ids=[str(row["sample_id"]) for row in rows],
        datasets=np.array([str(row["dataset"]) for row in rows], dtype=np.str_),
        subjects=[_within(row, row["subject_id"]) for row in rows],
        # CK+ numbers the sequences of each subject from 1, so a sequence is unique only together with its subject.
        sequences=[_within(row, row["subject_id"] or "", row["sequence_id"]) for row in rows],
        paths=paths,
        pictures=[_picture(row, path) for row, path in zip(rows, paths, strict=True)],
        official=[_text(row.get("source_split")) for row in rows],
        labels=np.array([row.get("label", UNLABELLED) for row in rows], dtype=np.int64),
        aligned=np.array([bool(row.get("aligned")) for row in rows], dtype=np.bool_),
    )


def _path(row: dict[str, object]) -> str:
    path = str(row["source_path"])
    return str(row["sample_id"] if path.lower().endswith(_TABLE_SUFFIXES) else f"{row['dataset']}/{path}")


def _within(row: dict[str, object], *names: object) -> str | None:
    """Return a name that is unique over all datasets; None if its last part is None."""
    return None if names[-1] is None else "/".join(str(part) for part in (row["dataset"], *names))


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _picture(row: dict[str, object], path: str) -> str | None:
    return None if path == row["sample_id"] else _text(row.get("source_md5"))
