"""Out-of-fold answers: each face is answered by a linear model that has learned from nobody of its group."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from pipeline.core.emotions import CLASSES
from pipeline.core.parallel.pool import Progress, no_progress
from pipeline.doubt.features import Features
from pipeline.doubt.rows import FEWEST, Ints

Floats = NDArray[np.float64]

COMPONENTS: Final = 100
_DECIMALS: Final = 6  # the others differ between machines


def reduce(features: Features, seed: int) -> Features:
    """Return the first principal components (N, 2, C) of features (N, 2, F), fitted without labels."""
    flat = features.reshape(-1, features.shape[2])
    count = min(COMPONENTS, len(features), flat.shape[1])
    model = PCA(count, svd_solver="covariance_eigh", random_state=seed).fit(features[:, 0])
    return np.asarray(model.transform(flat).reshape(*features.shape[:2], count), np.float32)


def answer(reduced: Features, labels: Ints, fold: Ints, progress: Progress = no_progress) -> Floats:
    """Return (N, 2, 8) the probabilities of the classes for each face and for its mirror image.

    The model is a linear discriminant analysis with the shrinkage of Ledoit and Wolf (2004), fitted to the faces of the
    other folds and to their mirror images. A class that they do not have gets the probability 0.

    Args:
        reduced: (N, 2, C) features.
        labels: (N,) 0..7.
        fold: (N,) the fold in which each face is answered.
        progress: called with the folds done.
    """
    probs = np.zeros((len(labels), 2, len(CLASSES)))
    folds = np.unique(fold)
    for number, one in enumerate(folds.tolist()):
        progress(number, len(folds), "folds answered")
        known, asked = fold != one, fold == one
        present = np.unique(labels[known])
        if len(present) < FEWEST:  # there is only one answer to give
            probs[asked, :, present[0]] = 1
            continue
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
        model.fit(reduced[known].reshape(-1, reduced.shape[2]), np.repeat(labels[known], 2))
        found = model.predict_proba(reduced[asked].reshape(-1, reduced.shape[2]))
        probs[np.ix_(asked, [0, 1], model.classes_)] = found.reshape(-1, 2, len(model.classes_))
    progress(len(folds), len(folds), "folds answered")
    return np.asarray(probs.round(_DECIMALS))


def has_learned(labels: Ints, fold: Ints) -> NDArray[np.bool_]:
    """Return (N,) whether the class of each face occurs in other folds; nothing can be said of a label that does not.

    Args:
        labels: (N,) 0..7.
        fold: (N,) the fold in which each face is answered.
    """
    counts = np.zeros((int(fold.max()) + 1, len(CLASSES)), np.int64)
    np.add.at(counts, (fold, labels), 1)
    return np.asarray((counts.sum(axis=0) - counts)[fold, labels] > 0)
