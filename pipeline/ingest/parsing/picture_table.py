"""Tables with a picture a row, in Parquet or Arrow: their other columns as text, and any picture at once.

Arrow files are mapped into memory, so a picture is a slice of the file. Parquet is packed in row groups, so each group
is unpacked once, as a stream, into a file without a name, from which pictures are read by their offsets.
"""

import mmap
import tempfile
import weakref
from abc import ABC, abstractmethod
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import accumulate
from typing import Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.core.errors import ImageError, SourceError
from pipeline.core.schema import Reason
from pipeline.ingest.dataset_options import code_of
from pipeline.ingest.parsing.arrow_columns import is_bytes, is_list_of_text, is_text, picture_column, text_of
from pipeline.ingest.parsing.delimited import Record, squash
from pipeline.ingest.parsing.features import class_names
from pipeline.ingest.parsing.label_columns import LABEL_NAMES
from pipeline.ingest.parsing.pixels import pixels_to_pgm
from pipeline.ingest.trees.archive import FREE_BYTES, MAX_RATIO
from pipeline.ingest.trees.pointers import check_no_pointer
from pipeline.ingest.trees.seekable import seekable
from pipeline.ingest.trees.tree import Tree

_PIXELS: Final = "pixels"
_MAX_COLUMNS: Final = 1000
_TEXT_ROWS: Final = 4096
_PICTURE_ROWS: Final = 64
_ARROW_MAGIC: Final = b"ARROW1"
# What reading hostile or damaged files raises.
_ERRORS: Final = (pa.ArrowException, OSError, ValueError, KeyError, IndexError, OverflowError, EOFError)


