"""Assigning groups to sets: a hash of each group decides, and few groups move to keep the shares of classes.

Two goals conflict. If a split should never change when samples are added, it can depend on the group alone: a random
draw, which misses the shares of small classes. Exact shares depend on all groups. So every group gets a *lot*, a keyed
hash in [0, 1), and is chosen if it is below the share. This stands if each class of each dataset is within the
tolerance. Only if one is not do groups change sides, those with the lot nearest to the share first. Large data hardly
ever needs that, and with a tolerance of 100 points a group never moves.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from pipeline.core.draws import keyed_order

Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]

# A cell may always be off by this much, because rows cannot be divided.
HALF_A_ROW: Final = 0.5
# A greedy search that ends outside a band may end inside it when it aims at a narrower one; these divide the band.
_NARROWER: Final = (1, 2, 4, 16)
# Limits that keep the search fast on large data. Swaps compare all pairs, so they look at fewer groups.
_SEARCH_GROUPS: Final = 2048
_SWAP_GROUPS: Final = 256
_MAX_MOVES: Final = 2000


def draw_lots(keys: list[str], seed: int, purpose: str) -> Floats:
    """Return (G,) the lot of each group in [0, 1), which depends on its key, the seed and the purpose alone."""
    return keyed_order(keys, seed, purpose) / np.float64(2**64)


def choose(
    counts: csr_array, candidates: Flags, decided: Flags, lots: Floats, share: float, target: Floats, band: Floats
) -> Flags:
    """Choose groups so that every cell (a class of a dataset) has the requested number of chosen rows.

    Args:
        counts: (G, C) rows of each group in each cell.
        candidates: (G,) groups that may be chosen or not.
        decided: (G,) groups that are chosen already.
        lots: (G,) in [0, 1).
        share: lots below it are chosen, 0..1.
        target: (C,) rows to choose in each cell.
        band: (C,) the number of rows by which a cell may miss its target.

    Returns:
        (G,) the chosen groups, including `decided`. If the groups do not allow a cell's target, the cell is as near as
        the search came.
    """
    totals = np.maximum(np.asarray(counts.sum(axis=0), dtype=np.float64), 1)
    drawn, distance = decided | (candidates & (lots < share)), np.abs(lots - share)
    best, best_excess = drawn, np.inf
    for narrower in _NARROWER:
        chosen = drawn.copy()
        off = counts.T @ chosen.astype(np.int64) - target
        _fill_by_single_cells(counts, candidates, chosen, off, band / narrower, distance)
        _search(counts, candidates, chosen, off, band / narrower, distance)
        excess = float(_excess(off, band, totals))
        if excess < best_excess:
            best, best_excess = chosen, excess
        if not excess:
            break
    return best


def _fill_by_single_cells(
    counts: csr_array, candidates: Flags, chosen: Flags, off: Floats, band: Floats, distance: Floats
) -> None:
    """Move groups that lie in one cell only, nearest lots first, until the cell is in its band.

    Such a move changes no other cell, so this is exact and fast, and leaves little for the search.
    """
    single = np.flatnonzero(candidates & (np.diff(counts.indptr) == 1))
    cells, sizes = counts.indices[counts.indptr[single]], counts.data[counts.indptr[single]]
    for cell in np.flatnonzero(np.abs(off) > band).tolist():
        lacking = off[cell] < 0
        here = (cells == cell) & (chosen[single] != lacking)
        order = np.flatnonzero(here)[np.argsort(distance[single[here]], kind="stable")]
        for index in order.tolist():
            missing = abs(off[cell])
            if missing <= band[cell]:
                break
            # A group that would overshoot by more than it helps keeps its side.
            if abs(missing - sizes[index]) < missing:
                chosen[single[index]] = lacking
                off[cell] += sizes[index] if lacking else -sizes[index]
                if (off[cell] < 0) != lacking:
                    break


def _search(counts: csr_array, candidates: Flags, chosen: Flags, off: Floats, band: Floats, distance: Floats) -> None:
    """Move or else swap the groups that help most, one at a time, until every cell is in its band or nothing helps."""
    totals = np.maximum(np.asarray(counts.sum(axis=0), dtype=np.float64), 1)
    for _ in range(_MAX_MOVES):
        wrong = np.flatnonzero(np.abs(off) > band)
        if not len(wrong):
            return
        touching = np.diff(counts[:, wrong].tocsr().indptr) > 0
        near = np.flatnonzero(candidates & touching)
        near = near[np.argsort(distance[near], kind="stable")[:_SEARCH_GROUPS]]
        steps = counts[near].toarray() * np.where(chosen[near], -1, 1)[:, None]
        move = _best_move(off, band, totals, steps)
        if not len(move):
            return
        chosen[near[move]] = ~chosen[near[move]]
        off += steps[move].sum(axis=0)


def _best_move(off: Floats, band: Floats, totals: Floats, steps: Counts) -> NDArray[np.int64]:
    """Return the group, or else the two groups, whose change brings the cells nearest to their bands; empty if none."""
    before = _excess(off[None], band, totals)[0]
    single = _excess(off + steps, band, totals)
    # The factor keeps rounding errors from counting as progress, which could go back and forth for ever.
    if len(single) and single.min() < before * (1 - 1e-9):
        return np.array([int(single.argmin())])
    few = np.arange(min(len(steps), _SWAP_GROUPS))
    pairs = _excess(off + steps[few][:, None] + steps[few][None], band, totals)
    pairs[few, few] = np.inf
    if len(few) > 1 and pairs.min() < before * (1 - 1e-9):
        return np.array(np.unravel_index(int(pairs.argmin()), pairs.shape), dtype=np.int64)
    return np.empty(0, np.int64)


def _excess(off: Floats, band: Floats, totals: Floats) -> Floats:
    """Return how far the cells are outside their bands: the sum over the last axis of squared shares of their rows."""
    over = np.maximum(np.abs(off) - band, 0) / totals
    return np.asarray((over**2).sum(axis=-1))
