"""Candidate pairs without comparing all pairs: random hyperplanes cut the keys into buckets, table after table.

Locality-sensitive hashing for angles (Charikar, STOC 2002): two keys at the angle a share one bit with probability
1 - a / pi. With about log2(2 N) bits a bucket holds few strangers however many faces there are, and enough tables make
sure that a pair meets in one of them. Pairs that met are kept by their cosine. Time grows as N log N.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.duplicates.hashing import KEY_LENGTH, KEY_MIRROR
from pipeline.duplicates.region import Floats

Pairs = NDArray[np.int64]

MIN_COSINE: Final = 0.84
_TABLES: Final = 48
_MIN_BITS, _MAX_BITS = 8, 24
# In a bucket of very many, as of a film's frames, each is compared with its next neighbours only: they form a chain.
_NEIGHBOURS: Final = 32
_CHUNK: Final = 1 << 18


def candidate_pairs(keys: Floats, *, workers: int, tables: int = _TABLES) -> Pairs:
    """Return (K, 3) pairs of faces that may be one picture: first < second, and 1 where the second is to be mirrored.

    Args:
        keys: (N, KEY_LENGTH) of `build_keys`.
        workers: threads; the result does not depend on it.
        tables: more find more and take longer.
    """
    if len(keys) < 2:
        return np.empty((0, 3), np.int64)
    both = np.concatenate([keys, keys * KEY_MIRROR])
    bits = int(np.clip(np.ceil(np.log2(len(both))), _MIN_BITS, _MAX_BITS))
    planes = np.random.default_rng(0).standard_normal((tables, KEY_LENGTH, bits), np.float32)
    # Arithmetic on arrays lets go of the interpreter, so threads do, and share the keys.
    with ThreadPoolExecutor(workers) as pool:
        found = list(pool.map(partial(_look_up, both), planes))
    return np.unique(np.concatenate(found), axis=0)


def _look_up(both: Floats, planes: Floats) -> Pairs:
    codes, order = _table(both, planes)
    return _close(both, *_neighbours(codes, order, len(both) // 2))


def _table(keys: Floats, planes: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    sides = keys @ planes
    # A plane through the middle of the data halves it; through zero it would leave most faces on one side.
    sides -= np.median(sides, axis=0)
    codes = (sides > 0) @ (1 << np.arange(planes.shape[1], dtype=np.int64))
    # Inside a bucket, order by the first projection: what is alike lies side by side.
    order = np.lexsort((sides[:, 0], codes))
    return codes[order], order


def _neighbours(
    codes: NDArray[np.int64], order: NDArray[np.int64], count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    firsts, seconds = [], []
    for step in range(1, min(_NEIGHBOURS, len(codes) - 1) + 1):
        at = np.flatnonzero(codes[step:] == codes[:-step])
        if not len(at):
            break
        firsts.append(order[at])
        seconds.append(order[at + step])
    first = np.concatenate([*firsts, np.empty(0, np.int64)])
    second = np.concatenate([*seconds, np.empty(0, np.int64)])
    # Two mirrored faces are alike as the faces are; a face and its own mirror image are no pair.
    kept = ((first < count) | (second < count)) & (first % count != second % count)
    return first[kept], second[kept]


def _close(both: Floats, first: NDArray[np.int64], second: NDArray[np.int64]) -> Pairs:
    count = len(both) // 2
    close = np.empty(len(first), bool)
    for start in range(0, len(first), _CHUNK):
        part = slice(start, start + _CHUNK)
        close[part] = np.einsum("ij,ij->i", both[first[part]], both[second[part]]) >= MIN_COSINE
    first, second = first[close], second[close]
    mirrored = (first >= count) | (second >= count)
    first, second = first % count, second % count
    return np.stack([np.minimum(first, second), np.maximum(first, second), mirrored.astype(np.int64)], axis=1)
