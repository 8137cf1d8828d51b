"""The gates: what was measured of a face, held against the thresholds of params.yaml."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from pipeline.core.params import SelectParams
from pipeline.core.schema import Reason

# The reason of a reject, the column of the detections that is compared, and the key of its limit. The first gate that a
# face does not pass gives the reason; a value at the limit passes. min_ keys are lower limits, max_ keys upper ones.
GATES: Final = (
    (Reason.low_score, "face_score", "min_score"),
    (Reason.low_overlap, "box_iou", "min_box_iou"),
    (Reason.small_face, "face_size_px", "min_face_px"),
    (Reason.not_frontal, "frontality", "min_frontality"),
    (Reason.blurred, "sharpness", "min_sharpness"),
    (Reason.bad_exposure, "brightness", "min_brightness"),
    (Reason.bad_exposure, "brightness", "max_brightness"),
    (Reason.outside_picture, "outside_share", "max_outside_share"),
)


def judge(measures: Mapping[str, Any], params: SelectParams) -> tuple[Reason | None, str]:
    """Return the first gate that a face does not pass, with the value and the limit, or None and nothing.

    Args:
        measures: columns of `schema.DETECTIONS`; None is not measured and passes, as the overlap where the dataset
            has no box.
        params: the limits.
    """
    for reason, column, key in GATES:
        value, limit = measures[column], getattr(params, key)
        if value is not None and _is_beyond(value, limit, upper=key.startswith("max_")):
            return reason, f"{value:.3g}; the limit is {limit:g}"
    return None, ""


def _is_beyond(value: float, limit: float, *, upper: bool) -> bool:
    # The table holds floats of 32 bits: in 64, a score of 0.9 would be less than a limit of 0.9.
    stored, limited = np.float32(value), np.float32(limit)
    return bool(stored > limited if upper else stored < limited)
