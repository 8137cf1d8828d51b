"""Where the time of `align` goes: a clock around each of its parts, less what the parts within took themselves."""

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import benchmarks.align_tools as tools
from benchmarks.align_sets import Photo
from pipeline.align import cascade, crop
from pipeline.align.detectors.dlib_hog import DlibHog
from pipeline.align.mtcnn import fast as mtcnn_fast
from pipeline.align.mtcnn.networks import OnnxNetworks

CHUNK = 32
REST = "choice of the face, geometry, the rest"
# What is timed, and the part it counts to. The order is that of the table.
PARTS: list[tuple[Any, str, str]] = [
    (tools, "_decode_scaled", "header and decoding"),
    (mtcnn_fast, "build_pyramid", "pyramid and packing"),
    (mtcnn_fast, "pack", "pyramid and packing"),
    (OnnxNetworks, "propose", "first network"),
    (OnnxNetworks, "refine", "second network"),
    (OnnxNetworks, "output", "third network"),
    (mtcnn_fast, "cut_crops", "crops for the second and third"),
    (mtcnn_fast, "suppress", "suppression"),
    (DlibHog, "detect", "dlib-hog, on what the networks missed"),
    (crop, "warp_face", "warp"),
    (crop, "_light", "sharpness and brightness"),
    (crop, "encode_face", "JPEG"),
    (tools, "ours", REST),
]


class Clock:
    """Processor time by part, each without the parts that it called."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._within: list[float] = []

    def around(self, function: Callable[..., Any], part: str) -> Callable[..., Any]:
        """Return a function that does the same and is timed."""

        def timed(*args: Any, **named: Any) -> Any:
            start = time.process_time()
            self._within.append(0.0)
            try:
                return function(*args, **named)
            finally:
                spent = time.process_time() - start
                self.seconds[part] += spent - self._within.pop()
                if self._within:
                    self._within[-1] += spent

        return timed


def profile(photos: list[Photo], *, with_boxes: bool, rounds: int) -> dict[str, float]:
    """Return milliseconds a picture of each part, the mean of some rounds."""
    attempts = cascade.build_cascade(tools.PARAMS)
    clock = Clock()
    kept = [(place, name, getattr(place, name)) for place, name, _ in PARTS]
    for place, name, part in PARTS:
        setattr(place, name, clock.around(getattr(place, name), part))
    try:
        for _ in range(rounds):
            for start in range(0, len(photos), CHUNK):
                tools.ours(attempts, photos[start : start + CHUNK], with_boxes=with_boxes)
    finally:
        for place, name, function in kept:
            setattr(place, name, function)
    order = dict.fromkeys(part for _, _, part in PARTS)
    return {part: clock.seconds[part] / rounds / len(photos) * 1e3 for part in order}
