"""The balance policy (`pipeline.shards.balance`) applied to joined rows: copies become rows, weights a column."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from pipeline.core.params import ShardParams
from pipeline.shards.balance import cap_tested, count_cells, select, weigh
from pipeline.shards.plan import Joined, even


@dataclass(frozen=True, slots=True)
class Balanced:
    """What is written, and what is not.

    Attributes:
        rows: one row a copy, with `copy` and `weight`.
        left_out: the rows that the policy leaves out.
        uneven: the training rows left out so that every process gets the same number.
        quotas: how many of `rows` each cell of each split has, by split and cell name.
    """

    rows: pa.Table
    left_out: pa.Table
    uneven: pa.Table
    quotas: Mapping[str, Mapping[str, int]]


def keep_tested(joined: Joined, caps: Mapping[str, int], *, seed: int) -> tuple[Joined, pa.Table]:
    """Leave out the test rows that a protocol caps, drawn from one list of those with a face and those without.

    Args:
        joined: all rows.
        caps: dataset -> test rows of each class.
        seed: of the draw.

    Returns:
        What stays, and sample_id and dataset of the rows that do not.
    """
    sides = (joined.found, joined.missing)
    labels, splits, ids, datasets = (
        np.concatenate(parts) for parts in zip(*(_columns(side) for side in sides), strict=True)
    )
    out = cap_tested(labels, splits.tolist(), ids.tolist(), datasets.tolist(), caps, seed)
    masks = (out[: len(joined.found)], out[len(joined.found) :])
    found, missing = (side.filter(pa.array(~mask)) for side, mask in zip(sides, masks, strict=True))
    gone = [
        side.filter(pa.array(mask)).select(["sample_id", "dataset"]) for side, mask in zip(sides, masks, strict=True)
    ]
    return replace(joined, found=found, missing=missing), pa.concat_tables(gone)


def balanced(rows: pa.Table, params: ShardParams, *, seed: int) -> Balanced:
    """Apply the policy to `plan.Joined.found`; weights and quotas are those of the rows that stay in the end.

    Raises:
        DataError: fewer training rows than processes.
    """
    selection = select(*_columns(rows), params, seed)
    repeats = selection.copies.astype(np.int64)
    at = np.repeat(selection.rows, repeats)
    first = np.repeat(np.cumsum(repeats) - repeats, repeats)
    copies = rows.take(pa.array(at)).append_column("copy", pa.array((np.arange(len(at)) - first).astype(np.int16)))
    stay, uneven = even(copies, seed=seed, rows_per_shard=params.rows_per_shard, world_size=params.world_size)
    labels, splits, _, datasets = _columns(stay)
    stay = stay.append_column("weight", pa.array(weigh(labels, splits, datasets, params)))
    return Balanced(
        stay, rows.take(pa.array(selection.left_out)), uneven, count_cells(labels, splits, datasets, params)
    )


def _columns(rows: pa.Table) -> tuple[np.ndarray, list[str], list[str], list[str]]:
    """Return label, split, sample_id and dataset of each row."""
    return (rows["label"].to_numpy(), *(rows[name].to_pylist() for name in ("split", "sample_id", "dataset")))
