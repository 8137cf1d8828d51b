"""Pictures in cells of a csv: FER2013 stores its 48x48 pixels as text."""

import csv
import weakref
from array import array
from collections.abc import Iterator
from functools import lru_cache
from typing import BinaryIO, Final

from pipeline.core.errors import ImageError, SourceError
from pipeline.core.schema import PIXEL_TABLE_SUFFIX, Reason
from pipeline.ingest.parsing.delimited import Delimited, squash
from pipeline.ingest.trees.seekable import seekable
from pipeline.ingest.trees.tree import Tree

COLUMNS: Final = ("emotion", "pixels", "Usage")
# The side of the pictures of FER2013 and of ckextended.csv.
SIDE_PX: Final = 48
_CHUNK_BYTES: Final = 1 << 20


class PixelTable:
    """The pictures of one csv by row number, each read directly from its position in the file."""

    def __init__(self, tree: Tree, name: str) -> None:
        self.where = f"{tree.src}/{name}"
        table = Delimited(tree, name, COLUMNS)
        columns = [squash(cell) for cell in table.header or COLUMNS]
        self._column = columns.index("pixels")
        self._stream = seekable(tree, name)
        weakref.finalize(self, self._stream.close)
        self._places = array("Q", _line_places(self._stream))
        self._skip = 0 if table.header is None else 1

    def read(self, n: int) -> bytes:
        """Return the picture of the n-th row as a PGM.

        Raises:
            SourceError: there is no such row.
            ImageError: its pixels are not 48x48 numbers of 0 to 255.
        """
        line = n + self._skip
        if not 0 <= line < len(self._places) - 1:
            raise SourceError(f"{self.where}: no row {n}")
        self._stream.seek(self._places[line])
        text = self._stream.read(self._places[line + 1] - self._places[line]).decode("utf-8", "replace")
        cells = next(csv.reader([text.strip("\r\n\ufeff")]), [])
        content = pixels_to_pgm(cells[self._column]) if len(cells) > self._column else None
        if content is None:
            raise ImageError(Reason.corrupt, f"{self.where}: row {n}: expected {SIDE_PX * SIDE_PX} numbers of 0 to 255")
        return content


def open_pixels(tree: Tree, name: str) -> Delimited | None:
    """Open a csv as a table of pixels; None if it has no such column or, without a header, no pixels."""
    if not name.casefold().endswith(PIXEL_TABLE_SUFFIX):
        return None
    table = Delimited(tree, name, COLUMNS)
    if table.header is not None:
        return table if table.has("pixels") else None
    at = COLUMNS.index("pixels")
    return table if len(table.first) > at and count_pixels(table.first[at]) == SIDE_PX * SIDE_PX else None


def count_pixels(text: str) -> int:
    """Return the number of values in a row, without parsing them if they are separated by single blanks."""
    plain = text.strip()
    count = plain.count(" ") + 1
    return count if count == SIDE_PX * SIDE_PX else len(plain.split())


@lru_cache(maxsize=4)
def pixel_table(tree: Tree, name: str) -> PixelTable:
    """Return the pictures of a csv; the index of rows is built once for each opened tree."""
    return PixelTable(tree, name)


def pixels_to_pgm(text: str) -> bytes | None:
    """Return a picture of 48x48 grey values as a binary PGM; None if the text is not such a picture."""
    try:
        values = bytes(map(int, text.split()))
    except ValueError:
        return None
    return b"P5\n%d %d\n255\n" % (SIDE_PX, SIDE_PX) + values if len(values) == SIDE_PX * SIDE_PX else None


def _line_places(stream: BinaryIO) -> Iterator[int]:
    """Yield the offset of each line that is not blank, and finally of the end; lines end in LF, CRLF or CR."""
    stream.seek(0)
    has_feeds = b"\n" in stream.read(_CHUNK_BYTES)
    stream.seek(0)
    at = 0
    for line in stream if has_feeds else stream.read().splitlines(keepends=True):
        # What `Delimited` passes over as well.
        if line.strip(b' ,;|\t\r\n"\xef\xbb\xbf').lower() not in {b"", b"sep="}:
            yield at
        at += len(line)
    yield at
