"""The interface of every format: the size, and the pixels on request."""

from collections.abc import Iterator
from typing import Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]

# Pixels that are converted at once.
_BAND_PIXELS: Final = 1 << 18


def bands(height: int, width: int) -> Iterator[slice]:
    """Yield slices of rows, so that the wide intermediate values of a large picture stay small."""
    rows = max(1, _BAND_PIXELS // width)
    for top in range(0, height, rows):
        yield slice(top, min(top + rows, height))


class Picture(Protocol):
    """One opened picture, of which only the header has been read.

    `width` and `height` in pixels are those of what `decode` gives at full size; `orientation`, 1 to 8, is the EXIF
    turn that has yet to be made.
    """

    @property
    def width(self) -> int:
        """Columns."""

    @property
    def height(self) -> int:
        """Rows."""

    @property
    def orientation(self) -> int:
        """The EXIF turn to make."""

    def decode_bytes(self, min_side_px: int = 0) -> int:
        """Return how much memory `decode` takes at most besides the encoded picture, in bytes, by the header alone."""

    def decode(self, min_side_px: int = 0) -> Pixels:
        """Decode to uint8 (H, W, 3) RGB or (H, W) grey, not turned.

        Args:
            min_side_px: a format that can decode at a part of its size for less may do so as long as the short side
                keeps this many pixels; 0: full size.

        Raises:
            ImageError: truncated, corrupt or unsupported_format.
        """
