"""Batches from shards: shuffled, resumable in the middle of an epoch, the same for any number of workers.

Workers are threads, because decoding a JPEG releases the interpreter's lock. A batch is decoded directly into one block
of memory, so nothing is collated, copied or sent between processes. The thread that waits for a batch decodes what no
worker has begun. `images` has the shape (B, 3, H, W) in channels_last memory: the decoder writes it that way, and
convolutions are faster on it.
"""

import math
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from models.core.affect import AFFECTS
from models.core.inputs import InputSpec
from models.data.decode import Blocks, Decoding, Task
from models.data.encoded import EncodedRows, PieceReader, concat_rows
from models.data.order import EpochOrder, Window
from pipeline.core.errors import ModelError, UsageError
from pipeline.shards.read import ShardFolder, open_shards

_STATE_KEYS: Final = ("snapshot", "split", "shuffle", "seed", "rank", "world_size")


@dataclass(frozen=True, slots=True)
class Batch:
    """Decoded samples.

    Attributes:
        images: uint8 (B, 3, H, W), RGB, 0..255, channels_last.
        labels: int64 (B,), class indices, NO_CLASS for none.
        probs: float32 (B, 8), soft labels, all 0 for none.
        valence: float32 (B,), in [-1, 1], 0 where missing.
        arousal: float32 (B,), in [-1, 1], 0 where missing.
        dominance: float32 (B,), in [-1, 1], 0 where missing.
        valence_mask: bool (B,), true where valence is given.
        arousal_mask: bool (B,), true where arousal is given.
        dominance_mask: bool (B,), true where dominance is given.
        weights: float32 (B,), sample weights, 1 unless the balance is `weights`.
        sample_ids: B identifiers.
        datasets: B dataset names.
    """

    images: torch.Tensor
    labels: torch.Tensor
    probs: torch.Tensor
    valence: torch.Tensor
    arousal: torch.Tensor
    dominance: torch.Tensor
    valence_mask: torch.Tensor
    arousal_mask: torch.Tensor
    dominance_mask: torch.Tensor
    weights: torch.Tensor
    sample_ids: list[str]
    datasets: list[str]

    def __len__(self) -> int:
        return len(self.sample_ids)


