"""Faces in videos: each clip is decoded once, in its own order, and the last face is the first guess for the next.

A guess never leaves its part, so what is found does not depend on which process does the parts, or on how many do.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pyarrow as pa

from pipeline.align.cascade import Attempt, Found
from pipeline.align.detectors.detector import Floats, Hint, View
from pipeline.align.mtcnn.fast import GUESS_SCORE
from pipeline.align.search import Possible, find_faces, find_guessed
from pipeline.core.errors import LineageError
from pipeline.core.params import AlignParams
from pipeline.core.schema import ALIGNED
from pipeline.images import Scaled
from pipeline.ingest.registry import Pictures
from pipeline.ingest.trees.tree import stream_md5
from pipeline.video.clip import Clip
from pipeline.video.container import is_video

_WORST: Final = 20  # videos that the summary names


def is_frame(row: dict[str, Any]) -> bool:
    """Return whether a sample is a frame of a video."""
    return row["time_s"] is not None


class Clips:
    """The frames of videos, for rows in the order of the table; one video is open at a time."""

    def __init__(self, pictures: Pictures, src: str, rows: Sequence[dict[str, Any]]) -> None:
        """Remember which frames will be asked for.

        Args:
            pictures: the raw tree.
            src: its path, for errors.
            rows: the samples of a part.
        """
        self._pictures = pictures
        self._src = src
        self._times: dict[str, list[int]] = {}
        for row in filter(is_frame, rows):
            self._times.setdefault(row["source_path"], []).append(_time_ms(row))
        self._path = ""
        self._clip: Clip | None = None

    def picture(self, row: dict[str, Any], params: AlignParams, beat: Callable[[], None]) -> Scaled:
        """Return the frame of a sample.

        Raises:
            ImageError: it cannot be decoded.
            LineageError: the video has changed since it was ingested.
        """
        path = row["source_path"]
        if path != self._path or self._clip is None:
            self.close()
            with self._pictures.open(path) as stream:
                if stream_md5(stream) != row["source_md5"]:
                    raise LineageError(f"{self._src}: {path}: changed since it was ingested; run ingest again")
            self._path = path
            self._clip = Clip(
                lambda: self._pictures.open(path),
                sorted(set(self._times[path])),
                max_bytes=params.max_decode_mb * 10**6,
            )
        pixels = self._clip.picture(_time_ms(row), beat)
        return Scaled(pixels, 1.0, 1.0, 0.0, 0.0, pixels.shape[1], pixels.shape[0])

    def close(self) -> None:
        """Close the open video."""
        if self._clip is not None:
            self._clip.close()
        self._clip = None


class Follower:
    """Finds the face of one frame after the other."""

    def __init__(self, attempts: Sequence[Attempt], possible: Possible) -> None:
        self._attempts = attempts
        self._possible = possible
        self._clip: str | None = None
        self._box: Floats | None = None  # of the last face, in pixels of its frame

    def find(self, clip: str, view: View) -> Found | None:
        """Return the face of the next frame of a clip; a view with the dataset's own box needs no guess."""
        if clip != self._clip:
            self._clip, self._box = clip, None
        found = self._guess(view) if view.hint is None else None
        if found is None:
            found = find_faces(self._attempts, [view], _one, self._possible)[0]
        self._box = None if found is None else np.asarray(found.faces.boxes[found.choice.row], float)
        return found

    def _guess(self, view: View) -> Found | None:
        if self._box is None:
            return None
        near = replace(view, hint=Hint(self._box, "face"))
        found = find_guessed(self._attempts[0], near, self._possible)
        if found is None or found.score < GUESS_SCORE:
            return None
        # The guess is not the dataset's box, so nothing is said about an overlap with one.
        return replace(found, choice=replace(found.choice, box_iou=None))


def count_clips(detections: pa.Table) -> dict[str, Any]:
    """Return how many videos there are, how many of them have no face at all, and those with the most frames missed.

    Args:
        detections: the table `schema.DETECTIONS`. Without a frame of a video, the result is empty.
    """
    rows, missed = Counter[str](), Counter[str]()
    for path, status in zip(detections["source_path"].to_pylist(), detections["status"].to_pylist(), strict=True):
        if is_video(path):
            rows[path] += 1
            missed[path] += status != ALIGNED
    if not rows:
        return {}
    worst = sorted((path for path in rows if missed[path]), key=lambda path: (-missed[path], path))[:_WORST]
    return {
        "clips": {
            "videos": len(rows),
            "without_a_face": sum(missed[path] == count for path, count in rows.items()),
            "worst": [{"path": path, "missed": missed[path], "frames": rows[path]} for path in worst],
        }
    }


def _one(_: int) -> None:
    """Ignore which view is searched: there is one."""


def _time_ms(row: dict[str, Any]) -> int:
    return round(float(row["time_s"]) * 1000)
