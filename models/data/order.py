"""The order in which an epoch reads the rows of a split. It depends on seed, epoch and rank only.

The unit of reading is a row group. An epoch permutes all groups, divides the resulting sequence of rows into equal
pieces, one for each rank, and shuffles the rows of a piece within windows of consecutive groups. So a reader has two
windows in memory, whatever the number of shards. Every rank yields the same number of rows: if they cannot be divided
equally, the sequence continues from its beginning, as in torch's `DistributedSampler`. Rows inside a shard are already
shuffled (`pipeline.shards.plan`), so a window is a random sample of the whole split.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from models.core.streams import Purpose, stream

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows `start` to `end` of one row group of one shard."""

    shard: int
    group: int
    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Window:
    """Pieces that are in memory together, and the order in which their concatenated rows are yielded."""

    pieces: tuple[Piece, ...]
    order: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class EpochOrder:
    """The order of one rank's rows in every epoch.

    Attributes:
        shard_rows: number of rows in each shard.
        group_rows: number of rows in a row group; the last one of a shard may have fewer.
        shuffle: whether to shuffle; if not, rows come as they are stored.
        seed: of the order.
        rank: number of this process among those that train together.
        world_size: number of these processes.
        window_groups: number of row groups that are shuffled together.
    """

    shard_rows: Sequence[int]
    group_rows: int
    shuffle: bool
    seed: int
    rank: int
    world_size: int
    window_groups: int = 16

    @property
    def rows(self) -> int:
        """Number of rows that each rank yields in an epoch; the same for all."""
        return -(-sum(self.shard_rows) // self.world_size)

    def windows(self, epoch: int, skip: int = 0) -> Iterator[Window]:
        """Yield the windows of an epoch, without the first `skip` rows."""
        pieces = self._pieces(epoch)
        number = 0
        while chosen := tuple(islice(pieces, self.window_groups)):
            size = sum(map(len, chosen))
            if skip < size:
                yield Window(chosen, self._mixed(epoch, number, size)[skip:])
            skip = max(0, skip - size)
            number += 1

    def _mixed(self, epoch: int, window: int, size: int) -> npt.NDArray[np.int64]:
        if not self.shuffle:
            return np.arange(size)
        return np.random.default_rng(stream(Purpose.window, self.seed, epoch, self.rank, window)).permutation(size)

    def _pieces(self, epoch: int) -> Iterator[Piece]:
        shards, groups, sizes = self._line(epoch)
        ends = np.cumsum(sizes)
        at, left = self.rank * self.rows, self.rows
        while left > 0:
            at %= int(ends[-1])  # the sequence continues from its beginning
            place = int(np.searchsorted(ends, at, side="right"))
            start = at - int(ends[place] - sizes[place])
            size = min(left, int(sizes[place]) - start)
            yield Piece(int(shards[place]), int(groups[place]), start, start + size)
            at, left = at + size, left - size

    def _line(self, epoch: int) -> tuple[Integers, Integers, Integers]:
        """Return shard, group and number of rows of every row group in the order of the epoch, as arrays."""
        rows = np.asarray(self.shard_rows, np.int64)
        counts = -(-rows // self.group_rows)
        shards = np.repeat(np.arange(len(rows)), counts)
        groups = np.arange(len(shards)) - np.repeat(np.cumsum(counts) - counts, counts)
        sizes = np.minimum(self.group_rows, rows[shards] - groups * self.group_rows)
        if not self.shuffle:
            return shards, groups, sizes
        order = np.random.default_rng(stream(Purpose.row_groups, self.seed, epoch)).permutation(len(shards))
        return shards[order], groups[order], sizes[order]
