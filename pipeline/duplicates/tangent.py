"""Candidates that cannot be one picture, however it was aligned, are let go before their pixels are read.

The tangent distance (Simard, LeCun and Denker, NIPS 1993): what a small affine motion does to a face is, to first
order, a sum of six pictures, made of its slopes. The share of another face that a sum of the face and these six
explains is what a better alignment could make of their likeness. Only fine detail is compared, as faces are alike in
everything else. A pair costs some microseconds instead of the milliseconds of `confirm`.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np

from pipeline.duplicates.buckets import Pairs
from pipeline.duplicates.hashing import BASIS, FREQUENCIES, MIRROR, Waves
from pipeline.duplicates.moments import INNER_PX
from pipeline.duplicates.region import Floats

MIN_ALIKE: Final = 0.935
_COARSE_PX: Final = 3.0
_BLOCK: Final = 2048
_CENTRE: Final = (INNER_PX - 1) / 2


def _high_pass() -> Floats:
    """Return (FREQUENCIES, FREQUENCIES) factors that take away what a Gaussian of `_COARSE_PX` leaves."""
    omega = np.pi * np.arange(FREQUENCIES) / INNER_PX
    gaussian = np.exp(-((_COARSE_PX * omega) ** 2) / 2)
    return np.asarray(1 - gaussian[:, None] * gaussian[None], np.float32)


_HIGH_PASS: Final = _high_pass()


def drop_strangers(pairs: Pairs, waves: Waves, *, workers: int, min_alike: float = MIN_ALIKE) -> Pairs:
    """Return those of the pairs (K, 3) of `candidate_pairs`, sorted, that may be one picture.

    Args:
        pairs: candidates.
        waves: (N, FREQUENCIES, FREQUENCIES) of `build_waves`.
        workers: threads; the result does not depend on it.
        min_alike: the least share of one face that the other explains, 0..1.
    """
    with ThreadPoolExecutor(workers) as pool:
        kept = list(pool.map(lambda block: tangent_likeness(block, waves) >= min_alike, _blocks(pairs)))
    return np.asarray(pairs[np.concatenate([*kept, np.empty(0, bool)])], np.int64)


def tangent_likeness(pairs: Pairs, waves: Waves) -> Floats:
    """Return (K,) the share of the second face that the first explains, 0..1."""
    firsts, at = np.unique(pairs[:, 0], return_inverse=True)
    planes = _tangent_planes(waves[firsts].astype(np.float32) * _HIGH_PASS)
    signs = np.where(pairs[:, 2, None, None] == 1, MIRROR, np.float32(1))
    second = (waves[pairs[:, 1]] * signs * _HIGH_PASS).reshape(len(pairs), -1)
    second[:, 0] = 0
    explained = np.linalg.norm(np.einsum("kpd,kd->kp", planes[at], second), axis=1)
    return np.asarray(explained / np.maximum(np.linalg.norm(second, axis=1), 1e-6), np.float32)


def _blocks(pairs: Pairs) -> Iterator[Pairs]:
    return (pairs[start : start + _BLOCK] for start in range(0, len(pairs), _BLOCK))


def _tangent_planes(waves: Floats) -> Floats:
    """Return (N, 7, FREQUENCIES ** 2): an orthonormal basis of each face and its six derivatives."""
    faces = BASIS.T @ waves @ BASIS
    down, right = np.gradient(faces, axis=(1, 2))
    y, x = (np.mgrid[0:INNER_PX, 0:INNER_PX].astype(np.float32) - _CENTRE) / _CENTRE
    moved = np.stack([faces, right, down, right * x, right * y, down * x, down * y], axis=1)
    spanning = (BASIS @ moved @ BASIS.T).reshape(len(waves), 7, -1)
    spanning[..., 0] = 0  # the mean says nothing
    return np.asarray(np.linalg.qr(spanning.transpose(0, 2, 1))[0].transpose(0, 2, 1), np.float32)
