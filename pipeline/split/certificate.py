"""The certificate: how much crosses splits (nothing), what was dropped for it, and the shares that were reached.

It is not taken on trust: `check` reads the shards that were written and counts again.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.emotions import CLASSES
from pipeline.errors import PrepError, TableError
from pipeline.params import SplitParams
from pipeline.schema import INDEX, SPLIT
from pipeline.split.groups import Groups
from pipeline.split.links import KINDS, LINKS_NAME, Linked, link_values
from pipeline.split.official import Place, Places
from pipeline.split.rows import Rows
from pipeline.tables import read_table

CERTIFICATE_NAME: Final = "certificate.json"
_CASES_SHOWN: Final = 100


def build_certificate(
    rows: Rows,
    linked: Linked,
    groups: Groups,
    places: Places,
    row_splits: NDArray[np.str_],
    params: SplitParams,
) -> dict[str, Any]:
    """Return what certificate.json holds; `row_splits` is (N,), empty for rows that are not used."""
    used = np.flatnonzero(row_splits != "")
    splits = row_splits[used].tolist()
    values = link_values(rows, linked)
    names = {"groups": [groups.names[group] for group in groups.of_row[used]]}
    names |= {KINDS[kind]: [of_row[row] for row in used.tolist()] for kind, of_row in values.items()}
    shares = _shares(rows, row_splits, used)
    return {
        "crossing": {kind: len(crossing(of_row, splits)) for kind, of_row in names.items()},
        "counts": {kind: len({name for name in of_row if name is not None}) for kind, of_row in names.items()},
        "samples": dict(sorted(Counter(splits).items())),
        "largest_group": max(Counter(names["groups"]).values(), default=0),
        "resolved": _resolved(rows, groups, places, row_splits),
        "shares": shares,
        "off_by_more_than_tolerance": _off(shares, _free_datasets(rows, places), params),
        "policy": {
            "spanning_groups": "test is left whole, then validation; the rest of the group is dropped",
            "same_picture": params.duplicates,
            "same_person": "subject_id" if params.identities == "none" else "subject_id, dlib descriptor",
        },
    }


def crossing(names: Sequence[str | None], splits: Sequence[str]) -> dict[str, list[str]]:
    """Return each name that is in more than one split, with those splits."""
    found: dict[str, set[str]] = {}
    for name, split in zip(names, splits, strict=True):
        if name is not None:
            found.setdefault(name, set()).add(split)
    return {name: sorted(seen) for name, seen in found.items() if len(seen) > 1}


def _resolved(rows: Rows, groups: Groups, places: Places, row_splits: NDArray[np.str_]) -> dict[str, Any]:
    """Say which groups spanned official splits or datasets' roles, and what they lost."""
    dropped = np.flatnonzero(places.dropped)
    lost = Counter(groups.of_row[dropped].tolist())
    kept: dict[int, set[str]] = {group: set() for group in lost}
    for row in np.flatnonzero(np.isin(groups.of_row, list(lost)) & (row_splits != "")).tolist():
        kept[int(groups.of_row[row])].add(f"{rows.datasets[row]} {row_splits[row]}")
    cases = [
        {"group_id": groups.names[group], "rows_dropped": count, "kept": sorted(kept[group])}
        for group, count in sorted(lost.items(), key=lambda case: groups.names[case[0]])
    ]
    return {"groups": len(lost), "rows_dropped": len(dropped), "first_cases": cases[:_CASES_SHOWN]}


def _shares(rows: Rows, row_splits: NDArray[np.str_], used: NDArray[np.int64]) -> dict[str, Any]:
    counts = Counter(
        zip(rows.datasets[used].tolist(), rows.labels[used].tolist(), row_splits[used].tolist(), strict=True)
    )
    shares: dict[str, Any] = {}
    for dataset in sorted(set(rows.datasets[used].tolist())):
        for label, name in enumerate(CLASSES):
            found = {split: counts[dataset, label, split] for split in ("train", "val", "test")}
            total = sum(found.values())
            if total:
                of_class = {split: round(count / total, 4) for split, count in found.items()}
                shares.setdefault(dataset, {})[name] = {"rows": total, **of_class}
    return shares


