"""Sharing groups out: a hash of each group decides, and as few groups as possible move so that classes stay in shares.

Two wishes conflict. A split that never changes when samples are added can depend on the group alone, which is to draw
lots, and lots miss the shares of small classes. Exact shares depend on all groups. So every group draws its lot (a
keyed hash of its key, below the share: chosen), which is kept wherever each class of each dataset is within the
tolerance; only where one is not do groups change sides, those with the lot nearest to the share first. Large data
hardly ever needs it, and with a tolerance of 100 points a group keeps its side for ever.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from pipeline.core.draws import keyed_order

Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]

# What no grouping can better: a cell may always be so many rows off.
HALF_A_ROW: Final = 0.5
# Where moves and swaps end outside of a band, they may end inside of it when they aim at a narrower one.
_NARROWER: Final = (1, 2, 4, 16)
_SEARCH_GROUPS: Final = 2048
_SWAP_GROUPS: Final = 256
_MAX_MOVES: Final = 2000


def draw_lots(keys: list[str], seed: int, purpose: str) -> Floats:
    """Return (G,) the lot of each group in [0, 1), of its key alone."""
    return keyed_order(keys, seed, purpose) / np.float64(2**64)


def choose(
    counts: csr_array, candidates: Flags, decided: Flags, lots: Floats, share: float, target: Floats, band: Floats
) -> Flags:
    """Choose groups so that in every cell (a class of a dataset) the chosen rows are as many as asked.

    Args:
        counts: (G, C) rows of each group in each cell.
        candidates: (G,) groups that may be chosen or not.
        decided: (G,) groups that are chosen already.
        lots: (G,) in [0, 1).
        share: below which a lot is chosen, 0..1.
        target: (C,) rows to choose of each cell.
        band: (C,) how many rows from the target a cell may be.

    Returns:
        (G,) the chosen groups, `decided` among them. A cell that the groups do not allow is as near as was found.
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
    """Move groups that lie in one cell only, nearest lots first, until the cell is in its band; exact and fast."""
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
            # One that would overshoot by more than it helps is left where its lot put it.
            if abs(missing - sizes[index]) < missing:
                chosen[single[index]] = lacking
                off[cell] += sizes[index] if lacking else -sizes[index]
                if (off[cell] < 0) != lacking:
                    break


def _search(counts: csr_array, candidates: Flags, chosen: Flags, off: Floats, band: Floats, distance: Floats) -> None:
    """Move, then swap, the groups that help most, until every cell is in its band or nothing helps."""
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
    """Return the one group, or else the two, whose change brings the cells nearest to their bands, if any does."""
    before = _excess(off[None], band, totals)[0]
    single = _excess(off + steps, band, totals)
    if len(single) and single.min() < before * (1 - 1e-9):
        return np.array([int(single.argmin())])
    few = np.arange(min(len(steps), _SWAP_GROUPS))
    pairs = _excess(off + steps[few][:, None] + steps[few][None], band, totals)
    pairs[few, few] = np.inf
    if len(few) > 1 and pairs.min() < before * (1 - 1e-9):
        return np.array(np.unravel_index(int(pairs.argmin()), pairs.shape), dtype=np.int64)
    return np.empty(0, np.int64)


def _excess(off: Floats, band: Floats, totals: Floats) -> Floats:
    """Return how far the cells are outside of their bands, as a sum of squared shares over the last axis."""
    over = np.maximum(np.abs(off) - band, 0) / totals
    return np.asarray((over**2).sum(axis=-1))
