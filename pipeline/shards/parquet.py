"""Parquet shards with small row groups. The same rows always give the same bytes."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core.schema import ATTRIBUTES
from pipeline.shards.columns import SHARD_SCHEMA, Batch, sample_key, shard_schema

# Row groups are small, so that a reader can mix the rows of many shards in little memory: 64 faces of 224 px take
# 2.5 MB.
ROW_GROUP_ROWS: Final = 64
_PICTURE_COLUMN: Final = "image.bytes"
# Pictures are neither compressed nor given a dictionary or statistics: JPEG does not shrink any further, and nobody
# looks up a picture by its smallest byte.
_LEAVES: Final = [*(field.name for field in SHARD_SCHEMA if not pa.types.is_nested(field.type)), "image.path"]
_LISTS: Final = [f"{name}.list.element" for name in ("label_probs", "landmarks")]


def write_parquet(path: Path, shard: str, batches: Iterable[Batch], common: dict[str, Any]) -> None:
    """Write one Parquet shard with one row group per batch, and without a time in it.

    Args:
        path: the file to write.
        shard: the shard's name.
        batches: of each row group, its rows as `columns.ROW_SCHEMA` and its encoded pictures.
        common: the snapshot id as ``snapshot`` and the contract as ``contract``.
    """
    schema = shard_schema(common["snapshot"], common["contract"])
    codecs = dict.fromkeys([*_LEAVES, *_LISTS], "ZSTD") | {_PICTURE_COLUMN: "NONE"}
    statistics = [name for name in _LEAVES if name != "image.path"]
    first = 0
    with pq.ParquetWriter(
        path,
        schema,
        compression=codecs,
        use_dictionary=["dataset", "subject_id", *ATTRIBUTES],
        write_statistics=statistics,
    ) as writer:
        for rows, images in batches:
            names = [f"{sample_key(shard, first + row)}.jpg" for row in range(len(images))]
            pictures = pa.StructArray.from_arrays(
                [pa.array(images, pa.binary()), pa.array(names, pa.string())], names=["bytes", "path"]
            )
            columns = [*(column.combine_chunks() for column in rows.columns), pictures]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema), row_group_size=ROW_GROUP_ROWS)
            first += len(images)


def count_rows(path: Path) -> int:
    """Return the number of rows according to the footer of a shard."""
    return int(pq.read_metadata(path).num_rows)
