"""Clips of rendered people, as frames or as video files, which tests and benchmarks read.

Each clip shows one person who changes from neutral to an expression while the head drifts a little, with valence and
arousal for every frame.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import cv2
import numpy as np

from pipeline.core.emotions import Emotion
from pipeline.demo.casting import draw_role
from pipeline.demo.people import build_person
from pipeline.demo.portrait import Pixels
from pipeline.demo.scene import Figure, Photo, Shot

SIZE: Final = (640, 480)
_EYES_PX: Final = 70.0
_SEED: Final = 61
# The unit of the times in the files that are written.
_TICKS: Final = 1000
_CODECS: Final = {".mp4": "libx264", ".mkv": "libx264", ".mov": "libx264", ".avi": "mpeg4", ".webm": "libvpx"}


@dataclass(frozen=True)
class ClipPlan:
    """One clip to render: its number as text, the person, and what each frame shows; valence and arousal in [-1, 1]."""

    name: str
    actor: str
    emotion: Emotion
    shots: tuple[Shot, ...]
    valence: tuple[float, ...]  # one a frame
    arousal: tuple[float, ...]


def plan_clip(
    name: str, actor: str, emotion: Emotion, frames: int, seed: int, size: tuple[int, int] = SIZE
) -> ClipPlan:
    """Plan a clip in which a person changes from neutral to an expression.

    Args:
        name: the number of the clip as text; also the folder of its frames.
        actor: who; the same name and seed always give the same person.
        emotion: what the last frame shows.
        frames: of the clip.
        seed: of all chance.
        size: width and height in pixels.
    """
    number = int(name)
    random = np.random.default_rng([seed, _SEED, number])
    role = draw_role(emotion, random)
    person = build_person(actor, seed)
    drift = random.uniform(-0.1, 0.1, 2)
    shots, valence, arousal = [], [], []
    for frame in range(frames):
        share = frame / max(1, frames - 1)
        units = {unit: round(value * share, 3) for unit, value in role.units.items()}
        middle = (size[0] * (0.5 + drift[0] * share), size[1] * (0.5 + drift[1] * share))
        figure = Figure(person, units, _EYES_PX * size[1] / SIZE[1], middle, roll_deg=float(6 * share - 3))
        shots.append(Shot(f"{name}/{frame:05d}.png", size, (figure,), (seed, _SEED, number, 0), studio=True))
        valence.append(role.valence * share)
        arousal.append(role.arousal * share)
    return ClipPlan(name, actor, emotion, tuple(shots), tuple(valence), tuple(arousal))


def decode(photo: Photo) -> Pixels:
    """Return the pixels of a rendered frame, (H, W, 3) RGB."""
    found = cv2.imdecode(np.frombuffer(photo.content, np.uint8), cv2.IMREAD_COLOR_RGB)
    return np.asarray(found, np.uint8)


def write_video(path: Path, frames: Iterable[Pixels], times_ms: Iterable[int], **options: str) -> None:
    """Encode frames (H, W, 3) RGB, each at its time; the suffix says how, and `options` go to the encoder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream: Any = None
        for pixels, at in zip(frames, times_ms, strict=False):
            if stream is None:
                stream = container.add_stream(_CODECS[path.suffix], rate=25, options=options)
                stream.height, stream.width = pixels.shape[:2]
                stream.pix_fmt = "yuv420p"
                stream.thread_count = 1  # more threads write other bytes
                stream.codec_context.time_base = Fraction(1, _TICKS)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts, frame.time_base = at, Fraction(1, _TICKS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
