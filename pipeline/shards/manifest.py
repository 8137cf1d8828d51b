"""Metadata of shards: the merged preprocessing contract, their id, and the manifest that a reader opens first."""

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
    """Return how pixels and labels of all datasets were made: align, equalize, each dataset's taxonomy, the classes.

    `rendered` lists the datasets of the demo, so that a network trained on them can say so wherever it is used. `terms`
    names the dataset whose terms apply to a mirror of it, see `catalog.terms_of`.

    Args:
        faces: the folder of faces of each dataset, at least one.
        labels: the folder of labels of each dataset.

    Raises:
        DataError: two datasets were aligned, equalized or labelled in different ways; the message names both.
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
    shared_classes: list[str] = []
    for name, folder in labels.items():
        contract = read_snapshot(folder).contract
        taxonomies[name] = contract.get("taxonomy")
        terms |= {name: contract["terms"]} if "terms" in contract else {}
        classes = contract.get("classes", list(CLASSES))
        if classes != [known for known in CLASSES if known in classes] or classes != (shared_classes or classes):
            raise DataError(
                f"{folder}: the classes are {classes}, not {shared_classes or list(CLASSES)}; run harmonize again"
            )
        shared_classes = classes
    shared = {key: pixels[first].get(key) for key in _SHARED}
    rendered = sorted(name for name, folder in labels.items() if is_rendered(folder))
    told = ({"rendered": rendered} if rendered else {}) | ({"terms": terms} if terms else {})
    return {**shared, "taxonomy": taxonomies, "classes": shared_classes, **told}


def is_rendered(folder: Path) -> bool:
    """Return whether rows come from a raw tree that `prep demo` rendered; False if it cannot be traced any more."""
    try:
        raw = [Path(path) for path in raw_inputs(folder)]
    except LineageError:
        return False
    owners = [found for path in raw if (found := owner(path)) is not None]
    return any(read_snapshot(found).stage == _DEMO for found in owners)


def build_snapshot_id(inputs: Sequence[Input], index: pa.Table, missing: pa.Table, settings: Mapping[str, Any]) -> str:
    """Return the id of shards: a sha256 of their inputs, settings and planned rows, in hex.

    Every sample contains it, so it must be known before the shards are written. Containers do not matter, because the
    rows are the same in each.

    Args:
        inputs: what the stage reads, with its hashes.
        index: rows of `schema.INDEX`.
        missing: labelled rows without a selected face.
        settings: the parameters of the stage.
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
    """Return the content of ``shards.json``, the only file that a reader needs to open the shards.

    `splits` are the shards of rows with a class; `unclassed`, if there are any, those of rows without one.

    Raises:
        OutputError: the training shards cannot be divided equally among `world_size` processes.
    """
    kinds: dict[str, dict[str, list[dict[str, Any]]]] = {"splits": {}}
    for shard in shards:
        of_kind = kinds.setdefault("splits" if shard.classed else "unclassed", {})
        of_kind.setdefault(shard.split, []).append({"name": shard.name, "rows": len(shard.rows)})
    for of_kind in kinds.values():
        _check_even([entry["rows"] for entry in of_kind.get(TRAIN, [])], world_size)
    return {
        "snapshot": snapshot_id,
        "contract": contract,
        "containers": list(containers),
        "affectnet_numbers": dict(AFFECTNET),
        "row_group_rows": ROW_GROUP_ROWS,
        "processes": world_size,
        **kinds,
    }


def _check_even(rows: list[int], world_size: int) -> None:
    # A process takes every world_size-th shard. `place` already makes them equal; this checks what is really written.
    shares = [sum(rows[rank::world_size]) for rank in range(world_size)]
    if max(shares) != min(shares):
        raise OutputError(f"train: {world_size} processes would get {shares} rows; all must be equal")
