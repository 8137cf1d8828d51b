"""Faces for `benchmarks/gpu.py`: drawn ones of eight classes in shards, and portraits to be found in pictures."""

import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from skimage import data

from benchmarks.faces_input import write_inputs
from pipeline.align.stage import run as align
from pipeline.core.emotions import CLASSES
from pipeline.core.parallel.pool import worker_count
from pipeline.core.params import read_params
from pipeline.images import encode_face
from pipeline.ingest.stage import run as ingest
from pipeline.shards.stage import run as write_shards

PARAMS = Path(__file__).resolve().parent.parent / "params.yaml"
_HELD_OUT = 5  # one face in so many validates


@dataclass(frozen=True)
class Aligned:
    """How fast faces were aligned, and the ten coordinates of each, in pixels of its picture."""

    faces_s: float
    points: list[list[float]]


def write_drawn_shards(root: Path, count: int, side_px: int) -> Path:
    """Write shards of drawn faces, a fifth of them for validation, and return their folder."""
    faces = [encode_face(draw_face(number, side_px)) for number in range(count)]
    inputs = write_inputs(root, faces, lambda number: "val" if number // len(CLASSES) % _HELD_OUT == 0 else "train")
    params = read_params(PARAMS).shard.model_copy(update={"balance": "none"})
    write_shards(*inputs, root / "shards", params, seed=1, workers=1)
    return root / "shards"


def draw_face(number: int, side_px: int) -> NDArray[np.uint8]:
    """Draw a face (S, S, 3) whose class, `number` modulo eight, is told by its brows and mouth; all else is chance."""
    random = np.random.default_rng(number)
    label = number % len(CLASSES)
    unit = side_px / 16
    skin, ink = random.integers(120, 230, 3).tolist(), random.integers(0, 80, 3).tolist()
    picture = cv2.resize(random.integers(0, 256, (8, 8, 3), dtype=np.uint8), (side_px, side_px))
    at = np.array([8, 8]) * unit + random.normal(0, 0.4, 2) * unit

    def place(x: float, y: float) -> tuple[int, int]:
        return int(at[0] + x * unit), int(at[1] + y * unit)

    width = max(1, round(unit / 2))
    cv2.ellipse(picture, place(0, 0), (int(5 * unit), int(6.5 * unit)), 0, 0, 360, skin, -1)
    slant = (label % 2 * 2 - 1) * 0.8
    for side in (-1, 1):
        cv2.circle(picture, place(2 * side, -1), width, ink, -1)
        cv2.line(picture, place(1.2 * side, -2.5 - slant), place(3 * side, -2.5 + slant), ink, width)
    bend = ((0.3, 1.5), (0.3, -1.5), (1.5, 1.5), (2.2, 0.4))[label // 2]
    turn = 0 if bend[1] > 0 else 180
    cv2.ellipse(picture, place(0, 3), (int(2 * unit), max(1, int(abs(bend[1]) * unit))), turn, 0, 180, ink, width)
    if bend[0] > 1:
        cv2.circle(picture, place(0, 3), int(bend[0] * unit), ink, -1)
    return picture


def align_portraits(root: Path, count: int) -> Aligned:
    """Ingest and align one portrait shifted in `count` pictures, where PREP_DEVICE says."""
    raw = root / "raw"
    portrait = data.astronaut()[:, :, ::-1]
    for number in range(count):
        folder = raw / ("happy" if number % 2 else "neutral")
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"{number:04d}.png"), np.roll(portrait, 3 * number, axis=1))
    params = read_params(PARAMS)
    ingest(str(raw), root / "samples", dataset="portraits", fmt="folder", params=params.ingest)
    start = time.perf_counter()
    summary = align(root / "samples", str(raw), root / "aligned", params.align, workers=worker_count())
    seconds = time.perf_counter() - start
    parts = sorted((root / "aligned").glob("part-*.parquet"))
    points = [row for part in parts for row in pq.read_table(part)["landmarks"].to_pylist()]
    return Aligned(summary["rows_in"] / seconds, points)
