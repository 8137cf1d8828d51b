"""Reading shards from a folder or a storage address: what they contain, their contract, their rows in order."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core.emotions import CLASSES
from pipeline.core.errors import DataError, TableError
from pipeline.core.names import PARQUET, SHARDS_NAME, WEBDATASET
from pipeline.core.storage import Location


@dataclass(frozen=True, slots=True)
class ShardEntry:
    """One shard: its name (``train-00000``) and its number of rows."""

    name: str
    rows: int


@dataclass(frozen=True, slots=True)
class ShardFolder:
    """An opened folder of shards. Only its manifest has been read.

    Attributes:
        location: the folder or storage address.
        snapshot_id: the id of the shards.
        contract: how their pixels and labels were made.
        row_group_rows: rows in each row group, except for the last one of a shard.
        containers: the containers that were written.
        splits: the shards of each split, in order; those of rows without a class last, if they were asked for.
        unclassed: whether they were.
    """

    location: Location
    snapshot_id: str
    contract: dict[str, Any]
    row_group_rows: int
    containers: tuple[str, ...]
    splits: dict[str, tuple[ShardEntry, ...]]
    unclassed: bool = False

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that rows may have, in their order: all eight, or some (`harmonize.classes`)."""
        return tuple(self.contract.get("classes", CLASSES))

    def entries(self, split: str) -> tuple[ShardEntry, ...]:
        """Return the shards of a split.

        Raises:
            DataError: there is no such split; the message lists those that exist.
        """
        if split not in self.splits:
            raise DataError(f"{self.location}: no split {split!r}; it has {', '.join(sorted(self.splits)) or 'none'}")
        return self.splits[split]

    def parquet(self, entry: ShardEntry) -> Location:
        """Return the location of a shard's Parquet file.

        Raises:
            DataError: the shards were not written as Parquet.
        """
        if PARQUET not in self.containers:
            raise DataError(
                f"{self.location}: holds {' and '.join(self.containers)} alone, and Parquet is what is read here; "
                "put parquet into shard.containers of params.yaml and run prep shard again"
            )
        return self.location / f"{PARQUET}/{entry.name}.parquet"


def open_shards(shards: Path | str, *, unclassed: bool = False) -> ShardFolder:
    """Open a folder of shards by reading its manifest.

    Args:
        shards: a folder, or an address such as ``s3://bucket/shards``.
        unclassed: also read the rows without a class, which have a valence, an arousal or a dominance.

    Raises:
        TableError: the manifest is missing or damaged.
    """
    location = Location(shards)
    manifest = location / SHARDS_NAME
    try:
        content = json.loads(manifest.read_bytes())
        splits: dict[str, tuple[ShardEntry, ...]] = {}
        for kind in ("splits", *(("unclassed",) if unclassed else ())):
            for name, entries in content.get(kind, {}).items():
                of_split = tuple(ShardEntry(entry["name"], entry["rows"]) for entry in entries)
                splits[name] = splits.get(name, ()) + of_split
        containers = tuple(content.get("containers", (PARQUET, WEBDATASET)))  # older manifests lack the key
        return ShardFolder(
            location,
            content["snapshot"],
            content["contract"],
            content["row_group_rows"],
            containers,
            splits,
            unclassed,
        )
    except OSError as error:
        raise TableError(f"{manifest}: cannot be read: {error.strerror or error}; run prep shard first") from None
    except (ValueError, KeyError, TypeError) as error:
        raise TableError(f"{manifest}: not a manifest of shards: {error!r}; run prep shard again") from None


def iter_shards(folder: ShardFolder, split: str, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """Yield a split one row group at a time, in order.

    Args:
        folder: the shards, see `open_shards`.
        split: train, val or test.
        columns: names of `columns.SHARD_SCHEMA`; None: all.

    Raises:
        DataError: there is no such split, or no Parquet.
        TableError: a shard is missing or damaged.
    """
    for entry in folder.entries(split):
        yield from read_groups(folder, entry, columns)


def read_groups(folder: ShardFolder, entry: ShardEntry, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """Yield the row groups of one shard; arguments as for `iter_shards`.

    Raises:
        DataError: the shards were not written as Parquet.
        TableError: the shard is missing or damaged.
    """
    location = folder.parquet(entry)
    try:
        with location.open_arrow() as stream, pq.ParquetFile(stream) as parquet:
            for group in range(parquet.num_row_groups):
                yield parquet.read_row_group(group, columns=columns, use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise TableError(f"{location}: not a readable shard: {str(error).splitlines()[0]}") from None
