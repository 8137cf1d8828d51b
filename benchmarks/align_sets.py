"""The photographs of the alignment benchmark and what is known about them; they stay where they are."""

import csv
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

_PORTRAITS_STEP = 12


@dataclass(slots=True)
class Photo:
    """One picture: its bytes, its annotated boxes (n, 4), and the five true points of its one face (5, 2)."""

    path: Path
    content: bytes
    boxes: np.ndarray | None = None
    points: np.ndarray | None = None

    @property
    def labelled(self) -> np.ndarray | None:
        """Return the box that a dataset with one label a picture would give: the largest."""
        if self.boxes is None:
            return None
        return self.boxes[int(np.argmax((self.boxes[:, 2:] - self.boxes[:, :2]).prod(1)))]


def frames(data: Path) -> list[Photo]:
    """Return landmarks68 with five points out of the 68, and the box that the 68 span."""
    folder = data / "landmarks68"
    photos = []
    if not folder.is_dir():
        return photos
    with (folder / "keypoints68.csv").open() as stream:
        for row in list(csv.reader(stream))[1:]:
            points = np.array(row[1:137], float).reshape(68, 2)
            five = np.stack([points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]])
            box = np.concatenate([points.min(0), points.max(0)])[None]
            path = folder / "images" / row[0]
            photos.append(Photo(path, path.read_bytes(), box, five))
    return photos


def portraits(data: Path) -> list[Photo]:
    """Return every twelfth of muxspace: one face each, no box."""
    paths = sorted((data / "muxspace" / "images").glob("*.jpg"))[::_PORTRAITS_STEP]
    return [Photo(path, path.read_bytes()) for path in paths]


def groups(data: Path) -> list[Photo]:
    """Return dlib's group photos, whose every face has a box."""
    photos = []
    for name in ("training", "testing"):
        file = data / "dlib_faces" / f"{name}_with_face_landmarks.xml"
        if not file.is_file():
            continue
        for image in ET.parse(file).getroot().iter("image"):  # noqa: S314 - shipped with the photographs
            boxes = [
                [float(box.get(side, 0)) for side in ("left", "top", "width", "height")] for box in image.iter("box")
            ]
            if boxes:
                found = np.array(boxes)
                path = file.parent / str(image.get("file"))
                photos.append(
                    Photo(path, path.read_bytes(), np.concatenate([found[:, :2], found[:, :2] + found[:, 2:]], 1))
                )
    return photos


SETS: dict[str, Callable[[Path], list[Photo]]] = {
    "video frames": frames,
    "portraits": portraits,
    "group photos": groups,
}


def _overlap(boxes: np.ndarray, box: np.ndarray) -> np.ndarray:
    low, high = np.maximum(boxes[:, :2], box[:2]), np.minimum(boxes[:, 2:], box[2:])
    common = np.maximum(high - low, 0).prod(1)
    return common / ((boxes[:, 2:] - boxes[:, :2]).prod(1) + (box[2:] - box[:2]).prod() - common)


def recall(photos: list[Photo], answers: list[Any] | None) -> float | None:
    """Return the share of pictures whose chosen face overlaps an annotated one by 0.3, or that have any face."""
    if answers is None:
        return None
    hits = []
    for photo, answer in zip(photos, answers, strict=False):  # the peers see the first hundred
        chosen = answer.chosen
        if photo.boxes is None or not len(chosen):
            hits.append(len(chosen) > 0)
        elif answer.told:
            hits.append(bool(_overlap(chosen, photo.labelled).max() >= 0.3))
        else:
            hits.append(max(_overlap(photo.boxes, box).max() for box in chosen) >= 0.3)
    return float(np.mean(hits))


def errors(photos: list[Photo], answers: list[Any] | None, which: slice = slice(None)) -> tuple[float, float] | None:
    """Return mean and median distance of the five points, or some of them, over that of the eyes, where known."""
    if answers is None or photos[0].points is None:
        return None
    found = [
        np.linalg.norm((answer.points - photo.points)[which], axis=1).mean()
        / np.linalg.norm(photo.points[0] - photo.points[1])
        for photo, answer in zip(photos, answers, strict=False)
        if answer.points is not None and photo.points is not None
    ]
    return (float(np.mean(found)), float(np.median(found))) if found else None
