"""Saliency pictures: the mean map of each class, and the network's most confident mistakes.

They show faces of the dataset, so they stay below runs/ and out of git. Of CK+, they show only people who agreed to it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.checkpoint import Checkpoint
from models.data.loader import ShardLoader
from models.evaluation.affect_report import AffectRows
from models.evaluation.saliency import Maps, Pixels, cam_maps, choose_layer, gradient_maps, occlusion_maps, place
from pipeline.core.emotions import CLASSES
from pipeline.core.parallel.pool import Progress, no_progress
from pipeline.core.stage_output import StageOutput
from pipeline.report.sheet import Tile, build_sheet, write_png

_TILE_PX: Final = 128
_MISTAKE_COLUMNS: Final = 6
# Gradients keep all feature maps in memory, so a few faces at a time.
_FACES_AT_ONCE: Final = 16
_HIDES: Final = 0.65  # opacity of the map where it is strongest
_BLUR: Final = 1 / 48  # sigma as a share of the side, because single pixels of a gradient are too small to see
# Mistakes shown for a baseline, besides one face per class: occlusion needs dozens of answers for each face.
_OCCLUDED: Final = 4
_NOTHING: Final = np.full((_TILE_PX, _TILE_PX, 3), 255, np.uint8)


@dataclass(frozen=True, slots=True)
class Face:
    """One answered test face.

    Attributes:
        pixels: (H, W, 3).
        truth: what it shows, such as "happy" or "valence -".
        answer: what the network said, such as "sad 0.93".
        target: index of the network's output that is explained.
    """

    pixels: Pixels
    truth: str
    answer: str
    target: int


@dataclass(frozen=True, slots=True)
class Chosen:
    """A row to show: its position in the loader's order; for the other fields see `Face`."""

    row: int
    truth: str
    answer: str
    target: int


def choose_typical(labels: NDArray[np.int64], per_class: int) -> list[int]:
    """Return the rows of up to `per_class` faces of each class, evenly spaced, so that every dataset is represented."""
    chosen: list[int] = []
    for label in range(len(CLASSES)):
        rows = np.flatnonzero(labels == label)
        count = min(per_class, len(rows))
        chosen += rows[np.arange(count) * len(rows) // max(count, 1)].tolist()
    return chosen


def choose_mistakes(labels: NDArray[np.int64], probabilities: NDArray[np.float32], count: int) -> list[int]:
    """Return the rows of the most confident mistakes, the most confident first."""
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    rows = np.flatnonzero(predicted != labels)
    return [int(row) for row in rows[np.argsort(-confidence[rows], kind="stable")][:count]]


def choose_classes(
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float32],
    shown: NDArray[np.bool_],
    per_class: int,
    mistakes: int,
    classes: Sequence[str] = CLASSES,
) -> tuple[list[Chosen], list[Chosen]]:
    """Return typical faces of each class, with maps for that class, and mistakes, with maps for the answered class.

    Args:
        labels: (N,) true classes.
        probabilities: (N, 8) answers.
        shown: (N,) whether the terms allow to show the face.
        per_class: number of faces for the mean map of a class.
        mistakes: number of mistakes to show.
        classes: those of the network's outputs.
    """
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)

    def choose(row: int, target: int) -> Chosen:
        said = f"{CLASSES[predicted[row]]} {confidence[row]:.2f}"
        return Chosen(row, CLASSES[labels[row]], said, classes.index(CLASSES[target]))

    rows = np.flatnonzero(shown)
    typical = rows[choose_typical(labels[rows], per_class)].tolist()
    wrong = rows[choose_mistakes(labels[rows], probabilities[rows], mistakes)].tolist()
    return [choose(row, int(labels[row])) for row in typical], [choose(row, int(predicted[row])) for row in wrong]


