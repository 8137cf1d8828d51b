"""What the tests of faces work on: NASA's portrait of scikit-image, and the shared photographs where they are."""

import hashlib
import warnings
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg
import skimage.data

from pipeline.core.params import AlignParams, read_params
from pipeline.ingest.stage import run as ingest

ROOT = Path(__file__).parents[3]
SHARED = ROOT.parent / "shared" / "data"
INGEST = read_params(ROOT / "params.yaml").ingest


def align_params(**changes: object) -> AlignParams:
    """Return the project's own parameters, changed."""
    return read_params(ROOT / "params.yaml").align.model_copy(update=changes)


def portrait() -> np.ndarray:
    """Return the portrait, (512, 512, 3) RGB; its face is 110 px wide."""
    return np.ascontiguousarray(skimage.data.astronaut())


# The astronaut's eyes, nose tip and mouth corners, read off the picture by eye.
PORTRAIT_POINTS = np.array([[204.0, 101.0], [247.0, 103.5], [224.0, 127.0], [203.0, 140.0], [245.0, 141.0]])


def turned(pixels: np.ndarray, points: np.ndarray, angle_deg: float, scale: float, shift: tuple[float, float]):
    """Return a picture turned about its centre, scaled and shifted, and its points with it."""
    height, width = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle_deg, scale)
    matrix[:, 2] += shift
    return cv2.warpAffine(pixels, matrix, (width, height)), points @ matrix[:, :2].T + matrix[:, 2]


def tight_crop(corner: tuple[int, int], side: int, side_px: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a square of the portrait, scaled to a side, and the five points in it."""
    (left, top), ratio = corner, side_px / side
    part = portrait()[top : top + side, left : left + side]
    return cv2.resize(part, (side_px, side_px), interpolation=cv2.INTER_AREA), (
        PORTRAIT_POINTS - corner + 0.5
    ) * ratio - 0.5


def jpeg(pixels: np.ndarray, quality: int = 95) -> bytes:
    """Encode a picture."""
    if pixels.ndim == 2:
        return bytes(simplejpeg.encode_jpeg(pixels[:, :, None].copy(), quality, "GRAY", "Gray"))
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality, "RGB", "444"))


def write_tree(folder: Path, pictures: Mapping[str, bytes]) -> None:
    """Write a folder of class folders."""
    for name, content in pictures.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def ingested(folder: Path, samples: Path) -> Path:
    """Ingest a folder of class folders and return the samples."""
    ingest(str(folder), samples, dataset="toy", fmt="folder", params=INGEST)
    return samples


def tree_digest(folder: Path) -> dict[str, str]:
    """Return the digest of every file of an output."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def shared_photos(*patterns: str) -> list[Path]:
    """Return shared photographs, or skip where there are none."""
    if not SHARED.is_dir():
        pytest.skip("../shared/data is not here: no real photographs to test on")
    return [path for pattern in patterns for path in sorted(SHARED.glob(pattern))]


def facenet_mtcnn(**settings: object):
    """Return facenet-pytorch's detector, its warnings of other people's code silenced."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from facenet_pytorch import MTCNN

        return MTCNN(keep_all=True, **settings)


def facenet_detect(detector, pixels: np.ndarray):
    """Return facenet-pytorch's boxes (n, 4), scores and landmarks, best score first."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        boxes, scores, landmarks = detector.detect(pixels, landmarks=True)
    if boxes is None:
        return np.zeros((0, 4)), np.zeros(0), np.zeros((0, 5, 2))
    boxes, scores, landmarks = (np.asarray(part, float) for part in (boxes, scores, landmarks))
    order = np.argsort(-scores, kind="stable")
    return boxes[order], scores[order], landmarks[order]
