"""What a network answers where a part of the face is hidden: masks from the stored points, and the scores under each.

The masks are polygons in the frame of the face: the line between the eyes is its x axis, and its unit the distance of
the eyes of a frontal face, so they turn and grow with it. Random blocks depend on the sample's id and the seed alone.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from models.checkpoint import Checkpoint
from models.core.calibration import to_probabilities
from models.core.classes import find_columns, widen
from models.data.loader import ShardLoader
from models.evaluation.held_out import HeldOut
from models.evaluation.measured import Done, TestSet
from models.evaluation.metrics import Answers, Bootstrap, Measured, answer, compare, measure
from pipeline.core.draws import keyed_order
from pipeline.core.names import TEST
from pipeline.core.parallel.pool import Progress
from pipeline.core.stage_output import StageOutput
from pipeline.geometry.similarity import TEMPLATE

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]

_GREY: Final = (128, 128, 128)
_DARK: Final = (20, 20, 20)
_BLUE: Final = (150, 190, 215)
_SIDES: Final = 24  # of the polygon that stands for an ellipse
_FAR: Final = 10.0  # in distances of the eyes: beyond every crop
_BLOCK_SHARE: Final = 0.4  # of the crop's side
_SCORES: Final = ("accuracy", "balanced_accuracy")
FOLDER: Final = "occlusion"  # in the output of evaluate
_SHEET_FACES: Final = 6
_CELL_PX: Final = 96
# From the eyes to the mouth, in distances of the eyes, on a frontal face.
_DOWN: Final = float((TEMPLATE[3:].mean(axis=0) - TEMPLATE[:2].mean(axis=0))[1] / (TEMPLATE[1] - TEMPLATE[0])[0])
_SHIFT: Final = 4  # OpenCV's fixed-point bits, 1/16 pixel


def _ellipse(x: float, y: float, wide: float, high: float) -> Floats:
    turn = np.linspace(0, 2 * np.pi, _SIDES, endpoint=False)
    return np.stack([x + wide * np.cos(turn), y + high * np.sin(turn)], axis=1)


def _box(x0: float, y0: float, x1: float, y1: float) -> Floats:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def _eyes(face: Floats) -> list[Floats]:
    return [_box(face[0, 0] - 0.5, -0.4, face[1, 0] + 0.5, 0.35)]


def _mouth(face: Floats) -> list[Floats]:
    x, y = face[3:].mean(axis=0)
    return [_ellipse(x, y, np.ptp(face[3:, 0]) / 2 + 0.25, 0.4)]


def _nose(face: Floats) -> list[Floats]:
    x, y = face[2]
    return [_ellipse(x, y - 0.1, 0.35, 0.4)]


def _left(_face: Floats) -> list[Floats]:
    return [_box(-_FAR, -_FAR, 0, _FAR)]


def _right(_face: Floats) -> list[Floats]:
    return [_box(0, -_FAR, _FAR, _FAR)]


def _sunglasses(face: Floats) -> list[Floats]:
    lenses = [_ellipse(x, y + 0.05, 0.4, 0.32) for x, y in face[:2]]
    return [*lenses, _box(face[0, 0] - 0.9, -0.12, face[1, 0] + 0.9, 0.0)]


def _surgical(face: Floats) -> list[Floats]:
    x, y = face[2]
    low = face[3:, 1].mean()
    outline = [[x, y - 0.25], [0.85, y - 0.05], [0.75, low + 0.3], [0.3, low + 0.75]]
    mirrored = [[-a, b] for a, b in outline[:0:-1]]
    return [np.array(outline + mirrored)]


_SHAPES: Final[Mapping[str, tuple[Callable[[Floats], list[Floats]], tuple[int, int, int]]]] = {
    "eyes": (_eyes, _GREY),
    "mouth": (_mouth, _GREY),
    "left": (_left, _GREY),
    "right": (_right, _GREY),
    "nose": (_nose, _GREY),
    "sunglasses": (_sunglasses, _DARK),
    "surgical_mask": (_surgical, _BLUE),
}
BLOCK: Final = "block"
REGIONS: Final = (*_SHAPES, BLOCK)


def hide(face: Pixels, points: Floats, region: str, draw: int = 0) -> Pixels:
    """Return a copy of a face with a region hidden.

    Args:
        face: (H, W, 3) RGB.
        points: (5, 2) in pixels: the eyes, the nose and the corners of the mouth, the left of the picture first.
        region: a name of REGIONS; `left` and `right` are those of the picture.
        draw: a number of 64 bits that places the block; the other regions do not depend on it.
    """
    hidden = face.copy()
    if region == BLOCK:
        height, width = face.shape[:2]
        tall, wide = round(height * _BLOCK_SHARE), round(width * _BLOCK_SHARE)
        top, left = (draw & 0xFFFFFFFF) % (height - tall + 1), (draw >> 32) % (width - wide + 1)
        hidden[top : top + tall, left : left + wide] = _GREY
        return hidden
    shape, colour = _SHAPES[region]
    across = points[1] - points[0]
    apart = float(max(np.hypot(*across), 1e-6))
    axes = np.array([across, [-across[1], across[0]]]) / apart
    middle = points[:2].mean(axis=0)
    # Eyes come together as a head turns, but stay as far above the mouth.
    unit = max(apart, float(np.hypot(*(points[3:].mean(axis=0) - middle))) / _DOWN)
    for polygon in shape((points - middle) @ axes.T / unit):
        placed = polygon * unit @ axes + middle
        fixed = np.round(placed * (1 << _SHIFT)).astype(np.int32)
        cv2.fillPoly(hidden, [fixed], colour, shift=_SHIFT)
    return hidden


def answer_hidden(
    checkpoint: Checkpoint,
    faces: ShardLoader,
    rows: HeldOut,
    regions: Sequence[str],
    seed: int,
    progress: Progress,
) -> dict[str, NDArray[np.float32]]:
    """Return region -> (N, 8) probabilities with that region hidden, in the order of the rows.

    Args:
        checkpoint: a network of classes.
        faces: the rows' faces at full size.
        rows: with their points.
        regions: names of REGIONS.
        seed: of the blocks.
        progress: called with the faces answered so far.
    """
    draws = keyed_order(rows.sample_id, seed, "occlusion")
    heads = checkpoint.info.heads
    logits: dict[str, list[torch.Tensor]] = {region: [] for region in regions}
    done = 0
    for batch in faces:
        pictures = batch.images.permute(0, 2, 3, 1).numpy()
        for region in regions:
            hidden = [
                hide(face, rows.points[at], region, int(draws[at])) for at, face in enumerate(pictures, start=done)
            ]
            stacked = torch.from_numpy(np.stack(hidden)).permute(0, 3, 1, 2)
            logits[region].append(heads.of_classes(checkpoint.logits(stacked)))
        done += len(batch)
        progress(done, faces.rows, "faces with a region hidden")
    heat = checkpoint.info.temperature
    return {
        region: widen(to_probabilities(torch.cat(parts, dim=1), heat).numpy(), heads.classes)
        for region, parts in logits.items()
    }


def score_hidden(
    clean: Measured, answers: Mapping[str, NDArray[np.float32]], rows: HeldOut, classes: Sequence[str], draws: Bootstrap
) -> dict[str, Any]:
    """Return region -> accuracy and balanced accuracy with intervals, and what is lost to the clean face (paired)."""
    found: dict[str, Any] = {}
    for region, probabilities in answers.items():
        predicted, confidence = answer(probabilities, find_columns(classes))
        measured = measure(Answers(rows.label, predicted, confidence, rows.group), draws)
        lost = compare(clean, measured)
        scores: Mapping[str, Any] = {name: measured.scores[name].plain() for name in _SCORES}
        found[region] = {**scores, "lost": {name: known.plain() for name in _SCORES if (known := lost[name])}}
    return found


def compare_hidden(
    test: TestSet, rows: HeldOut, checkpoint: Checkpoint, done: Done, output: StageOutput, progress: Progress
) -> None:
    """Measure the network with each region of `evaluate.occlusion` hidden, on rows with a class and a face."""
    regions, clean = test.params.occlusion, done.views[()].with_face
    if not regions or clean is None:
        return
    shards, size = test.shards, test.params.batch_size
    faces = ShardLoader(shards, TEST, batch_size=size, shuffle=False, seed=0)
    answers = answer_hidden(checkpoint, faces, rows, regions, test.bootstrap.seed, progress)
    found = score_hidden(clean, answers, rows, checkpoint.info.heads.classes, test.bootstrap)
    done.report["occlusion"] = done.details["occlusion"] = found
    draw_scores(output.path(f"{FOLDER}/accuracy.png"), clean, found)
    shown = np.flatnonzero(rows.shown)[:_SHEET_FACES]
    draw_masks(output.path(f"{FOLDER}/masks.png"), faces, rows, shown, regions, test.bootstrap.seed)


def draw_scores(path: Path, clean: Measured, found: Mapping[str, Any]) -> None:
    """Draw the balanced accuracy under each mask with its interval, and that of the clean faces as a line."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 0.6 + 0.4 * len(found)), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.add_subplot()
    for at, region in enumerate(reversed(list(found))):
        score = found[region]["balanced_accuracy"]
        axis.plot(score["value"], at, "o", color="tab:blue")
        if score["low"] is not None:
            axis.plot((score["low"], score["high"]), (at, at), color="tab:blue")
    axis.axvline(clean.scores["balanced_accuracy"].value, color="0.4", linestyle="--")
    axis.set(xlim=(0, 1), xlabel="balanced accuracy; dashed: nothing hidden")
    axis.set_yticks(range(len(found)), [name.replace("_", " ") for name in reversed(list(found))])
    figure.savefig(path, metadata={"Software": None})


def draw_masks(
    path: Path, faces: ShardLoader, rows: HeldOut, shown: NDArray[np.int64], regions: Sequence[str], seed: int
) -> None:
    """Write the masks as applied: a line for each face, clean first, then with each region hidden."""
    draws = keyed_order(rows.sample_id, seed, "occlusion")
    wanted, lines, start = set(shown.tolist()), [], 0
    for batch in faces:
        for at in sorted(wanted & set(range(start, start + len(batch)))):
            face = np.ascontiguousarray(batch.images[at - start].permute(1, 2, 0).numpy())
            hidden = (hide(face, rows.points[at], region, int(draws[at])) for region in regions)
            cells = [cv2.resize(cell, (_CELL_PX, _CELL_PX), interpolation=cv2.INTER_AREA) for cell in (face, *hidden)]
            lines.append(np.concatenate(cells, axis=1))
        start += len(batch)
        if len(lines) == len(wanted):
            break
    if not lines:
        lines = [np.full((_CELL_PX, _CELL_PX), 255, np.uint8)]  # the terms of no dataset let its faces be shown
    Image.fromarray(np.concatenate(lines)).save(path)
