"""What one epoch of training reads: from memory where the faces fit, else streamed from the shards.

Both give the same kind of batch and both go on in the middle of an epoch. Faces kept in memory are scaled once, to the
side that the network reads, so that an epoch costs no decoding.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from models.affect import AFFECTS
from models.data import Batch, ShardLoader
from models.inputs import InputSpec
from models.streams import Purpose, stream_seed

_BYTES_PER_MB = 1 << 20
_READ_ROWS = 256


@dataclass(frozen=True, slots=True)
class Faces:
    """A batch, or a whole split, as training reads it. All tensors have the same first dimension.

    Attributes:
        pixels: uint8 (N, channels, size_px, size_px).
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

    def take(self, rows: Tensor) -> "Faces":
        """Return some rows in this order."""
        return Faces(*(getattr(self, field.name)[rows] for field in fields(self)))

    def without_pixels(self) -> "Faces":
        """Return what an answer is measured against, and not the pixels: they would take gigabytes."""
        return replace(self, pixels=self.pixels.new_empty(len(self), 0))

    def to(self, device: torch.device) -> "Faces":
        """Return the same on another device."""
        return Faces(*(getattr(self, field.name).to(device, non_blocking=True) for field in fields(self)))


class Epochs(Protocol):
    """Batches, epoch by epoch."""

    def __iter__(self) -> Iterator[Faces]:
        """Yield the batches of the epoch that begins."""

    def __len__(self) -> int:
        """Return how many there are."""

    def state_dict(self) -> dict[str, Any]:
        """Return where the iteration is."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a split is read: the shards, the split, how faces become inputs, by how many decoding threads."""

    shards: Path
    split: str
    spec: InputSpec
    batch_size: int
    seed: int
    cache_mb: int
    workers: int = 0
    rank: int = 0
    world_size: int = 1


def read_faces(reading: Reading) -> Faces:
    """Read a whole split into memory, in the order of the shards."""
    loader = ShardLoader(reading.shards, reading.split, batch_size=_READ_ROWS, shuffle=False, seed=0)
    return concat_faces([scale(batch, reading.spec) for batch in loader])


def build_epochs(reading: Reading, epoch: Callable[[], int], *, shuffle: bool) -> Epochs:
    """Return what training iterates: from memory if the scaled faces need at most `cache_mb`, else streamed.

    Args:
        reading: what to read.
        epoch: says which epoch begins when an iteration begins.
        shuffle: mix anew in every epoch.
    """
    loader = ShardLoader(
        reading.shards,
        reading.split,
        batch_size=reading.batch_size,
        shuffle=shuffle,
        seed=reading.seed,
        workers=reading.workers,
        rank=reading.rank,
        world_size=reading.world_size,
    )
    needed = loader.rows * reading.spec.channels * reading.spec.size_px**2
    if reading.world_size == 1 and needed <= reading.cache_mb * _BYTES_PER_MB:
        return MemoryEpochs(read_faces(reading), reading.batch_size, reading.seed, epoch, shuffle=shuffle)
    return StreamedEpochs(loader, reading.spec, epoch, shuffle=shuffle)


class MemoryEpochs:
    """Batches of faces in memory. The order of an epoch depends on the seed and the epoch alone."""

    def __init__(
        self, faces: Faces, batch_size: int, seed: int, epoch: Callable[[], int], *, shuffle: bool = True
    ) -> None:
        self.faces = faces
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = epoch
        self._shuffle = shuffle
        self._done = 0  # batches yielded in this epoch
        self._resume_at: tuple[int, int] | None = None  # epoch, batches

    def __len__(self) -> int:
        """Return the number of batches; a last one of a single face is left out, batch statistics need two."""
        whole, rest = divmod(len(self.faces), self._batch_size)
        return whole + (rest > 1 or (rest == 1 and not self._shuffle))

    def __iter__(self) -> Iterator[Faces]:
        """Yield the batches of the epoch that begins, or what is left of the one that was interrupted."""
        epoch = self._epoch()
        resumes = self._resume_at is not None and self._resume_at[0] == epoch
        first = self._resume_at[1] if resumes and self._resume_at else 0
        self._resume_at = None
        order = self._order(epoch)
        for number in range(first, len(self)):
            self._done = number + 1
            yield self.faces.take(order[number * self._batch_size : (number + 1) * self._batch_size])

    def state_dict(self) -> dict[str, Any]:
        """Return where the iteration is."""
        return {"epoch": self._epoch(), "done": self._done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self._resume_at = (int(state["epoch"]), int(state["done"]))

    def _order(self, epoch: int) -> Tensor:
        if not self._shuffle:
            return torch.arange(len(self.faces))
        generator = torch.Generator().manual_seed(stream_seed(Purpose.rows, self._seed, epoch))
        return torch.randperm(len(self.faces), generator=generator)


class StreamedEpochs:
    """Batches as a `ShardLoader` gives them, scaled. In training, a last one of a single face is left out here, too."""

    def __init__(self, loader: ShardLoader, spec: InputSpec, epoch: Callable[[], int], *, shuffle: bool) -> None:
        self._fewest = 2 if shuffle else 1
        self._loader = loader
        self._spec = spec
        self._epoch = epoch

    def __len__(self) -> int:
        whole, rest = divmod(self._loader.rows, self._loader.batch_size)
        return whole + (rest >= self._fewest)

    def __iter__(self) -> Iterator[Faces]:
        """Yield the batches of the epoch that begins, or what is left of the one that was interrupted."""
        self._loader.set_epoch(self._epoch())
        for batch in self._loader:
            if len(batch) >= self._fewest:
                yield scale(batch, self._spec)

    def state_dict(self) -> dict[str, Any]:
        """Return where the loader is."""
        return self._loader.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken, if only by the first of several processes: all are equally far."""
        self._loader.load_state_dict({**state, "rank": self._loader.state_dict()["rank"]})


def scale(batch: Batch, spec: InputSpec) -> Faces:
    """Turn a batch of the shards into one of inputs."""
    return Faces(
        pixels=spec.resize(batch.images).contiguous(),
        labels=batch.labels,
        probs=batch.probs,
        weights=batch.weights,
        affect=torch.stack([getattr(batch, name) for name in AFFECTS], 1),
        affect_given=torch.stack([getattr(batch, f"{name}_mask") for name in AFFECTS], 1),
    )


def concat_faces(parts: list[Faces]) -> Faces:
    """Return all rows of some batches as one."""
    return Faces(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(Faces)))