class PictureTable(ABC):
    """One table.

    Attributes:
        header: its columns that can be read as text.
        picture: its column of pictures; None if it has none.
        others: further columns of pictures, which are passed over.
        classes: the names of classes, by column.
    """

    def __init__(self, tree: Tree, name: str) -> None:
        self.name = name
        self.where = f"{tree.src}/{name}"
        check_no_pointer(tree, name)
        with self._readable():
            self._stream = seekable(tree, name)
            weakref.finalize(self, self._stream.close)
            schema = self._open()
        if len(schema) > _MAX_COLUMNS:
            raise SourceError(f"{self.where}: has {len(schema)} columns; at most {_MAX_COLUMNS} are read")
        self.picture, self.others = picture_column(self.where, schema)
        # FER2013 is shared with its pixels as text too, as its csv has them.
        self._as_pixels = self.picture is None and _PIXELS in schema.names
        self.picture = _PIXELS if self._as_pixels else self.picture
        # One value a row, and no struct of bytes and path.
        self._is_plain = self._as_pixels or (self.picture is not None and is_bytes(schema.field(self.picture).type))
        self.header: Sequence[str] | None = [
            field.name for field in schema if _is_cell(field) and field.name != self.picture
        ]
        self.classes = {
            column: names for column, names in class_names(tree, name, schema).items() if column in self.header
        }
        self._columns = {squash(column): place for place, column in reversed(list(enumerate(self.header)))}

    def records(self) -> Iterator[Record]:
        """Yield every row as text, with classes by their names; rows are numbered from 0, as `read` numbers them.

        Raises:
            SourceError: the table is damaged, or a code has no name.
        """
        header = self.header or ()
        for n, row in enumerate(zip(*(self._texts(column) for column in header), strict=True)):
            yield Record(row, f"{self.name} row {n}", self._columns, len(header))

    def pictures(self) -> Iterator[tuple[bool, str]]:
        """Yield for each row whether the table holds its picture, and the path beside it; "" where there is none."""
        column = self.picture or ""
        bare = [""] * len(self) if self._is_plain else self._leaf(column, "path")
        yield from zip(self._given(), (str(path or "") for path in bare), strict=True)

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of rows."""

    @abstractmethod
    def read(self, n: int) -> bytes:
        """Return the picture of a row.

        Raises:
            SourceError: there is no such row.
            ImageError: the table does not hold a picture there, or is damaged.
        """

    @abstractmethod
    def _open(self) -> pa.Schema: ...

    @abstractmethod
    def _chunks(self, column: str, rows: int) -> Iterator[pa.Array]:
        """Yield a column, or the field of one after a dot, in pieces."""

    @abstractmethod
    def _given(self) -> Iterator[bool]: ...

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except _ERRORS as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise SourceError(f"{self.where}: not a readable table: {reason[:200]}") from None

    def _decoded(self, value: bytes | str | None, n: int) -> bytes:
        if value is not None and self._as_pixels:
            value = pixels_to_pgm(value if isinstance(value, str) else value.decode("utf-8", "replace"))
        if not isinstance(value, bytes):
            raise ImageError(Reason.corrupt, f"{self.where}: row {n}: no picture can be read there")
        return value

    def _leaf(self, column: str, field: str) -> Iterator[Any]:
        with self._readable():
            for chunk in self._chunks(f"{column}.{field}", _TEXT_ROWS):
                yield from chunk.to_pylist()

    def _texts(self, column: str) -> Iterator[str]:
        names = self.classes.get(column)
        with self._readable():
            values = (value for chunk in self._chunks(column, _TEXT_ROWS) for value in chunk.to_pylist())
            for n, value in enumerate(values):
                yield text_of(value) if names is None else self._class(names, value, column, n)

    def _class(self, names: Sequence[str], value: Any, column: str, n: int) -> str:
        if isinstance(value, list):
            return repr([self._class(names, one, column, n) for one in value])
        text = text_of(int(value) if isinstance(value, bool) else value)
        code = code_of(text)
        if not text or code == -1:  # how `datasets` writes a missing class
            return ""
        if isinstance(value, str) and (code is None or value in names):
            return value
        if code is not None and 0 <= code < len(names):
            return names[code]
        raise SourceError(
            f"{self.where}: row {n}: {column} is {text_of(value)[:40]}, but it names the classes 0 to {len(names) - 1} "
            "only: its names and codes belong to different tables"
        )


class ArrowTable(PictureTable):
    """A stream or file of Arrow's IPC format, as `save_to_disk` writes it."""

    def __len__(self) -> int:
        return int(self._starts[-1])

    def read(self, n: int) -> bytes:
        """See `PictureTable.read`."""
        if not 0 <= n < len(self):
            raise SourceError(f"{self.where}: no row {n}")
        place = bisect_right(self._starts, n) - 1
        value = self._batches[place].column(self.picture)[n - self._starts[place]]
        found = value if self._is_plain or not value.is_valid else value["bytes"]
        return self._decoded(found.as_py() if found.is_valid else None, n)

    def _open(self) -> pa.Schema:
        mapped = mmap.mmap(self._stream.fileno(), 0, access=mmap.ACCESS_READ)
        source = pa.BufferReader(pa.py_buffer(mapped))
        if mapped[: len(_ARROW_MAGIC)] == _ARROW_MAGIC:
            file = pa.ipc.open_file(source)
            schema, self._batches = file.schema, [file.get_batch(place) for place in range(file.num_record_batches)]
        else:
            stream = pa.ipc.open_stream(source)
            schema, self._batches = stream.schema, list(stream)
        for batch in self._batches:
            batch.validate(full=True)  # offsets that lead out of the file
        self._starts = [0, *accumulate(batch.num_rows for batch in self._batches)]
        return schema

    def _chunks(self, column: str, rows: int) -> Iterator[pa.Array]:  # noqa: ARG002 - batches are what was written
        # A field is asked for of the pictures only; other columns may have a point in their names.
        picture = self.picture or ""
        name, field = (picture, column[len(picture) + 1 :]) if self._is_field(column) else (column, "")
        for batch in self._batches:
            values = batch.column(name)
            yield pc.struct_field(values, field) if field else values

    def _is_field(self, column: str) -> bool:
        return self.picture is not None and column.startswith(f"{self.picture}.") and column not in (self.header or ())

    def _given(self) -> Iterator[bool]:
        for batch in self._batches:
            values = batch.column(self.picture)
            yield from (values if self._is_plain else pc.struct_field(values, "bytes")).is_valid().to_pylist()


