"""Predicting the faces of a picture, with the same preprocessing that the network was trained with.

The steps of the checkpoint's contract are repeated: the cascade of detectors, the warp to the template, storage as
JPEG, equalization, and storage once more. So a picture of the dataset gets the same probabilities here as in
`evaluate`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from models.checkpoint import Checkpoint, load_checkpoint
from models.core.runtime import network_device
from models.data.decode import decode_for
from pipeline.align.cascade import Attempt, Found, build_cascade
from pipeline.align.choice import Choice
from pipeline.align.crop import cut_faces
from pipeline.align.detectors.detector import Faces, View
from pipeline.align.scale import search_side_px
from pipeline.align.search import find_turned
from pipeline.align.upright import set_upright
from pipeline.core.errors import DataError, ImageError, ModelError, ParamsError, UsageError
from pipeline.core.params import AlignParams, EqualizeParams
from pipeline.equalize.pixels import equalize_pixels, is_identity
from pipeline.geometry.similarity import TEMPLATE_NAME, box_sizes, overlaps
from pipeline.images import Scaled, decode_face, encode_face, open_picture

Pixels = NDArray[np.uint8]
# A picture file by its bytes or its path, or decoded: RGB (H, W, 3) or grey (H, W).
Picture = bytes | str | Path | Pixels

# Protects against hostile files, which take much memory to decode. It changes no probabilities.
_MAX_DECODE_MB: Final = 1000
MAX_BYTES: Final = _MAX_DECODE_MB * 10**6
# The most thorough attempt, and those after which it is asked, because they may find only the large faces of a picture.
_THOROUGH: Final = "mtcnn-full"
_COARSER: Final = frozenset({"mtcnn-box", "mtcnn-coarse", "mtcnn-medium", "mtcnn-fine", "mtcnn-padded"})
# A face that the thorough attempt adds needs at least this score. If its IoU with a known face is `_SAME_FACE_IOU` or
# more, it is taken for that face.
_SURE: Final = 0.9
_SAME_FACE_IOU: Final = 0.2
# Replaces limits that reject faces while a dataset is built. Here, every face that is found gets an answer.
_LET_ALL_PASS: Final = {
    "yunet_file": None,
    "max_decode_mb": _MAX_DECODE_MB,
    "deadline_s": 1e9,
    "max_points_outside": 5,
    "max_picture_share": 1e9,
}
# What contracts leave out that were written before there was a choice: nothing was denoised or normalized.
_AS_BEFORE: Final = {"denoise": "none", "denoise_px": 3, "denoise_levels": 25.0, "normalize": "none"}


@dataclass(frozen=True, slots=True)
class AnsweredFace:
    """One face of a picture. Coordinates are pixels of the picture after its EXIF rotation.

    Attributes:
        box: x0, y0, x1, y1.
        landmarks: ten numbers: x, y of the eye at the left of the picture, the other eye, the nose tip, the left and
            the right corner of the mouth.
        score: the detector's score, 0..1.
        attempt: the attempt of the cascade that found it.
        predicted: the most probable class; None for a network of affect alone.
        probabilities: class -> probability, in the order of the classes; empty for a network of affect alone.
        affects: of valence, arousal and dominance those that the network answers, in [-1, 1].
        pixels: the aligned and equalized face, uint8 (S, S) or (S, S, 3), before it is scaled for the network.
        doubts: reasons not to trust the prediction, see `Checkpoint.doubts`.
    """

    box: tuple[float, float, float, float]
    landmarks: tuple[float, ...]
    score: float
    attempt: str
    predicted: str | None
    probabilities: Mapping[str, float]
    affects: Mapping[str, float]
    pixels: Pixels
    doubts: Mapping[str, str] = field(default_factory=dict)


class Predictor:
    """A checkpoint together with its preprocessing. It loads the detectors once and is not safe for threads.

    `Predictor.load("runs/train")` reads the folder of a run. `predict` takes several pictures, `predict_one` takes one.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Set up the preprocessing of the checkpoint's contract.

        Raises:
            ModelError: the contract has a template, detector or setting that this version does not know.
        """
        self.checkpoint = checkpoint
        self._align = read_align(checkpoint.contract)
        self._equalize = read_equalize(checkpoint.contract)
        try:
            self._attempts = build_cascade(self._align)
        except ParamsError as error:
            raise ModelError(
                f"{checkpoint.info.model}: its contract names a detector that is not here: {error}"
            ) from None

    @classmethod
    def load(cls, run: Path | str, device: str | None = None) -> Self:
        """Load a trained network.

        Args:
            run: the folder that `prep train` wrote, or its model.safetensors.
            device: the device for the network, as torch names it; None: the one that `prep predict` uses (PREP_DEVICE).

        Raises:
            ModelError: there is no checkpoint, or this version cannot use it.
            ParamsError: PREP_DEVICE names a device that this machine does not have.
        """
        return cls(load_checkpoint(Path(run), device or network_device().name))

    def predict(self, pictures: Sequence[Picture]) -> list[list[AnsweredFace] | ImageError]:
        """Predict every face of several pictures, all of which are in memory together.

        Args:
            pictures: files, as bytes or paths, or uint8 arrays, RGB (H, W, 3) or grey (H, W). Files are rotated
                as their EXIF says; arrays are used as they are.

        Returns:
            For each picture a list of its faces, the largest first, which is empty if none was found; or an error that
            says why the picture cannot be used.

        Raises:
            UsageError: a single picture instead of a list, or an array of another type or shape.
            DataError: a path cannot be read.
        """
        if isinstance(pictures, bytes | str | Path | np.ndarray):
            raise UsageError("predict takes a list of pictures; predict_one takes a single one")
        given = [_read(picture) for picture in pictures]
        decoded = [self._decode(picture) for picture in given]
        usable = [
            (picture if isinstance(picture, bytes) else b"", scaled)
            for picture, scaled in zip(given, decoded, strict=True)
            if isinstance(scaled, Scaled)
        ]
        answered = iter(self._answer(usable))
        return [next(answered) if isinstance(scaled, Scaled) else scaled for scaled in decoded]

    def predict_one(self, picture: Picture) -> list[AnsweredFace]:
        """Predict every face of one picture, the largest first; takes what `predict` takes.

        Raises:
            ImageError: the picture cannot be used; `status` says why.
            UsageError: an array of another type or shape.
            DataError: a path cannot be read.
        """
        (faces,) = self.predict([picture])
        if isinstance(faces, ImageError):
            raise faces
        return faces

    def _decode(self, content: bytes | Pixels) -> Scaled | ImageError:
        """Decode a picture as `align` does without a box: scaled down as far as the crop allows."""
        if not isinstance(content, bytes):
            return Scaled(content, 1.0, 1.0, 0.0, 0.0, content.shape[1], content.shape[0])
        try:
            opened = open_picture(content)
            return opened.decode_scaled(search_side_px(opened.header, None, self._align), max_bytes=MAX_BYTES)
        except ImageError as error:
            return error

    def _answer(self, pictures: list[tuple[bytes, Scaled]]) -> list[list[AnsweredFace] | ImageError]:
        found = find_all(self._attempts, [View(picture.pixels) for _, picture in pictures])
        owners = [number for number, faces in enumerate(found) for _ in faces]
        crops = cut_faces(
            [face for faces in found for face in faces],
            [pictures[number][1] for number in owners],
            [pictures[number][0] for number in owners],
            self._align,
        )
        refused = {
            number: ImageError(crop.reason, crop.detail)
            for number, crop in zip(owners, crops, strict=True)
            if crop.reason is not None
        }
        cut = [(number, crop) for number, crop in zip(owners, crops, strict=True) if number not in refused]
        stored = [self._equalized(crop.image) for _, crop in cut]
        faces: list[list[AnsweredFace]] = [[] for _ in pictures]
        if stored:
            answers = self.checkpoint.outputs(decode_for(stored, self.checkpoint.spec)).numpy()
            for (number, crop), image, row in zip(cut, stored, answers, strict=True):
                faces[number].append(_describe(crop.columns, decode_face(image), row, self.checkpoint))
        return [refused.get(number, found) for number, found in enumerate(faces)]

    def _equalized(self, image: bytes) -> bytes:
        if is_identity(self._equalize):
            return image
        # Encoded as JPEG a second time, because the stage `equalize` stores its result, too.
        return encode_face(equalize_pixels(decode_face(image), self._equalize))


def _read(picture: Picture) -> bytes | Pixels:
    """Return the bytes of a file, or the array itself, contiguous in memory.

    Raises:
        UsageError: an array of another type or shape.
        DataError: a path cannot be read.
    """
    if isinstance(picture, np.ndarray):
        known = picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] == 3)
        if picture.dtype != np.uint8 or not known or not picture.size:
            shape = "x".join(map(str, picture.shape))
            raise UsageError(f"expected uint8 pixels, (H, W, 3) RGB or (H, W) grey, not {picture.dtype} {shape}")
        return np.ascontiguousarray(picture)
    if isinstance(picture, bytes):
        return picture
    try:
        return Path(picture).read_bytes()
    except OSError as error:
        raise DataError(f"{picture}: cannot be read: {error.strerror}") from None


def find_all(attempts: Sequence[Attempt], views: Sequence[View]) -> list[list[Found]]:
    """Return all faces of each view, the largest first.

    As in `align`, the first attempt of the cascade that finds a face decides. A coarse attempt may see only large
    faces, so the most thorough one then looks for others. Faces on their side or head are turned upright, as in
    `align`.

    Args:
        attempts: the cascade.
        views: the pictures to search.
    """
    results: list[list[Found]] = [[] for _ in views]
    for attempt in attempts:
        pending = [number for number, found in enumerate(results) if not found]
        for number, faces in zip(pending, _detect(attempt, views, pending), strict=True):
            results[number] = [_found(attempt, faces, row) for row in range(len(faces))]
    thorough = next((attempt for attempt in attempts if attempt.name == _THOROUGH), None)
    if thorough is not None:
        more = [number for number, found in enumerate(results) if found and found[0].attempt.name in _COARSER]
        for number, faces in zip(more, _detect(thorough, views, more), strict=True):
            results[number] += _others(results[number], thorough, faces)
    _turn_upright(attempts, views, results)
    return [sorted(found, key=_size, reverse=True) for found in results]


def _turn_upright(attempts: Sequence[Attempt], views: Sequence[View], results: list[list[Found]]) -> None:
    """Turn every face upright, in place. If no face of a picture is surely upright, search the picture turned."""
    unsure = []
    for number, (view, found) in enumerate(zip(views, results, strict=True)):
        verdicts = set_upright([(view, face) for face in found])
        results[number] = [verdict.found for verdict in verdicts]
        if not any(verdict.sure for verdict in verdicts):
            unsure.append(number)
    for number, turned in zip(unsure, find_turned(attempts, [views[number] for number in unsure]), strict=True):
        # The whole picture is replaced, and only by a face with a better score than all of its upright ones.
        if turned is not None and all(turned.score > face.score for face in results[number]):
            results[number] = [
                _found(turned.attempt, turned.faces, row, turned.turn_deg) for row in range(len(turned.faces))
            ]


def _detect(attempt: Attempt, views: Sequence[View], numbers: Sequence[int]) -> list[Faces]:
    return attempt.detector.detect([views[number] for number in numbers]) if numbers else []


def _found(attempt: Attempt, faces: Faces, row: int, turn_deg: int = 0) -> Found:
    return Found(attempt, faces, Choice(row, None, len(faces) - 1), turn_deg)


def _others(known: Sequence[Found], attempt: Attempt, faces: Faces) -> list[Found]:
    """Return the faces with a high score that overlap none of the known ones."""
    boxes = np.array([found.faces.boxes[found.choice.row] for found in known])
    return [
        _found(attempt, faces, row)
        for row in range(len(faces))
        if faces.scores[row] >= _SURE and overlaps(boxes, faces.boxes[row]).max() < _SAME_FACE_IOU
    ]


def _size(found: Found) -> float:
    return float(box_sizes(found.faces.boxes[found.choice.row][None])[0])


def read_align(contract: Mapping[str, Any]) -> AlignParams:
    """Return the alignment of a contract, with limits that let every face pass.

    Raises:
        ModelError: the contract has no alignment, one to another template, or an invalid one.
    """
    given = contract.get("align") or {}
    if given.get("template") != TEMPLATE_NAME:
        raise ModelError(
            f"the checkpoint was trained on faces of template {given.get('template')}, not {TEMPLATE_NAME}"
        )
    known = {name: given[name] for name in AlignParams.model_fields if name in given}
    try:
        return AlignParams(**(_LET_ALL_PASS | known))
    except ValidationError as error:
        raise ModelError(f"the checkpoint's contract does not say how to align: {_first(error)}") from None


def read_equalize(contract: Mapping[str, Any]) -> EqualizeParams:
    """Return the equalization of a contract.

    Raises:
        ModelError: the contract has no equalization, or an invalid one.
    """
    try:
        given = contract.get("equalize")
        return EqualizeParams(**(_AS_BEFORE | given if given else {}))
    except ValidationError as error:
        raise ModelError(
            f"the checkpoint's contract does not say how to equalize: {_first(error)}; train anew"
        ) from None


def _first(error: ValidationError) -> str:
    detail = error.errors()[0]
    return f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}"


def _describe(
    columns: Mapping[str, Any], pixels: Pixels, row: NDArray[np.float32], checkpoint: Checkpoint
) -> AnsweredFace:
    answers, heads = dict(zip(checkpoint.classes, map(float, row), strict=True)), checkpoint.info.heads
    shares = {name: answers[name] for name in heads.classes}
    x0, y0, x1, y1 = columns["face_box"]
    return AnsweredFace(
        box=(x0, y0, x1, y1),
        landmarks=tuple(columns["landmarks"]),
        score=columns["face_score"],
        attempt=columns["attempt"],
        predicted=max(shares, key=lambda name: shares[name]) if shares else None,
        probabilities=shares,
        affects={name: answers[name] for name in heads.values},
        pixels=pixels,
        doubts=checkpoint.doubts,
    )