def _free_datasets(rows: Rows, places: Places) -> list[str]:
    return sorted(set(rows.datasets[places.rows == Place.free].tolist()))


def _off(shares: dict[str, Any], datasets: Sequence[str], params: SplitParams) -> dict[str, dict[str, float]]:
    """Return by how much a class misses its test share where groups were too large to reach it; half a row is granted.

    Only datasets without an official split were asked for shares, and only without folds.
    """
    asked = 1 - params.train_share
    off: dict[str, dict[str, float]] = {}
    for dataset in () if params.folds else datasets:
        for name, of_class in shares.get(dataset, {}).items():
            missed = of_class["test"] - asked
            if abs(missed) > params.tolerance_points / 100 + 0.5 / of_class["rows"]:
                off.setdefault(dataset, {})[name] = round(missed, 4)
    return off


def check(split_folder: Path, shards: Path) -> list[str]:
    """Count again what crosses splits, from the shards that were written.

    Args:
        split_folder: with split.parquet, links.parquet and certificate.json.
        shards: with index.parquet and the Parquet shards.

    Returns:
        One line for each thing that does not hold, naming the file; empty when the certificate is true.
    """
    try:
        return list(_problems(split_folder, shards))
    except PrepError as error:
        return [str(error)]


def _problems(split_folder: Path, shards: Path) -> Iterator[str]:
    given = read_table(split_folder / "split.parquet", SPLIT.names, SPLIT)
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
    yield from _stated(split_folder)


def _written(shards: Path) -> Iterator[tuple[str, str, str, str | None]]:
    """Yield sample_id, split by the shard's name, dataset and subject of every row of every Parquet shard."""
    for file in sorted((shards / "parquet").glob("*.parquet")):
        try:
            names = pq.read_schema(file).names
        except (OSError, pa.ArrowException):
            raise TableError(f"{file}: not a readable Parquet file; write the shards again") from None
        if not {"sample_id", "dataset"} <= set(names):
            raise TableError(f"{file}: has no sample_id and dataset; write the shards again")
        wanted = ["sample_id", "dataset", *(["subject_id"] if "subject_id" in names else [])]
        split = file.name.rpartition("-")[0]
        for row in read_table(file, wanted).to_pylist():
            yield row["sample_id"], split, row["dataset"], row.get("subject_id")


def _misplaced(
    written: list[tuple[str, str, str, str | None]], promised: dict[str, str], shards: Path
) -> Iterator[str]:
    index = read_table(shards / "index.parquet", INDEX.names, INDEX).to_pylist()
    listed = {(row["sample_id"], row["split"]) for row in index}
    found = {(sample_id, split) for sample_id, split, _, _ in written}
    for sample_id, split in sorted(found):
        if promised.get(sample_id) != split:
            yield f"{shards}: {sample_id} is in {split}, but split.parquet says {promised.get(sample_id, 'nothing')}"
    for sample_id, split in sorted(found ^ listed):
        where = "a shard but not in the index" if (sample_id, split) in found else "the index but in no shard"
        yield f"{shards}: {sample_id} ({split}) is in {where}; write the shards again"


def _stated(split_folder: Path) -> Iterator[str]:
    path = split_folder / CERTIFICATE_NAME
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))["crossing"]
    except (OSError, ValueError, KeyError, TypeError):
        yield f"{path}: not a certificate; run prep split again"
        return
    if not isinstance(stated, dict):
        yield f"{path}: not a certificate; run prep split again"
        return
    for kind, count in sorted(stated.items()):
        if count:
            yield f"{path}: states that {count} {kind} cross"
