"""Where test faces are on a map on which faces that the network finds alike are near each other."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import torch
from threadpoolctl import threadpool_limits

from models.checkpoint import Checkpoint
from models.data.loader import ShardLoader
from models.features import frozen_features, last_linear
from pipeline.core.draws import keyed_order
from pipeline.core.schema import EMBEDDING
from pipeline.doubt.likeness import build_map

_DECIMALS: Final = 4


def map_faces(checkpoint: Checkpoint, loader: ShardLoader, ids: Sequence[str], most: int, seed: int) -> pa.Table:
    """Return the places (`schema.EMBEDDING`) of test faces, by t-SNE of what the network's last layer reads.

    Args:
        checkpoint: the network; one without a linear head, such as a classical baseline, gives an empty map.
        loader: the test set, decoded for it.
        ids: the samples of the test set.
        most: number of faces on the map, drawn by their ids if there are more.
        seed: of the draw and of the map.
    """
    if last_linear(checkpoint) is None or not most:
        return EMBEDDING.empty_table()
    drawn = {ids[row] for row in np.argsort(keyed_order(list(ids), seed, "map"), kind="stable")[:most].tolist()}
    mapped: list[str] = []
    parts = []
    for batch in loader:
        rows = [row for row, sample in enumerate(batch.sample_ids) if sample in drawn]
        if rows:
            mapped += [batch.sample_ids[row] for row in rows]
            parts.append(frozen_features(checkpoint, batch.images[torch.tensor(rows)])[0])
    # The order of sums depends on the number of threads, so there is one.
    with threadpool_limits(1):
        rows_of, places = build_map(np.concatenate(parts), mapped, most, seed)
    columns = [[mapped[row] for row in rows_of.tolist()], *places.round(_DECIMALS).T.tolist()]
    return pa.table(dict(zip(EMBEDDING.names, columns, strict=True)), schema=EMBEDDING)
