"""Parquet tables: read with clear errors, written completely or not at all, and hashed by their rows.

A table is one file (``samples.parquet``) or the parts of a folder (``part-00000.parquet`` …). Row groups have a fixed
size and nothing depends on pandas or the clock, so the same rows give the same bytes on every run.
"""

import errno
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core.errors import OutputError, TableError

PART_PATTERN: Final = "part-*.parquet"
# Readers hold one row group in memory: 1,024 faces of 224 px take some 22 MB.
_ROW_GROUP_ROWS: Final = 1024
_ZSTD_LEVEL: Final = 3


def pass_pandas_over() -> None:
    """Keep pyarrow from importing pandas to ask whether what it makes an array of is one of its series.

    It asks once a process, and the answer takes longer than all the rest of many commands. For processes of our own
    only, the command line and its workers, which have no such series; `to_pandas` imports pandas afterwards, too.
    """
    if "pandas" not in sys.modules:
        sys.meta_path.insert(0, _NoPandas)
        try:
            pa.array([None])
        finally:
            sys.meta_path.remove(_NoPandas)


class _NoPandas:
    """As an importer, Python asks it first for a module that is not loaded."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:  # noqa: ARG004 -- Python gives them
        """Say that pandas is not there."""
        if name == "pandas":
            raise ModuleNotFoundError(name)


def is_full(error: OSError) -> bool:
    """Return whether an error means that the disk or the user's quota is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def part_name(number: int) -> str:
    """Return the file name of the part with this number."""
    return f"part-{number:05d}.parquet"


def write_table(path: Path, table: pa.Table, *, row_group_rows: int = _ROW_GROUP_ROWS) -> None:
    """Write a table to one file, whole or not at all.

    Raises:
        OSError: the disk is full; `stage_output` says what that means for the stage.
        OutputError: the folder cannot be written.
    """
    write_slices(path, table.schema, [table], row_group_rows=row_group_rows)


