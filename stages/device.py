"""Messages on stderr about devices: where a network runs, why not on a GPU, and what this means for results."""

import json
from collections.abc import Mapping
from typing import Any

from pipeline.core.device import find_device, tell_device
from pipeline.core.folders import EVALUATE
from pipeline.core.names import METRICS_NAME
from stages.say import note


def note_unused_gpu() -> None:
    """Say why `auto` leaves a GPU alone that is there."""
    if why := find_device().note:
        note(f"runs on the CPU: {why}")


def note_other_device(ran: Mapping[str, Any]) -> None:
    """Say that a training ran on another device than the one whose numbers are in the project.

    DVC sees no change of code, data or parameters there, and yet dvc.lock and all below runs/ come out otherwise.
    """
    try:
        before = json.loads((EVALUATE / METRICS_NAME).read_text(encoding="utf-8"))["device"]["train"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if before and before != ran:
        note(
            f"{EVALUATE}/metrics.json is of a training on {tell_device(before)}, this one ran on {tell_device(ran)}: "
            "weights, numbers and dvc.lock will differ (docs/gpu.md); PREP_DEVICE=cpu repeats what a CPU made"
        )
