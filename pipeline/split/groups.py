"""Groups: all samples that must stay together, because they share a person, a sequence or a picture.

Links are joined transitively: if A is the same picture as B and B the same person as C, then A, B and C are one group.

The lot of a group is drawn from the *key* of one of its members. Samples that join the group later should not change
the key. No rule can guarantee that for all samples, so the key is one that the most common additions do not change:

    subject    more pictures of a person never change it, nor does a mirror of the dataset that keeps people's names
    sequence   the same, if there is no subject
    picture    md5 of the picture's bytes: the same picture in another dataset, under any name, never changes it
    row        the row's path, if it has no bytes of its own: a row of a csv, a face that was not found

The first kind in this list that a group has is used. Among several keys of that kind, the one with the smallest hash
is used: a new key then replaces the present one of n with a probability of 1 / (n + 1), wherever its name is in the
alphabet. Keys leave out the dataset's name, so that a renamed dataset is split as before. A key can still change: if a
copy names a person where nobody was named, if two people turn out to be one, or by a changed copy of a picture.
`split.keep` is for these cases.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.core.draws import keyed_order
from pipeline.core.graph import Links, components, same_value
from pipeline.split.people import SplitRows

_KINDS: Final = ("subject", "sequence", "picture", "row")


@dataclass(frozen=True, slots=True)
class Groups:
    """G groups over N rows.

    Attributes:
        of_row: (N,) the group of each row.
        names: (G,) unique name of each group, after the member that gives the key: `subject:<dataset>/<subject>`,
            `sequence:<dataset>/<subject>/<sequence>`, `picture:<md5>` or `row:<path>`. It changes no more often than
            the key, except if a dataset is renamed, or one with the same subject comes earlier in the alphabet.
        keys: (G,) the input of the lots: the name without the dataset.
    """

    of_row: NDArray[np.int64]
    names: list[str]
    keys: list[str]


def build_groups(rows: SplitRows, links: Sequence[Links]) -> Groups:
    """Join rows that share a subject, a sequence, a file or its bytes, and those that `links` names.

    Args:
        rows: all samples.
        links: arrays (K, 2) of row numbers that belong together: duplicates, identities.
    """
    shared = [same_value(values) for values in (rows.subjects, rows.sequences, rows.paths, rows.pictures)]
    of_row = components(len(rows.sample_ids), [*shared, *links])
    members = [_member(rows, row) for row in range(len(of_row))]
    keys = [f"{_KINDS[kind]}:{name if kind == 2 else name.partition('/')[2]}" for kind, name in members]
    kinds = np.array([kind for kind, _ in members], np.int8)
    # Equal keys differ in the dataset only. Rows are sorted by it, so the first row has the first name, too.
    ranked = np.lexsort((keyed_order(keys, 0, "group"), kinds, of_row))
    first = ranked[np.unique(of_row[ranked], return_index=True)[1]].tolist()
    names = [f"{_KINDS[kind]}:{name}" for kind, name in (members[row] for row in first)]
    return Groups(of_row, names, [keys[row] for row in first])


def _member(rows: SplitRows, row: int) -> tuple[int, str]:
    """Return the kind of a row's key, as an index into `_KINDS`, and its name."""
    subject, sequence, picture = rows.subjects[row], rows.sequences[row], rows.pictures[row]
    if subject is not None:
        return 0, subject
    if sequence is not None:
        return 1, sequence
    return (3, rows.paths[row]) if picture is None else (2, picture)
