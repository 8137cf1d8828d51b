"""AFEW-VA: clips of films with valence, arousal and 68 points a frame; one actor a clip, and no classes.

Kossaifi et al.: AFEW-VA database for valence and arousal estimation in-the-wild, Image and Vision Computing 2017.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pipeline.core.schema import Reason
from pipeline.ingest.raw_dataset import Annotation, Box, RawDataset, RejectedRow, Row, is_picture, stem
from pipeline.ingest.readers.reader import Reader
from pipeline.ingest.trees.tree import Tree

_CLIP: Final = re.compile(r"(?:.*/)?(\d{3})/\1\.json")
_POINTS: Final = 68
_SCALE: Final = (-10.0, 10.0)
NO_CLASS: Final = "none"  # the dataset has values only


class AfewVa(Reader):
    """`001/001.json`: video_id, actor and, for each of `frames`, landmarks, valence and arousal; pictures beside it."""

    name = "afew_va"
    labels = (NO_CLASS,)
    layout = "001/001.json with frames, each with landmarks, valence and arousal, and pictures such as 001/00000.png"

    def evidence(self, tree: Tree, root: str) -> str | None:
        """See `Reader.evidence`."""
        if root:
            return None
        name = next((name for name in tree.below(root) if _CLIP.fullmatch(name)), None)
        return f"{name} has frames" if name and "frames" in _load(tree, name) else None

    def read(self, raw: RawDataset) -> Iterator[Row]:
        """See `Reader.read`."""
        raw.scales = dict.fromkeys(("valence", "arousal"), _SCALE)
        for name in sorted(name for name in raw.tree.below(raw.root) if _CLIP.fullmatch(name)):
            said = _load(raw.tree, name)
            frames = said.get("frames")
            if not isinstance(frames, dict) or not frames:
                yield RejectedRow(name, Reason.bad_row, f"{name}: no json with frames")
                continue
            folder = name.rpartition("/")[0]
            pictures = {_number_of(one): one for one in raw.tree.listing(folder).files if is_picture(one)}
            named = said.get("actor")
            actor = named if isinstance(named, str) and named.strip() else None
            for frame, values in sorted(frames.items()):
                given = f"{folder}/{pictures.get(_number_of(frame), f'{frame}.png')}"
                if not isinstance(values, dict):
                    yield RejectedRow(given, Reason.bad_row, f"{name} frame {frame}: no values", actor)
                    continue
                yield _row(raw, given, f"{name} frame {frame}", folder, actor, values)


def _row(raw: RawDataset, path: str, row: str, clip: str, actor: str | None, values: Mapping[str, Any]) -> Annotation:
    points = _points(values.get("landmarks"))
    if points is None and values.get("landmarks"):
        raw.drop(f"list of landmarks (expected {_POINTS} points)", row)
    box = None if points is None else _around(points)
    found = path if path in raw.tree else RejectedRow(path, Reason.missing_file, f"{row}: no such file: {path}")
    return Annotation(
        found,
        (NO_CLASS,),
        row,
        box=box,
        box_kind="face" if box else None,
        landmarks=points,
        subject=actor,
        sequence=clip,
        valence=_number(values.get("valence")),
        arousal=_number(values.get("arousal")),
    )


def _number_of(frame: str) -> str:
    """Return what stands for a frame: 00007, 00007.png and 7.jpg are one."""
    return stem(frame).lstrip("0") or "0"


def _load(tree: Tree, name: str) -> dict[str, Any]:
    try:
        found = json.loads(tree.read(name))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _points(value: Any) -> list[float] | None:
    pairs = value if isinstance(value, list) and len(value) == _POINTS else []
    flat = [_number(one) for pair in pairs if isinstance(pair, list) and len(pair) == 2 for one in pair]
    points = [one for one in flat if one is not None and math.isfinite(one)]
    return points if len(points) == 2 * _POINTS else None


def _around(points: list[float]) -> Box | None:
    """Return the box around the points: films show several people, and the points say which one is meant."""
    box = min(points[::2]), min(points[1::2]), max(points[::2]), max(points[1::2])
    return box if box[2] > box[0] and box[3] > box[1] else None
