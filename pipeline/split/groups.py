"""Groups: all samples that must stay together, because they share a person, a sequence or a picture.

Links are joined transitively: if A is the same picture as B and B the same person as C, then A, B and C are one group.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.components import Links, components, same_value
from pipeline.split.rows import Rows


@dataclass(frozen=True, slots=True)
class Groups:
    """G groups over N rows.

    Attributes:
        of_row: (N,) the group of each row.
        names: (G,) name of each group: of its first subject, else of its first sequence, else of its first picture.
            It stays the same when other samples join the group, unless they come first in that order.
    """

    of_row: NDArray[np.int64]
    names: list[str]


def build_groups(rows: Rows, links: Sequence[Links]) -> Groups:
    """Join rows that share a subject, a sequence, a file or its bytes, and those that `links` names.

    Args:
        rows: all samples.
        links: arrays (K, 2) of row numbers that belong together: duplicates, identities.
    """
    shared = [same_value(values) for values in (rows.subjects, rows.sequences, rows.paths, rows.pictures)]
    of_row = components(len(rows.sample_ids), [*shared, *links])
    return Groups(of_row, _names(rows, of_row))


def _names(rows: Rows, of_row: NDArray[np.int64]) -> list[str]:
    best: dict[int, tuple[int, str]] = {}
    for row, group in enumerate(of_row.tolist()):
        name = _name(rows, row)
        if group not in best or name < best[group]:
            best[group] = name
    kinds = ("subject", "sequence", "picture")
    return [f"{kinds[best[group][0]]}:{best[group][1]}" for group in range(len(best))]


def _name(rows: Rows, row: int) -> tuple[int, str]:
    subject, sequence = rows.subjects[row], rows.sequences[row]
    if subject is not None:
        return (0, subject)
    return (1, sequence) if sequence is not None else (2, rows.paths[row])
