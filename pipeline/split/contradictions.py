"""Copies of one picture with different labels: how many there are and what happens to them.

To keep pictures in one set, it is enough that they may be copies, because a mistake costs nothing. Here they must be
certain copies (`split.contradiction_similarity`): two expressions of a face, moments apart, have two labels that are
both right.

At least one label of such copies is wrong, and nobody knows which. `reject` leaves out all copies: in training they
would teach the wrong label, in testing they would count a right answer as an error. `soften` keeps their classes and
gives each copy the mean of their probabilities, which training uses with `train.soft_labels`. `keep` leaves them
unchanged. Under every policy, all are counted.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.core.graph import components
from pipeline.split.links import Linked
from pipeline.split.people import UNLABELLED, SplitRows


@dataclass(frozen=True, slots=True)
class Contradictions:
    """`rows`: (N,) whether a copy of the row's picture has another label; `pictures`: (N,) which picture it is."""

    rows: NDArray[np.bool_]
    pictures: NDArray[np.int64]


def find_contradictions(rows: SplitRows, linked: Linked) -> Contradictions:
    """Find the labelled rows whose picture has more than one label; `linked` contains certain copies only."""
    pictures = components(len(rows.sample_ids), [linked.duplicates, linked.copies])
    labelled = rows.labels != UNLABELLED
    seen = np.unique(np.stack([pictures[labelled], rows.labels[labelled]]), axis=1)[0]
    several = np.bincount(seen, minlength=len(pictures)) > 1
    return Contradictions(labelled & several[pictures], pictures)


def describe_contradictions(rows: SplitRows, linked: Linked, found: Contradictions, policy: str) -> dict[str, Any]:
    """Return, for the certificate, the policy, how many pictures and rows, and the pairs that contradict, by kind."""
    pairs = {kind: {"pairs": 0, "across_datasets": 0} for kind in ("pixels", "near", "decided")}
    known = zip(linked.duplicates.tolist(), linked.table["kind"].to_pylist(), strict=True)
    for (first, second), kind in (*known, *((pair, "decided") for pair in linked.copies.tolist())):
        labels = {int(rows.labels[first]), int(rows.labels[second])}
        if UNLABELLED not in labels and len(labels) > 1:
            pairs[kind]["pairs"] += 1
            pairs[kind]["across_datasets"] += int(rows.datasets[first] != rows.datasets[second])
    pictures = len(set(found.pictures[found.rows].tolist()))
    return {"policy": policy, "pictures": pictures, "rows": int(found.rows.sum()), **pairs}


def softened_table(rows: SplitRows, found: Contradictions) -> pa.Table:
    """Return sample_id and picture of the rows that share the mean of their label's probabilities."""
    wanted = np.flatnonzero(found.rows)
    ids = pa.array([rows.sample_ids[row] for row in wanted.tolist()], pa.string())
    return pa.table({"sample_id": ids, "picture": pa.array(found.pictures[wanted], pa.int64())})
