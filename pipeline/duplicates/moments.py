"""Small faces, and how each is laid into its own frame, so that it does not matter how well it was aligned.

Detectors put the landmarks of a changed copy some pixels elsewhere. What a face's edges weigh and where, its moments
(Hu, IRE Transactions on Information Theory, 1962), moves along with the picture: the centre of the edges goes to the
middle and their spread to a fixed size, twice, since the window that keeps the background out moves too. No other face
takes part, as it would in a registration onto a mean face, which loses profiles.
"""

from typing import Final

import cv2
import numpy as np

from pipeline.duplicates.region import Floats, Pixels, band_pass, build_region

SIDE_PX: Final = 48
FACE_PX: Final = 24
# Beyond this frame is background.
FRAME_PX: Final = 9
INNER_PX: Final = SIDE_PX - 2 * FRAME_PX
_BAND_PX: Final = (0.75, 6.0)
_WINDOW_PX: Final = 12.0
_SPREAD_PX: Final = 11.4
_ROUNDS: Final = 2
_MIN_SCALE, _MAX_SCALE = 0.7, 1.5
_CENTRE: Final = (SIDE_PX - 1) / 2


def _weighing() -> Floats:
    """Return (SIDE_PX ** 2, 4): what each pixel adds to mass, two first moments and the second, seen by the window."""
    y, x = np.mgrid[0:SIDE_PX, 0:SIDE_PX].astype(np.float32) - _CENTRE
    window = np.exp(-(x**2 + y**2) / (2 * _WINDOW_PX**2))
    return np.asarray(np.stack([window, window * x, window * y, window * (x**2 + y**2)], axis=-1).reshape(-1, 4))


_WEIGHING: Final = _weighing()


def build_small(grey: Pixels, margin: float) -> Pixels:
    """Return a grey face (H, W), aligned with a margin, as (48, 48), the face itself (24, 24) of it."""
    return build_region(grey, margin, FACE_PX, SIDE_PX)


def build_framed(small: Pixels) -> tuple[Floats, Floats]:
    """Lay a small face (48, 48) into its own frame.

    Returns:
        The face, band-passed, (INNER_PX, INNER_PX), and its frame, (3,): how many pixels of the small face one of the
        frame's spans, and how far the frame's middle is to the right of the face's and below it.
    """
    band = band_pass(small, *_BAND_PX)
    scale, right, down = 1.0, 0.0, 0.0
    framed = band
    for _ in range(_ROUNDS):
        grow, by_x, by_y = _off(framed)
        right, down, scale = right + scale * by_x, down + scale * by_y, scale * grow
        framed = _warp(band, scale, right, down)
    return framed[FRAME_PX:-FRAME_PX, FRAME_PX:-FRAME_PX], np.array([scale, right, down], np.float32)


def motion_between(first: Floats, second: Floats, *, mirrored: bool, face_px: int, side_px: int) -> Floats:
    """Return where the frames of two faces say that a pixel of the first is in the second, (2, 3) for OpenCV.

    Args:
        first: its frame, (3,).
        second: its frame.
        mirrored: whether the second is a mirrored picture.
        face_px: the side of the faces in the pictures to be compared.
        side_px: the side of these pictures.
    """
    grow, centre = float(second[0] / first[0]), (side_px - 1) / 2
    shifts = np.stack([first[1:], second[1:]]) * (face_px / FACE_PX)
    if mirrored:
        shifts[1, 0] *= -1
    at = centre + shifts[1] - grow * (centre + shifts[0])
    return np.array([[grow, 0, at[0]], [0, grow, at[1]]], np.float32)


def _off(band: Floats) -> tuple[float, float, float]:
    """Return by how much the edges spread too far, and how far their centre is from the middle, in pixels."""
    mass, x, y, square = (np.abs(band).reshape(-1) @ _WEIGHING).tolist()
    if mass < 1:
        return 1.0, 0.0, 0.0
    x, y = x / mass, y / mass
    spread = np.sqrt(max(square / mass - x**2 - y**2, 0.0))
    return float(np.clip(spread / _SPREAD_PX, _MIN_SCALE, _MAX_SCALE)), x, y


def _warp(band: Floats, scale: float, right: float, down: float) -> Floats:
    corner = _CENTRE * (1 - scale)
    matrix = np.array([[scale, 0, corner + right], [0, scale, corner + down]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(band, matrix, band.shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE))
