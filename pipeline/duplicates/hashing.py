"""The perceptual hash: frequencies of what a face has and the mean face has not.

A face in its own frame is described by the low part of its cosine transform (as in Zauner's pHash, 2010). The lowest
frequencies, weighted by frequency because a picture's spectrum falls with it, without their part along the mean face
and of unit length, are the key that faces are looked up by. Mirroring a picture changes the sign of the coefficients of
odd horizontal frequency and nothing else.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

from pipeline.duplicates.moments import INNER_PX, build_framed
from pipeline.duplicates.region import Floats, Pixels

FREQUENCIES: Final = 14
_KEY_FREQUENCIES: Final = 8
_LOWEST: Final = 1.5
# (FREQUENCIES, INNER_PX): the orthonormal cosine transform, cut off.
BASIS: Final = dct(np.eye(INNER_PX, dtype=np.float32), axis=0, norm="ortho")[:FREQUENCIES]

Waves = NDArray[np.float16]


def _weights() -> Floats:
    down, across = np.mgrid[0:FREQUENCIES, 0:FREQUENCIES]
    frequency = np.hypot(down, across)
    return np.where((frequency >= _LOWEST) & (frequency < _KEY_FREQUENCIES), frequency, 0).astype(np.float32)


_WEIGHTS: Final = _weights()
_USED: Final = _WEIGHTS > 0
KEY_LENGTH: Final = int(_USED.sum())
# Signs that mirror a face, of all coefficients (FREQUENCIES, FREQUENCIES) and of those in a key (KEY_LENGTH,).
MIRROR: Final = np.where(np.arange(FREQUENCIES) % 2, -1, 1)[None].repeat(FREQUENCIES, 0).astype(np.float32)
KEY_MIRROR: Final = MIRROR[_USED]


def build_waves(smalls: Pixels) -> tuple[Waves, Floats]:
    """Return the coefficients of faces (N, 48, 48), (N, FREQUENCIES, FREQUENCIES), and the frame of each, (N, 3)."""
    framed = np.empty((len(smalls), INNER_PX, INNER_PX), np.float32)
    frames = np.empty((len(smalls), 3), np.float32)
    for row, small in enumerate(smalls):
        framed[row], frames[row] = build_framed(small)
    return np.asarray(BASIS @ framed @ BASIS.T, np.float16), frames


def build_keys(waves: Waves) -> Floats:
    """Return the keys of faces: (N, KEY_LENGTH), each of unit length."""
    keys = _unit(np.asarray(waves[:, _USED] * _WEIGHTS[_USED], np.float32))
    mean = keys.mean(axis=0)
    mean = _unit(mean + mean * KEY_MIRROR)
    return _unit(keys - (keys @ mean)[:, None] * mean)


def _unit(values: NDArray[np.float32]) -> Floats:
    length = np.linalg.norm(values, axis=-1, keepdims=True)
    return np.asarray(values / np.maximum(length, 1e-6), np.float32)
