"""Small faces and their registration onto the mean face.

Inverse compositional Gauss-Newton for a similarity (Baker and Matthews, Lucas-Kanade 20 Years On, IJCV 2004): the
gradient and Hessian belong to the mean face and are made once, so that a face costs a dozen small warps. The mean face
is made symmetric; a mirrored picture is then registered to the mirror image of the picture's own registration.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

SIDE_PX: Final = 48
# Beyond this frame the crop is background, or black where the photo ends.
_FRAME_PX: Final = 9
_ITERATIONS: Final = 12
_TEMPLATE_ROUNDS: Final = 3
_FINE_PX, _COARSE_PX = 0.75, 6.0
_CENTRE: Final = (SIDE_PX - 1) / 2
# A registration that scales, turns or moves more than this has lost the face.
_MAX_SCALE, _MAX_TURN, _MAX_SHIFT_PX = 1.5, 0.3, 9.0


def build_small(face: Pixels) -> Pixels:
    """Return a face of any size, (H, W) or (H, W, 3), as (48, 48) grey with equalized histogram: gamma drops out."""
    grey = face if face.ndim == 2 else cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.equalizeHist(small), np.uint8)


def band_pass(small: Pixels, fine_px: float = _FINE_PX, coarse_px: float = _COARSE_PX) -> Floats:
    """Return a difference of Gaussians: neither the noise of a JPEG nor the light across the face."""
    pixels = small.astype(np.float32)
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), fine_px) - cv2.GaussianBlur(pixels, (0, 0), coarse_px))


@dataclass(frozen=True, slots=True)
class Template:
    """The mean face, (48, 48) band-passed and symmetric, with what registration needs of it."""

    face: Floats
    inner: Floats
    descent: Floats

    @classmethod
    def of(cls, face: Floats) -> "Template":
        """Prepare a mean face."""
        symmetric = ((face + face[:, ::-1]) / 2).astype(np.float32)
        inner = _inner(symmetric)
        across = cv2.Sobel(symmetric, cv2.CV_32F, 1, 0, ksize=3) / 8
        down = cv2.Sobel(symmetric, cv2.CV_32F, 0, 1, ksize=3) / 8
        y, x = np.mgrid[0:SIDE_PX, 0:SIDE_PX].astype(np.float32) - _CENTRE
        steepest = np.stack([across * x + down * y, down * x - across * y, across, down])
        images = steepest[:, _FRAME_PX:-_FRAME_PX, _FRAME_PX:-_FRAME_PX].reshape(4, -1)
        # A flat mean face has no slope to descend: the pseudo-inverse then leaves every face where it is.
        descent = np.linalg.pinv(images @ images.T) @ images
        return cls(symmetric, inner, descent.astype(np.float32))


def build_template(smalls: Pixels) -> Template:
    """Return the mean of faces (N, 48, 48), registered to their own mean a few times so that it is sharp."""
    bands = [band_pass(small) for small in smalls]
    template = Template.of(np.mean(bands, axis=0))
    for _ in range(_TEMPLATE_ROUNDS):
        template = Template.of(np.mean([warp(band, register(band, template)) for band in bands], axis=0))
    return Template.of(np.asarray(cv2.GaussianBlur(template.face, (0, 0), SIDE_PX / 32)))


def register(band: Floats, template: Template) -> NDArray[np.float64]:
    """Return the (3, 3) similarity from the template to a band-passed face; the identity where none is found."""
    motion = np.eye(3)
    for _ in range(_ITERATIONS):
        pixels = _inner(warp(band, motion))
        alike = float(pixels @ template.inner)
        if alike <= 0:
            return np.eye(3)
        step = template.descent @ (pixels * (alike / float(pixels @ pixels)) - template.inner)
        motion = motion @ np.linalg.inv(_similarity(step))
        if np.abs(step[:2]).sum() < 2e-3 and np.abs(step[2:]).sum() < 5e-2:
            break
    return motion if _is_sound(motion) else np.eye(3)


def warp(band: Floats, motion: NDArray[np.float64]) -> Floats:
    """Return a face as its registration sees it."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (SIDE_PX, SIDE_PX)
    return np.asarray(cv2.warpAffine(band, motion[:2], size, flags=flags, borderMode=cv2.BORDER_REPLICATE))


def _inner(face: Floats) -> Floats:
    pixels = face[_FRAME_PX:-_FRAME_PX, _FRAME_PX:-_FRAME_PX].ravel()
    return np.asarray(pixels - pixels.mean())


def _similarity(step: Floats) -> NDArray[np.float64]:
    grow, turn, right, down = step.tolist()
    linear = np.array([[1 + grow, -turn], [turn, 1 + grow]])
    centre = np.array([_CENTRE, _CENTRE])
    similarity = np.eye(3)
    similarity[:2, :2] = linear
    similarity[:2, 2] = centre - linear @ centre + (right, down)
    return similarity


def _is_sound(motion: NDArray[np.float64]) -> bool:
    scale = float(np.hypot(motion[0, 0], motion[1, 0]))
    moved = motion @ (_CENTRE, _CENTRE, 1) - (_CENTRE, _CENTRE, 1)
    inside = 1 / _MAX_SCALE < scale < _MAX_SCALE and float(np.abs(moved).max()) < _MAX_SHIFT_PX
    return bool(inside and abs(motion[1, 0]) < _MAX_TURN)
