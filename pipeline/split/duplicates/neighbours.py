"""Candidate pairs, without comparing all pairs: each key is compared with the keys in the cells nearest to it.

Every key belongs to the cell of the nearest of some randomly drawn keys (an inverted file, as in Sivic and Zisserman,
ICCV 2003), and is compared exactly with the keys in its nearest cells. A few thousand keys form one cell. The time
grows as N to the power of 1.5.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.split.duplicates.keys import WINDOWS, build_keys, build_scatter
from pipeline.split.duplicates.patches import Patches
from pipeline.split.duplicates.region import Floats

Pairs = NDArray[np.int64]

# Up to so many faces, all pairs are candidates; a discriminant could not be fitted on so few.
ALL_PAIRS: Final = 64
# `registration` discards every pair with a cosine below 0.41, and the keys of copies are nearly always closer than
# this.
_MIN_COSINE: Final = 0.5
# How many of the nearest keys become candidates: of keys as they are, and of mirrored ones.
_NEAREST: Final = (2, 1)
# Up to so many keys, one matrix product compares all of them.
_ONE_CELL: Final = 4096
_PROBED: Final = 24  # cells that a key is compared with
_CHUNK: Final = 4096  # rows of one matrix product, to bound memory


def candidate_pairs(patches: Patches, *, workers: int) -> tuple[Pairs, Floats]:
    """Return pairs of faces that may be one picture, and the similarity of their keys.

    Args:
        patches: (N, SIDE_PX, SIDE_PX) as from `build_patch`.
        workers: threads; the result does not depend on it.

    Returns:
        (K, 3) first, second and 1 if the second must be mirrored, with first < second; and (K,) the best cosine of
        their keys, 0.5..1, or 1 if there are so few faces that all are paired.
    """
    if len(patches) <= ALL_PAIRS:
        first, second = np.triu_indices(len(patches), 1)
        mirrors = (np.full(len(first), mirror) for mirror in (0, 1))
        pairs = np.concatenate([np.stack([first, second, mirror], axis=1) for mirror in mirrors])
        return pairs, np.ones(len(pairs), np.float32)
    scatter = build_scatter(patches)
    mirrored = patches[:, :, ::-1]
    found = []
    for window in WINDOWS:
        keys = build_keys(patches, scatter, window)
        found.append(_nearest(keys, keys, 0, workers))
        found.append(_nearest(keys, build_keys(mirrored, scatter, window), 1, workers))
    pairs, cosines = (np.concatenate(values) for values in zip(*found, strict=True))
    # As one number a pair, which takes a third of the memory and sorts in the same order.
    codes = (pairs[:, 0] * len(patches) + pairs[:, 1]) * 2 + pairs[:, 2]
    order = np.argsort(codes, kind="stable")
    first = np.flatnonzero(np.diff(codes[order], prepend=-1))
    return pairs[order[first]], np.maximum.reduceat(cosines[order], first)


def _nearest(keys: Floats, others: Floats, mirror: int, workers: int) -> tuple[Pairs, Floats]:
    """Pair each key with the nearest of the others, except that of its own face; return pairs and cosines."""
    cells, probes = _cells(keys, others)
    # Array arithmetic releases the interpreter's lock, so threads are enough, and share the keys.
    with ThreadPoolExecutor(workers) as pool:
        parts = list(pool.map(lambda rows, cell: _close(keys, others, rows, cell, _NEAREST[mirror]), probes, cells))
    rows, columns, cosines = (np.concatenate(values) for values in zip(*parts, strict=True))
    order = np.lexsort((columns, -cosines, rows))
    rows, columns, cosines = rows[order], columns[order], cosines[order]
    near = np.arange(len(rows)) - np.searchsorted(rows, rows) < _NEAREST[mirror]
    rows, columns = rows[near], columns[near]
    pairs = np.stack([np.minimum(rows, columns), np.maximum(rows, columns), np.full(len(rows), mirror)], axis=1)
    return pairs, cosines[near]


def _cells(keys: Floats, others: Floats) -> tuple[Sequence[NDArray[np.int64]], Sequence[NDArray[np.int64]]]:
    """Return, for each cell, the others in it, and the keys that must be compared with these."""
    everyone = np.arange(len(keys))
    if len(keys) <= _ONE_CELL:
        return [everyone] * -(-len(keys) // _CHUNK), np.split(everyone, range(_CHUNK, len(keys), _CHUNK))
    count = round(len(keys) ** 0.5)
    centres = others[np.random.default_rng(0).choice(len(others), count, replace=False)]
    home = np.concatenate([(others[at : at + _CHUNK] @ centres.T).argmax(axis=1) for at in everyone[::_CHUNK]])
    near = [
        np.argpartition(keys[at : at + _CHUNK] @ centres.T, count - _PROBED, axis=1)[:, -_PROBED:]
        for at in everyone[::_CHUNK]
    ]
    return _by_cell(home, everyone, count), _by_cell(np.concatenate(near).ravel(), everyone.repeat(_PROBED), count)


def _by_cell(cells: NDArray[np.int64], rows: NDArray[np.int64], count: int) -> list[NDArray[np.int64]]:
    order = np.argsort(cells, kind="stable")
    return np.split(rows[order], np.searchsorted(cells[order], np.arange(1, count)))


def _close(
    keys: Floats, others: Floats, rows: NDArray[np.int64], members: NDArray[np.int64], nearest: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Pair each of these keys with the nearest members of one cell, except itself; members are sorted."""
    nearby = others[members].T
    found = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))]
    # If two centres are equal, only the first has members, so a cell may be empty.
    for start in range(0, len(rows) if len(members) else 0, _CHUNK):
        part = rows[start : start + _CHUNK]
        cosines = keys[part] @ nearby
        every = np.arange(len(part))
        own = np.minimum(np.searchsorted(members, part), len(members) - 1)
        cosines[every, own] = np.where(members[own] == part, -1, cosines[every, own])
        for _ in range(nearest):
            best = cosines.argmax(axis=1)
            cosine = cosines[every, best]
            near = cosine >= _MIN_COSINE
            found.append((part[near], members[best[near]], cosine[near]))
            cosines[every, best] = -1
    return tuple(np.concatenate(values) for values in zip(*found, strict=True))  # type: ignore[return-value]
