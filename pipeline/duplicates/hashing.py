"""The perceptual hash: low frequencies of what a face has and the mean face has not.

Each face has two keys, of its crop as it is and as it was registered, since either can fail where the other holds. A
key is the low coefficients of a cosine transform (as in Zauner's pHash, 2010), weighted by frequency because a
picture's spectrum falls with it, without their part along the mean face, of unit length. Mirroring a picture changes
the sign of the coefficients of odd horizontal frequency and nothing else.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

from pipeline.duplicates.register import SIDE_PX, Floats, Pixels, Template, band_pass, register, warp

_FRAME_PX: Final = SIDE_PX // 8
_FREQUENCIES: Final = 8
_LOWEST: Final = 1.5


def _weights() -> Floats:
    down, across = np.mgrid[0:_FREQUENCIES, 0:_FREQUENCIES]
    frequency = np.hypot(down, across)
    return np.where((frequency >= _LOWEST) & (frequency < _FREQUENCIES), frequency, 0).astype(np.float32)


_WEIGHTS: Final = _weights()
_USED: Final = _WEIGHTS > 0
_BASIS: Final = dct(np.eye(SIDE_PX - 2 * _FRAME_PX, dtype=np.float32), axis=0, norm="ortho")[:_FREQUENCIES]
KEY_LENGTH: Final = int(_USED.sum())
MIRROR: Final = np.where(np.arange(_FREQUENCIES) % 2, -1, 1)[None].repeat(_FREQUENCIES, 0)[_USED].astype(np.float32)


def build_keys(smalls: Pixels, template: Template) -> Floats:
    """Return the keys of faces (N, 48, 48): (N, 2, KEY_LENGTH), as it is and registered, each of unit length."""
    keys = np.empty((len(smalls), 2, KEY_LENGTH), np.float32)
    for number, small in enumerate(smalls):
        band = band_pass(small)
        keys[number, 0] = _coefficients(band)
        keys[number, 1] = _coefficients(warp(band, register(band, template)))
    mean = _unit(_coefficients(template.face))
    keys = _unit(keys)
    return _unit(keys - (keys @ mean)[..., None] * mean)


def _coefficients(band: Floats) -> Floats:
    inner = band[_FRAME_PX:-_FRAME_PX, _FRAME_PX:-_FRAME_PX]
    coefficients = (_BASIS @ inner @ _BASIS.T) * _WEIGHTS
    return np.asarray(coefficients[_USED], np.float32)


def _unit(values: NDArray[np.float32]) -> Floats:
    length = np.linalg.norm(values, axis=-1, keepdims=True)
    return np.asarray(values / np.maximum(length, 1e-6), np.float32)
