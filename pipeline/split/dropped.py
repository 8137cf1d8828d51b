"""What a dataset loses, by class, because a group spans official splits, roles or a kept split."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.core.emotions import class_name
from pipeline.core.stage_output import Reject, nothing_left
from pipeline.split.official import Place, Places
from pipeline.split.people import SplitRows

_SPLIT: Final = {Place.free: "unsplit", Place.pool: "train"} | {
    place: place.name for place in (Place.train, Place.val, Place.test)
}


def dropped_by_class(rows: SplitRows, places: Places) -> dict[str, Any]:
    """Return dataset -> official split -> class -> the number of rows `dropped`, `of` how many, and the `share`."""
    lost, held = _count(rows, places, places.dropped), _count(rows, places, places.rows != Place.outside)
    found: dict[str, Any] = {}
    for (dataset, split, label), count in sorted(lost.items()):
        of = held[dataset, split, label]
        cell = {"dropped": count, "of": of, "share": round(count / of, 4)}
        found.setdefault(dataset, {}).setdefault(split, {})[class_name(label)] = cell
    return found


def whole_losses(rows: SplitRows, used: NDArray[np.int64], rejects: Sequence[Reject]) -> dict[str, str]:
    """Return, for each dataset with labels of which nothing is left, why; `used` are the rows with a split."""
    labelled = Counter(rows.datasets[rows.used].tolist())
    left = set(rows.datasets[used].tolist())
    return {
        dataset: nothing_left(count, [reject for reject in rejects if reject.dataset == dataset])
        for dataset, count in sorted(labelled.items())
        if dataset not in left
    }


def _count(
    rows: SplitRows, places: Places, counted: np.ndarray[Any, np.dtype[np.bool_]]
) -> Counter[tuple[str, str, int]]:
    splits = [_SPLIT[Place(place)] for place in places.rows[counted].tolist()]
    return Counter(zip(rows.datasets[counted].tolist(), splits, rows.labels[counted].tolist(), strict=True))
