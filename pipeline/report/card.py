"""The facts of the data card, collected along the lineage of the shards; none of them is written by hand."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core.catalog import CATALOG
from pipeline.core.emotions import CLASSES, UNCLASSED
from pipeline.core.errors import LineageError
from pipeline.core.lineage.snapshot import read_snapshot
from pipeline.core.lineage.walk import Node, iter_nodes, walk
from pipeline.core.names import INDEX_NAME, LABELS_NAME, METRICS_NAME, SELECTED_NAME, SUMMARY_NAME
from pipeline.core.schema import INDEX, SELECTED
from pipeline.core.tables import read_table
from pipeline.report.network import Cell, affect_cells, build_losses, build_network
from pipeline.report.sets import build_sets, read_json

LICENCE_NOTE: Final = (
    "Faces are personal data. Most of the datasets behind such shards are licensed for research only and forbid "
    "redistribution, cropped and aligned faces included. Before you pass on any picture of this folder, read the "
    "terms under which each dataset was given to you."
)
# The order in which one reads them.
STAGES: Final = ("ingest", "align", "select", "equalize", "harmonize")


def build_card(shards: Path, run: Path | None = None, evaluation: Path | None = None) -> dict[str, Any]:
    """Collect the facts about shards and, if given, the network trained on them and its evaluation.

    Returns:
        Plain JSON. For each dataset: the raw tree with DVC's md5, how its counts compare with its release and which
        mismatch was accepted, the rows in, out and rejected by reason of each stage, and the misses of each class. For
        all together: snapshot ids, contract, what crosses the sets, how classes were balanced, which classes a dataset
        lacks, the split, the shards; and of a network its losses and what `network.build_network` finds.

    Raises:
        LineageError: a step behind the shards, the network or its evaluation is missing or was made again after them;
            or the evaluation is of another network, or on other shards.
        DataError: a step lacks its summary.
    """
    root = walk(shards)
    datasets = {dataset_of(node): node for node in iter_nodes(root) if node.stage == "ingest"}
    found = {node.stage: Path(node.path) for node in iter_nodes(root)}
    steps = {stage: _counts(found[stage]) for stage in ("split", "shard") if stage in found}
    card: dict[str, Any] = {
        "licence": LICENCE_NOTE,
        "snapshot": {"shards": root.snapshot},
        "contract": dict(read_snapshot(shards).contract),
        "datasets": {name: _describe_dataset(root, name, shards) for name in sorted(datasets)},
        "steps": steps,
        "sets": build_sets(shards, found.get("split")),
    }
    if evaluation is not None:
        _check_evaluation(evaluation, shards, run)
    if run is not None:
        walk(run)
        card["snapshot"]["run"] = read_snapshot(run).id
        card["training"] = dict(read_snapshot(run).params)
        card["device"] = {"train": dict(read_snapshot(run).ran)}
        card["losses"] = build_losses(run)
    if evaluation is not None:
        card["snapshot"]["evaluation"] = read_snapshot(evaluation).id
        card.setdefault("device", {})["evaluate"] = dict(read_snapshot(evaluation).ran)
        card |= build_network(evaluation)
    return card


def _check_evaluation(evaluation: Path, shards: Path, run: Path | None) -> None:
    """Refuse an evaluation whose figures are not of these shards, or not of this network."""
    if read_snapshot(shards).id not in {node.snapshot for node in iter_nodes(walk(evaluation))}:
        raise LineageError(f"{evaluation}: its test is not that of {shards}; run prep evaluate on these shards")
    tested = read_json(evaluation / METRICS_NAME).get("snapshot", {}).get("run")
    if run is not None and tested != read_snapshot(run).id:
        raise LineageError(f"{evaluation}: tests another network than {run}; run prep evaluate, or name its own")


def dataset_of(node: Node) -> str:
    """Return the dataset of an output of ingest."""
    return str(read_json(Path(node.path) / SUMMARY_NAME).get("dataset", Path(node.path).name))


def dataset_nodes(root: Node, dataset: str) -> dict[str, Node]:
    """Return stage -> output folder for the stages that process this dataset separately."""
    found = {}
    for node in iter_nodes(root):
        behind = {dataset_of(other) for other in iter_nodes(node) if other.stage == "ingest"}
        if node.stage is not None and behind == {dataset} and Path(node.path).is_dir():
            found[node.stage] = node
    return found


def _describe_dataset(root: Node, name: str, shards: Path) -> dict[str, Any]:
    nodes = dataset_nodes(root, name)
    ingest = nodes["ingest"]
    summary = read_json(Path(ingest.path) / SUMMARY_NAME)
    fmt = str(summary.get("format", ""))
    bound = str(summary.get("terms", fmt))
    return {
        "format": fmt,
        "fingerprint": summary.get("fingerprint", {}),
        "terms_of": bound,
        "terms": CATALOG[bound].terms if bound in CATALOG else "",
        "where": CATALOG[bound].where if bound in CATALOG else "",
        "raw": {node.path: node.md5 for node in ingest.inputs if node.stage is None},
        "stages": {stage: _counts(Path(nodes[stage].path)) for stage in STAGES if stage in nodes},
        "snapshots": {stage: nodes[stage].snapshot for stage in STAGES if stage in nodes},
        "classes": _misses(nodes),
        "credit": CATALOG[bound].credit if bound in CATALOG else "",
        "affect": _affect(nodes),
        "splits": _splits(shards, name),
    }


def _counts(folder: Path) -> dict[str, Any]:
    summary = read_json(folder / SUMMARY_NAME)
    return {name: summary[name] for name in ("rows_in", "rows_out", "rejected") if name in summary}


def _misses(nodes: dict[str, Node]) -> dict[str, dict[str, float]]:
    """Return for each class how many rows are labelled, how many have a selected face, and the share missed."""
    if not {"select", "harmonize"} <= set(nodes):
        return {}
    labels = read_table(Path(nodes["harmonize"].path) / LABELS_NAME, ["sample_id", "label"])
    selected = read_table(Path(nodes["select"].path) / SELECTED_NAME, ["sample_id"], SELECTED)["sample_id"]
    has_face = pc.is_in(labels["sample_id"], value_set=selected)
    labelled, with_face = Counter(labels["label"].to_pylist()), Counter(labels.filter(has_face)["label"].to_pylist())
    return {
        name: {
            "labelled": labelled[label],
            "with_face": with_face[label],
            "missed_share": round(1 - with_face[label] / labelled[label], 4) if labelled[label] else 0.0,
        }
        for label, name in enumerate(CLASSES)
    }


def _affect(nodes: dict[str, Node]) -> list[Cell]:
    """Return how valence and arousal of the rows that are annotated with both lie."""
    if "harmonize" not in nodes:
        return []
    return affect_cells(read_table(Path(nodes["harmonize"].path) / LABELS_NAME, ["valence", "arousal"]))


def _splits(shards: Path, dataset: str) -> dict[str, dict[str, int]]:
    """Return split -> class, or UNCLASSED, -> rows of a dataset in the shards; copies count."""
    index = read_table(shards / INDEX_NAME, schema=INDEX)
    rows = index.filter(pc.equal(index["dataset"], dataset))
    return {split: _per_class(rows.filter(pc.equal(rows["split"], split))) for split in _names(rows)}


def _names(rows: pa.Table) -> Iterator[str]:
    present = set(rows["split"].to_pylist())
    yield from (name for name in ("train", "val", "test") if name in present)
    yield from sorted(present - {"train", "val", "test"})


def _per_class(rows: pa.Table) -> dict[str, int]:
    counts = Counter(rows["label"].to_pylist())
    without = {UNCLASSED: counts[None]} if counts[None] else {}
    return {name: counts[label] for label, name in enumerate(CLASSES)} | without
