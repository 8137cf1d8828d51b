"""The quality gates: the measures of a face are compared with the limits in params.yaml."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from pipeline.core.params import SelectParams
from pipeline.core.schema import Reason

# For each gate: the reject reason, the column of the detections that is compared, and the key of the limit. A key that
# begins with min_ is a lower limit, one that begins with max_ an upper limit; a value at the limit passes. A face is
# rejected once, for the first gate that it fails, so the order of the gates decides which reason is counted.
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
    """Return the reason of the first gate that a face fails, or None if it passes all of them.

    Args:
        measures: one row of `schema.DETECTIONS`, by column. A value of None was not measured and passes: `box_iou`, for
            example, if the dataset has no box.
        params: the limits, in the units of the columns they are compared with.

    Returns:
        The reason, and a text with the value and the limit; None and an empty text for a face that passes.
    """
    for reason, column, key in GATES:
        value, limit = measures[column], getattr(params, key)
        if value is not None and _is_beyond(value, limit, upper=key.startswith("max_")):
            return reason, f"{value:.3g}; the limit is {limit:g}"
    return None, ""


def _is_beyond(value: float, limit: float, *, upper: bool) -> bool:
    # The table stores float32, and 0.9 as float32 is slightly less than 0.9 as float64. If the limit were not rounded
    # in the same way, a face exactly at the limit would be rejected.
    stored, limited = np.float32(value), np.float32(limit)
    return bool(stored > limited if upper else stored < limited)
