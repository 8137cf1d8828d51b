"""k-fold: each group without an official split is the test part exactly once.

`balanced` fills fold after fold as `assign.choose` fills a test set: classes in equal shares. `subject` is the
protocol published for CK+ (ten folds): people sorted by name, every k-th of them in one fold.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from pipeline.split.assign import HALF_A_ROW, Flags, Floats, choose, draw_lots
from pipeline.split.groups import Groups

NO_FOLD = -1


def build_folds(
    counts: csr_array, groups: Groups, candidates: Flags, *, folds: int, order: str, seed: int, tolerance: float
) -> NDArray[np.int64]:
    """Return (G,) the fold of each candidate group, NO_FOLD for the others.

    Args:
        counts: (G, C) rows of each group in each cell.
        groups: G groups, named after the subject where there is one.
        candidates: (G,) the groups to share out.
        folds: k, 2 or more.
        order: `balanced` or `subject`.
        seed: of the lots.
        tolerance: of a class share, 0..1.
    """
    fold_of = np.full(len(candidates), NO_FOLD, np.int64)
    if order == "subject":
        for members in _by_dataset(groups.names, candidates):
            fold_of[members] = np.arange(len(members)) % folds
        return fold_of
    for fold in range(folds):
        left = candidates & (fold_of == NO_FOLD)
        if fold == folds - 1:
            fold_of[left] = fold
            break
        share, lots = 1 / (folds - fold), draw_lots(groups.keys, seed, f"fold {fold}")
        waiting = counts * left[:, None]
        # The asked share is of all rows, the remaining share of what is left: the same number of rows is tolerated.
        rows = np.asarray(waiting.sum(axis=0), np.float64)
        band = np.maximum(tolerance * folds * share * rows, HALF_A_ROW)
        fold_of[choose(csr_array(waiting), left, np.zeros(len(left), bool), lots, share, share * rows, band)] = fold
    _fill_empty(fold_of, draw_lots(groups.keys, seed, "empty fold"), folds)
    return fold_of


def _fill_empty(fold_of: NDArray[np.int64], lots: Floats, folds: int) -> None:
    """Give each fold without a group one of the fold that has most: classes of a few rows fill no share of a fold."""
    sizes = np.bincount(fold_of[fold_of != NO_FOLD], minlength=folds)
    while sizes.min() == 0 and sizes.max() > 1:
        to, largest = int(sizes.argmin()), int(sizes.argmax())
        members = np.flatnonzero(fold_of == largest)
        fold_of[members[lots[members].argmin()]] = to
        sizes[to], sizes[largest] = 1, sizes[largest] - 1


def _by_dataset(names: list[str], candidates: Flags) -> list[NDArray[np.int64]]:
    """Return the groups of each dataset, sorted by name; those of pictures are shared out as one."""
    members: dict[str, list[int]] = {}
    for group in np.flatnonzero(candidates).tolist():
        kind, _, name = names[group].partition(":")
        dataset = name.partition("/")[0] if kind in ("subject", "sequence") else ""
        members.setdefault(dataset, []).append(group)
    return [np.array(sorted(groups, key=names.__getitem__), np.int64) for groups in members.values()]
