"""The balance policy (`pipeline.shards.balance`) applied to joined rows: each copy is a row, the weight is a column."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.core.errors import DataError
from pipeline.core.names import TEST, TRAIN
from pipeline.core.params import ShardParams
from pipeline.shards.balance import cap_tested, count_cells, select, weigh
from pipeline.shards.plan import Joined, class_indices, even

_WHICH: Final = ["sample_id", "dataset"]


@dataclass(frozen=True, slots=True)
class Balanced:
    """Which rows are written, and which are left out.

    Attributes:
        rows: one row per copy, with the columns `copy` and `weight` added.
        left_out: the rows that the policy does not select.
        uneven: the training rows left out so that every process gets the same number.
        quotas: the number of `rows` in each cell of each split, by split and cell name.
    """

    rows: pa.Table
    left_out: pa.Table
    uneven: pa.Table
    quotas: Mapping[str, Mapping[str, int]]


def keep_tested(joined: Joined, caps: Mapping[str, int], *, seed: int) -> tuple[Joined, pa.Table]:
    """Leave out test rows beyond the caps of a protocol.

    The draw is from all labelled test rows, with a face or without, so that it does not depend on the detector.

    Args:
        joined: all rows.
        caps: dataset -> how many test rows of each class stay.
        seed: seed of the draw.

    Returns:
        The rows that stay, and a table with sample_id and dataset of those that do not.
    """
    sides = (joined.found, joined.missing)
    labels, splits, ids, datasets = (
        np.concatenate(parts) for parts in zip(*(_columns(side) for side in sides), strict=True)
    )
    out = cap_tested(labels, splits.tolist(), ids.tolist(), datasets.tolist(), caps, seed)
    # `out` covers the found rows first, then the missing ones, in the order of `sides`.
    return _leave_out(joined, (out[: len(joined.found)], out[len(joined.found) :]))


def keep_trained(joined: Joined, train_on: Sequence[str] | None) -> tuple[Joined, pa.Table]:
    """Leave out training and validation rows of datasets that do not train; test rows stay.

    Args:
        joined: all rows.
        train_on: the datasets that train; None: all.

    Returns:
        The rows that stay, and a table with sample_id and dataset of those that do not.

    Raises:
        DataError: a dataset in `train_on` has no training row with a face.
    """
    if train_on is None:
        return joined, joined.found.select(_WHICH).slice(0, 0)
    training = set(joined.found.filter(pc.equal(joined.found["split"], TRAIN))["dataset"].to_pylist())
    if idle := [name for name in train_on if name not in training]:
        raise DataError(f"shard.train_on: {idle[0]} has no training row with a face; see the split and its role")
    sides = (joined.found, joined.missing)
    others = (
        pc.and_(pc.not_equal(one["split"], TEST), pc.invert(pc.is_in(one["dataset"], pa.array(train_on))))
        for one in sides
    )
    return _leave_out(joined, [np.asarray(mask, bool) for mask in others])


def _leave_out(joined: Joined, masks: Sequence[NDArray[np.bool_]]) -> tuple[Joined, pa.Table]:
    """Split off the rows of two masks, of the rows with a face and of those without."""
    sides = (joined.found, joined.missing)
    found, missing = (side.filter(pa.array(~mask)) for side, mask in zip(sides, masks, strict=True))
    gone = [side.filter(pa.array(mask)).select(_WHICH) for side, mask in zip(sides, masks, strict=True)]
    return replace(joined, found=found, missing=missing), pa.concat_tables(gone)


def balanced(rows: pa.Table, params: ShardParams, *, seed: int) -> Balanced:
    """Apply the policy to `plan.Joined.found`.

    Args:
        rows: joined rows that have a face.
        params: the policy, its limits and `world_size`.
        seed: seed of every draw.

    Raises:
        DataError: there are fewer training rows than processes.
    """
    classed = pc.is_valid(rows["label"])
    with_class, without = rows.filter(classed), rows.filter(pc.invert(classed))
    first = _balanced(with_class, params, seed=seed)
    if not len(without):
        return first
    trained = pc.any(pc.equal(with_class["split"], TRAIN)).as_py()
    second = _balanced(without, params if trained else params.model_copy(update={"balance": "none"}), seed=seed)
    parts = first, second
    rows, left_out, uneven = (
        pa.concat_tables([getattr(part, name) for part in parts]) for name in ("rows", "left_out", "uneven")
    )
    splits = sorted({*first.quotas, *second.quotas})
    quotas = {split: {**first.quotas.get(split, {}), **second.quotas.get(split, {})} for split in splits}
    return Balanced(rows, left_out, uneven, quotas)


def _balanced(rows: pa.Table, params: ShardParams, *, seed: int) -> Balanced:
    selection = select(*_columns(rows), params, seed)
    repeats = selection.copies.astype(np.int64)
    at = np.repeat(selection.rows, repeats)
    # The position of each row's first copy; its distance from there numbers the copies 0, 1, 2 ...
    first = np.repeat(np.cumsum(repeats) - repeats, repeats)
    copies = rows.take(pa.array(at)).append_column("copy", pa.array((np.arange(len(at)) - first).astype(np.int16)))
    stay, uneven = even(copies, seed=seed, rows_per_shard=params.rows_per_shard, world_size=params.world_size)
    # Weighed only now: `even` may have dropped rows, and the mean weight of the rows that are written must be 1.
    labels, splits, _, datasets = _columns(stay)
    stay = stay.append_column("weight", pa.array(weigh(labels, splits, datasets, params)))
    return Balanced(
        stay, rows.take(pa.array(selection.left_out)), uneven, count_cells(labels, splits, datasets, params)
    )


def _columns(rows: pa.Table) -> tuple[np.ndarray, list[str], list[str], list[str]]:
    """Return label, split, sample_id and dataset of each row."""
    return (class_indices(rows["label"]), *(rows[name].to_pylist() for name in ("split", "sample_id", "dataset")))
