"""A photograph that never was: people put before a background, turned, scaled, unevenly lit and encoded."""

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Final

import cv2
import numpy as np

from pipeline.demo.expressions import Units, at_rest, moves
from pipeline.demo.people import Person, build_texture, shape_face, shape_hair
from pipeline.demo.portrait import HAIR, INTEROCULAR_PX, Pixels, Points, read_portrait
from pipeline.demo.warp import place, warp_face
from pipeline.errors import DataError

# What the head turns around in a picture: the middle of the face, in portrait pixels.
MIDDLE: Final = (224.0, 125.0)
_GREY: Final = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Figure:
    """One person in a photograph."""

    person: Person
    units: Units
    eyes_px: float  # distance between the eyes
    middle: tuple[float, float]  # of the face, in pixels of the photograph
    roll_deg: float = 0.0  # clockwise
    yaw_deg: float = 0.0


@dataclass(frozen=True)
class Shot:
    """One photograph to render. The extension of `path` says how it is encoded."""

    path: str
    size: tuple[int, int]  # width, height
    figures: tuple[Figure, ...]
    seed: tuple[int, ...]
    grey: bool = False
    studio: bool = False  # a plain background and even light
    aligned_px: int | None = None  # side of the aligned face that is wanted as well
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Photo:
    """A rendered photograph: its bytes, and the 68 landmarks of each figure in its pixels."""

    shot: Shot
    content: bytes
    landmarks: tuple[Points, ...]
    aligned: bytes | None = None


def take(shot: Shot) -> Photo:
    """Render and encode one photograph."""
    random = np.random.default_rng(shot.seed)
    canvas = _background(shot, random)
    landmarks = []
    for figure in shot.figures:
        canvas, points = _put(canvas, figure)
        landmarks.append(points)
    canvas = _light(canvas, random, 0.08 if shot.studio else 0.4)
    if shot.grey:
        canvas = (canvas @ np.float32(_GREY)).round().astype(np.uint8)
    extension = PurePosixPath(shot.path).suffix
    aligned = None if shot.aligned_px is None else encode(_align(canvas, landmarks[0], shot.aligned_px), extension)
    return Photo(shot, encode(canvas, extension), tuple(landmarks), aligned)


def take_all(shots: tuple[Shot, ...]) -> list[Photo]:
    """Render several photographs, one after the other; the unit of work of a process."""
    cv2.setNumThreads(1)
    return [take(shot) for shot in shots]


def encode(pixels: Pixels, extension: str) -> bytes:
    """Encode RGB or grey pixels as the file extension says.

    Raises:
        DataError: OpenCV cannot write such a file.
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, 92] if extension.lower() in (".jpg", ".jpeg") else []
    if extension.lower() == ".png":
        options = [cv2.IMWRITE_PNG_COMPRESSION, 1]
    ordered = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)  # noqa: PLR2004
    done, content = cv2.imencode(extension.lower(), ordered, options)
    if not done:
        raise DataError(f"{extension}: OpenCV cannot encode it")
    return content.tobytes()


def figure_matrix(figure: Figure) -> Points:
    """Return the (2, 3) similarity from portrait pixels to pixels of the photograph."""
    scale = figure.eyes_px / INTEROCULAR_PX
    angle = np.deg2rad(figure.roll_deg)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.column_stack([turn, np.array(figure.middle) - turn @ np.array(MIDDLE)])


def figure_face(figure: Figure) -> Points:
    """Return the 68 landmarks of a figure in portrait pixels."""
    face = shape_face(at_rest(), figure.person.shape) + moves(figure.units)
    face[:, 0] += np.sin(np.deg2rad(figure.yaw_deg)) * _depth_px()
    return face


def _depth_px() -> Points:
    """How far each landmark stands out of the plane of the ears, less where the head stays put."""
    depth = np.full(68, 14.0)
    depth[0:17] = [-2, -1, 0, 1, 3, 5, 8, 11, 12, 11, 8, 5, 3, 1, 0, -1, -2]
    depth[17:27] = [7, 10, 12, 14, 15, 15, 14, 12, 10, 7]
    depth[27:31] = [16, 20, 25, 30]
    depth[31:36] = [20, 22, 23, 22, 20]
    depth[36:48] = [8, 11, 12, 12, 12, 11, 12, 12, 11, 8, 11, 12]
    return depth


def _put(canvas: Pixels, figure: Figure) -> tuple[Pixels, Points]:
    happy = float(dict(figure.units).get("12", 0)) > 0.3
    texture = _texture(figure.person, not happy)
    matrix, face = figure_matrix(figure), figure_face(figure)
    size = (canvas.shape[1], canvas.shape[0])
    layer = warp_face(texture, read_portrait().teeth, face, (HAIR, shape_hair(figure.person.shape)), matrix, size)
    share = layer[..., 3:] / np.float32(255)
    return (layer[..., :3] * share + canvas * (1 - share)).round().astype(np.uint8), place(face, matrix)


@lru_cache(maxsize=6)
def _texture(person: Person, smooth: bool) -> Pixels:  # noqa: FBT001
    return build_texture(person, smooth=smooth)


def _background(shot: Shot, random: np.random.Generator) -> Pixels:
    width, height = shot.size
    base = random.uniform(60, 200, 3)
    if shot.studio:
        return np.full((height, width, 3), base.round(), np.uint8)
    cells = (int(random.integers(2, 9)), int(random.integers(2, 9)), 3)
    coarse = np.clip(base + random.normal(0, 38, cells), 10, 245).astype(np.float32)
    method = cv2.INTER_CUBIC if random.random() < 0.6 else cv2.INTER_NEAREST
    canvas = cv2.resize(coarse, (width, height), interpolation=method)
    canvas = cv2.GaussianBlur(canvas, (0, 0), max(width, height) / 80)
    return np.clip(canvas, 0, 255).round().astype(np.uint8)


def _light(canvas: Pixels, random: np.random.Generator, strength: float) -> Pixels:
    height, width = canvas.shape[:2]
    angle, fall, level = random.uniform(0, 2 * np.pi), random.uniform(0, strength), random.uniform(0.85, 1.1)
    x = np.linspace(-1, 1, width, dtype=np.float32) * np.cos(angle)
    y = np.linspace(-1, 1, height, dtype=np.float32) * np.sin(angle)
    gain = (level * (1 + fall * (x[None] + y[:, None]))).astype(np.float32)
    return np.clip(canvas * gain[..., None], 0, 255).round().astype(np.uint8)


def five_points(landmarks: Points) -> Points:
    """Return eye at the left, eye at the right, nose tip and mouth corners of 68 landmarks, (5, 2)."""
    return np.vstack([landmarks[36:42].mean(0), landmarks[42:48].mean(0), landmarks[[30, 48, 54]]])


def _align(canvas: Pixels, landmarks: Points, side_px: int) -> Pixels:
    template = np.array([(0.31, 0.38), (0.69, 0.38), (0.5, 0.58), (0.34, 0.76), (0.66, 0.76)]) * side_px
    matrix, _ = cv2.estimateAffinePartial2D(five_points(landmarks), template, method=cv2.LMEDS)
    return np.asarray(cv2.warpAffine(canvas, matrix, (side_px, side_px), flags=cv2.INTER_AREA), np.uint8)
