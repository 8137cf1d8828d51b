"""k-fold cross-validation: each group without an official split is tested in exactly one fold.

`balanced` fills one fold after the other as `assign.choose` fills a test set, with equal shares of classes. `subject`
is the protocol published for CK+ (ten folds): people are sorted by name, and every k-th of them is in one fold. With
`people` folds, each person is a fold of their own (leave-one-person-out).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from pipeline.core.errors import DataError
from pipeline.split.assign import HALF_A_ROW, Flags, Floats, choose, draw_lots
from pipeline.split.groups import Groups

NO_FOLD = -1
PEOPLE: Final = "people"  # as `split.folds`


def build_folds(
    counts: csr_array, groups: Groups, candidates: Flags, *, folds: int, order: str, seed: int, tolerance: float
) -> NDArray[np.int64]:
    """Return (G,) the fold of each candidate group, NO_FOLD for the others.

    Args:
        counts: (G, C) rows of each group in each cell.
        groups: G groups, named after their subject if there is one.
        candidates: (G,) the groups to divide.
        folds: k, 2 or more.
        order: `balanced` or `subject`.
        seed: of the lots.
        tolerance: by how much a class share may be off, 0..1.
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
        # `share` is of the remaining rows, the tolerance of all rows; the product is the same number of rows per fold.
        rows = np.asarray(waiting.sum(axis=0), np.float64)
        band = np.maximum(tolerance * folds * share * rows, HALF_A_ROW)
        fold_of[choose(csr_array(waiting), left, np.zeros(len(left), bool), lots, share, share * rows, band)] = fold
    _fill_empty(fold_of, draw_lots(groups.keys, seed, "empty fold"), folds)
    return fold_of


def person_folds(groups: Groups, candidates: Flags) -> NDArray[np.int64]:
    """Return (G,) a fold for each candidate group, numbered in the order of their names, NO_FOLD for the others.

    Raises:
        DataError: a group is not named after a person.
    """
    fold_of = np.full(len(candidates), NO_FOLD, np.int64)
    members = sorted(np.flatnonzero(candidates).tolist(), key=groups.names.__getitem__)
    unnamed = [name for group in members if not (name := groups.names[group]).startswith("subject:")]
    if unnamed:
        raise DataError(f"split.folds: people: {unnamed[0]} names no person; expected a number of folds")
    fold_of[members] = np.arange(len(members))
    return fold_of


def _fill_empty(fold_of: NDArray[np.int64], lots: Floats, folds: int) -> None:
    """Give each empty fold one group of the largest fold: classes with few rows may leave a fold without any."""
    sizes = np.bincount(fold_of[fold_of != NO_FOLD], minlength=folds)
    while sizes.min() == 0 and sizes.max() > 1:
        to, largest = int(sizes.argmin()), int(sizes.argmax())
        members = np.flatnonzero(fold_of == largest)
        fold_of[members[lots[members].argmin()]] = to
        sizes[to], sizes[largest] = 1, sizes[largest] - 1


def _by_dataset(names: list[str], candidates: Flags) -> list[NDArray[np.int64]]:
    """Return the groups of each dataset, sorted by name; groups named after pictures form one list."""
    members: dict[str, list[int]] = {}
    for group in np.flatnonzero(candidates).tolist():
        kind, _, name = names[group].partition(":")
        dataset = name.partition("/")[0] if kind in ("subject", "sequence") else ""
        members.setdefault(dataset, []).append(group)
    return [np.array(sorted(groups, key=names.__getitem__), np.int64) for groups in members.values()]
