"""Shards read back: opened, their contract, their rows in order. A folder or a storage address alike."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core.errors import DataError, TableError
from pipeline.core.names import PARQUET, SHARDS_NAME, WEBDATASET
from pipeline.core.storage import Location


@dataclass(frozen=True, slots=True)
class ShardEntry:
    """One shard: its name (``train-00000``) and how many rows it holds."""

    name: str
    rows: int


@dataclass(frozen=True, slots=True)
class ShardFolder:
    """An opened folder of shards; nothing but its manifest has been read."""

    location: Location
    snapshot_id: str
    contract: dict[str, Any]
    row_group_rows: int
    containers: tuple[str, ...]
    splits: dict[str, tuple[ShardEntry, ...]]

    def entries(self, split: str) -> tuple[ShardEntry, ...]:
        """Return the shards of a split.

        Raises:
            DataError: there is no such split; names those there are.
        """
        if split not in self.splits:
            raise DataError(f"{self.location}: no split {split!r}; it has {', '.join(sorted(self.splits)) or 'none'}")
        return self.splits[split]

    def parquet(self, entry: ShardEntry) -> Location:
        """Return where the Parquet file of a shard is.

        Raises:
            DataError: the shards were written in another container alone.
        """
        if PARQUET not in self.containers:
            raise DataError(
                f"{self.location}: holds {' and '.join(self.containers)} alone, and Parquet is what is read here; "
                "put parquet into shard.containers of params.yaml and run prep shard again"
            )
        return self.location / f"{PARQUET}/{entry.name}.parquet"


def open_shards(shards: Path | str) -> ShardFolder:
    """Open a folder of shards by its manifest alone.

    Args:
        shards: a folder, or an address such as ``s3://bucket/shards``.

    Raises:
        TableError: the manifest is missing or torn.
    """
    location = Location(shards)
    manifest = location / SHARDS_NAME
    try:
        content = json.loads(manifest.read_bytes())
        splits = {
            name: tuple(ShardEntry(entry["name"], entry["rows"]) for entry in entries)
            for name, entries in content["splits"].items()
        }
        containers = tuple(content.get("containers", (PARQUET, WEBDATASET)))  # shards of before had both
        return ShardFolder(
            location, content["snapshot"], content["contract"], content["row_group_rows"], containers, splits
        )
    except OSError as error:
        raise TableError(f"{manifest}: cannot be read: {error.strerror or error}; run prep shard first") from None
    except (ValueError, KeyError, TypeError) as error:
        raise TableError(f"{manifest}: not a manifest of shards: {error!r}; run prep shard again") from None


def iter_shards(folder: ShardFolder, split: str, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """Yield a split one row group at a time, in order; `columns` picks some.

    Raises:
        TableError: a shard is missing or torn.
    """
    for entry in folder.entries(split):
        yield from read_groups(folder, entry, columns)


def read_groups(folder: ShardFolder, entry: ShardEntry, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """Yield the row groups of one shard.

    Raises:
        TableError: the shard is missing or torn.
    """
    location = folder.parquet(entry)
    try:
        with location.open_arrow() as stream, pq.ParquetFile(stream) as parquet:
            for group in range(parquet.num_row_groups):
                yield parquet.read_row_group(group, columns=columns, use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise TableError(f"{location}: not a readable shard: {str(error).splitlines()[0]}") from None
