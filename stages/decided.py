"""What a stage is told of the decisions about a dataset; apart from `stages.decide`, which other stages do not run."""

from pathlib import Path
from typing import Final

from pipeline.core.errors import DataError, LineageError
from pipeline.core.folders import DECIDED, DECISIONS
from pipeline.core.lineage.identity import file_md5
from pipeline.core.lineage.snapshot import read_snapshot
from pipeline.core.names import SNAPSHOT_NAME

SUFFIX: Final = ".csv"


def book_of(dataset: str) -> Path:
    """Return the file with the decisions about a dataset, which need not exist."""
    return DECISIONS / f"{dataset}{SUFFIX}"


def decided_table(dataset: str, name: str) -> Path | None:
    """Return what `decide` wrote for one stage about a dataset, or None if nobody decided anything.

    Raises:
        DataError: there are decisions, and `decide` has not read them.
        LineageError: they were changed since.
    """
    book, folder = book_of(dataset), DECIDED / dataset
    again = f"run prep decide --src data/samples/{dataset} first, or dvc repro"
    if not (folder / SNAPSHOT_NAME).is_file():
        if book.is_file():
            raise DataError(f"{book}: not read yet; {again}")
        return None
    was = {given.path: given.md5 for given in read_snapshot(folder).inputs}.get(book.as_posix())
    if was != (file_md5(book) if book.is_file() else None):
        raise LineageError(f"{book}: changed since {folder} was made from it; {again}")
    return folder / name
