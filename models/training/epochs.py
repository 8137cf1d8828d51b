"""The batches of an epoch: from memory if the faces fit, otherwise streamed from the shards.

Both give the same kind of batch, and both can resume in the middle of an epoch. Faces in memory are decoded and scaled
once, to the side of the network's input. They are kept on the GPU if it has room for them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from models.core.inputs import InputSpec
from models.core.runtime import send
from models.core.streams import Purpose, stream_seed
from models.data.faces import FaceBatch, concat_faces, faces_of
from models.data.loader import ShardLoader
from models.training.feed import Feed
from pipeline.core.parallel.pool import worker_count

CPU: Final = torch.device("cpu")
_BYTES_PER_MB: Final = 1 << 20
_READ_ROWS: Final = 256
_SHARE_OF_FREE: Final = 0.25  # of a GPU's free memory, for faces; the network is not there yet and needs the rest


@dataclass(frozen=True, slots=True)
class Reading:
    """How a split is read: the shards, the split, the network's input, the number of decoding threads, the device.

    `unclassed` is whether rows without a class are read, too.
    """

    shards: Path
    split: str
    spec: InputSpec
    batch_size: int
    seed: int
    cache_mb: int
    workers: int = 0
    rank: int = 0
    world_size: int = 1
    device: torch.device = CPU
    unclassed: bool = False


def read_faces(reading: Reading, home: torch.device = CPU) -> FaceBatch:
    """Read a whole split into the memory of a device, in the order of the shards, scaled to the network's input.

    All cores decode, because nothing else runs at this time.
    """
    loader = ShardLoader(
        reading.shards,
        reading.split,
        batch_size=_READ_ROWS,
        shuffle=False,
        seed=0,
        workers=worker_count(),
        spec=reading.spec,
        unclassed=reading.unclassed,
    )
    return concat_faces([faces_of(batch, loader.folder.classes).to(home).scaled(reading.spec) for batch in loader])


def build_epochs(reading: Reading, epoch: Callable[[], int], *, shuffle: bool) -> Feed:
    """Return the batches to iterate: from memory if the scaled faces need at most `cache_mb`, otherwise streamed.

    The batches are on the device of the reading.

    Args:
        reading: what to read.
        epoch: returns the number of the epoch that begins; called at the start of each iteration.
        shuffle: shuffle again in every epoch.
    """
    loader = ShardLoader(
        reading.shards,
        reading.split,
        batch_size=reading.batch_size,
        shuffle=shuffle,
        seed=reading.seed,
        workers=reading.workers,
        spec=reading.spec,
        rank=reading.rank,
        world_size=reading.world_size,
        unclassed=reading.unclassed,
    )
    needed = loader.rows * reading.spec.channels * reading.spec.size_px**2
    if reading.world_size == 1 and needed <= reading.cache_mb * _BYTES_PER_MB:
        faces = read_faces(reading, find_home(reading.device, needed))
        memory = MemoryEpochs(faces, reading.batch_size, reading.seed, epoch, shuffle=shuffle)
        return Feed(memory, None, reading.device)
    return Feed(StreamedEpochs(loader, epoch, shuffle=shuffle), reading.spec, reading.device)


def find_home(device: torch.device, needed: int) -> torch.device:
    """Return the device on which `needed` bytes of faces are kept: the GPU if it has room for them, else the CPU."""
    if device.type == "cuda" and needed <= _SHARE_OF_FREE * torch.cuda.mem_get_info(device)[0]:
        return device
    return CPU


class MemoryEpochs:
    """Batches of faces in memory. The order of an epoch depends on seed and epoch only."""

    def __init__(
        self, faces: FaceBatch, batch_size: int, seed: int, epoch: Callable[[], int], *, shuffle: bool = True
    ) -> None:
        self.faces = faces
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = epoch
        self._shuffle = shuffle
        self._done = 0  # batches yielded in this epoch
        self._resume_at: tuple[int, int] | None = None  # epoch, batches

    def __len__(self) -> int:
        """Return the number of batches. A last batch of one face is left out of training: batch statistics need two."""
        whole, rest = divmod(len(self.faces), self._batch_size)
        return whole + (rest > 1 or (rest == 1 and not self._shuffle))

    def __iter__(self) -> Iterator[FaceBatch]:
        """Yield the batches of the epoch that begins, or what is left of the one that was interrupted."""
        epoch = self._epoch()
        resumes = self._resume_at is not None and self._resume_at[0] == epoch
        first = self._resume_at[1] if resumes and self._resume_at else 0
        self._resume_at = None
        order = send(self._order(epoch), self.faces.labels.device)
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
    """Batches as a `ShardLoader` decodes them. In training, a last batch of one face is left out here, too."""

    def __init__(self, loader: ShardLoader, epoch: Callable[[], int], *, shuffle: bool) -> None:
        self._fewest = 2 if shuffle else 1
        self._loader = loader
        self._epoch = epoch

    def __len__(self) -> int:
        whole, rest = divmod(self._loader.rows, self._loader.batch_size)
        return whole + (rest >= self._fewest)

    def __iter__(self) -> Iterator[FaceBatch]:
        """Yield the batches of the epoch that begins, or what is left of the one that was interrupted."""
        self._loader.set_epoch(self._epoch())
        for batch in self._loader:
            if len(batch) >= self._fewest:
                yield faces_of(batch, self._loader.folder.classes)

    def state_dict(self) -> dict[str, Any]:
        """Return where the loader is."""
        return self._loader.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume where `state_dict` was taken. Only the first process saves its state, but all are equally far."""
        self._loader.load_state_dict({**state, "rank": self._loader.state_dict()["rank"]})
