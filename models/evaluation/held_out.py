"""Rows that a network was not trained on: who they show, which belong together, and the network's answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.checkpoint import Checkpoint
from models.data.loader import ShardLoader
from pipeline.core.catalog import may_show, terms_in
from pipeline.core.emotions import NO_CLASS
from pipeline.core.errors import DataError
from pipeline.core.graph import components, same_value
from pipeline.core.names import MISSING_FACES_NAME, TEST
from pipeline.core.parallel.pool import Progress, no_progress, worker_count
from pipeline.core.schema import ATTRIBUTES
from pipeline.core.tables import read_table
from pipeline.geometry.similarity import frontality
from pipeline.shards.read import ShardFolder, iter_shards, open_shards

_WHO: Final = ["sample_id", "dataset", "label", "subject_id"]
_READ: Final = [*_WHO, *ATTRIBUTES, "landmarks"]


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The rows of a split in the order of the shards, without pixels; `missing` are the rows without a face.

    `label` is NO_CLASS where there is none. `group` and `missing_group` number the groups of both: rows of the same
    person or the same group of the split have the same number. `shown` says whose face may be shown under the terms of
    the dataset. `said` are gender, age and race of the rows and then of those without a face; None where nothing is
    given. `frontality` is that of the rows, 0 profile .. 1 frontal; `points` are (N, 5, 2)
    pixels of the crop.
    """

    sample_id: list[str]
    dataset: list[str]
    label: NDArray[np.int64]
    group: NDArray[np.int64]
    missing: pa.Table
    missing_group: NDArray[np.int64]
    shown: NDArray[np.bool_]
    said: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    frontality: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    points: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 5, 2)))


def read_held_out(folder: ShardFolder, shards: Path, split: str = TEST) -> HeldOut:
    """Read the rows of a split, without pixels.

    Raises:
        DataError: it has no rows.
    """
    if split not in folder.splits and split in open_shards(shards, unclassed=True).splits:
        why = f"no {split} row has a class, which this network answers"
        raise DataError(f"{shards}: {why}; one trained with train.task: affect needs none")
    if split not in folder.splits:
        raise DataError(f"{shards}: no {split} rows; give a dataset of params.yaml the role {split}, then split again")
    table = pa.concat_tables(iter_shards(folder, split, _READ))
    missing = read_table(shards / MISSING_FACES_NAME)
    missing = missing.filter(pc.equal(missing["split"], split))
    if not folder.unclassed:
        missing = missing.filter(pc.is_valid(missing["label"]))
    both = pa.concat_tables([part.select(_WHO).cast(table.select(_WHO).schema) for part in (table, missing)])
    group = tie_rows(both, read_groups(shards))
    ids, datasets = table["sample_id"].to_pylist(), table["dataset"].to_pylist()
    labels = pc.fill_null(table["label"], NO_CLASS).to_numpy().astype(np.int64)
    bound = terms_in(folder.contract)
    people = zip(datasets, table["subject_id"].to_pylist(), strict=True)
    shown = np.array([may_show(bound.get(name, ""), subject) for name, subject in people], bool)
    said = {name: [*_said(table, name), *_said(missing, name)] for name in ATTRIBUTES}
    # A crop is a similar picture of the face, so its landmarks have the frontality that align recorded.
    points = np.array(table["landmarks"].to_pylist(), np.float64).reshape(-1, 5, 2)
    return HeldOut(
        ids, datasets, labels, group[: len(ids)], missing, group[len(ids) :], shown, said, frontality(points), points
    )


def _said(rows: pa.Table, name: str) -> list[str | None]:
    # Shards of earlier versions do not have these columns.
    given: list[str | None] = rows[name].to_pylist() if name in rows.column_names else [None] * len(rows)
    return given


def read_groups(shards: Path) -> dict[str, str | None]:
    """Return, for each sample, its group in the split."""
    groups: dict[str, str | None] = {}
    for name in ("index", "missing_faces"):
        table = read_table(shards / f"{name}.parquet", ["sample_id", "group_id"])
        groups |= zip(table["sample_id"].to_pylist(), table["group_id"].to_pylist(), strict=True)
    return groups


def tie_rows(rows: pa.Table, groups: Mapping[str, str | None]) -> NDArray[np.int64]:
    """Return (N,) numbers of independent groups: rows of one person, or of one group of the split, share a number.

    Args:
        rows: sample_id, dataset and subject_id.
        groups: sample_id -> group of the split.
    """
    columns = (rows[name].to_pylist() for name in ("dataset", "subject_id"))
    people = [f"{name}/{subject}" if subject is not None else None for name, subject in zip(*columns, strict=True)]
    of_split = [groups.get(sample_id) for sample_id in rows["sample_id"].to_pylist()]
    return components(len(rows), [same_value(people), same_value(of_split)])


def faces_for(
    checkpoint: Checkpoint, shards: Path, split: str, batch_rows: int, *, unclassed: bool = False
) -> ShardLoader:
    """Return the faces of a split in the order of the shards, decoded for a network.

    With a GPU, all cores decode ahead. On the CPU, decoding threads would only compete with the network's.
    """
    workers = 0 if checkpoint.device.type == "cpu" else worker_count()
    return ShardLoader(
        shards,
        split,
        batch_size=batch_rows,
        shuffle=False,
        seed=0,
        workers=workers,
        spec=checkpoint.spec,
        unclassed=unclassed,
    )


def answer_logits(checkpoint: Checkpoint, loader: ShardLoader, progress: Progress = no_progress) -> Tensor:
    """Return the raw outputs (V, N, outputs) of all faces of a loader, in its order; V is 2 with test-time flip."""
    parts: list[Tensor] = []
    done = 0
    for batch in loader:
        parts.append(checkpoint.logits(batch.images))
        done += len(batch)
        progress(done, loader.rows, "faces")
    return torch.cat(parts, dim=1)
