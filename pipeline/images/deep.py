"""Sixteen bits a sample to eight. Cameras and instruments leave 10, 12 or 14 bits in a file that has room for 16.

The white of a picture is the fullest value of the smallest of 8, 10, 12, 14 and 16 bits that holds its brightest
sample: 12-bit values, read as if they were 16-bit ones, are black.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ImageError
from pipeline.images.picture import Pixels
from pipeline.schema import Reason

_DEPTHS: Final = (8, 10, 12, 14, 16)
_OPAQUE: Final = 65535
_BAND_ROWS: Final = 256


def to_eight_bits(samples: NDArray[np.uint16]) -> Pixels:
    """Return samples of any shape on 0..255, rounded, by the rule above."""
    brightest = int(samples.max(initial=0))
    white = next(2**depth - 1 for depth in _DEPTHS if brightest < 2**depth)
    levels = ((np.arange(2**16, dtype=np.uint32) * 255 + white // 2) // white).astype(np.uint8)
    return np.asarray(levels[samples])


def decode_deep_png(content: bytes) -> Pixels:
    """Decode a PNG of 16 bits a sample, found sound before, to uint8 (H, W) or (H, W, 3); alpha lies over white.

    Pillow drops the lower eight bits of colours, all that there is of a dark picture.

    Raises:
        ImageError: OpenCV cannot read it.
    """
    found = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    if found is None or found.dtype != np.uint16:
        raise ImageError(Reason.corrupt, "PNG of 16 bits that cannot be read")
    samples = np.asarray(found, np.uint16)
    if samples.ndim == 2:
        return to_eight_bits(samples)
    colours = to_eight_bits(samples[:, :, 2::-1])
    if samples.shape[2] == 3:
        return colours
    # In bands, so that the wide intermediate values of a large picture stay small.
    for top in range(0, len(colours), _BAND_ROWS):
        rows = slice(top, top + _BAND_ROWS)
        alpha = samples[rows, :, 3:].astype(np.float32) / _OPAQUE
        colours[rows] = np.round(colours[rows] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    return colours
