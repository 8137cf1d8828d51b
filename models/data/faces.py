"""A batch, or a whole split, as training reads it."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from models.core.affect import AFFECTS
from models.core.inputs import InputSpec
from models.data.loader import Batch


@dataclass(frozen=True, slots=True)
class FaceBatch:
    """Faces and what is known of them. All tensors have the same first dimension and lie on one device.

    Attributes:
        pixels: uint8 (N, channels, size_px, size_px); before `scaled`, as they were decoded, (N, 3, H, W).
        labels: int64 (N,).
        probs: float32 (N, 8), soft labels.
        weights: float32 (N,), of each sample in the loss.
        affect: float32 (N, 2), valence and arousal, 0 where none is given.
        affect_given: bool (N, 2).
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
        """Return what an answer is measured against, and not the pixels: they would take gigabytes."""
        return replace(self, pixels=self.pixels.new_empty(len(self), 0))

    def scaled(self, spec: InputSpec) -> "FaceBatch":
        """Return decoded faces as the network reads them; where they lie, the scaling is done."""
        return replace(self, pixels=spec.resize(self.pixels).contiguous())

    def pinned(self) -> "FaceBatch":
        """Return a copy in memory from which a GPU fetches by itself, so that nobody waits for it."""
        return FaceBatch(*(getattr(self, field.name).pin_memory() for field in fields(self)))

    def to(self, device: torch.device) -> "FaceBatch":
        """Return the same on another device."""
        return FaceBatch(*(getattr(self, field.name).to(device, non_blocking=True) for field in fields(self)))


def faces_of(batch: Batch) -> FaceBatch:
    """Return what training needs of a batch of the shards, as it was decoded."""
    return FaceBatch(
        pixels=batch.images,
        labels=batch.labels,
        probs=batch.probs,
        weights=batch.weights,
        affect=torch.stack([getattr(batch, name) for name in AFFECTS], 1),
        affect_given=torch.stack([getattr(batch, f"{name}_mask") for name in AFFECTS], 1),
    )


def concat_faces(parts: Sequence[FaceBatch]) -> FaceBatch:
    """Return all rows of some batches as one."""
    return FaceBatch(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(FaceBatch)))
