"""The labelled faces of all datasets, with the groups of `split` and the fold in which each group is answered."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import DataError
from pipeline.core.graph import Links, components, same_value
from pipeline.core.names import DUPLICATES_NAME, SPLIT_NAME
from pipeline.core.schema import SPLIT
from pipeline.core.tables import read_table
from pipeline.split.duplicates import DUPLICATES
from pipeline.split.folds import build_folds
from pipeline.split.groups import build_groups
from pipeline.split.people import UNLABELLED, read_rows
from pipeline.split.stage import count_cells

Ints = NDArray[np.int64]
FEWEST: Final = 2  # classes, or folds: with fewer there is nothing to compare
# Folds need roughly the same classes only; exact shares, as a test set has them, would take a search.
_TOLERANCE: Final = 0.02


@dataclass(frozen=True, slots=True)
class Labelled:
    """N labelled faces, sorted by sample_id.

    Attributes:
        ids, datasets: (N,) of each.
        labels: (N,) 0..7.
        fold: (N,) the fold in which each is answered; a group is in one fold.
        pictures: (N,) rows with the same number are certain copies of one picture.
    """

    ids: list[str]
    datasets: NDArray[np.str_]
    labels: Ints
    fold: Ints
    pictures: Ints


def read_labelled(
    aligned: Mapping[str, Path], labels: Mapping[str, Path], split: Path, *, folds: int, copy: float, seed: int
) -> tuple[Labelled, dict[str, str]]:
    """Read the labelled faces and put every group into one fold; returns them, and id -> dataset of the faceless.

    Args:
        aligned: the folder of aligned faces of each dataset.
        labels: the folder of labels of each dataset.
        split: the folder that `split` wrote. Rows that it left out have no group there; their links give them one.
        folds: k.
        copy: lowest similarity of certain copies, 0..1.
        seed: of the folds.

    Raises:
        TableError: a table is missing or torn.
        DataError: faces of one class, or one group, alone. Without any class, there are no rows, and that is no error.
    """
    rows = read_rows(aligned, labels)
    at = {sample_id: row for row, sample_id in enumerate(rows.sample_ids)}
    given = read_table(split / SPLIT_NAME, SPLIT.names, SPLIT)
    known: list[str | None] = [None] * len(at)
    for sample_id, group in zip(given["sample_id"].to_pylist(), given["group_id"].to_pylist(), strict=True):
        if sample_id in at:
            known[at[sample_id]] = group
    copies, similar = _copies(split, at)
    groups = build_groups(rows, [same_value(known), copies])
    counted = (rows.labels != UNLABELLED) & rows.aligned
    counts = count_cells(rows, groups, counted)
    asked = np.diff(counts.indptr) > 0
    fold_of = build_folds(counts, groups, asked, folds=folds, order="balanced", seed=seed, tolerance=_TOLERANCE)
    used = np.flatnonzero(counted)
    found = Labelled(
        ids=[rows.sample_ids[row] for row in used],
        datasets=rows.datasets[used],
        labels=rows.labels[used],
        fold=fold_of[groups.of_row[used]],
        pictures=components(len(at), [copies[similar >= np.float32(copy)]])[used],
    )
    faceless = np.flatnonzero((rows.labels != UNLABELLED) & ~rows.aligned)
    lacking = {rows.sample_ids[row]: str(rows.datasets[row]) for row in faceless}
    if not (rows.labels != UNLABELLED).any():  # datasets of valence and arousal alone
        return found, lacking
    if len(np.unique(found.labels)) < FEWEST:
        raise DataError(f"{split}: {len(used)} labelled faces of fewer than two classes; there is nothing to compare")
    if len(np.unique(found.fold)) < FEWEST:
        raise DataError(f"{split}: all labelled faces are one group; nobody is left to learn from")
    return found, lacking


def _copies(split: Path, at: Mapping[str, int]) -> tuple[Links, NDArray[np.float32]]:
    """Return (K, 2) rows that `split` found to be copies, and their similarities; none if it did not search."""
    if not (split / DUPLICATES_NAME).is_file():
        return np.empty((0, 2), np.int64), np.empty(0, np.float32)
    table = read_table(split / DUPLICATES_NAME, DUPLICATES.names, DUPLICATES)
    pairs = [
        (at.get(first, -1), at.get(second, -1))
        for first, second in zip(table["first"].to_pylist(), table["second"].to_pylist(), strict=True)
    ]
    links = np.array(pairs, np.int64).reshape(-1, 2)
    here = (links >= 0).all(axis=1)
    return links[here], table["similarity"].to_numpy()[here]
