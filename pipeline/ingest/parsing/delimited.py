"""Tables and lists as text, in the dialects in which people publish them.

With or without a BOM; UTF-8, UTF-16 or a Windows code page; CRLF, LF or CR; comma, semicolon or tab; quoted or not;
with or without a header. Tables are streamed, so one of gigabytes is never in memory as a whole. A row is named by the
line on which it ends.
"""

import codecs
import csv
import io
import math
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol, TextIO

from pipeline.core.errors import SourceError
from pipeline.ingest.trees.pointers import check_no_pointer
from pipeline.ingest.trees.tree import Tree

# Encoding, delimiter and header are decided on this many bytes, so that a table of gigabytes opens at once.
_HEAD_BYTES: Final = 64 << 10
_MAX_FIELD_CHARS: Final = 4 << 20
_BOMS: Final = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_DELIMITERS: Final = ",\t;|"
# Excel's own first line.
_SEPARATOR: Final = re.compile(r"sep=[,\t;|]+\s*", re.IGNORECASE)
_NOT_GIVEN: Final = frozenset({"", "nan", "null", "na", "n/a", "<na>", "#n/a"})


class TextTable(Protocol):
    """A table whose cells are text: a csv, lines of JSON, or the columns of a Parquet file."""

    name: str  # its path in the tree
    where: str  # the same with the tree's own path, for errors

    @property
    def header(self) -> Sequence[str] | None:
        """The names of its columns; None if nothing says them."""

    def records(self) -> Iterator["Record"]:
        """Yield every row."""


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a table: its cells by the names of columns, and its file and line."""

    cells: Sequence[str]
    row: str
    _columns: dict[str, int]
    width: int = 0  # how many columns the table has; 0 where nothing says so

    def get(self, column: str) -> str:
        """Return a cell; "" if the row is too short, the table has no such column or the cell means "not given"."""
        return self.at(self._columns.get(squash(column), -1))

    def at(self, index: int) -> str:
        """Return the cell at an index; "" if the row is too short or the cell means "not given"."""
        return given(self.cells[index]) if 0 <= index < len(self.cells) else ""

    def surplus(self) -> str | None:
        """Return a message if the row has more cells than the table has columns, otherwise None.

        A comma in a name or a decimal comma shifts all cells after it, so no cell of such a row can be trusted.
        """
        extra = [cell for cell in self.cells[self.width :] if cell.strip()] if self.width else []
        return f"{self.row}: expected {self.width} cells, not {len(self.cells)}" if extra else None

    def number(self, column: str) -> float | None:
        """Return a cell as a finite number; None if it is not given or not a number."""
        return number(self.get(column))


class Delimited:
    """A table in a tree. `header` is None if its first row contains none of the expected column names."""

    def __init__(self, tree: Tree, name: str, expected: Sequence[str] = ()) -> None:
        """Read the beginning of the table.

        Args:
            tree: the tree that contains it.
            name: its path in the tree.
            expected: names of columns. A first row with one of them is a header; a table without a header has these
                columns, in this order.
        """
        self.where = f"{tree.src}/{name}"
        self.name = name
        self._tree = tree
        self._dialect, first = self._sniff()
        named = {squash(column) for column in expected}
        self.header = first if named & {squash(cell) for cell in first} else None
        self.first = first
        columns = self.header if self.header is not None else expected
        self._width = len(columns)
        # The first of two columns of one name counts.
        self._columns = {squash(column): index for index, column in reversed(list(enumerate(columns)))}

    def has(self, *columns: str) -> bool:
        """Return whether the table has all of these columns."""
        return all(squash(column) in self._columns for column in columns)

    def records(self) -> Iterator[Record]:
        """Yield every row that is not blank, without the header.

        Raises:
            SourceError: the table cannot be read; names the row.
        """
        skip = self.header is not None
        for number, cells in self._rows():
            if skip:
                skip = False
            else:
                yield Record(cells, f"{self.name} row {number}", self._columns, self._width)

    def _sniff(self) -> tuple[dict[str, bool | str], list[str]]:
        with read_text(self._tree, self.name) as stream:
            head = stream.read(_HEAD_BYTES)
        lines = [line for line in re.split(r"[\r\n]+", head) if line.strip()]
        lines = lines[bool(lines and _SEPARATOR.fullmatch(lines[0])) :][:10] or [""]
        line = lines[0]
        # The first one that is in every line: points within a cell are often parted by semicolons too.
        whole = lines[:-1] if len(lines) > 1 else lines
        delimiter = next((mark for mark in _DELIMITERS if all(mark in line for line in whole)), ",")
        spaced = re.search(rf'{re.escape(delimiter)} +"', head) is not None
        dialect: dict[str, bool | str] = {"delimiter": delimiter, "skipinitialspace": spaced}
        try:
            first = next(csv.reader([line], strict=True, delimiter=delimiter, skipinitialspace=spaced), [])
        except csv.Error:
            first = line.split(delimiter)
        return dialect, [cell.strip() for cell in first]

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        csv.field_size_limit(_MAX_FIELD_CHARS)
        with read_text(self._tree, self.name) as stream:
            delimiter, spaced = str(self._dialect["delimiter"]), bool(self._dialect["skipinitialspace"])
            reader = csv.reader(stream, strict=True, delimiter=delimiter, skipinitialspace=spaced)
            try:
                for cells in reader:
                    if any(cell.strip() for cell in cells) and not (reader.line_num == 1 and _names_separator(cells)):
                        yield reader.line_num, [readable(cell) for cell in cells]
            except csv.Error as error:
                raise SourceError(
                    f"{self.where} row {reader.line_num}: not a readable table: {error}; a quote may be open before it"
                ) from None


def _names_separator(cells: Sequence[str]) -> bool:
    return cells[0].strip().casefold() == "sep=" and not any(cells[1:])


@contextmanager
def read_text(tree: Tree, name: str) -> Iterator[TextIO]:
    """Open a file of a tree as text, with line ends unchanged.

    Raises:
        SourceError: it does not look like text, or is a pointer of Git LFS.
    """
    check_no_pointer(tree, name)
    with tree.open(name) as stream:
        head = stream.read(_HEAD_BYTES)
    encoding = next((encoding for bom, encoding in _BOMS if head.startswith(bom)), "utf-8")
    if encoding == "utf-8" and b"\0" in head:
        raise SourceError(f"{tree.src}/{name}: not a text file; expected a table or list as text")
    with tree.open(name) as stream:
        # Undecodable bytes survive as surrogates, as they do in file names, until `readable` sees them.
        errors = "strict" if encoding == "utf-16" else "surrogateescape"
        try:
            yield io.TextIOWrapper(stream, encoding, errors=errors, newline="")
        except UnicodeError as error:
            raise SourceError(f"{tree.src}/{name}: not readable as {encoding}: {error.args[-1]}") from None


def read_lines(tree: Tree, name: str) -> Iterator[tuple[str, str]]:
    """Yield (file and line, text) of every line that is not blank, with any line ends."""
    with read_text(tree, name) as stream:
        for number, line in enumerate(io.StringIO(stream.read(), newline=None), 1):
            if text := readable(line.strip()):
                yield f"{name} row {number}", text


def line_of(row: str) -> int:
    """Return the number of the line, from 1 on, in what `read_lines` says of where a text stands."""
    return int(row.rpartition(" ")[2])


def readable(text: str) -> str:
    """Return text without surrogates; bytes that are not UTF-8 are decoded as Windows code page 1252."""
    if text.isascii() or not any("\udc80" <= char <= "\udcff" for char in text):
        return sys.intern(text) if len(text) < 32 else text
    return text.encode("utf-8", "surrogateescape").decode("cp1252", "replace")


def given(text: str) -> str:
    """Return a cell without surrounding blanks; "" if it means "not given", such as NaN or null."""
    plain = text.strip()
    return "" if plain.casefold() in _NOT_GIVEN else plain


def squash(column: str) -> str:
    """Return a column's name in the form in which names are compared: only letters and digits, in lower case."""
    return "".join(char for char in column.casefold() if char.isalnum())


def number(text: str) -> float | None:
    """Return a finite number, or None; "1_0" and the like, which only Python accepts, are not numbers."""
    if "_" in text or not text.isascii():
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def numbers(text: str, split: Callable[[str], Sequence[str]] = str.split) -> list[float] | None:
    """Return all numbers in a text; None if one of its parts is not a number."""
    found = [number(part) for part in split(text)]
    given = [value for value in found if value is not None]
    return given if len(given) == len(found) else None
