"""Which faces look alike: the nearest neighbours of each, those that have none near, and a map of a sample of all."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors

from pipeline.core.draws import keyed_order
from pipeline.doubt.features import Features

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NEIGHBOURS: Final = 5
# Neighbours are searched among at most so many faces, drawn by their ids: time grows with the rows and not its square.
_SEARCHED: Final = 20_000
_PERPLEXITY: Final = 30.0
_MAP_STEPS: Final = 500
_FEWEST_MAPPED: Final = 5


def nearest(reduced: Features, ids: list[str], seed: int) -> tuple[Ints, Floats]:
    """Return (N, K) rows of the nearest other faces, nearest first, and (N,) the mean of their distances.

    Args:
        reduced: (N, C) features.
        ids: (N,) sample ids.
        seed: of the draw, where there are more faces than are searched.
    """
    searched = np.sort(np.argsort(keyed_order(ids, seed, "neighbours"), kind="stable")[:_SEARCHED])
    count = min(NEIGHBOURS + 1, len(searched))
    model = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(reduced[searched])
    distances, places = model.kneighbors(reduced)
    rows = searched[places]
    own = rows == np.arange(len(reduced))[:, None]
    # The face itself is left out, or where it was not drawn, or has a twin at distance 0, the last of the row.
    own[~own.any(axis=1), -1] = True
    shape = (len(reduced), count - 1)
    return rows[~own].reshape(shape), distances[~own].reshape(shape).mean(axis=1)


def build_map(reduced: Features, ids: list[str], most: int, seed: int) -> tuple[Ints, Floats]:
    """Return (M,) the rows on the map and (M, 2) their places, by t-SNE (van der Maaten and Hinton 2008).

    Args:
        reduced: (N, C) features.
        ids: (N,) sample ids, by which at most `most` rows are drawn.
        most: M at most.
        seed: of the draw.
    """
    rows = np.sort(np.argsort(keyed_order(ids, seed, "map"), kind="stable")[:most])
    if len(rows) < _FEWEST_MAPPED:
        return rows, np.zeros((len(rows), 2))
    model = TSNE(
        init="pca",
        perplexity=min(_PERPLEXITY, (len(rows) - 1) / 3),
        max_iter=_MAP_STEPS,
        random_state=seed,
        n_jobs=1,
    )
    return rows, np.asarray(model.fit_transform(reduced[rows]), np.float64)