def choose_affects(
    rows: AffectRows, shown: NDArray[np.bool_], per_sign: int, mistakes: int, *, first: int = 0
) -> tuple[list[Chosen], list[Chosen]]:
    """Return typical faces for each sign of each value, and those with the largest errors; see `choose_classes`.

    `first` is the column of the network's output that has the first value.
    """
    typical: list[Chosen] = []
    off: list[tuple[float, Chosen]] = []
    for target, (name, annotated, answers) in enumerate(rows.columns(), start=first):
        true = np.where(shown, annotated, np.float32(np.nan))

        def choose(row: int, truth: str, target: int = target, answers: NDArray[np.float32] = answers) -> Chosen:
            return Chosen(row, truth, f"{answers[row]:+.2f}", target)

        sign = np.where(true < 0, 0, np.where(true > 0, 1, -1))
        typical += [choose(row, f"{name} {'-+'[sign[row]]}") for row in choose_typical(sign, per_sign)]
        errors = np.nan_to_num(np.abs(answers - true))
        furthest = np.argsort(-errors, kind="stable")[:mistakes].tolist()
        off += [(errors[row], choose(row, f"{name} {true[row]:+.2f}")) for row in furthest if errors[row] > 0]
    off.sort(key=lambda entry: -entry[0])
    return typical, [chosen for _, chosen in off[:mistakes]]


def write_gallery(
    output: StageOutput,
    checkpoint: Checkpoint,
    loader: ShardLoader,
    typical: Sequence[Chosen],
    wrong: Sequence[Chosen],
    progress: Progress = no_progress,
) -> None:
    """Write saliency/classes.png and saliency/mistakes.png.

    Args:
        output: the stage's output.
        checkpoint: the network.
        loader: the answered faces, in order.
        typical: the faces for the mean maps.
        wrong: the mistakes.
        progress: called with maps done.
    """
    if checkpoint.network is None:
        typical, wrong = [next(of) for _, of in groupby(typical, lambda chosen: chosen.truth)], wrong[:_OCCLUDED]
    total, before = len(typical) + len(wrong), 0
    progress(0, total, "saliency maps")
    pixels = read_faces(loader, {chosen.row for chosen in (*typical, *wrong)})
    for name, rows, build in (("classes", typical, build_class_sheet), ("mistakes", wrong, build_mistake_sheet)):
        faces = [Face(pixels[chosen.row], chosen.truth, chosen.answer, chosen.target) for chosen in rows]
        targets = [face.target for face in faces]
        report = partial(_report, progress, before, total)
        maps = explain(checkpoint, [face.pixels for face in faces], targets, report)
        write_png(output.path(f"saliency/{name}.png"), build(faces, maps) if faces else _NOTHING)
        before += len(faces)


def read_faces(loader: ShardLoader, rows: set[int]) -> dict[int, Pixels]:
    """Return the pictures (H, W, 3) at these positions of the loader's order."""
    found: dict[int, Pixels] = {}
    start = 0
    for batch in loader:
        for row in rows.intersection(range(start, start + len(batch))):
            found[row] = batch.images[row - start].permute(1, 2, 0).contiguous().numpy()
        start += len(batch)
    return found


def _report(progress: Progress, before: int, total: int, done: int) -> None:
    progress(before + done, total, "saliency maps")


def explain(
    checkpoint: Checkpoint,
    faces: Sequence[Pixels],
    targets: Sequence[int],
    report: Callable[[int], None] | None = None,
) -> dict[str, Maps]:
    """Return each kind of map (N, H, W) of faces (H, W, 3): by gradients, or by occlusion for a model without them.

    Args:
        checkpoint: the network.
        faces: as stored.
        targets: the output of each that is explained.
        report: called with faces done.
    """
    parts: dict[str, list[Maps]] = {}
    for start in range(0, len(faces), _FACES_AT_ONCE):
        some = np.stack(faces[start : start + _FACES_AT_ONCE])
        for kind, maps in _explain_some(checkpoint, some, targets[start : start + _FACES_AT_ONCE]).items():
            parts.setdefault(kind, []).append(maps)
        if report is not None:
            report(start + len(some))
    return {kind: np.concatenate(maps) for kind, maps in parts.items()}


