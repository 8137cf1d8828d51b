"""Which faces of a dataset the page shows, what is known of each, and where their crops are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.core.catalog import may_show
from pipeline.core.names import DETECTIONS_NAME, LABELS_NAME, SELECTED_NAME
from pipeline.core.params import ReportParams
from pipeline.core.schema import SELECTED
from pipeline.core.tables import read_part, read_table, table_files

Rows = NDArray[np.int64]

NO_CLASS: Final = -1
# What the page knows of a face besides its picture, where the tables have it.
FACTS: Final = (
    "label",
    "split",
    "detector",
    "face_score",
    "sharpness",
    "predicted",
    "confidence",
    "doubt",
    "reason",
    "suggested",
    "map_x",
    "map_y",
)


@dataclass(frozen=True, slots=True)
class Dataset:
    """What the stages wrote of one dataset, and whose terms bind its pictures.

    Attributes:
        name: as in params.yaml.
        folders: stage -> its output folder.
        bound: the result of `catalog.terms_of`.
    """

    name: str
    folders: Mapping[str, Path]
    bound: str


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of faces beyond their dataset; each table has `sample_id`, and none needs to be there.

    Attributes:
        splits: with `split`.
        answers: with `predicted` and `confidence`.
        doubts: with `doubt`, 0..1, `reason` and `suggested`, a class.
        places: with `map_x` and `map_y`, see `doubt.read_map`; `doubt.fill_map` moves them on the page.
    """

    splits: pa.Table | None = None
    answers: pa.Table | None = None
    doubts: pa.Table | None = None
    places: pa.Table | None = None


def read_crops(dataset: Dataset) -> pa.Table:
    """Return sample_id, subject_id, detector, face_score, part and row of every crop, without pixels.

    Raises:
        TableError: a table is torn.
    """
    parts = []
    for number, file in enumerate(table_files(dataset.folders["equalize"])):
        part = read_part(file, ["sample_id", "subject_id", "detector", "face_score"])
        part = part.append_column("part", pa.array(np.full(len(part), number)))
        parts.append(part.append_column("row", pa.array(np.arange(len(part)))))
    return pa.concat_tables(parts).combine_chunks()


def may_be_shown(subjects: pa.ChunkedArray, bound: str) -> pa.Array:
    """Return for each row whether the terms of a dataset allow to show the face of this person."""
    allowed = {subject: may_show(bound, subject) for subject in pc.unique(subjects).to_pylist()}
    return pa.array([allowed[subject] for subject in subjects.to_pylist()], pa.bool_())


def build_faces(dataset: Dataset, crops: pa.Table, known: Known, params: ReportParams) -> pa.Table:
    """Return the faces to show, sorted by sample_id: sample_id, part, row and FACTS.

    Of each class, faces are taken in turn until there are `faces_per_class`: evenly spaced ones, those of the lowest
    face score, the most blurred ones and the most doubtful ones. Of each pair of a class and an answer there are the
    `faces_per_cell` most confident. Of those on the map, there are all.

    Args:
        dataset: which one.
        crops: the result of `read_crops`.
        known: what else is known.
        params: how many faces of what.

    Raises:
        TableError: a table is missing or torn.
    """
    used = read_table(dataset.folders["select"] / SELECTED_NAME, ["sample_id"], SELECTED)["sample_id"]
    faces = crops.filter(pc.is_in(crops["sample_id"], value_set=used))
    faces = faces.filter(may_be_shown(faces["subject_id"], dataset.bound)).sort_by("sample_id").combine_chunks()
    tables = {
        "label": read_table(dataset.folders["harmonize"] / LABELS_NAME, ["sample_id", "label"]),
        "sharpness": _detections(dataset),
        "split": known.splits,
        "predicted": known.answers,
        "confidence": known.answers,
        "doubt": known.doubts,
        "reason": known.doubts,
        "suggested": known.doubts,
        "map_x": known.places,
        "map_y": known.places,
    }
    for name, table in tables.items():
        faces = faces.append_column(name, attach(faces, table, name))
    mapped = np.flatnonzero(faces["map_x"].is_valid().to_numpy(zero_copy_only=False)).tolist()
    each = _of_each_class(faces, params.faces_per_class), _of_each_mistake(faces, params.faces_per_cell)
    chosen = sorted({*chain(*each), *mapped})
    return faces.take(pa.array(chosen, pa.int64())).select(["sample_id", "part", "row", *FACTS])


def _detections(dataset: Dataset) -> pa.Table | None:
    folder = dataset.folders.get("align")
    return None if folder is None else read_table(folder / DETECTIONS_NAME, ["sample_id", "sharpness"])


def attach(rows: pa.Table, table: pa.Table | None, name: str) -> pa.ChunkedArray | pa.Array:
    """Return a column of another table in the order of these rows; null where it has no such sample."""
    if table is None:
        return pa.nulls(len(rows))
    table = table.combine_chunks()
    return table[name].take(pc.index_in(rows["sample_id"], value_set=table["sample_id"]))


def _of_each_class(faces: pa.Table, count: int) -> Iterator[int]:
    labels = pc.fill_null(faces["label"], NO_CLASS).to_numpy()
    doubt = _numbers(faces["doubt"], 0.0)
    worst = [_numbers(faces["face_score"], np.inf), _numbers(faces["sharpness"], np.inf), -doubt]
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        even = rows[np.arange(min(count, len(rows))) * len(rows) // min(count, len(rows))]
        orders = [even, *(rows[np.argsort(measure[rows], kind="stable")][:count] for measure in worst)]
        yield from _in_turn([order.tolist() for order in orders], count)


def _of_each_mistake(faces: pa.Table, count: int) -> Iterator[int]:
    if pa.types.is_null(faces["predicted"].type):
        return
    labels, predicted = (pc.fill_null(faces[name], NO_CLASS).to_numpy() for name in ("label", "predicted"))
    confidence = _numbers(faces["confidence"], 0.0)
    answered = np.flatnonzero(predicted != NO_CLASS)
    for pair in np.unique(np.stack([labels[answered], predicted[answered]]), axis=1).T:
        rows = answered[(labels[answered] == pair[0]) & (predicted[answered] == pair[1])]
        yield from rows[np.argsort(-confidence[rows], kind="stable")][:count].tolist()


def _numbers(column: pa.ChunkedArray, absent: float) -> NDArray[np.float64]:
    numbers: NDArray[np.float64] = pc.fill_null(column.cast(pa.float64()), absent).to_numpy()
    return numbers


def _in_turn(orders: Sequence[Sequence[int]], count: int) -> list[int]:
    """Return the first `count` different entries, one of each order in turn."""
    entries = chain.from_iterable(zip_longest(*orders))
    return list(dict.fromkeys(entry for entry in entries if entry is not None))[:count]


def describe_faces(faces: pa.Table) -> list[dict[str, Any]]:
    """Return each face as plain JSON; what is not known is left out."""
    rows = faces.select(["sample_id", *FACTS]).to_pylist()
    return [{name: _short(value) for name, value in row.items() if value is not None} for row in rows]


def _short(value: object) -> object:
    return float(f"{value:.4g}") if isinstance(value, float) else value
