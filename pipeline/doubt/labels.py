"""Labels that the answers contradict: confident learning (Northcutt, Jiang and Chuang 2021) by cleanlab."""

import numpy as np
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from numpy.typing import NDArray

from pipeline.doubt.rows import Ints

Floats = NDArray[np.float64]


def doubt_labels(labels: Ints, probs: Floats) -> tuple[Floats, Ints, NDArray[np.bool_]]:
    """Return how doubtful each label is, the class that is answered instead, and which labels are probably wrong.

    Args:
        labels: (N,) 0..7.
        probs: (N, 8) out-of-fold answers.

    Returns:
        (N,) 0..1, above 0.5 where another class is more probable than the given one; (N,) the most probable other
        class; (N,) what cleanlab prunes by its estimate of how often each class is mistaken for each other.
    """
    present = np.unique(labels)
    given = np.searchsorted(present, labels)
    known = np.maximum(probs[:, present], 1e-6)
    known /= known.sum(axis=1, keepdims=True)
    quality = get_label_quality_scores(given, known, method="normalized_margin")
    issues = find_label_issues(given, known, filter_by="prune_by_noise_rate", n_jobs=1)
    others = known.copy()
    others[np.arange(len(given)), given] = -1
    return 1 - np.asarray(quality), present[others.argmax(axis=1)], np.asarray(issues)
