"""The tools of the alignment benchmark, each from the bytes of pictures to stored crops."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import dlib
import numpy as np
import torch

from benchmarks.align_sets import Photo
from pipeline.align.cascade import Attempt, build_cascade, cascade_of_crops
from pipeline.align.crop import cut_faces
from pipeline.align.detectors.detector import Hint
from pipeline.align.detectors.dlib_hog import model_file
from pipeline.align.scale import search_side_px, view_of
from pipeline.align.search import find_faces
from pipeline.core.params import AlignParams, read_params
from pipeline.geometry.similarity import fit_similarity, template_points
from pipeline.geometry.warp import warp_face
from pipeline.images import Scaled, decode, encode_face, open_picture

PARAMS = read_params(Path(__file__).resolve().parent.parent / "params.yaml").align
TARGET = template_points(PARAMS.size_px, PARAMS.margin)
MAX_BYTES = 10**9
OURS, OURS_BOX, EXACT, FLOOR = "this project", "this project, box known", "this project, mtcnn-exact", "floor"
DEFAULTS, TUNED = "facenet-pytorch, defaults", "facenet-pytorch, tuned"


@dataclass(slots=True)
class Answer:
    """What a tool found in a picture: all boxes, which one it would take, and that one's five points."""

    boxes: np.ndarray
    largest: int
    points: np.ndarray | None
    told: bool = False  # asked for the labelled face, not for one of its choice

    @property
    def chosen(self) -> np.ndarray:
        """Return the boxes (n, 4) that count."""
        return self.boxes[self.largest : self.largest + 1]


NOTHING = Answer(np.zeros((0, 4)), 0, None)
Tool = Callable[[list[Photo]], list[Answer]]


def build_tools(*, with_boxes: bool, crops: bool = False) -> dict[str, Tool]:
    """Return every tool that runs in this process; `crops` gives ours the cascade for releases of crops."""
    torch.set_num_threads(1)
    names = cascade_of_crops(PARAMS.cascade) if crops else PARAMS.cascade
    cascade = build_cascade(PARAMS.model_copy(update={"cascade": names}))
    exact = build_cascade(PARAMS.model_copy(update={"cascade": ["mtcnn-exact"]}))
    tools: dict[str, Tool] = {FLOOR: floor, OURS: lambda photos: ours(cascade, photos, with_boxes=False)}
    if with_boxes:
        tools[OURS_BOX] = lambda photos: ours(cascade, photos, with_boxes=True)
    return tools | {
        EXACT: lambda photos: ours(exact, photos, with_boxes=False),
        DEFAULTS: facenet(20, None),
        TUNED: facenet(40, 640),
        "dlib HOG, 5 points": hog("shape_predictor_5_face_landmarks.dat"),
        "dlib HOG, 68 points": hog("shape_predictor_68_face_landmarks.dat"),
    }


def ours(
    cascade: list[Attempt], photos: list[Photo], *, with_boxes: bool, params: AlignParams = PARAMS
) -> list[Answer]:
    """Run the project's own steps, as `pipeline.align.part` does."""
    hints = [Hint(box, "face") if with_boxes and (box := photo.labelled) is not None else None for photo in photos]
    pictures = [_decode_scaled(photo.content, hint) for photo, hint in zip(photos, hints, strict=True)]
    views = [view_of(picture, hint) for picture, hint in zip(pictures, hints, strict=True)]
    results = find_faces(cascade, views, _say_nothing)
    seen = [index for index, result in enumerate(results) if result is not None]
    found = [result for result in results if result is not None]
    contents = [photos[index].content for index in seen]
    crops = cut_faces(found, [pictures[index] for index in seen], contents, params)
    answers = [NOTHING for _ in photos]
    for index, crop in zip(seen, crops, strict=True):
        points = np.array(crop.columns["landmarks"]).reshape(5, 2)
        answers[index] = Answer(np.array([crop.columns["face_box"]]), 0, points, with_boxes)
    return answers


def _decode_scaled(content: bytes, hint: Hint | None) -> Scaled:
    opened = open_picture(content)
    return opened.decode_scaled(search_side_px(opened.header, hint, PARAMS), max_bytes=MAX_BYTES)


def _say_nothing(_: int) -> None:
    pass


def floor(photos: list[Photo]) -> list[Answer]:
    """Decode, warp once from a fixed place, encode: what no tool can do without."""
    for photo in photos:
        pixels = decode(photo.content, max_bytes=MAX_BYTES)
        points = TARGET / PARAMS.size_px * min(pixels.shape[:2]) if photo.points is None else photo.points
        _store(pixels, points)
    return [NOTHING for _ in photos]


def _store(pixels: np.ndarray, points: np.ndarray) -> None:
    encode_face(warp_face(pixels, fit_similarity(points[None], TARGET)[0], PARAMS.size_px, PARAMS.border))


def _rgb(pixels: np.ndarray) -> np.ndarray:
    return pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, axis=2)


def facenet(least_px: int, longest_px: int | None) -> Tool:
    """Return facenet-pytorch's detector with our decoding, warp and storage around it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from facenet_pytorch import MTCNN

        detector = MTCNN(keep_all=True, min_face_size=least_px)

    def run(photos: list[Photo]) -> list[Answer]:
        answers = []
        for photo in photos:
            pixels = decode(photo.content, max_bytes=MAX_BYTES)
            scale = min(1.0, longest_px / max(pixels.shape[:2])) if longest_px else 1.0
            seen = _rgb(pixels)
            if scale < 1:
                seen = cv2.resize(seen, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            try:
                boxes, _, points = detector.detect(seen, landmarks=True)
            except (ValueError, RuntimeError):  # it refuses pictures smaller than its smallest face
                boxes = None
            if boxes is None:
                answers.append(NOTHING)
                continue
            five = np.array(points[0], float) / scale  # the largest comes first
            _store(pixels, five)
            answers.append(Answer(np.array(boxes, float) / scale, 0, five))
        return answers

    return run


def hog(points_file: str) -> Tool:
    """Return dlib's HOG detector, upsampled once as its users do, with our decoding, warp and storage around it."""
    detector = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(str(model_file(points_file)))

    def run(photos: list[Photo]) -> list[Answer]:
        answers = []
        for photo in photos:
            pixels = decode(photo.content, max_bytes=MAX_BYTES)
            seen = np.ascontiguousarray(_rgb(pixels))
            found = detector(seen, 1)
            if not found:
                answers.append(NOTHING)
                continue
            boxes = np.array([[box.left(), box.top(), box.right(), box.bottom()] for box in found], float)
            largest = int(np.argmax((boxes[:, 2:] - boxes[:, :2]).prod(1)))
            shape = np.array([[part.x, part.y] for part in predictor(seen, found[largest]).parts()], float)
            five = _five(shape)
            _store(pixels, five)
            answers.append(Answer(boxes, largest, five if len(shape) == 68 else None))
        return answers

    return run


def _five(shape: np.ndarray) -> np.ndarray:
    if len(shape) == 68:
        return np.stack([shape[36:42].mean(0), shape[42:48].mean(0), shape[30], shape[48], shape[54]])
    from pipeline.align.detectors.dlib_hog import five_points

    return five_points(shape)
