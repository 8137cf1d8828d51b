"""Are these two faces one picture? The pixels are laid upon each other and correlated.

An affine motion is found by maximizing the enhanced correlation coefficient (Evangelidis and Psarakis, PAMI 2008, as
`cv2.findTransformECC`), which neither contrast nor brightness disturbs. Then what is left is compared where two
pictures of one scene differ and two copies of one picture do not: in the fine detail, all over the face.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.duplicates.region import Floats, Pixels, band_pass, build_region

SIDE_PX: Final = 96
FACE_PX: Final = 64
_BORDER_PX: Final = 6
_MAX_STRETCH: Final = 1.6
_GAUSSIAN_PX: Final = 5
_COARSE_STEPS, _FINE_STEPS = 12, 8
_COARSE_ALIKE: Final = 0.94
_BAND_PX: Final = (1.0, 5.0)
_COARSE_BAND_PX: Final = (0.7, 4.0)
# Standard deviation of a stored band; few pixels then reach 127.
_SPREAD: Final = 28.0

Motion = NDArray[np.float32]
Bands = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Details:
    """Band-passed faces: `fine` (N, 96, 96) and `coarse` (N, 48, 48), int8."""

    fine: Bands
    coarse: Bands

    def at(self, row: int, *, mirrored: bool = False) -> tuple[Bands, Bands]:
        """Return one face, (96, 96) and (48, 48)."""
        fine, coarse = self.fine[row], self.coarse[row]
        return (fine[:, ::-1], coarse[:, ::-1]) if mirrored else (fine, coarse)


def build_detail(grey: Pixels, margin: float) -> tuple[Bands, Bands]:
    """Return a grey face (H, W), aligned with a margin, and a quarter around it, band-passed: (96, 96) and (48, 48)."""
    region = build_region(grey, margin, FACE_PX, SIDE_PX)
    half = cv2.resize(region, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return _stored(band_pass(region, *_BAND_PX)), _stored(band_pass(np.asarray(half, np.uint8), *_COARSE_BAND_PX))


def build_details(greys: Sequence[Pixels], margin: float) -> Details:
    """Return the details of grey faces."""
    made = [build_detail(grey, margin) for grey in greys]
    return Details(np.stack([fine for fine, _ in made]), np.stack([coarse for _, coarse in made]))


def concat_details(parts: Sequence[Details]) -> Details:
    """Return the details of all parts as one."""
    return Details(np.concatenate([part.fine for part in parts]), np.concatenate([part.coarse for part in parts]))


def similarity(first: tuple[Bands, Bands], second: tuple[Bands, Bands], start: Motion) -> float:
    """Return how alike two faces of `build_detail` are once laid upon each other: 1 the same, 0 if no motion is found.

    A coarse motion at half the size comes first, from `start`, and most strangers are told apart there already.
    """
    if np.array_equal(first[0], second[0]):
        return 1.0
    (fine, coarse), (other, other_coarse) = ([band.astype(np.float32) for band in face] for face in (first, second))
    try:
        alike, motion = _align(coarse, other_coarse, start.copy(), _COARSE_STEPS)
        if alike < _COARSE_ALIKE:
            return 0.0
        # Pixel centres of the half picture lie at 2 k + 0.5 of the whole one.
        motion[:, 2] = 2 * motion[:, 2] + 0.5 - 0.5 * motion[:, :2].sum(axis=1)
        _, motion = _align(fine, other, motion, _FINE_STEPS)
    except cv2.error:
        # A flat picture, or two that have nothing in common: the iteration does not converge.
        return 0.0
    stretch = np.linalg.svd(motion[:, :2], compute_uv=False)
    if stretch[0] > _MAX_STRETCH or stretch[1] < 1 / _MAX_STRETCH:
        return 0.0
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(other, motion, (SIDE_PX, SIDE_PX), flags=flags, borderMode=cv2.BORDER_REFLECT)
    return _correlation(_inner(fine), _inner(np.asarray(moved, np.float32)))


def _stored(band: Floats) -> Bands:
    spread = max(float(band.std()), 1e-6)
    return np.asarray(np.clip(np.rint(band * (_SPREAD / spread)), -127, 127), np.int8)


def _align(first: Floats, second: Floats, motion: Motion, iterations: int) -> tuple[float, Motion]:
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, iterations, 1e-4)
    everywhere = np.ones(first.shape, np.uint8)
    alike, found = cv2.findTransformECC(first, second, motion, cv2.MOTION_AFFINE, criteria, everywhere, _GAUSSIAN_PX)
    return float(alike), np.asarray(found, np.float32)


def _inner(band: Floats) -> NDArray[np.float64]:
    pixels = band[_BORDER_PX:-_BORDER_PX, _BORDER_PX:-_BORDER_PX].astype(np.float64)
    return np.asarray(pixels - pixels.mean())


def _correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    scale = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / scale if scale > 0 else 0.0
