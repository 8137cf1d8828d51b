"""Crops that look wrong: each measure of a face beside those of the other faces of its dataset.

How far a measure lies above the upper quartile, in interquartile ranges, is Tukey's (1977): beyond 1.5 it is *outside*,
beyond 3 *far out*. Nothing is assumed about the shape of a distribution, and a few bad faces do not move the quartiles.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.geometry.similarity import fit_similarity, template_points, transform_points

Floats = NDArray[np.float64]

_FAR_OUT: Final = 3.0
_ALIKE: Final = 0.05  # by which answers for a face and its mirror image may differ for no reason
# The narrowest interquartile range of each measure: without one, where most faces are equal every other is far out.
# Scores, sharpness, the points' distance and the mirror image's are logarithms: their errors are relative.
MEASURES: Final[Mapping[str, tuple[str, float]]] = {
    "face_score": ("the detector was unsure", 1.0),
    "sharpness": ("blurred", 0.5),
    "off_centre": ("its five points are no face's", 0.5),
    "box_iou": ("not the annotated box", 0.1),
    "outside_share": ("beyond the picture", 0.1),
    "other_faces": ("other faces beside it", 1.0),
    "mirror": ("its mirror image is answered otherwise", 1.0),
}


def tukey(values: Floats, floor: float) -> Floats:
    """Return (N,) how far values lie above the upper quartile: 0 below it, 0.5 where *far out* begins, 1 at infinity.

    Args:
        values: (N,), larger is worse; NaN is a value that is not known and gives 0.
        floor: the narrowest interquartile range.
    """
    known = values[~np.isnan(values)]
    if not len(known):
        return np.zeros(len(values))
    low, high = np.quantile(known, [0.25, 0.75])
    beyond = np.maximum(np.nan_to_num((values - high) / max(high - low, floor)), 0)
    return np.asarray(beyond / (beyond + _FAR_OUT))


def doubt_crops(
    measured: Sequence[Mapping[str, Any]], mirror: Floats, datasets: NDArray[np.str_]
) -> tuple[Floats, list[str]]:
    """Return (N,) how much each crop looks wrong, 0..1, and the measure that says so, in words.

    Args:
        measured: N rows of detections, with the `landmarks` of the face.
        mirror: (N,) how far the answers for a face and for its mirror image are apart, 0..1.
        datasets: (N,) names; every dataset has quartiles of its own.
    """
    columns = _columns(measured) | {"mirror": np.log(mirror + _ALIKE)}
    scores = np.zeros((len(MEASURES), len(measured)))
    for dataset in np.unique(datasets):
        here = datasets == dataset
        for row, (name, (_, floor)) in enumerate(MEASURES.items()):
            scores[row, here] = tukey(columns[name][here], floor)
    worst = scores.argmax(axis=0)
    said = [why for why, _ in MEASURES.values()]
    return scores.max(axis=0), [said[row] for row in worst]


def _columns(measured: Sequence[Mapping[str, Any]]) -> dict[str, Floats]:
    """Return (N,) of each measure, so that larger is worse."""

    def column(name: str) -> Floats:
        return np.array([np.nan if row[name] is None else float(row[name]) for row in measured])

    points = np.array([row["landmarks"] for row in measured], np.float64).reshape(-1, 5, 2)
    return {
        "face_score": np.log(np.maximum(1 - column("face_score"), 0) + 1e-3),
        "sharpness": -np.log(column("sharpness") + 1),
        "off_centre": np.log(_misfit(points) + 1e-3),
        "box_iou": -column("box_iou"),
        "outside_share": column("outside_share"),
        "other_faces": column("other_faces"),
    }


def _misfit(points: Floats) -> Floats:
    """Return (N,) the root mean square distance of five points from the template, as a share of the crop's side."""
    template = template_points(1, 0)
    moved = np.stack(
        [transform_points(matrix, one) for matrix, one in zip(fit_similarity(points, template), points, strict=True)]
    )
    return np.asarray(np.sqrt(((moved - template) ** 2).sum(axis=2).mean(axis=1)))
