"""Seeds of random streams. Each stream has a purpose, so that no two kinds of draws in a training share a stream.

NumPy treats (seed, epoch) and (seed, epoch, 0, 0) as the same seed, and seeds that are computed by arithmetic can
coincide. A purpose number and a hash of all numbers (NumPy's SeedSequence) keep the streams apart.
"""

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What a stream is used for. A number is never reused, so that old seeds keep their meaning."""

    row_groups = 1
    window = 2
    rows = 3
    step = 4
    personal_shots = 5
    personal_steps = 6
    first_weights = 7
    sheet = 8


def stream(purpose: Purpose, *numbers: int) -> np.random.SeedSequence:
    """Return the stream for a purpose and for all numbers that it depends on, such as seed and epoch; none negative."""
    return np.random.SeedSequence([int(purpose), *numbers])


def stream_seed(purpose: Purpose, *numbers: int) -> int:
    """Return the seed of the same stream as one number for torch's generators, in [0, 2 ** 63)."""
    return int(stream(purpose, *numbers).generate_state(1, np.uint64)[0] >> 1)
