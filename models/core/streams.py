"""The seeds of random streams: each has a purpose, so that no two draws of a training come from one stream.

NumPy takes (seed, epoch) and (seed, epoch, 0, 0) for the same, and two sums of products may be equal: a purpose
number and a hash of all numbers (NumPy's SeedSequence) keep streams apart.
"""

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What a stream is drawn for; the numbers are never given out again."""

    row_groups = 1
    window = 2
    rows = 3
    step = 4
    personal_shots = 5
    personal_steps = 6
    first_weights = 7


def stream(purpose: Purpose, *numbers: int) -> np.random.SeedSequence:
    """Return the stream of a purpose and of all numbers that it depends on, none negative: the seed, the epoch ..."""
    return np.random.SeedSequence([int(purpose), *numbers])


def stream_seed(purpose: Purpose, *numbers: int) -> int:
    """Return the same as one number for torch's generators, from 0 to below 2 ** 63."""
    return int(stream(purpose, *numbers).generate_state(1, np.uint64)[0] >> 1)
