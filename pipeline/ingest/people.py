"""Which files of a raw tree show some people, whether or not their rows become samples."""

import hashlib
from collections.abc import Collection, Iterator

from pipeline.core.params import IngestParams
from pipeline.ingest.dataset_options import DatasetOptions
from pipeline.ingest.raw_dataset import RawDataset, RejectedRow, Row
from pipeline.ingest.registry import Reader, Tree, locate, open_tree
from pipeline.ingest.samples import printable
from pipeline.ingest.trees.tree import DamagedError


def pictures_of(
    src: str, fmt: str, params: IngestParams, options: DatasetOptions, subjects: Collection[str]
) -> dict[tuple[str, int], str]:
    """Return the md5 of each picture of some people in a raw tree, by its `source_path` and `n`, sorted.

    Readers leave out frames between the neutral and the peak ones, sequences without a label and rows that contradict
    each other. All of these show a person, and another parameter may make samples of them.

    Args:
        src: the raw tree.
        fmt: the format of it, as the summary of ingest has it.
        params: as of `ingest`.
        options: as of `ingest`.
        subjects: the people, by `subject_id`.

    Raises:
        SourceError: the tree or a table of it cannot be read.
    """
    tree = open_tree(src)
    reader, root, _ = locate(tree, fmt, options.classes)
    rows = (row for row in reader.read(RawDataset(tree, root, params, options)) if row.subject in subjects)
    found = sorted({place for row in rows for place in _places(row, reader)})
    return {(printable(path), n): md5 for path, n in found if (md5 := _md5(tree, reader, path, n)) is not None}


def _places(row: Row, reader: Reader) -> Iterator[tuple[str, int]]:
    path = row.path.path if isinstance(row.path, RejectedRow) else row.path
    if not reader.pictures_in_table:
        yield path, 0
    elif not isinstance(row, RejectedRow):
        yield path, row.n or 0


def _md5(tree: Tree, reader: Reader, path: str, n: int) -> str | None:
    if path not in tree:
        return None
    try:
        if reader.pictures_in_table:
            return hashlib.md5(reader.picture(tree, path, n), usedforsecurity=False).hexdigest()
        return tree.md5(path)
    except DamagedError:
        return None
