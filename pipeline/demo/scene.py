"""Rendered photographs: people in front of a background, rotated, scaled, unevenly lit and encoded.

Pixels are computed in integers, or in sums and products whose order is fixed, so that the same bytes come out on every
machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

import cv2
import numpy as np

from pipeline.core.errors import DataError
from pipeline.demo.expressions import Units, at_rest, keep_apart, moves
from pipeline.demo.look import build_mask
from pipeline.demo.people import Person, shape_face, shape_hair
from pipeline.demo.portrait import INTEROCULAR_PX, Pixels, Points, blend
from pipeline.demo.warp import Placement, sample, warp_face

# What a head turns around: the middle of the face, in portrait pixels.
MIDDLE: Final = (224.0, 125.0)
# Below this distance between the eyes a face is rendered from the smaller texture.
_SMALL_EYES_PX: Final = 62
# A usual quality of published pictures.
_JPEG_QUALITY: Final = 92


@dataclass(frozen=True)
class Figure:
    """One person in a photograph."""

    person: Person
    units: Units
    eyes_px: float  # distance between the eyes of the portrait
    middle: tuple[float, float]  # of the face, in pixels of the photograph
    roll_deg: float = 0.0  # clockwise
    yaw_deg: float = 0.0

    @property
    def placement(self) -> Placement:
        """The position of the portrait in the photograph."""
        return Placement(self.eyes_px / INTEROCULAR_PX, self.roll_deg, self.middle, MIDDLE)

    def face(self) -> Points:
        """Return the 68 landmarks in portrait pixels."""
        face = keep_apart(shape_face(at_rest(), self.person.shape) + moves(self.units))
        face[:, 0] += round(float(np.sin(np.deg2rad(self.yaw_deg))), 9) * _DEPTH_PX
        return face


@dataclass(frozen=True)
class Shot:
    """One photograph to render. The extension of `path` says how it is encoded."""

    path: str
    size: tuple[int, int]  # width, height
    figures: tuple[Figure, ...]
    seed: tuple[int, ...]
    grey: bool = False
    studio: bool = False  # a plain background and nearly even light
    aligned_px: int | None = None  # side of the aligned face that is wanted as well


@dataclass(frozen=True)
class Photo:
    """A rendered photograph: its bytes, and the 68 landmarks of each figure in its pixels."""

    path: str
    content: bytes
    landmarks: tuple[Points, ...]
    aligned: bytes | None = None


def take_all(shots: Sequence[Shot]) -> list[Photo]:
    """Render several photographs, one after the other; this is one unit of work for a process."""
    cv2.setNumThreads(1)
    return [take(shot) for shot in shots]


def take(shot: Shot) -> Photo:
    """Render and encode one photograph."""
    random = np.random.default_rng(shot.seed)
    canvas = _background(shot, random)
    for figure in shot.figures:
        canvas = _put(canvas, figure)
    if shot.grey:
        canvas = np.asarray(cv2.cvtColor(canvas, cv2.COLOR_RGB2GRAY)[..., None], np.uint8)
    canvas = _light(canvas, random, 0.08 if shot.studio else 0.4)
    landmarks = tuple(figure.placement.place(figure.face()) for figure in shot.figures)
    aligned = None if shot.aligned_px is None else encode(_align(canvas, landmarks[0], shot.aligned_px), shot.path)
    return Photo(shot.path, encode(canvas, shot.path), landmarks, aligned)


def encode(pixels: Pixels, path: str) -> bytes:
    """Encode (H, W, 3) RGB or (H, W, 1) grey pixels as the extension of a path says.

    Raises:
        DataError: OpenCV cannot write such a file.
    """
    extension = PurePosixPath(path).suffix.lower()
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if extension in (".jpg", ".jpeg") else []
    if extension == ".png":
        options = [cv2.IMWRITE_PNG_COMPRESSION, 1]
    done, content = cv2.imencode(extension, np.ascontiguousarray(pixels[..., ::-1]), options)
    if not done:
        raise DataError(f"{path}: OpenCV cannot encode a {extension} file")
    return content.tobytes()


def five_points(landmarks: Points) -> Points:
    """Return eye at the left, eye at the right, nose tip and mouth corners of 68 landmarks, (5, 2)."""
    return np.vstack([landmarks[36:42].mean(0), landmarks[42:48].mean(0), landmarks[[30, 48, 54]]])


# How far each of the 68 landmarks stands out of the plane that stays put when a head turns aside.
_DEPTH_PX: Final = np.array(
    [-2, -1, 0, 1, 3, 5, 8, 11, 12, 11, 8, 5, 3, 1, 0, -1, -2]
    + [7, 10, 12, 14, 15, 15, 14, 12, 10, 7]
    + [16, 20, 25, 30, 20, 22, 23, 22, 20]
    + [8, 11, 12, 12, 12, 11, 12, 12, 11, 8, 11, 12]
    + [14] * 20,
    dtype=float,
)


def _put(canvas: Pixels, figure: Figure) -> Pixels:
    mask = build_mask(figure.person, figure.units, small=figure.eyes_px < _SMALL_EYES_PX)
    size = (canvas.shape[1], canvas.shape[0])
    layer = warp_face(mask, figure.face(), shape_hair(figure.person.shape), figure.placement, size)
    return blend(layer[..., :3], canvas, layer[..., 3])


def _background(shot: Shot, random: np.random.Generator) -> Pixels:
    """Return a plain wall for a studio, otherwise blurred patches of related colours."""
    width, height = shot.size
    base = random.uniform(70, 190) + random.uniform(-22, 22, 3)
    if shot.studio:
        return np.full((height, width, 3), base.round(), np.uint8)
    cells = (int(random.integers(2, 10)), int(random.integers(2, 10)))
    patches = base + random.normal(0, 34, (*cells, 1)) + random.normal(0, 10, (*cells, 3))
    coarse = np.clip(patches, 12, 244).round().astype(np.uint8)
    method = cv2.INTER_LINEAR_EXACT if random.random() < 0.6 else cv2.INTER_NEAREST
    # Blurred at a quarter of the size: it has no detail that would be lost.
    small = cv2.resize(coarse, (width // 4, height // 4), interpolation=method)
    blurred = cv2.GaussianBlur(small, (0, 0), max(width, height) / 400)
    return np.asarray(cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR_EXACT), np.uint8)


def _light(canvas: Pixels, random: np.random.Generator, strength: float) -> Pixels:
    """Return the picture lit from one side, by a gain that changes linearly by up to `strength` to either side."""
    height, width = canvas.shape[:2]
    angle, fall, level = random.uniform(0, 2 * np.pi), random.uniform(0, strength), random.uniform(0.88, 1.06)
    along, down = (round(512 * fall * float(part), 3) for part in (np.cos(angle), np.sin(angle)))
    x, y = np.linspace(-along, along, width), np.linspace(-down, down, height)
    gain = np.round(level * (512 + x[None] + y[:, None])).astype(np.uint32)
    return np.asarray(np.minimum((canvas * gain[..., None]) >> 9, 255), np.uint8)


def _align(canvas: Pixels, landmarks: Points, side_px: int) -> Pixels:
    """Return the face with eyes and mouth where RAF-DB's aligned pictures have them, by a least-squares similarity."""
    template = np.array([(0.31, 0.38), (0.69, 0.38), (0.5, 0.58), (0.34, 0.76), (0.66, 0.76)]) * side_px
    # A similarity is one complex factor and a shift; its least-squares solution needs no decomposition.
    wanted, given = (points[:, 0] + 1j * points[:, 1] for points in (template, five_points(landmarks)))
    centred = given - given.mean()
    factor = (centred.real**2 + centred.imag**2).sum() / (centred.conj() * (wanted - wanted.mean())).sum()
    x, y = np.meshgrid(np.arange(side_px), np.arange(side_px))
    found = given.mean() + factor * (x + 1j * y - wanted.mean())
    return sample(canvas, np.stack([found.real, found.imag], -1).astype(np.float32))
