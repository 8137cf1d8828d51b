"""Dense SIFT as visual words in a spatial pyramid.

SIFT: Lowe 2004, as OpenCV implements it, at every eighth pixel. Words: Csurka et al. 2004. Pyramid: Lazebnik et al.
2006, with the square root of Arandjelovic and Zisserman 2012.
"""

from typing import ClassVar, Final

import cv2
import numpy as np
import torch
from torch import Tensor

from models.classical.features import Feature, Pixels
from models.classical.fitted import Floats

_STEP_PX: Final = 8
_PATCH_PX: Final = 16
_WORDS: Final = 256
_LEARNED_FROM: Final = 50_000  # descriptors; more hardly move the words
_LEVELS: Final = (1, 2, 4)  # cells across and down
_SEED: Final = 0


class Sift(Feature):
    """How often each visual word is seen in the whole face, in its quarters and in its sixteenths."""

    learned: ClassVar[tuple[str, ...]] = ("words",)
    words: Tensor

    def learn(self, pixels: Pixels) -> None:
        """Group descriptors of training faces into 256 words by k-means; fewer if there are not as many descriptors."""
        from sklearn.cluster import MiniBatchKMeans

        grid = len(_grid(pixels.shape[1]))
        rows = np.random.default_rng(_SEED).permutation(len(pixels))[: -(-_LEARNED_FROM // grid)]
        seen = np.concatenate([describe(face) for face in pixels.reshape(pixels.shape[:3])[rows]])
        words = min(_WORDS, len(np.unique(seen, axis=0)))
        found = MiniBatchKMeans(words, random_state=_SEED, n_init=1, batch_size=4096).fit(seen)
        self.keep("words", found.cluster_centers_.astype(np.float64))

    def measure(self, face: Pixels) -> Floats:
        """Return the square roots of the words' shares in each of 21 cells."""
        nearest = torch.cdist(torch.from_numpy(describe(face)), self.words).argmin(1).numpy()
        places = np.array([point.pt for point in _grid(len(face))]) / len(face)
        shares = [_shares(nearest, places, cells, len(self.words)) for cells in _LEVELS]
        return np.asarray(np.sqrt(np.concatenate(shares)), np.float64)


def describe(face: Pixels) -> Floats:
    """Return OpenCV's descriptors (P, 128) of a face (S, S), on a grid."""
    _, found = cv2.SIFT_create().compute(face, _grid(len(face)))  # type: ignore[attr-defined]
    return np.asarray(found, np.float64)


def _grid(side_px: int) -> list[cv2.KeyPoint]:
    steps = range(_PATCH_PX // 2, side_px - _PATCH_PX // 2 + 1, _STEP_PX)
    return [cv2.KeyPoint(float(x), float(y), float(_PATCH_PX)) for y in steps for x in steps]


def _shares(nearest: np.ndarray, places: Floats, cells: int, words: int) -> Floats:
    column, row = (np.minimum((places * cells).astype(int), cells - 1)).T
    counts = np.bincount((row * cells + column) * words + nearest, minlength=cells**2 * words).reshape(-1, words)
    return np.asarray(counts / np.maximum(counts.sum(1, keepdims=True), 1), np.float64).ravel()
