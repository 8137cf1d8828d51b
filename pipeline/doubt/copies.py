"""Copies of one picture with different labels: all but one label are wrong, and the answers say which is likeliest."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.doubt.rows import Ints

Floats = NDArray[np.float64]

_LEAST: Final = 1e-6  # no answer rules a class out


def doubt_copies(pictures: Ints, labels: Ints, probs: Floats) -> tuple[Floats, Ints, list[list[int]]]:
    """Return how doubtful a label is because copies of its picture have another.

    Each label of the copies is weighed by the number of copies that have it, times the mean answer (of logarithms) for
    all copies. Two copies with two labels, one of which the answers like four times as much, get 0.2 and 0.8.

    Args:
        pictures: (N,) rows with the same number are copies.
        labels: (N,) 0..7.
        probs: (N, 8) answers.

    Returns:
        (N,) 0..1, the share of the other labels' weights, 0 without a contradiction; (N,) the likeliest of the labels;
        and the other copies of each row that is contradicted.
    """
    scores, likeliest = np.zeros(len(labels)), labels.copy()
    others: list[list[int]] = [[] for _ in labels]
    order = np.argsort(pictures, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(pictures[order])) + 1):
        given, counts = np.unique(labels[rows], return_counts=True)
        if len(given) < 2:
            continue
        weights = counts * np.exp(np.log(probs[rows][:, given] + _LEAST).mean(axis=0))
        weights /= weights.sum()
        scores[rows] = 1 - weights[np.searchsorted(given, labels[rows])]
        likeliest[rows] = given[weights.argmax()]
        for row in rows.tolist():
            others[row] = [other for other in rows.tolist() if other != row]
    return scores, likeliest, others
