"""Tables as lines of JSON, one object a row: `metadata.jsonl` beside pictures, as `datasets` reads it."""

import json
from collections.abc import Iterator
from typing import Any, Final

from pipeline.core.errors import SourceError
from pipeline.ingest.parsing.delimited import Record, read_text, readable, squash
from pipeline.ingest.trees.tree import Tree

_MAX_LINE_CHARS: Final = 4 << 20
_MAX_COLUMNS: Final = 1000


class JsonLines:
    """A table in a tree; its columns are the keys of all of its objects, in the order of their first appearance."""

    def __init__(self, tree: Tree, name: str) -> None:
        """Read the table once for its columns.

        Raises:
            SourceError: a line is not an object; names it.
        """
        self.name = name
        self.where = f"{tree.src}/{name}"
        self._tree = tree
        places: dict[str, int] = {}
        for _, row in self._objects():
            for key in row:
                places.setdefault(key, len(places))
            if len(places) > _MAX_COLUMNS:
                raise SourceError(f"{self.where}: has more than {_MAX_COLUMNS} columns")
        self.header = list(places)
        self._columns = {squash(column): place for column, place in reversed(places.items())}

    def records(self) -> Iterator[Record]:
        """Yield every row; a missing key is an empty cell, and a list or an object the JSON of it."""
        for number, row in self._objects():
            cells = [_text(row.get(column)) for column in self.header]
            yield Record(cells, f"{self.name} row {number}", self._columns, len(self.header))

    def _objects(self) -> Iterator[tuple[int, dict[str, Any]]]:
        with read_text(self._tree, self.name) as stream:
            for number, line in enumerate(iter(lambda: stream.readline(_MAX_LINE_CHARS), ""), 1):
                if not (text := readable(line.strip("\ufeff \t\r\n"))):
                    continue
                try:
                    row = json.loads(text)
                except (ValueError, RecursionError):
                    row = None
                if not isinstance(row, dict):
                    raise SourceError(f"{self.where} row {number}: not an object of JSON")
                yield number, row


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
