"""Writing results of a set of experiments: scores in words, and each file as a whole or not at all."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.core.place import replace_synced


def write_text(place: Path, text: str) -> None:
    """Write a text file; after a kill, the earlier one is still there."""
    part = place.with_name(f".{place.name}.partial")
    part.write_text(text, encoding="utf-8")
    replace_synced(part, place)


def write_json(place: Path, content: Any) -> None:
    """Write JSON with sorted keys, as text."""
    write_text(place, json.dumps(content, indent=1, sort_keys=True) + "\n")


def say_interval(found: Mapping[str, float | None] | None) -> str:
    """Return a score in words, such as `0.512 (0.44 to 0.58)`; `-` if there is none."""
    if found is None:
        return "-"
    ends = f" ({found['low']:.2f} to {found['high']:.2f})" if found["low"] is not None else ""
    return f"{found['value']:.3f}{ends}"
