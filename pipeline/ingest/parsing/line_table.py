"""Lists of a path and a code a line, parted by blanks, tabs or commas, as a table."""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Final

from pipeline.ingest.parsing.delimited import Record, read_lines, squash
from pipeline.ingest.raw_dataset import is_medium
from pipeline.ingest.trees.tree import Tree

_SAMPLE_LINES: Final = 200
_BETWEEN: Final = re.compile(r"[\s,;|]+")
# A path may contain blanks: it ends with a dot and a suffix before what parts the cells.
_PATH_FIRST: Final = re.compile(r"(.+?\.\w{2,5})[\s,;|]+(.*)")


class LineTable:
    """A list as a table.

    Its columns are named by their numbers from 1 on, or by the words of a first line without a path. `listed` are the
    cells of its first lines with a path.
    """

    def __init__(self, tree: Tree, name: str) -> None:
        self.name = name
        self.where = f"{tree.src}/{name}"
        self._tree = tree
        lines = [cells_of(text) for _, text in islice(read_lines(tree, name), _SAMPLE_LINES)]
        self.listed = [cells for cells in lines if any(map(is_medium, cells))]
        width = Counter(map(len, self.listed)).most_common(1)[0][0] if self.listed else 0
        self._skip = bool(lines) and lines[0] not in self.listed and len(lines[0]) == width
        self.header = lines[0] if self._skip else [str(number) for number in range(1, width + 1)]
        self._columns = {squash(column): place for place, column in reversed(list(enumerate(self.header)))}

    def records(self) -> Iterator[Record]:
        """Yield every line."""
        for row, text in islice(read_lines(self._tree, self.name), int(self._skip), None):
            yield Record(cells_of(text), row, self._columns, len(self.header))


def cells_of(text: str) -> list[str]:
    """Return the cells of a line; a path at its beginning may contain blanks."""
    found = _PATH_FIRST.fullmatch(text)
    if found is not None and is_medium(found[1]):
        return [found[1], *filter(None, _BETWEEN.split(found[2]))]
    return [cell for cell in _BETWEEN.split(text) if cell]
