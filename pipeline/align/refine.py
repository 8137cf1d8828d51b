"""Landmarks found once more: the third network on the face turned upright, as it stands in its best boxes.

Whatever detector found the face: also one whose own points are partly guessed gets five measured ones.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from pipeline.align.detectors.detector import Floats, Pixels, as_rgb
from pipeline.align.mtcnn.networks import OUTPUT_PX, Floats32, Networks
from pipeline.geometry.similarity import BOX_PLACES, fit_similarity, invert_similarity, transform_points
from pipeline.geometry.warp import warp_face

# The network works best on nine tenths of its own boxes (five-point error by share: benchmarks/align.md).
_SHARE: Final = 0.9
_PLACES: Final[Floats] = (0.5 + (BOX_PLACES - 0.5) / _SHARE) * OUTPUT_PX - 0.5
_MIRRORED: Final = [1, 0, 2, 4, 3]
# MTCNN counts pixels from one.
_FIRST_PX: Final = 1.0


def refine_landmarks(pictures: Sequence[Pixels], landmarks: Floats, networks: Networks, *, mirrored: bool) -> Floats:
    """Return better landmarks of one face in each picture.

    Args:
        pictures: (H, W) or (H, W, 3) each.
        landmarks: (n, 5, 2), in their pixels, as a detector gave them.
        networks: of which the third is asked.
        mirrored: also look at the mirror image, and take the mean of both.

    Returns:
        (n, 5, 2).
    """
    crops, matrices = upright_crops(pictures, landmarks)
    points = networks.output(crops)[2].astype(float)
    if mirrored:
        flipped = networks.output(np.ascontiguousarray(crops[:, :, :, ::-1]))[2].astype(float)
        flipped[..., 0] = 1 - flipped[..., 0]
        points = (points + flipped[:, _MIRRORED]) / 2
    return transform_points(invert_similarity(matrices), points * OUTPUT_PX - 0.5) + _FIRST_PX


def upright_crops(pictures: Sequence[Pixels], landmarks: Floats) -> tuple[Floats32, Floats]:
    """Return one face of each picture as the third network likes to see it, and the similarities that lead there.

    Args:
        pictures: (H, W) or (H, W, 3) each.
        landmarks: (n, 5, 2), in their pixels.

    Returns:
        (n, 3, 48, 48) in 0..255, and (n, 2, 3).
    """
    matrices = fit_similarity(landmarks, _PLACES)
    upright = [warp_face(*pair, OUTPUT_PX, "replicate") for pair in zip(pictures, matrices, strict=True)]
    return np.stack([as_rgb(crop) for crop in upright]).transpose(0, 3, 1, 2).astype(np.float32), matrices
