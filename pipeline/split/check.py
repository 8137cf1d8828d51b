"""Checking the certificate: what crosses splits is counted again on the rows of the written shards."""

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core.errors import PrepError, TableError
from pipeline.core.names import (
    CERTIFICATE_NAME,
    INDEX_NAME,
    LINKS_NAME,
    PARQUET,
    SPLIT_NAME,
    UNCLASSED_PREFIX,
    WEBDATASET,
)
from pipeline.core.schema import INDEX, SPLIT
from pipeline.core.tables import read_table
from pipeline.split.certificate import crossing
from pipeline.split.keep import read_splits
from pipeline.split.links import KINDS

# What is always searched for, so that the certificate must give a number and not null.
_ALWAYS: Final = frozenset({"groups", "files", "pictures"})
# Examples per problem, so that a broken split does not fill the terminal.
_SHOWN: Final = 3


def check(split_folder: Path, shards: Path) -> list[str]:
    """Count again what crosses splits, from the shards that were written.

    Args:
        split_folder: with split.parquet, links.parquet and certificate.json.
        shards: with index.parquet and the shards: the Parquet ones, or the tars where there are no others.

    Returns:
        One line for each claim that does not hold, naming the file; empty if the certificate is true.
    """
    try:
        return list(_problems(split_folder, shards))
    except PrepError as error:
        return [str(error)]


def _problems(split_folder: Path, shards: Path) -> Iterator[str]:
    given = read_table(split_folder / SPLIT_NAME, SPLIT.names, SPLIT)
    promised = dict(zip(given["sample_id"].to_pylist(), given["split"].to_pylist(), strict=True))
    groups = dict(zip(given["sample_id"].to_pylist(), given["group_id"].to_pylist(), strict=True))
    columns = ["sample_id", *KINDS]
    links = {row.pop("sample_id"): row for row in read_table(split_folder / LINKS_NAME, columns).to_pylist()}
    written = list(_written(shards))
    yield from _misplaced(written, promised, shards)
    unlinked = sorted({sample_id for sample_id, *_ in written} - links.keys())
    if unlinked:
        yield f"{split_folder / LINKS_NAME}: {len(unlinked)} written samples are not in it, such as {unlinked[0]}"
    known = [(sample_id, split) for sample_id, split, _, _ in written if sample_id in groups and sample_id in links]
    splits = [split for _, split in known]
    for kind in ("group", *KINDS):
        names = [groups[key] if kind == "group" else links[key][kind] for key, _ in known]
        for name, seen in sorted(crossing(names, splits).items()):
            yield f"{shards}: {kind} {name} is in {' and '.join(seen)}; write the shards again"
    subjects = [None if subject is None else f"{dataset}/{subject}" for _, _, dataset, subject in written]
    for name, seen in sorted(crossing(subjects, [split for _, split, _, _ in written]).items()):
        yield f"{shards}: person {name} is in {' and '.join(seen)}; write the shards again"
    yield from _stated(
        split_folder, {KINDS[kind] for kind in KINDS if any(row[kind] for row in links.values())}, promised
    )


def _written(shards: Path) -> Iterator[tuple[str, str, str, str | None]]:
    """Yield sample_id, split by the shard's name, dataset and subject of every row of every shard."""
    files = sorted((shards / PARQUET).glob("*.parquet")) or sorted((shards / WEBDATASET).glob("*.tar"))
    for file in files:
        split = file.name.rpartition("-")[0].removeprefix(UNCLASSED_PREFIX)
        for row in _tar_rows(file) if file.suffix == ".tar" else _parquet_rows(file):
            yield row["sample_id"], split, row["dataset"], row.get("subject_id")


def _parquet_rows(file: Path) -> list[dict[str, Any]]:
    try:
        names = pq.read_schema(file).names
    except (OSError, pa.ArrowException):
        raise TableError(f"{file}: not a readable Parquet file; write the shards again") from None
    if not {"sample_id", "dataset"} <= set(names):
        raise TableError(f"{file}: has no sample_id and dataset; write the shards again")
    wanted = ["sample_id", "dataset", *(["subject_id"] if "subject_id" in names else [])]
    rows: list[dict[str, Any]] = read_table(file, wanted).to_pylist()
    return rows


def _tar_rows(file: Path) -> Iterator[dict[str, Any]]:
    try:
        with tarfile.open(file) as archive:
            for member in archive:
                stream = archive.extractfile(member) if member.name.endswith(".json") else None
                if stream is not None:
                    row = json.loads(stream.read())
                    yield {"sample_id": row["sample_id"], "dataset": row["dataset"], "subject_id": row["subject_id"]}
    except (OSError, tarfile.TarError, ValueError, KeyError, TypeError):
        raise TableError(f"{file}: not a readable tar of samples; write the shards again") from None


def _misplaced(
    written: list[tuple[str, str, str, str | None]], promised: dict[str, str], shards: Path
) -> Iterator[str]:
    index = read_table(shards / INDEX_NAME, INDEX.names, INDEX).to_pylist()
    listed = {(row["sample_id"], row["split"]) for row in index}
    found = {(sample_id, split) for sample_id, split, _, _ in written}
    for sample_id, split in sorted(found):
        if promised.get(sample_id) != split:
            yield f"{shards}: {sample_id} is in {split}, but split.parquet says {promised.get(sample_id, 'nothing')}"
    for sample_id, split in sorted(found ^ listed):
        where = "a shard but not in the index" if (sample_id, split) in found else "the index but in no shard"
        yield f"{shards}: {sample_id} ({split}) is in {where}; write the shards again"


def _stated(split_folder: Path, present: set[str], promised: dict[str, str]) -> Iterator[str]:
    """Hold what certificate.json says against the tables beside it; `present` are the kinds that links.parquet has."""
    path = split_folder / CERTIFICATE_NAME
    try:
        certificate = json.loads(path.read_text(encoding="utf-8"))
        stated, kept = certificate["crossing"], certificate["keep"]
        counts = {kind: stated[kind] for kind in ("groups", *KINDS.values())}
    except (OSError, ValueError, KeyError, TypeError):
        yield f"{path}: not a certificate; run prep split again"
        return
    for kind, count in sorted(counts.items()):
        if count is None and kind not in _ALWAYS | present:
            continue
        if not isinstance(count, int) or isinstance(count, bool):
            yield f"{path}: does not state how many {kind} cross; run prep split again"
        elif count:
            yield f"{path}: states that {count} {kind} cross"
    if kept is not None:
        yield from _left(path, kept, promised)


def _left(certificate: Path, kept: Any, promised: dict[str, str]) -> Iterator[str]:
    """Name the samples that are not where the split that is kept had them."""
    if not isinstance(kept, dict) or not isinstance(kept.get("file"), str):
        yield f"{certificate}: does not name the split that is kept; run prep split again"
        return
    before = read_splits(Path(kept["file"]))
    left = sorted(key for key, split in promised.items() if before.get(key, split) != split)
    for key in left[:_SHOWN]:
        yield f"{kept['file']}: had {key} in {before[key]}, now it is in {promised[key]}; run prep split again"
    held = sum(key in before for key in promised)
    if held != kept.get("kept"):
        yield f"{certificate}: states that {kept.get('kept')} samples are kept, but {held} are; run prep split again"