class ParquetTable(PictureTable):
    """A Parquet file."""

    def __len__(self) -> int:
        return int(self._starts[-1])

    def read(self, n: int) -> bytes:
        """See `PictureTable.read`."""
        if not 0 <= n < len(self):
            raise SourceError(f"{self.where}: no row {n}")
        group = bisect_right(self._starts, n) - 1
        if group not in self._spooled:
            self._spooled[group] = self._spool(group)
        ends, place = self._spooled[group], n - self._starts[group]
        if self._copy is None or place + 1 >= len(ends) or ends[place] == ends[place + 1]:
            return self._decoded(None, n)
        self._copy.seek(ends[place])
        return self._decoded(self._copy.read(ends[place + 1] - ends[place]), n)

    def _open(self) -> pa.Schema:
        # A buffer lets pages be read one by one; without it, whole columns of a row group are in memory.
        self._file = pq.ParquetFile(self._stream, buffer_size=FREE_BYTES, pre_buffer=False)
        found = self._file.metadata
        self._starts = [0, *accumulate(found.row_group(group).num_rows for group in range(found.num_row_groups))]
        self._spooled: dict[int, array[int]] = {}
        self._copy: BinaryIO | None = None
        self._size = self._stream.seek(0, 2)
        return self._file.schema_arrow

    def _spool(self, group: int) -> "array[int]":
        """Unpack the pictures of a row group; returns where each begins and the last one ends.

        A damaged page costs the pictures from it on, up to the end of the group.
        """
        if self._copy is None:
            self._copy = tempfile.TemporaryFile()  # noqa: SIM115 - read for as long as the table is
            weakref.finalize(self, self._copy.close)
        copy, at = self._copy, self._copy.seek(0, 2)
        ends = array("Q", [at])
        try:
            for chunk in self._chunks(self._leaf_name(), _PICTURE_ROWS, [group]):
                for value in chunk:
                    content = value.as_buffer()
                    at += copy.write(content) if content is not None else 0
                    ends.append(at)
                if at > FREE_BYTES + MAX_RATIO * self._size:
                    raise SourceError(f"{self.where}: unpacks to more than {MAX_RATIO} times its size")
        except _ERRORS:
            pass
        return ends

    def _leaf_name(self) -> str:
        return f"{self.picture}" if self._is_plain else f"{self.picture}.bytes"

    def _chunks(self, column: str, rows: int, groups: Sequence[int] | None = None) -> Iterator[pa.Array]:
        there = [*groups] if groups is not None else [*range(self._file.metadata.num_row_groups)]
        for batch in self._file.iter_batches(rows, there, [column], use_threads=False):
            values = batch.column(0)
            yield pc.struct_field(values, [0]) if pa.types.is_struct(values.type) else values

    def _given(self) -> Iterator[bool]:
        """Yield whether each row has a picture; statistics say it of whole row groups, mostly."""
        leaf = self._leaf_name()
        for group, start in enumerate(self._starts[:-1]):
            rows = self._starts[group + 1] - start
            empty = self._nulls(group, leaf)
            if empty in (0, rows):
                yield from [empty == 0] * rows
                continue
            with self._readable():
                for chunk in self._chunks(leaf, _PICTURE_ROWS, [group]):
                    yield from chunk.is_valid().to_pylist()

    def _nulls(self, group: int, leaf: str) -> int | None:
        found = self._file.metadata.row_group(group)
        for place in range(found.num_columns):
            column = found.column(place)
            if column.path_in_schema == leaf and column.statistics is not None:
                return column.statistics.null_count if column.statistics.has_null_count else None
        return None


def _is_cell(field: pa.Field) -> bool:
    """Return whether a column can be read as text; lists, which may be long, only as labels."""
    return is_text(field.type) or (is_list_of_text(field.type) and squash(field.name) in LABEL_NAMES)


def open_table(tree: Tree, name: str) -> PictureTable:
    """Open a table by its suffix.

    Raises:
        SourceError: it cannot be read.
    """
    return ArrowTable(tree, name) if name.casefold().endswith(".arrow") else ParquetTable(tree, name)


@lru_cache(maxsize=2)
def picture_table(tree: Tree, name: str) -> PictureTable:
    """Return a table of an opened tree; the last two stay open, as align reads one after the other."""
    return open_table(tree, name)