def _explain_some(checkpoint: Checkpoint, faces: Pixels, targets: Sequence[int]) -> dict[str, Maps]:
    side = faces.shape[1]
    network, spec = checkpoint.network, checkpoint.spec
    if network is None:
        return {"occlusion": place(occlusion_maps(checkpoint.predict, faces, targets), side)}
    images = torch.from_numpy(faces).permute(0, 3, 1, 2).to(checkpoint.device)
    classes = torch.tensor(targets, device=checkpoint.device)
    kinds = {"gradient": blur(gradient_maps(network, spec, images, classes))}
    if layers := [before_pooling(layer) for layer in checkpoint.feature_layers]:
        kinds["HiResCAM"] = cam_maps(network, choose_layer(network, layers, spec, images), spec, images, classes)
    return {kind: place(maps, side, spec.zoom) for kind, maps in kinds.items()}


def before_pooling(layer: nn.Module) -> nn.Module:
    """Return the layer before the max-pooling that ends a block: its map shows the same features at twice the size."""
    if isinstance(layer, nn.Sequential) and len(layer) > 1 and isinstance(layer[-1], nn.MaxPool2d):
        return layer[-2]
    return layer


def blur(maps: Maps) -> Maps:
    """Blur maps (N, S, S) a little, and scale their maximum back to 1."""
    import cv2

    spread = np.stack([cv2.GaussianBlur(heat, (0, 0), heat.shape[0] * _BLUR) for heat in maps])
    blurred: Maps = spread / np.maximum(spread.max(axis=(1, 2), keepdims=True), 1e-12)
    return blurred


def overlay(pixels: Pixels, heat: Maps) -> Pixels:
    """Draw a map (H, W), 0..1, over a face (H, W, 3); the stronger it is, the more its colour covers the face."""
    import cv2

    colours = cv2.applyColorMap((heat * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[:, :, ::-1]
    share = _HIDES * heat[:, :, None]
    mixed: Pixels = (pixels * (1 - share) + colours * share).round().astype(np.uint8)
    return mixed


def build_class_sheet(faces: Sequence[Face], kinds: dict[str, Maps]) -> Pixels:
    """Draw for each class its mean face and, over it, the mean of each kind of map; one column per class."""
    truths = np.array([face.truth for face in faces])
    present = list(dict.fromkeys(truths.tolist()))
    means = [
        np.mean([face.pixels for face in faces if face.truth == truth], axis=0).round().astype(np.uint8)
        for truth in present
    ]
    tiles = [
        Tile(mean, (truth, f"mean of {(truths == truth).sum()}")) for truth, mean in zip(present, means, strict=True)
    ]
    for kind, maps in kinds.items():
        for truth, mean in zip(present, means, strict=True):
            heat = maps[truths == truth].mean(axis=0)
            tiles.append(Tile(overlay(mean, heat / max(float(heat.max()), 1e-12)), (kind, truth)))
    return build_sheet(tiles, columns=len(present), side_px=_TILE_PX, title="Where the network looks, by true class")


def build_mistake_sheet(faces: Sequence[Face], kinds: dict[str, Maps]) -> Pixels:
    """Draw each mistake as the face and the maps for the answered class."""
    tiles = []
    for number, face in enumerate(faces):
        tiles.append(Tile(face.pixels, (f"is {face.truth}", f"said {face.answer}")))
        tiles += [Tile(overlay(face.pixels, maps[number]), (kind, face.answer)) for kind, maps in kinds.items()]
    columns = (1 + len(kinds)) * max(1, _MISTAKE_COLUMNS // (1 + len(kinds)))
    return build_sheet(tiles, columns=columns, side_px=_TILE_PX, title="The most confident mistakes")
