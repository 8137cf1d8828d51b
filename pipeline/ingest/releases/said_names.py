"""The names of codes as a file of the dataset says them: `classes.txt`, `class_indices.json` or the Hub's card."""

import json
from collections.abc import Iterator, Mapping
from typing import Final

import pyarrow as pa

from pipeline.core.errors import SourceError
from pipeline.ingest.dataset_options import code_key, code_of
from pipeline.ingest.parsing.delimited import Delimited, read_lines
from pipeline.ingest.parsing.features import class_names
from pipeline.ingest.parsing.label_names import class_word, common_name
from pipeline.ingest.raw_dataset import RawDataset, join
from pipeline.ingest.trees.tree import Tree

_MAX_BYTES: Final = 64 << 10
_MAPS: Final = frozenset({"classes.csv", "label_map.csv", "labelmap.csv", "label_mapping.csv", "class_names.csv"})


def said_names(raw: RawDataset) -> tuple[str, dict[str, str]] | None:
    """Return the file that names the classes, and the name of each code; None if there is none.

    Raises:
        SourceError: two files name them differently.
    """
    found = [(where, names) for where, names in _said(raw) if sum(map(bool, map(class_word, names.values()))) > 1]
    for where, names in found[1:]:
        if _plain(names) != _plain(found[0][1]):
            raise SourceError(f"{raw.tree.src}: {found[0][0]} and {where} name other classes: remove the wrong one")
    return found[0] if found else None


def _plain(names: Mapping[str, str]) -> dict[str, str]:
    return {code: common_name(name) for code, name in names.items()}


def _said(raw: RawDataset) -> Iterator[tuple[str, dict[str, str]]]:
    for name in raw.tree.names():
        base = name.rpartition("/")[2].casefold()
        if base == "classes.txt" and raw.tree.size(name) <= _MAX_BYTES:
            yield name, _counted([text for _, text in read_lines(raw.tree, name)])
        elif base == "class_indices.json" and raw.tree.size(name) <= _MAX_BYTES:
            yield name, _in_json(raw.tree, name)
        elif base in _MAPS and raw.tree.size(name) <= _MAX_BYTES:
            yield name, _in_table(raw.tree, name)
    for column, names in class_names(raw.tree, join(raw.root, "x"), pa.schema([])).items():
        yield f"the description of {column}", _counted(names)


def _counted(names: list[str] | tuple[str, ...]) -> dict[str, str]:
    return {str(code): name.strip() for code, name in enumerate(names)}


def _in_table(tree: Tree, name: str) -> dict[str, str]:
    """Return code -> name of a table with a code and a name a row, in either order; {} for any other table."""
    rows = [[cell for cell in map(str.strip, record.cells) if cell] for record in Delimited(tree, name).records()]
    header, pairs = rows[:1], [sorted(cells, key=lambda cell: code_of(cell) is None) for cells in rows]
    if header and all(code_of(cell) is None for cell in header[0]):
        del pairs[0]
    fits = all(len(pair) == 2 and code_of(pair[0]) is not None and code_of(pair[1]) is None for pair in pairs)
    return {code_key(code): word for code, word in pairs} if fits and len({*map(str, pairs)}) == len(pairs) else {}


def _in_json(tree: Tree, name: str) -> dict[str, str]:
    """Return code -> name of a map of either direction; {} for anything else."""
    try:
        said = json.loads(tree.read(name))
    except (ValueError, RecursionError):
        return {}
    pairs = [(str(one), str(other)) for one, other in said.items()] if isinstance(said, dict) else []
    if not all(code_of(one) is not None for one, _ in pairs):
        pairs = [(code, word) for word, code in pairs]
    return {code_key(code): word for code, word in pairs if code_of(code) is not None}
