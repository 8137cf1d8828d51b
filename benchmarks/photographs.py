"""The photographs of the benchmarks: those of ../shared/data or, where that is missing, made ones in its layout.

The made ones are rendered as the demo is, from one free portrait: every line of a benchmark runs on them in any clone,
but their figures cannot be compared with those of photographs. So what is measured on them is written to a folder of
its own here, which git ignores, and says so. BENCH_DATA names another folder than ../shared/data.
"""

import atexit
import csv
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from pipeline.core.emotions import Emotion
from pipeline.core.parallel.pool import map_ordered, worker_count
from pipeline.demo.casting import draw_role, pose
from pipeline.demo.people import build_person
from pipeline.demo.scene import Figure, Photo, Shot, take_all

HERE = Path(__file__).resolve().parent
FRAMES, PORTRAITS, GROUPS = "landmarks68", "muxspace", "dlib_faces"
FRAMES_MADE, PEOPLE_MADE, PHOTOS_EACH, GROUPS_MADE = 96, 60, 10, 24
# Those that the photographs show often enough for the ablation.
CLASSES = [emotion for emotion in Emotion if emotion.name not in {"contempt", "disgust"}]
NOTE = (
    "The pictures are made: rendered from one free portrait, because `../shared/data` was not there. These figures\n"
    "show that the benchmark runs. They cannot be compared with those of photographs."
)


@dataclass(frozen=True)
class Photographs:
    """A folder with landmarks68, muxspace and dlib_faces, and whether its pictures are made."""

    folder: Path
    made: bool

    def results(self) -> Path:
        """Return the folder for what is measured: the committed one is for photographs alone."""
        folder = HERE / "made" if self.made else HERE
        folder.mkdir(exist_ok=True)
        return folder

    def described(self, page: str) -> str:
        """Return a page in Markdown that says below its title which pictures it is of."""
        title, rest = page.split("\n", 1)
        return f"{title}\n\n{NOTE}\n{rest}" if self.made else page


@cache
def photographs() -> Photographs:
    """Return the photographs of this machine, or made ones, which last until the process ends; says which."""
    folder = Path(os.environ.get("BENCH_DATA") or HERE.parent.parent / "shared" / "data")
    if all((folder / name).is_dir() for name in (FRAMES, PORTRAITS, GROUPS)):
        print(f"photographs of {os.path.relpath(folder)}", file=sys.stderr)
        return Photographs(folder, made=False)
    print(f"{os.path.relpath(folder)} is not here: made faces", file=sys.stderr)
    made = _scratch()
    if not (made / GROUPS).is_dir():
        _make(made)
    return Photographs(made, made=True)


@cache
def _scratch() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="made_photographs_")
    atexit.register(folder.cleanup)
    return Path(folder.name)


def _make(folder: Path) -> None:
    frames = [
        _shot(f"{FRAMES}/images/frame_{number:04d}.jpg", [number], 260, (0.24, 0.36)) for number in range(FRAMES_MADE)
    ]
    portraits = [
        _shot(f"{PORTRAITS}/images/made{who:02d}_{number:04d}.jpg", [1000 + who], 250, (0.24, 0.34), number)
        for who in range(PEOPLE_MADE)
        for number in range(PHOTOS_EACH)
    ]
    groups = [_group(f"{GROUPS}/made_{number:04d}.jpg", number) for number in range(GROUPS_MADE)]
    photos = _take([*frames, *portraits, *groups])
    for photo in photos:
        path = folder / photo.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photo.content)
    _write_points(folder / FRAMES / "keypoints68.csv", photos[: len(frames)])
    _write_legend(folder / PORTRAITS / "data" / "legend.csv", portraits)
    _write_boxes(folder / GROUPS, photos[-len(groups) :])


def _take(shots: Sequence[Shot]) -> list[Photo]:
    jobs = [tuple(shots[start : start + 16]) for start in range(0, len(shots), 16)]
    return [photo for taken in map_ordered(take_all, jobs, worker_count()) for photo in taken]


def _emotion(number: int) -> Emotion:
    return CLASSES[number % len(CLASSES)]


def _shot(path: str, who: list[int], side_px: int, eyes: tuple[float, float], number: int = 0) -> Shot:
    seed = (7, *who, number)
    random = np.random.default_rng(seed)
    size = (side_px, int(side_px * random.uniform(1, 1.2)))
    person = build_person(f"bench-{who[0]:04d}", 7)
    figure = pose(person, draw_role(_emotion(who[0] + number), random).units, size, random, eyes_share=eyes)
    return Shot(path, size, (figure,), seed)


def _group(path: str, number: int) -> Shot:
    """Plan three people side by side."""
    random = np.random.default_rng((8, number))
    figures = tuple(
        Figure(
            build_person(f"group-{number:03d}-{place}", 8),
            draw_role(_emotion(number + place), random).units,
            eyes_px=float(random.uniform(34, 46)),
            middle=(120 + 200 * place, 200 * float(random.uniform(0.9, 1.1))),
            roll_deg=float(random.uniform(-12, 12)),
        )
        for place in range(3)
    )
    return Shot(path, (640, 420), figures, (8, number))


def _write_points(file: Path, photos: Sequence[Photo]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["image", *(f"{axis}{point}" for point in range(68) for axis in "xy")])
        writer.writerows([Path(photo.path).name, *photo.landmarks[0].ravel().round(2)] for photo in photos)


def _write_legend(file: Path, shots: Sequence[Shot]) -> None:
    file.parent.mkdir(parents=True)
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["user.id", "image", "emotion"])
        for index, shot in enumerate(shots):
            who, number = divmod(index, PHOTOS_EACH)
            writer.writerow([who, Path(shot.path).name, _emotion(1000 + who + number).name])


def _write_boxes(folder: Path, photos: Sequence[Photo]) -> None:
    """Write the boxes of every face as dlib's lists have them, half in each list."""
    for part, name in enumerate(("training", "testing")):
        lines = ["<?xml version='1.0'?>", "<dataset><images>"]
        for photo in photos[part::2]:
            lines.append(f"<image file='{Path(photo.path).name}'>")
            for points in photo.landmarks:
                left, top = points.min(0).astype(int)
                width, height = np.ceil(points.max(0) - points.min(0)).astype(int)
                lines.append(f"<box top='{top}' left='{left}' width='{width}' height='{height}'/>")
            lines.append("</image>")
        lines.append("</images></dataset>")
        (folder / f"{name}_with_face_landmarks.xml").write_text("\n".join(lines), encoding="utf-8")
