"""Sheets of training faces: a row a class, drawn at random, or what augmentation makes of one face of each class.

They show what a network reads, so that a wrong label map, a lost margin or too strong an augmentation is seen before a
training. They show faces of the dataset, only those that its terms allow, and are no output of a stage.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from models.core.classes import find_columns
from models.core.inputs import InputSpec
from models.core.streams import Purpose, stream, stream_seed
from models.training.augment import Augmentation
from models.training.run import Job
from pipeline.core.catalog import may_show, terms_in
from pipeline.core.errors import DataError, UsageError
from pipeline.images import decode_face
from pipeline.report.sheet import Pixels, Tile, build_sheet
from pipeline.shards.read import ShardFolder, iter_shards

_TILE_PX: Final = 96
_WHO: Final = ["sample_id", "dataset", "label", "subject_id"]
_BLANK: Final = Tile(np.full((_TILE_PX, _TILE_PX), 255, np.uint8))


def sheet_of_classes(folder: ShardFolder, split: str, per_class: int, seed: int) -> Pixels:
    """Return a sheet with a row a class, each of up to `per_class` faces drawn at random; the same for the same seed.

    Args:
        folder: the shards.
        split: train, val or test.
        per_class: faces in a row; what is left of it stays blank if a class has fewer.
        seed: of the draw.

    Returns:
        (height, width, 3) uint8 RGB.

    Raises:
        DataError: the split has no row, or none that its terms allow to show.
    """
    drawn = _draw(folder, split, per_class, seed)
    faces = dict(_read_faces(folder, split, [sample for row in drawn for sample in row]))
    tiles: list[Tile] = []
    for name, row in zip(folder.classes, drawn, strict=True):
        shown = [Tile(faces[sample], (name, sample.partition("/")[0])) for sample in row]
        tiles += shown + [_BLANK] * (per_class - len(shown))
    return build_sheet(tiles, columns=per_class, side_px=_TILE_PX, title=f"{split}: faces of each class, seed {seed}")


def sheet_of_augmentations(job: Job, columns: int) -> Pixels:
    """Return a sheet with one training face of each class a row: as the network reads it, then as augmented.

    Args:
        job: the training; its `augment` is applied to its input, at its size and with its seed.
        columns: pictures in a row.

    Raises:
        UsageError: nothing is augmented.
        DataError: there is no training row whose terms allow to show it.
    """
    name = job.params.augment
    if name == "none":
        raise UsageError("train.augment: none; choose thesis or strong to see what they do")
    augmentation = Augmentation(job.params.augmentations[name], job.spec.size_px)
    rows = zip(job.folder.classes, _draw(job.folder, "train", 1, job.seed), strict=True)
    drawn = {sample: label for label, row in rows for sample in row}
    faces = dict(_read_faces(job.folder, "train", list(drawn)))
    tiles: list[Tile] = []
    for number, (sample, label) in enumerate(drawn.items()):
        read = _as_read(job.spec, faces[sample])
        torch.manual_seed(stream_seed(Purpose.sheet, job.seed, number))
        changed = augmentation(read.expand(columns - 1, *read.shape[1:]))
        tiles += [Tile(_pixels(face), (label,)) for face in (read.float()[0] / 255, *changed)]
    return build_sheet(tiles, columns=columns, side_px=_TILE_PX, title=f"left: as read; then augmented ({name})")


def _draw(folder: ShardFolder, split: str, per_class: int, seed: int) -> list[list[str]]:
    """Return the sample ids of each class's row, in the order of the classes."""
    table = pa.concat_tables(iter_shards(folder, split, _WHO)) if split in folder.splits else None
    if table is None or not len(table):
        raise DataError(f"the shards have no {split} rows")
    bound = terms_in(folder.contract)
    people = zip(table["dataset"].to_pylist(), table["subject_id"].to_pylist(), strict=True)
    table = table.filter(pa.array([may_show(bound.get(name, ""), subject) for name, subject in people]))
    if not len(table):
        raise DataError(f"the terms of the datasets allow to show no face of {split}")
    dice = np.random.default_rng(stream(Purpose.sheet, seed))
    rows: list[list[str]] = []
    for label in find_columns(folder.classes):
        # A copied row, as oversampling writes it, is one face.
        names = sorted(set(table.filter(pc.equal(table["label"], label))["sample_id"].to_pylist()))
        chosen = dice.permutation(len(names))[:per_class]
        rows.append([names[place] for place in chosen])
    return rows


def _read_faces(folder: ShardFolder, split: str, wanted: list[str]) -> Iterator[tuple[str, Pixels]]:
    among = pa.array(wanted, pa.string())
    for part in iter_shards(folder, split, ["sample_id", "image"]):
        found = part.filter(pc.is_in(part["sample_id"], among))
        for sample, image in zip(found["sample_id"].to_pylist(), found["image"].to_pylist(), strict=True):
            yield sample, decode_face(image["bytes"])


def _as_read(spec: InputSpec, face: Pixels) -> torch.Tensor:
    """Return (1, channels, S, S) uint8: a face at the side, the margin and with the colours that the network sees."""
    pixels = torch.from_numpy(face if face.ndim == 3 else face[:, :, None])
    return spec.resize(pixels.permute(2, 0, 1)[None])


def _pixels(face: torch.Tensor) -> Pixels:
    levels = (face * 255).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()
    return levels[:, :, 0] if levels.shape[2] == 1 else levels
