"""The shares of each class that a split reached, and by how much they miss the requested ones."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.emotions import class_name
from pipeline.core.params import SplitParams
from pipeline.split.folds import PEOPLE
from pipeline.split.official import PLACE_OF, Place, Places
from pipeline.split.people import SplitRows

_Cells = Iterator[tuple[str, str, dict[str, int]]]


def build_shares(rows: SplitRows, row_splits: NDArray[np.str_], used: NDArray[np.int64]) -> dict[str, Any]:
    """Return the rows and the share of train, val and test of each class of each dataset."""
    shares: dict[str, Any] = {}
    for dataset, name, found in _cells(rows, row_splits, used):
        total = sum(found.values())
        of_class = {split: round(count / total, 4) for split, count in found.items()}
        shares.setdefault(dataset, {})[name] = {"rows": total, **of_class}
    return shares


def missed_shares(rows: SplitRows, places: Places, row_splits: NDArray[np.str_], params: SplitParams) -> dict[str, Any]:
    """Return by how much classes miss their shares, because groups are too large or are kept in an earlier set.

    Shares are requested for rows without an official split, and for official training rows from which validation is
    taken; with folds by subject, only for the latter. Test and validation may each be off by half a row.

    Returns:
        Dataset -> class -> split -> difference to the requested share, if it is more than `tolerance_points`.
    """
    off: dict[str, Any] = {}
    for place, asked in _asked(params).items():
        for dataset, name, found in _cells(
            rows, row_splits, np.flatnonzero((places.rows == place) & (row_splits != ""))
        ):
            total = sum(found.values())
            for split, share in asked.items():
                missed = found[split] / total - share
                # Training is what the others leave, so its error is the sum of theirs.
                granted = (0.5 if split != "train" or place == Place.pool else 1) / total
                if abs(missed) > params.tolerance_points / 100 + granted + 1e-9:
                    off.setdefault(dataset, {}).setdefault(name, {})[split] = round(missed, 4)
    return off


def _asked(params: SplitParams) -> dict[Place, dict[str, float]]:
    carved = {"train": 1 - params.val_share, "val": params.val_share}
    if params.folds == PEOPLE or (params.folds and params.fold_order == "subject"):
        return {Place.pool: carved}
    train = 1 - 1 / params.folds if params.folds else params.train_share
    return {Place.pool: carved, Place.free: {"test": 1 - train} | {name: train * of for name, of in carved.items()}}


def _cells(rows: SplitRows, row_splits: NDArray[np.str_], counted: NDArray[np.int64]) -> _Cells:
    """Yield each dataset and class with counted rows, and the number of these in each split."""
    datasets, labels = rows.datasets[counted].tolist(), rows.labels[counted].tolist()
    counts = Counter(zip(datasets, labels, row_splits[counted].tolist(), strict=True))
    for dataset, label in sorted({(dataset, label) for dataset, label, _ in counts}):
        yield dataset, class_name(label), {split: counts[dataset, label, split] for split in PLACE_OF}
