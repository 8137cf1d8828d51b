"""Networks of some of the eight classes: a network's outputs are the classes of its contract, in their order.

Tables and shards number all eight classes, whatever classes there are (`harmonize.classes`), so that a number always
means the same. Where a network learns or answers, the number of a class is the place of its output.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.core.emotions import CLASSES, NO_CLASS


def find_columns(classes: Sequence[str]) -> list[int]:
    """Return the number of the class of each output."""
    return [CLASSES.index(name) for name in classes]


def find_outputs(labels: NDArray[np.int64], classes: Sequence[str]) -> NDArray[np.int64]:
    """Return (N,) the output of each label 0..7; NO_CLASS for a class that has none, and for NO_CLASS."""
    outputs = np.full(len(CLASSES) + 1, NO_CLASS, np.int64)  # the last one is that of NO_CLASS, which is -1
    outputs[find_columns(classes)] = np.arange(len(classes))
    found: NDArray[np.int64] = outputs[labels]
    return found


def widen(probabilities: NDArray[np.float32], classes: Sequence[str]) -> NDArray[np.float32]:
    """Return probabilities (N, outputs) as (N, 8), 0 for classes that the network does not know."""
    wide = np.zeros((len(probabilities), len(CLASSES)), np.float32)
    wide[:, find_columns(classes)] = probabilities
    return wide
