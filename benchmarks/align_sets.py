"""The photographs of the alignment benchmark and what is known about them; they stay where they are."""

import csv
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

_PORTRAITS_STEP = 12
# A face whose points are off by more than this, in distances between the eyes, was read wrongly.
_WRONG = 0.2
# Squares around the 68 points, this much larger than they: what releases of faces cut out look like.
_TIGHT = 1.1
_SCRATCH = tempfile.TemporaryDirectory(prefix="tight_crops_")  # until the process ends: the peers read files


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


def tight(data: Path, side_px: int, *, grey: bool) -> list[Photo]:
    """Return the frames cut to their faces and brought to one side; the box is the picture."""
    folder = Path(_SCRATCH.name) / str(side_px)
    folder.mkdir(exist_ok=True)
    photos = []
    for frame in frames(data):
        pixels = cv2.imdecode(
            np.frombuffer(frame.content, np.uint8), cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR
        )
        box = frame.labelled
        centre, reach = (box[:2] + box[2:]) / 2, _TIGHT * (box[2:] - box[:2]).max() / 2
        low = np.maximum(np.round(centre - reach), 0).astype(int)
        cut = pixels[low[1] : int(centre[1] + reach), low[0] : int(centre[0] + reach)]
        scale = side_px / max(cut.shape[:2])
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        cut = cv2.resize(cut, None, fx=scale, fy=scale, interpolation=way)
        path = folder / frame.path.name
        cv2.imwrite(str(path), cut)
        whole = np.array([[0, 0, cut.shape[1], cut.shape[0]]], float)
        photos.append(Photo(path, path.read_bytes(), whole, (frame.points - low + 0.5) * scale - 0.5))
    return photos


SETS: dict[str, Callable[[Path], list[Photo]]] = {
    "video frames": frames,
    "portraits": portraits,
    "group photos": groups,
    "tight crops": partial(tight, side_px=224, grey=False),
    "tight crops of 48 px": partial(tight, side_px=48, grey=True),
}


CROPS = ("tight crops", "tight crops of 48 px")  # the sets that stand for releases of faces cut out


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
    found = _errors(photos, answers, which)
    return (float(np.mean(found)), float(np.median(found))) if found else None


def wrong_share(photos: list[Photo], answers: list[Any] | None) -> float | None:
    """Return the share of found faces whose points are off by more than 0.2 eye distances, where known."""
    if answers is None or photos[0].points is None:
        return None
    found = _errors(photos, answers, slice(None))
    return float(np.mean(np.array(found) > _WRONG)) if found else None


def _errors(photos: list[Photo], answers: list[Any], which: slice) -> list[float]:
    return [
        np.linalg.norm((answer.points - photo.points)[which], axis=1).mean()
        / np.linalg.norm(photo.points[0] - photo.points[1])
        for photo, answer in zip(photos, answers, strict=False)
        if answer.points is not None and photo.points is not None
    ]
