"""Features of texture, which faces of a fixed size give without being located again.

HOG: Dalal and Triggs 2005. LBP: Ojala et al. 2002, on a grid as Ahonen et al. 2006 and Shan et al. 2009 use it. LDP:
Jabid et al. 2010. Gabor: Lyons et al. 1998, magnitudes on a grid.
"""

from functools import cache
from typing import ClassVar, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.classical.fitted import Fitted, Floats
from models.core.inputs import InputSpec

Pixels = NDArray[np.uint8]

_SIZE_PX: Final = 112
_HOG_CELL_PX: Final = 14
_HOG_DIRECTIONS: Final = 8
_GRID: Final = 7  # cells across and down, of 16 pixels
_LBP_POINTS: Final = 8
_LBP_RADIUS_PX: Final = 1
_LBP_PATTERNS: Final = 59  # 58 uniform ones and all others
_LDP_STRONGEST: Final = 3  # of eight directions, so 56 patterns
_GABOR_WAVES_PX: Final = (4, 6, 8, 12, 16)  # wavelengths
_GABOR_DIRECTIONS: Final = 8
_GABOR_GRID: Final = 8
_GABOR_BORDER_PX: Final = 16


class Feature(Fitted):
    """What is measured of a face.

    Attributes:
        size_px: the side of the face that it reads.
        channels: 1 for grey, 3 for RGB.
        whole_crop: whether it needs the crop with all of its margin, because it locates the face itself.
    """

    size_px: ClassVar[int] = _SIZE_PX
    channels: ClassVar[int] = 1
    whole_crop: ClassVar[bool] = False

    def input(self, size_px: int | None) -> InputSpec:
        """Return the input for a side in pixels; None means its own."""
        return InputSpec(size_px or self.size_px, (0.0,) * self.channels, (1.0,) * self.channels)

    def learn(self, pixels: Pixels) -> None:
        """Learn from training faces what `extract` needs; most need nothing."""

    def extract(self, pixels: Pixels) -> Floats:
        """Return the features (N, F) of faces (N, S, S) or (N, S, S, channels) uint8."""
        return np.stack([self.measure(face) for face in _planes(pixels, self.channels)])

    def measure(self, face: Pixels) -> Floats:
        """Return the features (F,) of one face (S, S) or (S, S, 3)."""
        raise NotImplementedError


class Hog(Feature):
    """Histograms of oriented gradients."""

    def measure(self, face: Pixels) -> Floats:
        """Return 8 directions in cells of 14 pixels, normalized over blocks of 2 by 2 cells."""
        from skimage.feature import hog

        cells = (_HOG_CELL_PX, _HOG_CELL_PX)
        return np.asarray(hog(face, _HOG_DIRECTIONS, cells, (2, 2)), np.float64)


class Lbp(Feature):
    """Local binary patterns: histograms of the 59 uniform patterns on a grid."""

    def measure(self, face: Pixels) -> Floats:
        """Return 59 shares for each of 7 x 7 cells."""
        from skimage.feature import local_binary_pattern

        patterns: Floats = local_binary_pattern(  # type: ignore[no-untyped-call]
            face, _LBP_POINTS, _LBP_RADIUS_PX, "nri_uniform"
        )
        return cell_histograms(patterns.astype(np.int64), _LBP_PATTERNS)


class Ldp(Feature):
    """Local directional patterns: which three of Kirsch's eight directions answer most, in histograms on a grid."""

    def measure(self, face: Pixels) -> Floats:
        """Return 56 shares for each of 7 x 7 cells."""
        grey = face.astype(np.float32)
        answers = np.stack([np.abs(cv2.filter2D(grey, -1, mask)) for mask in kirsch_masks()])
        strongest = np.argsort(-answers, axis=0, kind="stable")[:_LDP_STRONGEST]
        codes = (1 << strongest).sum(0)
        return cell_histograms(_ldp_places()[codes], len(np.unique(_ldp_places())) - 1)


class Gabor(Feature):
    """Magnitudes of a bank of Gabor filters, averaged on a grid."""

    def measure(self, face: Pixels) -> Floats:
        """Return the mean magnitudes of 5 wavelengths x 8 directions in 8 x 8 cells."""
        padded = np.pad(face.astype(np.float64) / 255, _GABOR_BORDER_PX, mode="reflect")
        inner = slice(_GABOR_BORDER_PX, -_GABOR_BORDER_PX)
        spectrum = np.fft.fft2(padded)
        magnitudes = [np.abs(np.fft.ifft2(spectrum * of))[inner, inner] for of in gabor_bank(len(padded))]
        cells = [cv2.resize(of, (_GABOR_GRID,) * 2, interpolation=cv2.INTER_AREA) for of in magnitudes]
        return np.asarray(cells, np.float64).ravel()


@cache
def gabor_bank(side_px: int) -> Floats:
    """Return the bank as it multiplies a picture's spectrum, (40, side_px, side_px).

    In space, a filter is a complex wave under a Gaussian whose sigma is 0.56 wavelengths, which makes a bandwidth of
    one octave. In frequency it is a Gaussian around that wave, so a picture is transformed once for all of them.
    """
    down, across = np.meshgrid(*[np.fft.fftfreq(side_px)] * 2, indexing="ij")
    filters = []
    for wave_px in _GABOR_WAVES_PX:
        for step in range(_GABOR_DIRECTIONS):
            angle, sigma_px = np.pi * step / _GABOR_DIRECTIONS, 0.56 * wave_px
            away = (across - np.cos(angle) / wave_px) ** 2 + (down - np.sin(angle) / wave_px) ** 2
            filters.append(np.exp(-2 * (np.pi * sigma_px) ** 2 * away))
    return np.array(filters)


def cell_histograms(codes: NDArray[np.int64], kinds: int) -> Floats:
    """Return the shares of 0..kinds - 1 in each of 7 x 7 cells, one after the other.

    Args:
        codes: (S, S); other values count in no bin.
        kinds: bins of a histogram.
    """
    side = len(codes)
    cell = np.arange(side) * _GRID // side
    places = (cell[:, None] * _GRID + cell) * kinds + codes
    inside = (codes >= 0) & (codes < kinds)
    counts = np.bincount(places[inside], minlength=_GRID**2 * kinds).reshape(_GRID**2, kinds)
    return np.asarray(counts / np.maximum(counts.sum(1, keepdims=True), 1), np.float64).ravel()


def kirsch_masks() -> NDArray[np.float32]:
    """Return Kirsch's eight masks (8, 3, 3), from east counterclockwise (Kirsch 1971)."""
    around = [(1, 2), (0, 2), (0, 1), (0, 0), (1, 0), (2, 0), (2, 1), (2, 2)]
    masks = np.zeros((8, 3, 3), np.float32)
    for direction in range(8):
        for place, (row, column) in enumerate(around):
            masks[direction, row, column] = 5 if (place - direction) % 8 in (0, 1, 7) else -3
    return masks


def _ldp_places() -> NDArray[np.int64]:
    """Return the number of the pattern for each byte with three bits, 0..55, and 56 for all other bytes."""
    bits = np.array([code.bit_count() for code in range(256)])
    places = np.full(256, int((bits == _LDP_STRONGEST).sum()))
    places[bits == _LDP_STRONGEST] = np.arange((bits == _LDP_STRONGEST).sum())
    return places


def _planes(pixels: Pixels, channels: int) -> Pixels:
    return pixels if channels > 1 else pixels.reshape(pixels.shape[:3])
