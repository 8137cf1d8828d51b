"""Are these two faces one picture? The pixels are laid upon each other and compared place by place.

What is left after the best affine motion is the fine detail, in which two pictures of one scene differ and two copies
of one picture do not. All of it counts, wherever both show something: what a copy has painted over is not shown, and
two expressions of one face differ in the little that moved.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.duplicates.patches import FACE_PX as PATCH_FACE_PX
from pipeline.duplicates.patches import SIDE_PX as PATCH_PX
from pipeline.duplicates.region import MASKED, Floats, Pixels, build_band, build_region
from pipeline.duplicates.registration import lay_upon, motion_at

SIDE_PX: Final = 96
FACE_PX: Final = 64
_MAX_STRETCH: Final = 1.6
_COARSE_STEPS, _FINE_STEPS = 15, 10
_COARSE_ALIKE: Final = 0.8
_BAND_PX: Final = (1.0, 5.0)
_COARSE_BAND_PX: Final = (0.7, 4.0)
# Half a patch's side, in pixels of a detail.
_HALF_PX: Final = (PATCH_PX - 1) / 2 * FACE_PX / PATCH_FACE_PX
# Of a face, what both must show.
_SHOWN_SHARE: Final = 0.12

Bands = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Details:
    """Band-passed faces: `fine` (N, 96, 96) and `coarse` (N, 48, 48), int8, MASKED where nothing is shown."""

    fine: Bands
    coarse: Bands

    def at(self, row: int, *, mirrored: bool = False) -> tuple[Bands, Bands]:
        """Return one face, (96, 96) and (48, 48)."""
        fine, coarse = self.fine[row], self.coarse[row]
        return (fine[:, ::-1], coarse[:, ::-1]) if mirrored else (fine, coarse)


def build_detail(grey: Pixels, margin: float) -> tuple[Bands, Bands]:
    """Return a grey face (H, W), aligned with a margin, and a quarter around it, band-passed: (96, 96) and (48, 48)."""
    region, shown = (values.astype(np.float32) for values in build_region(grey, margin, FACE_PX, SIDE_PX))
    half, half_shown = (
        np.asarray(cv2.resize(values, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.float32)
        for values in (region, shown)
    )
    return build_band(region, shown, *_BAND_PX), build_band(half, half_shown, *_COARSE_BAND_PX)


def build_details(greys: Sequence[Pixels], margin: float) -> Details:
    """Return the details of grey faces."""
    made = [build_detail(grey, margin) for grey in greys]
    return Details(np.stack([fine for fine, _ in made]), np.stack([coarse for _, coarse in made]))


def concat_details(parts: Sequence[Details]) -> Details:
    """Return the details of all parts as one."""
    return Details(np.concatenate([part.fine for part in parts]), np.concatenate([part.coarse for part in parts]))


def similarity(first: tuple[Bands, Bands], second: tuple[Bands, Bands], motion: Floats) -> float:
    """Return how alike two faces of `build_detail` are once laid upon each other: 1 the same, 0 if no motion is found.

    Args:
        first: one face.
        second: the other.
        motion: (2, 3) of `registration`, where to begin. A coarse one at half the size comes first.
    """
    (fine, coarse), (other, other_coarse) = first, second
    if np.array_equal(fine, other):
        return 1.0
    try:
        alike, warp = lay_upon(coarse, other_coarse, motion_at(motion, _HALF_PX / 2, SIDE_PX // 2), _COARSE_STEPS)
        if alike < _COARSE_ALIKE:
            return 0.0
        # Pixel centres of the half picture lie at 2 k + 0.5 of the whole one.
        warp[:, 2] = 2 * warp[:, 2] + 0.5 - 0.5 * warp[:, :2].sum(axis=1)
        _, warp = lay_upon(fine, other, warp, _FINE_STEPS)
    except cv2.error:
        # A flat picture, or two that have nothing in common: the iteration does not converge.
        return 0.0
    stretch = np.linalg.svd(warp[:, :2], compute_uv=False)
    if stretch[0] > _MAX_STRETCH or stretch[1] < 1 / _MAX_STRETCH:
        return 0.0
    return _agreement(fine, other, warp)


def _agreement(first: Bands, second: Bands, warp: Floats) -> float:
    """Return the correlation of what both show."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (SIDE_PX, SIDE_PX)
    moved = cv2.warpAffine(np.where(second == MASKED, 0, second).astype(np.float32), warp, size, flags=flags)
    shown = cv2.warpAffine((second != MASKED).astype(np.float32), warp, size, flags=flags)
    both = (shown > 0.99) & (first != MASKED)
    if both.mean() < _SHOWN_SHARE:
        return 0.0
    one, other = first[both].astype(np.float64), moved[both].astype(np.float64)
    power = float(np.sqrt((one @ one) * (other @ other)))
    return float(np.clip(one @ other / power, 0, 1)) if power > 0 else 0.0
