"""Which sets a row may be in, by its dataset's role and official split, and which set a group goes to.

    role both          Official splits are kept. A dataset with an official validation part but no test part (AffectNet)
                       is tested on the validation part, and validation is taken from its training part, by groups.
                       Without official splits: train, val and test by groups.
    role train         Never tested: its official test part is left out and its official validation part is kept. If
                       there is none, validation is taken from the rest, by groups.
    role test          Its official test part, or all rows (`held_out`), is tested; nothing of it trains.
    no split given     In a dataset with official splits, such a row trains.

A group that spans sets goes to the most protected one among its rows: test, then validation. Its rows with another
official split are dropped, so that test sets are complete and training sets lose what they share with them. Only a
training row of a dataset from which validation is taken may validate with its group. A group with any sample of a
dataset of role test, used or not, labelled or not, never trains.

The set from an earlier run (`keep`) counts in the same way: the group of such a sample goes to that set, unless it
contains something more protected, and then the sample is dropped.

Rows without a class decide for their group only if no row with one does, so that they move no row with a class.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import DataError
from pipeline.core.split_names import SPLIT_NAMES, TEST, TRAIN, VAL, split_name
from pipeline.split.groups import Groups
from pipeline.split.people import UNLABELLED, SplitRows


class Place(IntEnum):
    """Where a row or a group may go. From `pool` on, a higher number is more protected."""

    outside = 0  # not used: neither class nor affect, or left out by the role
    free = 1  # any set
    pool = 2  # train, or val if that is taken from the training part
    train = 3
    val = 4
    test = 5


PLACE_OF: Final = {TRAIN: Place.train, VAL: Place.val, TEST: Place.test}
# AffectNet's pictures that a network labelled.
_AUTOMATIC: Final = "automatic"


@dataclass(frozen=True, slots=True)
class Places:
    """Where rows and groups may go.

    Attributes:
        rows: (N,) `Place` of each row by its dataset's role and official split.
        kept: (N,) `Place` of each row in an earlier split: train, val or test; outside if it had none.
        groups: (G,) `Place` of each group: test, val, train, pool or free; outside if no row is used.
        dropped: (N,) rows that are dropped because their group goes to another set than their official or kept one.
        roles: train, test or both, by dataset.
    """

    rows: NDArray[np.int64]
    kept: NDArray[np.int64]
    groups: NDArray[np.int64]
    dropped: NDArray[np.bool_]
    roles: Mapping[str, str]


def build_places(
    rows: SplitRows, groups: Groups, roles: Mapping[str, str], held_out: str, kept: NDArray[np.int64]
) -> Places:
    """Return where each row and each group may go.

    Args:
        rows: all samples.
        groups: the samples that must stay together.
        roles: train, test or both, by dataset.
        held_out: which rows of a dataset of role test are tested: `official` or `all`.
        kept: (N,) `Place` of each row in an earlier split, `Place.outside` if it had none.

    Raises:
        DataError: an official split has a name that is not known.
    """
    placed = np.full(len(rows.sample_ids), Place.outside, np.int64)
    for dataset, role in roles.items():
        members = np.flatnonzero(rows.datasets == dataset)
        given = _official_places(rows, members)
        placed[members] = _by_role(given, role, held_out)
    placed[~rows.used] = Place.outside
    of_group = _group_places(rows, groups, roles, placed, kept)
    reached = of_group[groups.of_row]
    # A row of the pool may train or validate, so it is dropped only if its group is tested.
    fixed = (placed >= Place.pool) & (reached != placed) & ~((placed == Place.pool) & (reached < Place.test))
    left = (kept != Place.outside) & (reached != kept)
    return Places(placed, kept, of_group, (placed != Place.outside) & (fixed | left), roles)


def _official_places(rows: SplitRows, members: NDArray[np.int64]) -> NDArray[np.int64]:
    given = np.full(len(members), Place.free, np.int64)
    for index, row in enumerate(members.tolist()):
        name = rows.official[row]
        if name is None:
            continue
        place = _place(name)
        if place is None:
            known = ", ".join(sorted((_AUTOMATIC, *SPLIT_NAMES)))
            raise DataError(f"{rows.sample_ids[row]}: source_split is {name!r}; expected one of {known}, or none")
        given[index] = place
    return given


def _place(name: str) -> Place | None:
    return PLACE_OF.get(TRAIN if name.strip().casefold() == _AUTOMATIC else split_name(name) or "")


def _by_role(given: NDArray[np.int64], role: str, held_out: str) -> NDArray[np.int64]:
    if role == "train":
        rest = Place.train if np.any(given == Place.val) else Place.pool
        return np.select([given == Place.test, given == Place.val], [Place.outside, Place.val], rest)
    present = set(given.tolist())
    if Place.test not in present and Place.val in present:
        given = np.where(given == Place.val, Place.test, given)
        present = set(given.tolist())
    if role == "test":
        every = held_out == "all" or Place.test not in present
        return np.where(every | (given == Place.test), Place.test, Place.outside)
    if present <= {Place.free}:
        return given
    training = Place.train if Place.val in present else Place.pool
    return np.where(given <= Place.train, training, given)


def _group_places(
    rows: SplitRows, groups: Groups, roles: Mapping[str, str], placed: NDArray[np.int64], kept: NDArray[np.int64]
) -> NDArray[np.int64]:
    of_group = np.full(len(groups.names), Place.outside, np.int64)
    classed = rows.labels != UNLABELLED
    np.maximum.at(of_group, groups.of_row, np.maximum(np.where(classed, placed, Place.outside), kept))
    rest = ~classed & (of_group == Place.outside)[groups.of_row]
    np.maximum.at(of_group, groups.of_row[rest], placed[rest])
    kept_out = np.isin(rows.datasets, [name for name, role in roles.items() if role == "test"])
    of_group[groups.of_row[kept_out]] = Place.test
    return of_group
