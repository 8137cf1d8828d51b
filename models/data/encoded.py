"""Rows in memory with encoded pictures; windows consist of them, and batches are taken from them."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from models.core.affect import AFFECTS
from models.data.order import Piece
from pipeline.core.emotions import NO_CLASS
from pipeline.core.errors import TableError
from pipeline.shards.read import ShardEntry, ShardFolder

_COLUMNS: Final = ["sample_id", "dataset", "label", "label_probs", *AFFECTS, "weight", "image.bytes"]
# Two windows of 16 row groups are read at a time, so no footer in use is dropped.
_FOOTERS_KEPT: Final = 64

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class EncodedRows:
    """Rows without decoded pixels; every field is one array or list of the same length.

    Attributes:
        images: the encoded pictures, views into the row groups they came with.
        labels: int64, NO_CLASS for none.
        probs: float32 (rows, 8), all 0 where there is no class.
        valence: float32, NaN where missing.
        arousal: float32, NaN where missing.
        dominance: float32, NaN where missing.
        weights: float32.
        sample_ids: object array of str.
        datasets: object array of str.
    """

    images: Array
    labels: Array
    probs: Array
    valence: Array
    arousal: Array
    dominance: Array
    weights: Array
    sample_ids: Array
    datasets: Array

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, order: npt.NDArray[np.int64] | slice) -> "EncodedRows":
        """Return these rows in this order."""
        return EncodedRows(*(getattr(self, field.name)[order] for field in fields(self)))


def concat_rows(parts: Sequence[EncodedRows]) -> EncodedRows:
    """Return the rows of all parts, in order. Pictures are not copied."""
    if len(parts) == 1:
        return parts[0]
    return EncodedRows(
        *(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(EncodedRows))
    )


class PieceReader:
    """Reads pieces of one split; thread-safe.

    It keeps the last few footers, because parsing one takes longer than reading a row group, but no open files, because
    a split may have thousands.
    """

    def __init__(self, folder: ShardFolder, entries: Sequence[ShardEntry]) -> None:
        self._folder = folder
        self._entries = entries
        self._footers: OrderedDict[int, pq.FileMetaData] = OrderedDict()

    def read(self, piece: Piece) -> EncodedRows:
        """Read the rows of one piece of one row group.

        Raises:
            TableError: the shard is missing or torn, or has other rows than the manifest says.
        """
        location = self._folder.parquet(self._entries[piece.shard])
        footer = self._footers.get(piece.shard)
        try:
            with location.open_arrow() as stream, pq.ParquetFile(stream, metadata=footer) as parquet:
                self._keep(piece.shard, parquet.metadata)
                group = parquet.read_row_group(piece.group, columns=_COLUMNS, use_threads=False)
        except (OSError, pa.ArrowException, IndexError) as error:
            raise TableError(f"{location}: not a readable shard: {str(error).splitlines()[0]}") from None
        if len(group) < piece.end:
            raise TableError(f"{location}: row group {piece.group} has {len(group)} rows, fewer than shards.json says")
        return _rows(group.combine_chunks().slice(piece.start, len(piece)).to_batches()[0])

    def _keep(self, shard: int, footer: pq.FileMetaData) -> None:
        self._footers[shard] = footer
        if len(self._footers) > _FOOTERS_KEPT:
            self._footers.popitem(last=False)


def _rows(batch: pa.RecordBatch) -> EncodedRows:
    return EncodedRows(
        images=_views(batch.column("image").field("bytes")),
        labels=_numbers(batch.column("label"), np.int64, NO_CLASS),
        probs=_shares(batch.column("label_probs")),
        **{name: _numbers(batch.column(name), np.float32) for name in AFFECTS},
        weights=_numbers(batch.column("weight"), np.float32),
        sample_ids=_objects(batch.column("sample_id").to_pylist()),
        datasets=_objects(batch.column("dataset").to_pylist()),
    )


def _numbers(column: pa.Array, dtype: type[np.generic], missing: float = np.nan) -> Array:
    """Return numbers, `missing` for null.

    Arrow's own conversion to NumPy would import pandas, which takes half a second, and so would its `fill_null`.
    """
    if column.null_count:
        return np.array([missing if value is None else value for value in column.to_pylist()], dtype)
    return np.frombuffer(column.buffers()[1], dtype, len(column), column.offset * np.dtype(dtype).itemsize)


def _shares(column: pa.Array) -> Array:
    if column.null_count:
        nothing = [0.0] * column.type.list_size
        return np.array([nothing if row is None else row for row in column.to_pylist()], np.float32)
    return _numbers(column.flatten(), np.float32).reshape(len(column), -1)


def _views(pictures: pa.Array) -> Array:
    offsets = np.frombuffer(pictures.buffers()[1], np.int32)[pictures.offset : pictures.offset + len(pictures) + 1]
    content = memoryview(pictures.buffers()[2]).cast("B")
    return _objects([content[start:end] for start, end in zip(offsets.tolist(), offsets[1:].tolist(), strict=False)])


def _objects(values: Sequence[object]) -> Array:
    array = np.empty(len(values), object)
    array[:] = values
    return array
