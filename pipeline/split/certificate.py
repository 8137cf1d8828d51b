"""The certificate: how much crosses splits (nothing), what was dropped to achieve that, and the shares reached.

0 means that nothing crosses. null means that there was no search: duplicates or identities that the parameters do not
ask for; subjects or sequences, if no dataset names any or names as many people as it has pictures. Nobody has to trust
it: `check.check` reads the written shards and counts again.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.core.params import SplitParams
from pipeline.split.dropped import dropped_by_class
from pipeline.split.duplicates import SOUGHT_CHANGES
from pipeline.split.groups import Groups
from pipeline.split.links import KINDS, Linked, link_values
from pipeline.split.official import Places
from pipeline.split.people import SplitRows
from pipeline.split.shares import build_shares, missed_shares

# The counts are complete; only the examples are limited, so that the file can be read.
_CASES_SHOWN: Final = 100


def build_certificate(
    rows: SplitRows,
    linked: Linked,
    groups: Groups,
    places: Places,
    row_splits: NDArray[np.str_],
    params: SplitParams,
) -> dict[str, Any]:
    """Return the content of certificate.json; `row_splits` is (N,), with an empty text for rows that are not used."""
    used = np.flatnonzero(row_splits != "")
    splits = row_splits[used].tolist()
    values = link_values(rows, linked)
    names = {"groups": [groups.names[group] for group in groups.of_row[used]]}
    names |= {KINDS[kind]: [of_row[row] for row in used.tolist()] for kind, of_row in values.items()}
    sought = {kind: kind not in _unsought(params, names) for kind in names}
    return {
        "crossing": {kind: len(crossing(names[kind], splits)) if sought[kind] else None for kind in names},
        "counts": {kind: len(set(names[kind]) - {None}) if sought[kind] else None for kind in names},
        "samples": dict(sorted(Counter(splits).items())),
        "largest_group": max(Counter(names["groups"]).values(), default=0),
        "resolved": _resolved(rows, groups, places, row_splits),
        "shares": build_shares(rows, row_splits, used),
        "off_by_more_than_tolerance": missed_shares(rows, places, row_splits, params),
        "policy": {
            "spanning_groups": "test is left whole, then validation; the rest of the group is dropped",
            "same_picture": params.duplicates,
            "changes_looked_for": list(SOUGHT_CHANGES) if params.duplicates == "near" else [],
            "same_person": "subject_id" if params.identities == "none" else "subject_id, dlib descriptor",
        },
    }


def _unsought(params: SplitParams, names: Mapping[str, Sequence[str | None]]) -> set[str]:
    """Return the kinds that were not searched for, so that finding none of them means nothing."""
    unsought = {kind for kind in ("subjects", "sequences") if not set(names[kind]) - {None}}
    unsought |= {"duplicates"} if params.duplicates == "none" else set()
    return unsought | ({"identities"} if params.identities == "none" else set())


def crossing(names: Sequence[str | None], splits: Sequence[str]) -> dict[str, list[str]]:
    """Return each name that is in more than one split, with those splits."""
    # A set for each of a million names would take a quarter of a gigabyte.
    first: dict[str, str] = {}
    found: dict[str, set[str]] = {}
    for name, split in zip(names, splits, strict=True):
        if name is not None and first.setdefault(name, split) != split:
            found.setdefault(name, {first[name]}).add(split)
    return {name: sorted(seen) for name, seen in found.items()}


def _resolved(rows: SplitRows, groups: Groups, places: Places, row_splits: NDArray[np.str_]) -> dict[str, Any]:
    """Return which groups spanned official splits or roles of datasets, and how many rows they lost."""
    dropped = np.flatnonzero(places.dropped)
    lost = Counter(groups.of_row[dropped].tolist())
    kept: dict[int, set[str]] = {group: set() for group in lost}
    for row in np.flatnonzero(np.isin(groups.of_row, list(lost)) & (row_splits != "")).tolist():
        kept[int(groups.of_row[row])].add(f"{rows.datasets[row]} {row_splits[row]}")
    cases = [
        {"group_id": groups.names[group], "rows_dropped": count, "kept": sorted(kept[group])}
        for group, count in sorted(lost.items(), key=lambda case: groups.names[case[0]])
    ]
    counts = {"groups": len(lost), "rows_dropped": len(dropped)}
    return {**counts, "by_class": dropped_by_class(rows, places), "first_cases": cases[:_CASES_SHOWN]}
