"""A batch, or a whole split, as training reads it."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from models.core.affect import AFFECTS
from models.core.classes import find_columns, find_outputs
from models.core.inputs import InputSpec
from models.data.loader import Batch
from pipeline.core.emotions import CLASSES


@dataclass(frozen=True, slots=True)
class FaceBatch:
    """Faces and their annotations. All tensors have the same first dimension and are on one device.

    Attributes:
        pixels: uint8 (N, channels, size_px, size_px); before `scaled`, as decoded, (N, 3, H, W).
        labels: int64 (N,), the output of each face's class; NO_CLASS for none.
        probs: float32 (N, outputs), soft labels, all 0 for none.
        weights: float32 (N,), of each sample in the loss.
        affect: float32 (N, 3), valence, arousal and dominance in [-1, 1], 0 if not annotated.
        affect_given: bool (N, 3), whether it is annotated.
    """

    pixels: Tensor
    labels: Tensor
    probs: Tensor
    weights: Tensor
    affect: Tensor
    affect_given: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: Tensor) -> "FaceBatch":
        """Return some rows in this order."""
        return FaceBatch(*(getattr(self, field.name)[rows] for field in fields(self)))

    def without_pixels(self) -> "FaceBatch":
        """Return the annotations only, without the pixels, which for a whole validation set would take gigabytes."""
        return replace(self, pixels=self.pixels.new_empty(len(self), 0))

    def scaled(self, spec: InputSpec) -> "FaceBatch":
        """Return decoded faces scaled to the network's input, on the device that they are on."""
        return replace(self, pixels=spec.resize(self.pixels).contiguous())

    def pinned(self) -> "FaceBatch":
        """Return a copy in pinned memory, from which a GPU can copy while the program goes on."""
        return FaceBatch(*(getattr(self, field.name).pin_memory() for field in fields(self)))

    def to(self, device: torch.device) -> "FaceBatch":
        """Return the same on another device."""
        return FaceBatch(*(getattr(self, field.name).to(device, non_blocking=True) for field in fields(self)))


def faces_of(batch: Batch, classes: Sequence[str] = CLASSES) -> FaceBatch:
    """Return a batch of the shards as a `FaceBatch` for a network of some classes, with pixels as decoded."""
    whole = len(classes) == len(CLASSES)
    return FaceBatch(
        pixels=batch.images,
        labels=batch.labels if whole else torch.from_numpy(find_outputs(batch.labels.numpy(), classes)),
        probs=batch.probs if whole else batch.probs[:, find_columns(classes)],
        weights=batch.weights,
        affect=torch.stack([getattr(batch, name) for name in AFFECTS], 1),
        affect_given=torch.stack([getattr(batch, f"{name}_mask") for name in AFFECTS], 1),
    )


def concat_faces(parts: Sequence[FaceBatch]) -> FaceBatch:
    """Return all rows of some batches as one."""
    return FaceBatch(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(FaceBatch)))
