"""What `equalize` does to one face: denoise it, normalize its intensities, then equalize its histogram.

Normalization and equalization work on luma or on each channel. Luma is the Y of YCrCb (ITU-R BT.601, full range) and
not the L of CIELAB. JPEG stores this plane anyway, so chroma stays unchanged except for rounding, and grey pixels stay
exactly grey (Cr = Cb = 128), which a conversion to OpenCV's 8-bit CIELAB and back does not guarantee. It also takes an
eighth of the time.

Sources: CLAHE: K. Zuiderveld, "Contrast Limited Adaptive Histogram Equalization", Graphics Gems IV, 1994, as OpenCV
implements it. Bilateral filter: C. Tomasi and R. Manduchi, "Bilateral Filtering for Gray and Color Images", ICCV 1998,
as OpenCV implements it. Local normalization: A. Lopes, E. de Aguiar, A. De Souza and T. Oliveira-Santos, "Facial
expression recognition with Convolutional Neural Networks", Pattern Recognition 61, 2017.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.core.params import EqualizeParams

_GREY_DIMENSIONS: Final = 2
_STRETCHED: Final = (1.0, 99.0)  # percentiles that become black and white
_LOCAL_SHARE: Final = 1 / 16  # sigma of the neighbourhood, a share of the face's side
# Half the range is this many local deviations, so one pixel in 370 of a normal distribution is cut off.
_DEVIATIONS: Final = 3.0
_LEAST_DEVIATION: Final = 4.0  # grey levels; below it, a flat region would become its noise

Pixels: TypeAlias = NDArray[np.uint8]
_Plane: TypeAlias = Callable[[Pixels], Pixels]


def equalize_pixels(pixels: Pixels, params: EqualizeParams) -> Pixels:
    """Denoise, normalize and equalize one picture, as far as `params` asks for it.

    Args:
        pixels: uint8, (H, W, 3) RGB or (H, W) grey.
        params: `denoise` with `denoise_px` (side of the window) and, for the bilateral filter, `denoise_levels` (the
            difference of grey levels, 0..255, that counts as an edge); `normalize`; `method`, and for CLAHE
            `clip_limit` (in multiples of a flat histogram's bin, as in OpenCV) and `tiles` (a grid of tiles x tiles);
            `space`.

    Returns:
        A picture of the same shape; the very same array if `params` asks for nothing.
    """
    with _one_thread():
        return _apply_planes(_denoise(pixels, params), plane_functions(params), params.space)


def is_identity(params: EqualizeParams) -> bool:
    """Whether faces stay as they are."""
    return params.denoise == params.normalize == params.method == "none"


def plane_functions(params: EqualizeParams) -> list[_Plane]:
    """Return what is done to each plane, in this order: normalization, then equalization."""
    functions: list[_Plane] = []
    if params.normalize != "none":
        functions.append(stretch if params.normalize == "stretch" else normalize_locally)
    if params.method == "hist":
        functions.append(lambda plane: np.asarray(cv2.equalizeHist(plane), dtype=np.uint8))
    if params.method == "clahe":
        clahe = cv2.createCLAHE(clipLimit=params.clip_limit, tileGridSize=(params.tiles, params.tiles))
        functions.append(lambda plane: np.asarray(clahe.apply(plane), dtype=np.uint8))
    return functions


def stretch(plane: Pixels) -> Pixels:
    """Map the 1st percentile of a plane to 0 and the 99th to 255, linearly; a plane of one value stays as it is.

    Args:
        plane: uint8, (H, W).
    """
    low, high = np.percentile(plane, _STRETCHED)
    if high <= low:
        return plane
    levels = (np.arange(256) - low) * (255.0 / (high - low))
    return np.asarray(cv2.LUT(plane, np.clip(np.rint(levels), 0, 255).astype(np.uint8)), dtype=np.uint8)


def normalize_locally(plane: Pixels) -> Pixels:
    """Subtract the mean of each pixel's neighbourhood and divide by its standard deviation.

    Mean and deviation are weighted by a Gaussian whose sigma is 1/16 of the plane's shorter side. The result is 128 at
    the mean; three deviations are 127.5 grey levels.

    Args:
        plane: uint8, (H, W).
    """
    levels = plane.astype(np.float32)
    sigma = min(plane.shape) * _LOCAL_SHARE
    mean = cv2.GaussianBlur(levels, (0, 0), sigma)
    variance = cv2.GaussianBlur(levels * levels, (0, 0), sigma) - mean * mean
    deviation = np.maximum(np.sqrt(np.maximum(variance, 0.0)), _LEAST_DEVIATION)
    return np.clip(np.rint(128 + (levels - mean) / deviation * (127.5 / _DEVIATIONS)), 0, 255).astype(np.uint8)


def _denoise(pixels: Pixels, params: EqualizeParams) -> Pixels:
    if params.denoise == "none":
        return pixels
    pixels = np.ascontiguousarray(pixels)
    if params.denoise == "median":
        return np.asarray(cv2.medianBlur(pixels, params.denoise_px), dtype=np.uint8)
    sigma_px = params.denoise_px / 4  # the window ends at two sigmas
    return np.asarray(cv2.bilateralFilter(pixels, params.denoise_px, params.denoise_levels, sigma_px), dtype=np.uint8)


def _apply_planes(pixels: Pixels, functions: list[_Plane], space: str) -> Pixels:
    if not functions:
        return pixels
    if pixels.ndim == _GREY_DIMENSIONS:
        return _in_turn(pixels, functions)
    if space == "channels":
        return np.dstack([_in_turn(pixels[:, :, channel], functions) for channel in range(3)])
    planes = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb), dtype=np.uint8)
    planes[:, :, 0] = _in_turn(planes[:, :, 0], functions)
    return np.asarray(cv2.cvtColor(planes, cv2.COLOR_YCrCb2RGB), dtype=np.uint8)


def _in_turn(plane: Pixels, functions: list[_Plane]) -> Pixels:
    plane = np.ascontiguousarray(plane)
    for function in functions:
        plane = function(plane)
    return plane


@contextmanager
def _one_thread() -> Iterator[None]:
    # Processes are the unit of parallel work; OpenCV's own threads would only compete with them.
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