def write_slices(
    path: Path, schema: pa.Schema, slices: Iterable[pa.Table], *, row_group_rows: int = _ROW_GROUP_ROWS
) -> None:
    """Write a table that comes in slices, in order, without holding more than one; whole or not at all.

    Args:
        path: the file.
        schema: of every slice.
        slices: each but the last must have a multiple of `row_group_rows` rows; the bytes are then those of the whole
            table.
        row_group_rows: rows per row group.

    Raises:
        OSError: the disk is full; `stage_output` says what that means for the stage.
        OutputError: the folder cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    packed, codecs = _codecs(schema)
    levels = dict.fromkeys(packed, _ZSTD_LEVEL)
    try:
        with pq.ParquetWriter(
            partial, schema, compression=codecs, compression_level=levels, use_dictionary=packed
        ) as writer:
            for table in slices:
                writer.write_table(table, row_group_size=row_group_rows)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        if is_full(error):
            raise
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from None


def _codecs(schema: pa.Schema) -> tuple[list[str], dict[str, str]]:
    """Return the columns to compress, and the codec of every column, by their names in the file.

    Binary columns contain encoded pictures. To compress them again or to build a dictionary of equal ones would take
    time and save nothing.
    """
    packed, codecs = [], {}
    for field in schema:
        path = f"{field.name}.list.element" if pa.types.is_nested(field.type) else field.name
        codecs[path] = "NONE" if pa.types.is_binary(field.type) else "ZSTD"
        if codecs[path] == "ZSTD":
            packed.append(path)
    return packed, codecs


def table_files(path: Path) -> list[Path]:
    """Return the files of a table: the file itself, or the sorted parts of a folder.

    Raises:
        TableError: there is no such file, or the folder holds no part.
    """
    if path.is_file():
        return [path]
    files = sorted(path.glob(PART_PATTERN)) if path.is_dir() else []
    if not files:
        raise TableError(f"{path}: no table here; expected a .parquet file or a folder with {PART_PATTERN}")
    return files


def read_table(path: Path, columns: Sequence[str] | None = None, schema: pa.Schema | None = None) -> pa.Table:
    """Read a whole table, parts in order.

    Args:
        path: a Parquet file, or a folder of parts.
        columns: only these columns, in this order.
        schema: what the columns must be; a column that is missing or of another type is an error.

    Raises:
        TableError: missing, torn, or without the asked columns.
    """
    return pa.concat_tables([read_part(file, columns, schema) for file in table_files(path)])


def read_part(file: Path, columns: Sequence[str] | None = None, schema: pa.Schema | None = None) -> pa.Table:
    """Read one Parquet file; see `read_table`."""
    try:
        with pq.ParquetFile(file) as parquet:
            check_schema(file, parquet.schema_arrow, columns, schema)
            return parquet.read(columns=None if columns is None else list(columns), use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise TableError(f"{file}: not a readable Parquet file: {_first_line(error)}") from None


def iter_batches(
    path: Path, columns: Sequence[str] | None = None, rows: int = _ROW_GROUP_ROWS
) -> Iterator[pa.RecordBatch]:
    """Yield a table in batches of at most `rows` rows, in order, without holding more than one.

    Raises:
        TableError: missing, torn, or without the asked columns.
    """
    for file in table_files(path):
        try:
            with pq.ParquetFile(file) as parquet:
                check_schema(file, parquet.schema_arrow, columns, None)
                yield from parquet.iter_batches(
                    rows, columns=None if columns is None else list(columns), use_threads=False
                )
        except (OSError, pa.ArrowException) as error:
            raise TableError(f"{file}: not a readable Parquet file: {_first_line(error)}") from None


def count_rows(path: Path) -> int:
    """Return the number of rows from the footers alone."""
    try:
        return sum(pq.read_metadata(file).num_rows for file in table_files(path))
    except (OSError, pa.ArrowException) as error:
        raise TableError(f"{path}: not a readable Parquet file: {_first_line(error)}") from None


def check_schema(file: Path, found: pa.Schema, columns: Sequence[str] | None, schema: pa.Schema | None) -> None:
    """Refuse a file that lacks a column, or has one of another type than `schema` asks.

    Raises:
        TableError: names the file, the column and the type that would be right.
    """
    for name in columns or ():
        if name not in found.names:
            raise TableError(f"{file}: no column {name!r}; it has {', '.join(found.names)}")
    for field in schema or ():
        if columns is not None and field.name not in columns:
            continue
        if field.name not in found.names:
            raise TableError(f"{file}: no column {field.name!r}; it has {', '.join(found.names)}")
        if found.field(field.name).type != field.type:
            raise TableError(f"{file}: column {field.name!r} is {found.field(field.name).type}, not {field.type}")


def rows_to_table(rows: Iterable[Mapping[str, object]], schema: pa.Schema) -> pa.Table:
    """Build a table from one dict a row; absent keys are null."""
    return pa.Table.from_pylist(list(rows), schema=schema)


def digest_rows(path: Path) -> str:
    """Return the SHA-256 of a table's rows. It does not depend on part sizes, row groups or codecs."""
    return _digest(iter_batches(path))


def digest_table(table: pa.Table) -> str:
    """Return the SHA-256 of the rows of a table in memory, as `digest_rows` does."""
    return _digest(table.to_batches())


def _digest(batches: Iterable[pa.RecordBatch]) -> str:
    digests: dict[str, hashlib._Hash] = {}
    for batch in batches:
        # A struct is flattened to its fields, so that the bytes of a picture inside it are hashed as bytes.
        flat = pa.table(batch).flatten()
        for field, column in zip(flat.schema, flat.columns, strict=True):
            digest = digests.setdefault(f"{field.name}:{field.type}", hashlib.sha256())
            for chunk in column.chunks:
                _digest_column(digest, chunk)
    whole = {name: digest.hexdigest() for name, digest in sorted(digests.items())}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def _digest_column(digest: "hashlib._Hash", column: pa.Array) -> None:
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        for value in column:
            content = value.as_py()
            digest.update(b"null" if content is None else len(content).to_bytes(8, "little"))
            digest.update(content or b"")
    elif len(column):
        # One call that puts each row on its own line: one call per row takes several times as long.
        lines = json.dumps(column.to_pylist(), separators=("\n", ": "), default=_jsonable)[1:-1]
        digest.update(lines.encode() + b"\n")


def _jsonable(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
