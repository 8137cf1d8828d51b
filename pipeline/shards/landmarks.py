"""Landmarks in pixels of the crop, computed with the similarity transform that made the crop."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.core.errors import DataError
from pipeline.geometry.similarity import TEMPLATE_NAME, fit_similarity, template_points, transform_points


def crop_landmarks(landmarks: npt.NDArray[np.float32], align: Mapping[str, Any] | None) -> npt.NDArray[np.float32]:
    """Return landmarks (N, 10) in pixels of the crops.

    Args:
        landmarks: (N, 10) x, y of five points, in pixels of the source picture after its EXIF rotation.
        align: the ``align`` part of the preprocessing contract: template, size_px, margin.

    Raises:
        DataError: the faces were aligned to a template that this release does not know.
    """
    if not align or align.get("template") != TEMPLATE_NAME:
        known = (align or {}).get("template")
        raise DataError(f"faces were aligned to the template {known!r}, expected {TEMPLATE_NAME!r}; run align again")
    # The transform is fitted again instead of stored: the same landmarks give the same one as in `align`.
    points = landmarks.reshape(-1, 5, 2).astype(np.float64)
    matrices = fit_similarity(points, template_points(align["size_px"], align["margin"]))
    return transform_points(matrices, points).reshape(-1, 10).astype(np.float32)
