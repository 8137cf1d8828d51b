"""Clips of rendered people, as frames in AFEW-VA's layout and as video files. `prep demo` does not write them yet.

Each clip shows one person who changes from neutral to an expression while the head drifts a little, with valence and
arousal for every frame.
"""

import json
from collections.abc import Iterable, Sequence
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
from pipeline.demo.scene import Figure, Photo, Shot, take_all

SIZE: Final = (640, 480)
_EYES_PX: Final = 70.0
_SEED: Final = 61
# The unit of the times in the files that are written.
_TICKS: Final = 1000
# AFEW-VA's values are whole numbers from -10 to 10.
_SCALE: Final = 10
_CODECS: Final = {".mp4": "libx264", ".mkv": "libx264", ".mov": "libx264", ".avi": "mpeg4", ".webm": "libvpx"}


@dataclass(frozen=True)
class ClipPlan:
    """One clip to render: its number as text, the person, and what each frame shows."""

    name: str
    actor: str
    emotion: Emotion
    shots: tuple[Shot, ...]
    valence: tuple[int, ...]  # -10..10, one a frame
    arousal: tuple[int, ...]


def plan_clips(people: int, clips_each: int, frames: int, seed: int, size: tuple[int, int] = SIZE) -> list[ClipPlan]:
    """Plan the clips of some people.

    Args:
        people: how many.
        clips_each: clips of each person, with one expression after the other.
        frames: of each clip.
        seed: of all chance.
        size: width and height in pixels.
    """
    plans = []
    for number in range(people * clips_each):
        actor = f"actor-{number // clips_each:03d}"
        random = np.random.default_rng([seed, _SEED, number])
        role = draw_role(list(Emotion)[number % len(Emotion)], random)
        person = build_person(actor, seed)
        drift = random.uniform(-0.1, 0.1, 2)
        shots, valence, arousal = [], [], []
        for frame in range(frames):
            share = frame / max(1, frames - 1)
            units = {unit: round(value * share, 3) for unit, value in role.units.items()}
            middle = (size[0] * (0.5 + drift[0] * share), size[1] * (0.5 + drift[1] * share))
            figure = Figure(person, units, _EYES_PX * size[1] / SIZE[1], middle, roll_deg=float(6 * share - 3))
            path = f"{number + 1:03d}/{frame:05d}.png"
            shots.append(Shot(path, size, (figure,), (seed, _SEED, number, 0), studio=True))
            valence.append(round(_SCALE * role.valence * share))
            arousal.append(round(_SCALE * role.arousal * share))
        plans.append(ClipPlan(f"{number + 1:03d}", actor, role.emotion, tuple(shots), tuple(valence), tuple(arousal)))
    return plans


def write_afew_va(out: Path, plans: Sequence[ClipPlan]) -> None:
    """Write clips as AFEW-VA ships them: `001/001.json` and `001/00000.png`."""
    for plan in plans:
        photos = take_all(plan.shots)
        frames = {
            f"{number:05d}": {
                "landmarks": np.round(photo.landmarks[0], 4).tolist(),
                "valence": plan.valence[number],
                "arousal": plan.arousal[number],
            }
            for number, photo in enumerate(photos)
        }
        folder = out / plan.name
        folder.mkdir(parents=True, exist_ok=True)
        for photo in photos:
            (out / photo.path).write_bytes(photo.content)
        said = {"video_id": plan.name, "actor": plan.actor, "frames": frames}
        (folder / f"{plan.name}.json").write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


def write_video_folders(out: Path, plans: Sequence[ClipPlan], suffix: str = ".mp4", fps: int = 10) -> None:
    """Write clips as CAER ships them: `train/Happy/0001.mp4`, a folder for each class."""
    for plan in plans:
        path = out / "train" / plan.emotion.name.title() / f"0{plan.name}{suffix}"
        write_video(path, map(decode, take_all(plan.shots)), times_ms=range(0, 1000 * len(plan.shots), 1000 // fps))


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
