"""Keeping an earlier split: a sample of it keeps its set or is dropped, whatever is added later.

Lots and shares cannot promise this (`assign`), but a file can: the split.parquet of an earlier run. A group with a
sample of that file goes to the sample's set. Only the other groups are assigned, and only they are moved to keep the
shares. If a later picture or link joins samples of two sets into one group, the group goes to test before val before
train, and its samples of other sets are dropped and reported (`official`).
"""

from collections import Counter
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import DataError
from pipeline.core.schema import SPLIT
from pipeline.core.tables import read_table
from pipeline.split.official import PLACE_OF, Place, Places
from pipeline.split.people import SplitRows

_SHOWN: Final = ", ".join(PLACE_OF)


def read_splits(file: Path) -> dict[str, str]:
    """Return the split of each sample of an earlier split.parquet.

    Raises:
        TableError: not a table of splits, or torn.
        DataError: a sample is listed twice, or a split is none of train, val and test.
    """
    table = read_table(file, SPLIT.names, SPLIT)
    ids, splits = table["sample_id"].to_pylist(), table["split"].to_pylist()
    known = dict(zip(ids, splits, strict=True))
    if len(known) != len(ids):
        twice = next(sample_id for sample_id, count in Counter(ids).items() if count > 1)
        raise DataError(f"{file}: {twice!r} is there twice; expected a split.parquet as prep split writes it")
    for sample_id, split in known.items():
        if split not in PLACE_OF:
            raise DataError(f"{file}: {sample_id!r} has the split {split!r}; expected one of {_SHOWN}")
    return known


def kept_places(rows: SplitRows, splits: dict[str, str]) -> NDArray[np.int64]:
    """Return (N,) the `Place` of each row's earlier split, `Place.outside` if it had none."""
    given = [PLACE_OF[splits[key]] if key in splits else Place.outside for key in rows.sample_ids]
    return np.array(given, np.int64)


def describe_keep(file: Path, splits: dict[str, str], places: Places) -> dict[str, Any]:
    """Return what the certificate says about an earlier split.

    Returns:
        `file`, and the numbers of samples that are `kept` in their set; `new`, without an earlier set; `conflicts`,
        dropped because their group or their dataset's role puts them elsewhere; and `unused`, those of the file that
        no longer exist, no longer have a label or are left out by the role.
    """
    used = places.rows != Place.outside
    held = used & (places.kept != Place.outside)
    kept, conflicts = int((held & ~places.dropped).sum()), int((held & places.dropped).sum())
    return {
        "file": file.as_posix(),
        "kept": kept,
        "new": int((used & ~held & ~places.dropped).sum()),
        "conflicts": conflicts,
        "unused": len(splits) - kept - conflicts,
    }
