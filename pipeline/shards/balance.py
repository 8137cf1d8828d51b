"""The balance policy (`pipeline.balance`) applied to joined rows: copies become rows, weights a column."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.balance import select
from pipeline.params import ShardParams


@dataclass(frozen=True, slots=True)
class Balanced:
    """`rows` stay, one row a copy, with `copy` and `weight`; `left_out` do not; `quotas` say what each cell became."""

    rows: pa.Table
    left_out: pa.Table
    quotas: Mapping[str, Mapping[str, int]]


def balanced(rows: pa.Table, params: ShardParams, *, seed: int) -> Balanced:
    """Apply the policy to `plan.Joined.found`."""
    selection = select(
        rows["label"].to_numpy(),
        rows["split"].to_pylist(),
        rows["sample_id"].to_pylist(),
        rows["dataset"].to_pylist(),
        params,
        seed,
    )
    repeats = selection.copies.astype(np.int64)
    at = np.repeat(selection.rows, repeats)
    first = np.repeat(np.cumsum(repeats) - repeats, repeats)
    copy = (np.arange(len(at)) - first).astype(np.int16)
    stay = rows.take(pa.array(at))
    stay = stay.append_column("copy", pa.array(copy))
    stay = stay.append_column("weight", pa.array(np.repeat(selection.weights, repeats).astype(np.float32)))
    return Balanced(stay, rows.take(pa.array(selection.left_out)), selection.quotas)
