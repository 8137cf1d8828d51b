"""Random draws that do not depend on the other rows: which rows a cap keeps, which set a group is in.

A generator that is called once per row would change every later draw when one row is added. A keyed hash of the row's
own id gives the same draw whatever else is there.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def keyed_order(sample_ids: Sequence[str], seed: int, purpose: str) -> NDArray[np.uint64]:
    """Return (N,) hashes that order samples at random, each by its own id alone (BLAKE2b keyed by purpose and seed)."""
    key = hashlib.blake2b(f"{purpose}/{seed}".encode(), digest_size=32).digest()
    digests = (hashlib.blake2b(sample_id.encode(), digest_size=8, key=key).digest() for sample_id in sample_ids)
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)
