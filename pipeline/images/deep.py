"""Converting 16 bits per sample to 8. Cameras and instruments often write 10, 12 or 14 bits into a file of 16.

If 12-bit values were read as 16-bit ones, the picture would be black. So white is the largest value of the smallest
depth (8, 10, 12, 14 or 16 bits) that holds all samples except one in a thousand, which may be a dead pixel or a
burnt-in mark.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import ImageError
from pipeline.core.schema import Reason
from pipeline.images.picture import Pixels, bands

_DEPTHS: Final = (8, 10, 12, 14, 16)
STRAYS: Final = 1000


def to_eight_bits(samples: NDArray[np.uint16]) -> Pixels:
    """Return samples, (H, W) or (H, W, n), on 0..255, rounded, by the rule above."""
    white = _white(samples)
    values = np.minimum(np.arange(2**16, dtype=np.uint32), white)
    levels = ((values * 255 + white // 2) // white).astype(np.uint8)
    pixels = np.empty(samples.shape, np.uint8)
    # In bands, because NumPy makes an index of eight bytes of each sample.
    for rows in bands(*samples.shape[:2]):
        pixels[rows] = levels[samples[rows]]
    return pixels


def _white(samples: NDArray[np.uint16]) -> int:
    if not samples.size or samples.max() < 2 ** _DEPTHS[0]:
        return 2 ** _DEPTHS[0] - 1
    counts = np.zeros(2**16, np.int64)
    for rows in bands(*samples.shape[:2]):
        counts += np.bincount(samples[rows].reshape(-1), minlength=2**16)
    return next(2**depth - 1 for depth in _DEPTHS if counts[2**depth :].sum() <= samples.size // STRAYS)


def decode_deep_png(content: bytes) -> Pixels:
    """Decode a checked PNG of 16 bits per sample to uint8 (H, W) or (H, W, 3), composited over white.

    OpenCV is used because Pillow drops the lower eight bits of colours, which are all that a dark picture has.

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
    clear = samples[:, :, 3]
    opaque = _white(clear)
    for rows in bands(*samples.shape[:2]):
        alpha = np.minimum(clear[rows, :, None].astype(np.float32) / opaque, 1)
        colours[rows] = np.round(colours[rows] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    return colours