class ShardLoader:
    """Batches of one split. Each iteration is one epoch; the next iteration is the next epoch.

    Args:
        shards: the folder that `prep shard` wrote, or its storage address.
        split: train, val or test.
        batch_size: samples per batch; the last batch of an epoch may be smaller.
        shuffle: shuffle again in every epoch; otherwise rows come as they are stored.
        seed: of the order.
        workers: decoding threads besides the calling one; the batches do not depend on it.
        spec: the network's input. Faces are decoded at the scale that it needs, which may be half the size or less;
            None: full size.
        rank: number of this process among those that train together.
        world_size: number of these processes. Each gets the same number of samples and batches; if the rows cannot be
            divided equally, the first few of the epoch's order come twice (recognisable by their sample_id).
        unclassed: also read the rows without a class, which have a valence, an arousal or a dominance.

    Raises:
        TableError: the shards are missing or torn.
        DataError: there is no such split.
        UsageError: a number is out of range.
    """

    def __init__(  # noqa: PLR0913 - what is read, in which order, for whom
        self,
        shards: Path | str,
        split: str,
        *,
        batch_size: int,
        shuffle: bool,
        seed: int,
        workers: int = 0,
        spec: InputSpec | None = None,
        rank: int = 0,
        world_size: int = 1,
        unclassed: bool = False,
    ) -> None:
        if batch_size < 1 or workers < 0 or not 0 <= rank < world_size:
            raise UsageError(
                "ShardLoader: expected batch_size >= 1, workers >= 0 and 0 <= rank < world_size, "
                f"not {batch_size}, {workers}, {rank}, {world_size}"
            )
        self.folder: ShardFolder = open_shards(shards, unclassed=unclassed)
        self.batch_size = batch_size
        self.workers = workers
        self._spec = spec
        self._split = split
        entries = self.folder.entries(split)
        self._pieces = PieceReader(self.folder, entries)
        self._order = EpochOrder(
            [entry.rows for entry in entries], self.folder.row_group_rows, shuffle, seed, rank, world_size
        )
        self._epoch = 0
        self._position = 0  # samples yielded in this epoch
        self._resume = False
        self._blocks = Blocks(2 * workers + 4)  # the batches decoded ahead, and those that a training loop refers to

    def __len__(self) -> int:
        """Return the number of batches of a whole epoch: the same for every rank."""
        return math.ceil(self._order.rows / self.batch_size)

    @property
    def rows(self) -> int:
        """How many samples this rank yields in a whole epoch."""
        return self._order.rows

    @property
    def epoch(self) -> int:
        """The epoch that is being, or will next be, iterated."""
        return self._epoch

    def set_epoch(self, epoch: int) -> None:
        """Set the next epoch. If `load_state_dict` has just restored this epoch, it resumes where it was."""
        if epoch != self._epoch:
            self._epoch, self._position, self._resume = epoch, 0, False

    def state_dict(self) -> dict[str, Any]:
        """Return the position of this loader, after the last batch it has yielded, as plain JSON values."""
        return {**self._identity(), "epoch": self._epoch, "position": self._position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume where `state_dict` was taken: the next iteration yields the samples that had not been yielded.

        Raises:
            ModelError: the state belongs to other shards or to another order; names what differs.
        """
        here = self._identity()
        for key in _STATE_KEYS:
            if state.get(key) != here[key]:
                raise ModelError(f"{self.folder.location}: the state has {key} {state.get(key)!r}, not {here[key]!r}")
        self._epoch, self._position, self._resume = int(state["epoch"]), int(state["position"]), True

    def _identity(self) -> dict[str, Any]:
        order = self._order
        return {
            "snapshot": self.folder.snapshot_id,
            "split": self._split,
            "shuffle": order.shuffle,
            "seed": order.seed,
            "rank": order.rank,
            "world_size": order.world_size,
        }

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of this epoch, or the rest of it after `load_state_dict`; then advance to the next epoch.

        Raises:
            TableError: a shard is missing or torn.
            DataError: a picture cannot be decoded or has another size; names the sample.
        """
        if not self._resume:
            self._position = 0
        self._resume = False
        pool = ThreadPoolExecutor(self.workers, "decode") if self.workers else None
        try:
            for decoding in self._decodings(pool):
                batch = _batch(decoding)
                self._position += len(batch)
                yield batch
            self._epoch, self._position = self._epoch + 1, 0
        finally:
            if pool is not None:
                pool.shutdown(cancel_futures=True)

    def _decodings(self, pool: ThreadPoolExecutor | None) -> Iterator[Decoding]:
        """Yield batches that are being decoded, while the pool has begun with the ones after them."""
        ahead: deque[Decoding] = deque()
        for rows in self._batches(pool):
            ahead.append(Decoding(rows, pool, self._blocks, self._spec))
            if len(ahead) > 2 * self.workers:
                yield ahead.popleft()
        yield from ahead

    def _batches(self, pool: ThreadPoolExecutor | None) -> Iterator[EncodedRows]:
        """Yield the rows of each batch; a batch may begin in one window and end in the next."""
        rest: list[EncodedRows] = []
        for window in self._windows(pool):
            rows = concat_rows([*rest, window])
            whole = len(rows) - len(rows) % self.batch_size
            for start in range(0, whole, self.batch_size):
                yield rows.take(slice(start, start + self.batch_size))
            rest = [rows.take(slice(whole, None))]
        if rest and len(rest[0]):
            yield rest[0]

    def _windows(self, pool: ThreadPoolExecutor | None) -> Iterator[EncodedRows]:
        """Yield windows in shuffled order, while the next one is being read."""
        ahead: deque[tuple[Window, list[Task[EncodedRows]]]] = deque()
        for window in self._order.windows(self._epoch, self._position):
            reads = [Task(partial(self._pieces.read, piece), pool) for piece in window.pieces]
            ahead.append((window, reads))
            if len(ahead) > 1:
                yield _mixed(*ahead.popleft())
        for waiting in ahead:
            yield _mixed(*waiting)


def _mixed(window: Window, reads: list[Task[EncodedRows]]) -> EncodedRows:
    return concat_rows([read.result() for read in reads]).take(window.order)


def _batch(decoding: Decoding) -> Batch:
    rows = decoding.rows
    affect = {name: getattr(rows, name) for name in AFFECTS}
    return Batch(
        images=torch.from_numpy(decoding.pixels()).permute(0, 3, 1, 2),
        labels=torch.from_numpy(rows.labels.copy()),
        probs=torch.from_numpy(rows.probs.copy()),
        **{name: torch.from_numpy(np.nan_to_num(values)) for name, values in affect.items()},
        **{f"{name}_mask": torch.from_numpy(~np.isnan(values)) for name, values in affect.items()},
        weights=torch.from_numpy(rows.weights.copy()),
        sample_ids=rows.sample_ids.tolist(),
        datasets=rows.datasets.tolist(),
    )
