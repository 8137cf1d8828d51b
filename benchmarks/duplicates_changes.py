"""What augmentation tools and mirrors do to a photograph: each change by name, applied before a face is found in it.

Each takes a picture (H, W, 3), uint8, and a generator of random numbers, and returns a changed copy.
"""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Change = Callable[[Pixels, np.random.Generator], Pixels]


def _warped(pixels: Pixels, matrix: NDArray[Any], border: int = cv2.BORDER_CONSTANT) -> Pixels:
    height, width = pixels.shape[:2]
    return np.asarray(cv2.warpAffine(pixels, matrix.astype(np.float32), (width, height), borderMode=border), np.uint8)


def _turned(pixels: Pixels, degrees: float, scale: float = 1.0, border: int = cv2.BORDER_CONSTANT) -> Pixels:
    height, width = pixels.shape[:2]
    return _warped(pixels, cv2.getRotationMatrix2D((width / 2, height / 2), degrees, scale), border)


def _moved(pixels: Pixels, random: np.random.Generator) -> Pixels:
    right, down = random.choice([-2, 2], 2)
    return _warped(pixels, np.array([[1, 0, right], [0, 1, down]]), cv2.BORDER_REPLICATE)


def _sheared(pixels: Pixels, random: np.random.Generator) -> Pixels:
    slope = random.choice([-0.2, 0.2])
    return _warped(pixels, np.array([[1, slope, -slope * len(pixels) / 2], [0, 1, 0]]))


def _resized(pixels: Pixels, scale: float) -> Pixels:
    area = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=area), np.uint8)


def _cropped(pixels: Pixels, share: float, random: np.random.Generator) -> Pixels:
    height, width = pixels.shape[:2]
    tall, wide = int(height * share), int(width * share)
    top, left = random.integers(0, height - tall + 1), random.integers(0, width - wide + 1)
    return np.asarray(cv2.resize(pixels[top : top + tall, left : left + wide], (width, height)), np.uint8)


def _brightened(pixels: Pixels, gain: float, offset: float) -> Pixels:
    return np.clip(pixels * gain + offset, 0, 255).astype(np.uint8)


def _noisy(pixels: Pixels, spread: float, random: np.random.Generator) -> Pixels:
    return np.clip(pixels + random.normal(0, spread, pixels.shape), 0, 255).astype(np.uint8)


def _cut_out(pixels: Pixels, random: np.random.Generator) -> Pixels:
    """Paint a square black that takes 15% of the picture."""
    height, width = pixels.shape[:2]
    side = min(int((0.15 * height * width) ** 0.5), height - 1, width - 1)
    top, left = random.integers(0, height - side), random.integers(0, width - side)
    changed = pixels.copy()
    changed[top : top + side, left : left + side] = 0
    return changed


def _grey(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR), np.uint8)


def _encoded(pixels: Pixels, quality: int) -> Pixels:
    stored = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(stored, cv2.IMREAD_COLOR), np.uint8)


def _gamma(pixels: Pixels, power: float) -> Pixels:
    return np.round(255 * (pixels / 255) ** power).astype(np.uint8)


def _mirrored(pixels: Pixels) -> Pixels:
    return np.ascontiguousarray(pixels[:, ::-1])


CHANGES: dict[str, Change] = {
    "resized": lambda pixels, random: _resized(pixels, random.uniform(0.5, 1.5)),
    "re-encoded": lambda pixels, random: _encoded(pixels, int(random.integers(30, 96))),
    "shifted": _moved,
    "mirrored": lambda pixels, _: _mirrored(pixels),
    "gamma": lambda pixels, random: _gamma(pixels, random.choice([0.5, 0.7, 1.4, 2.0])),
    "turned 5": lambda pixels, random: _turned(pixels, random.choice([-5, 5])),
    "turned 10": lambda pixels, random: _turned(pixels, random.choice([-10, 10])),
    "turned 15": lambda pixels, random: _turned(pixels, random.choice([-15, 15])),
    "turned 30": lambda pixels, random: _turned(pixels, random.choice([-30, 30])),
    "mirrored, turned 12": lambda pixels, _: _turned(_mirrored(pixels), 12),
    "cropped to 80%": lambda pixels, random: _cropped(pixels, 0.8, random),
    "zoomed 120%": lambda pixels, _: _turned(pixels, 0, 1.2),
    "zoomed 80%": lambda pixels, _: _turned(pixels, 0, 0.8),
    "sheared 0.2": _sheared,
    "brightened": lambda pixels, random: _brightened(pixels, random.uniform(0.6, 1.4), random.uniform(-40, 40)),
    "blurred": lambda pixels, _: np.asarray(cv2.GaussianBlur(pixels, (0, 0), 1.5), np.uint8),
    "noise": lambda pixels, random: _noisy(pixels, 15, random),
    "cutout 15%": _cut_out,
    "grey": lambda pixels, _: _grey(pixels),
    "brightened, cutout, turned": lambda pixels, random: _turned(_cut_out(_brightened(pixels, 1.3, 10), random), -10),
    "cropped, mirrored, turned, noise": lambda pixels, random: _noisy(
        _turned(_mirrored(_cropped(pixels, 0.9, random)), random.uniform(-20, 20)), 8, random
    ),
}
