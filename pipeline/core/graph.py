"""Rows that belong together: links between pairs of rows, and the connected components of these links."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Links = NDArray[np.int64]


def same_value(values: Sequence[str | None]) -> Links:
    """Return (K, 2) links from each row to the first row with the same value; None links nothing."""
    first: dict[str, int] = {}
    links = []
    for row, value in enumerate(values):
        if value is not None:
            before = first.setdefault(value, row)
            if before != row:
                links.append((before, row))
    return np.array(links, dtype=np.int64).reshape(-1, 2)


def components(count: int, links: Sequence[Links]) -> NDArray[np.int64]:
    """Return (count,) the number of the connected component of each row, numbered by first appearance."""
    ends = np.concatenate([np.empty((0, 2), np.int64), *links])
    graph = coo_array((np.ones(len(ends), np.int8), (ends[:, 0], ends[:, 1])), shape=(count, count))
    found = np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)
    _, first, inverse = np.unique(found, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]
