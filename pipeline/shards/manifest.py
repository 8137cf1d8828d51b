"""What shards say of themselves: the merged contract, the id, and the manifest that a reader opens first."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from pipeline.core.emotions import AFFECTNET, CLASSES
from pipeline.core.errors import DataError, LineageError, OutputError
from pipeline.core.lineage.snapshot import Input, read_snapshot
from pipeline.core.lineage.walk import owner, raw_inputs
from pipeline.core.names import TRAIN
from pipeline.shards.parquet import ROW_GROUP_ROWS
from pipeline.shards.plan import Shard

_SHARED: Final = ("align", "equalize")
_DEMO: Final = "demo"


def merged_contract(faces: Mapping[str, Path], labels: Mapping[str, Path]) -> dict[str, Any]:
    """Return how all pixels and labels were made: align, equalize, taxonomy of each dataset, classes.

    Where a dataset is the demo's, `rendered` names it, so that a network trained on it can say so wherever it goes.
    `terms` says under whose terms a mirror stands, see `catalog.terms_of`.

    Raises:
        DataError: two datasets were aligned, equalized or classed in different ways; names both.
        LineageError: a folder has no snapshot.
    """
    pixels = {name: read_snapshot(folder).contract for name, folder in faces.items()}
    first = next(iter(faces))
    for key in _SHARED:
        for name, contract in pixels.items():
            here, there = contract.get(key), pixels[first].get(key)
            if here != there:
                raise DataError(f"{faces[name]}: {key} is {here}, but {there} in {faces[first]}; redo one of them")
    taxonomies: dict[str, Any] = {}
    terms: dict[str, str] = {}
    for name, folder in labels.items():
        contract = read_snapshot(folder).contract
        taxonomies[name] = contract.get("taxonomy")
        terms |= {name: contract["terms"]} if "terms" in contract else {}
        classes = contract.get("classes", list(CLASSES))
        if classes != list(CLASSES):
            raise DataError(f"{folder}: the classes are {classes}, not {list(CLASSES)}; run harmonize again")
    shared = {key: pixels[first].get(key) for key in _SHARED}
    rendered = sorted(name for name, folder in labels.items() if is_rendered(folder))
    told = ({"rendered": rendered} if rendered else {}) | ({"terms": terms} if terms else {})
    return {**shared, "taxonomy": taxonomies, "classes": list(CLASSES), **told}


def is_rendered(folder: Path) -> bool:
    """Say whether rows go back to a raw tree that `prep demo` rendered; not if the way back is not here any more."""
    try:
        raw = [Path(path) for path in raw_inputs(folder)]
    except LineageError:
        return False
    owners = [found for path in raw if (found := owner(path)) is not None]
    return any(read_snapshot(found).stage == _DEMO for found in owners)


def build_snapshot_id(inputs: Sequence[Input], index: pa.Table, missing: pa.Table, settings: Mapping[str, Any]) -> str:
    """Return the id of shards before they are written, from what goes in, the rows, found and missing, and settings.

    In which containers they are written does not matter: the rows are the same.
    """
    settings = {name: value for name, value in settings.items() if name != "containers"}
    rows = hashlib.sha256()
    for table in (index, missing):
        for row in table.to_pylist():
            rows.update(json.dumps(row, sort_keys=True).encode())
    whole = {"inputs": [given.snapshot or given.md5 for given in inputs], "params": settings, "rows": rows.hexdigest()}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def build_manifest(
    snapshot_id: str,
    contract: Mapping[str, Any],
    shards: Sequence[Shard],
    containers: Sequence[str],
    world_size: int,
) -> dict[str, Any]:
    """Return what ``shards.json`` holds; a reader needs no other file to open the shards.

    Raises:
        OutputError: the training shards cannot be shared equally by so many processes.
    """
    splits: dict[str, list[dict[str, Any]]] = {}
    for shard in shards:
        splits.setdefault(shard.split, []).append({"name": shard.name, "rows": len(shard.rows)})
    _check_even([entry["rows"] for entry in splits.get(TRAIN, [])], world_size)
    return {
        "snapshot": snapshot_id,
        "contract": contract,
        "containers": list(containers),
        "affectnet_numbers": dict(AFFECTNET),
        "row_group_rows": ROW_GROUP_ROWS,
        "processes": world_size,
        "splits": splits,
    }


def _check_even(rows: list[int], world_size: int) -> None:
    shares = [sum(rows[rank::world_size]) for rank in range(world_size)]
    if max(shares) != min(shares):
        raise OutputError(f"train: {world_size} processes would get {shares} rows; all must be equal")
