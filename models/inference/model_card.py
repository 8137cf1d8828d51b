"""The card of an exported network, as the Hugging Face Hub reads it: data, figures with intervals, limits, misuse.

The YAML header has the Hub's metadata (https://huggingface.co/docs/hub/model-cards); the text says what Mitchell et al.
(2019, Model Cards for Model Reporting) ask for. Every figure comes from the checkpoint or from its own evaluation.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from models.checkpoint import CHECKPOINT_NAME, Checkpoint
from models.core.affect import AFFECT_SCORES, AFFECTS
from pipeline.core.catalog import CATALOG, terms_in
from pipeline.core.errors import ModelError
from pipeline.core.lineage.snapshot import read_snapshot
from pipeline.core.names import DETAILS_NAME, METRICS_NAME, SNAPSHOT_NAME, TEST

CARD_TAG: Final = "expression-prep"  # by which a card of ours is told from any other text
_SCORES: Final = ("accuracy", "balanced_accuracy", "macro_f1", "mean_ccc")
_MISUSE: Final = (
    "to say what a person feels, thinks or intends: a label is how others named a face",
    "to judge, select, rank or watch people: at work, at school, at a border, in court, in health care, in insurance. "
    "The EU AI Act (2024/1689, article 5) prohibits inferring emotions at work and in education",
    "to identify anybody",
    "on people who do not know of it",
)


def build_model_card(checkpoint: Checkpoint, run: Path, file: str, evaluation: Path | None) -> str:
    """Return the text of the card.

    Args:
        checkpoint: the exported network.
        run: its file, or its folder. A snapshot there tells it from other trainings of the same network on the same
            shards; a checkpoint on its own is told by its network and its shards.
        file: the name of its ONNX file.
        evaluation: the folder that `evaluate` wrote for this network; None if it was not tested.

    Raises:
        ModelError: the evaluation is of another network, or cannot be read.
        LineageError: the snapshot beside the checkpoint cannot be read.
    """
    metrics, details = ({}, {}) if evaluation is None else _read(checkpoint, run, evaluation)
    header = yaml.safe_dump(_header(checkpoint, metrics), sort_keys=False, allow_unicode=True, width=120)
    return f"---\n{header}---\n\n" + "\n\n".join(_body(checkpoint, file, metrics, details)) + "\n"


def is_model_card(path: Path) -> bool:
    """Say whether a file is a card of ours, which the next export replaces."""
    return f"\n- {CARD_TAG}\n" in path.read_text(encoding="utf-8", errors="replace").partition("\n---\n")[0]


def _read(checkpoint: Checkpoint, run: Path, evaluation: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        metrics, details = (
            json.loads((evaluation / name).read_text(encoding="utf-8")) for name in (METRICS_NAME, DETAILS_NAME)
        )
        tested = metrics["snapshot"]["trained_on"], metrics["network"]["model"]
        run_id = metrics["snapshot"].get("run")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{evaluation}: not an evaluation: {error}; run prep evaluate again") from None
    if tested != (checkpoint.snapshot_id, checkpoint.info.model):
        raise ModelError(f"{evaluation}: tests {tested[1]} of other shards; run prep evaluate again, or name its own")
    if _run_id(run) not in (None, run_id):
        raise ModelError(
            f"{evaluation}: tests another training of {tested[1]} than {run}; run prep evaluate again, or name its own"
        )
    return metrics, details


def _run_id(run: Path) -> str | None:
    """Return the id of the training that wrote a checkpoint; None if no snapshot beside it lists it."""
    file = run / CHECKPOINT_NAME if run.is_dir() else run
    if not file.with_name(SNAPSHOT_NAME).is_file():
        return None
    snapshot = read_snapshot(file.parent)
    return snapshot.id if file.name in snapshot.files else None


def _header(checkpoint: Checkpoint, metrics: Mapping[str, Any]) -> dict[str, Any]:
    results = [
        {"type": name, "name": name, "value": metrics[name]} for name in _SCORES if isinstance(metrics.get(name), float)
    ]
    tested = {
        "task": {"type": "image-classification"},
        "dataset": {"name": ", ".join(sorted(metrics.get("per_dataset", {}))), "type": "expression-prep-shards"},
        "metrics": results,
    }
    return {
        "library_name": "onnx",
        "pipeline_tag": "image-classification",
        "license": "other",
        "license_name": "terms-of-the-training-datasets",
        "license_link": "README.md#training-data",
        "tags": ["faces", "facial-expression-recognition", CARD_TAG],
        **({"model-index": [{"name": checkpoint.info.model, "results": [tested]}]} if results else {}),
    }


def _body(checkpoint: Checkpoint, file: str, metrics: Mapping[str, Any], details: Mapping[str, Any]) -> Iterator[str]:
    info = checkpoint.info
    align = info.contract.get("align") or {}
    yield f"# {info.model}, facial expressions"
    side = align.get("size_px")
    gives = [f"the probabilities of {', '.join(info.heads.classes)}"] if info.heads.classes else []
    gives += [f"{', '.join(info.heads.values)} in [-1, 1]"] if info.heads.values else []
    yield (
        f"`{file}` reads aligned RGB faces, uint8 (N, 3, {side}, {side}), and gives {', and '.join(gives)}. How faces "
        "must be aligned and equalized is in its metadata, key `prep`."
    )
    for why in checkpoint.doubts.values():
        yield f"> **Do not rely on it:** {why}."
    yield "## What it must not be used for"
    yield "\n".join(f"- {use}" for use in _MISUSE)
    yield "## Uses"
    yield "Research on expressions that are posed or apparent, on data like those below."
    yield "## Training data"
    yield _training(checkpoint)
    yield "## Figures"
    if not metrics:
        yield "It was not tested: `prep evaluate`, then `prep export` again, puts the figures here."
        return
    yield from _figures(metrics, details)


def _training(checkpoint: Checkpoint) -> str:
    bound = terms_in(checkpoint.contract)
    lines = [
        f"- **{name}**: {CATALOG[release].dataset}: {CATALOG[release].terms}. {CATALOG[release].where}"
        if release in CATALOG
        else f"- **{name}**: terms not known to this project"
        for name, release in sorted(bound.items())
    ]
    return "\n".join([*lines, f"\nSnapshot of the shards: `{checkpoint.snapshot_id}`."])


def _figures(metrics: Mapping[str, Any], details: Mapping[str, Any]) -> Iterator[str]:
    if "accuracy" in metrics:
        yield from _class_figures(metrics, details)
    values = {name: details[name] for name in AFFECTS if name in details}
    if values:
        yield _table("value", "faces", *AFFECT_SCORES, rows=[
            (name, str(of["rows"]), *(_value(of[score]) for score in AFFECT_SCORES)) for name, of in values.items()
        ])  # fmt: skip
        yield "Brackets are 95% intervals over people; none: undefined on these faces."


def _class_figures(metrics: Mapping[str, Any], details: Mapping[str, Any]) -> Iterator[str]:
    interval = (metrics.get("interval") or {}).get("balanced_accuracy") or {}
    yield (
        f"On {metrics['rows']} test faces of people and pictures that it was not trained on: balanced accuracy "
        f"{_value({'value': metrics['balanced_accuracy'], **interval})}, accuracy {metrics['accuracy']:.3f} (the most "
        f"frequent class alone: {metrics['majority_class']['accuracy']:.3f}), calibration error {metrics['ece']:.3f}. "
        "Brackets are 95% intervals over people."
    )
    if metrics["network"].get("validated_on") == TEST:
        yield "**It was validated on this test set**, as the thesis's protocol does; other faces will score less."
    yield _table("class", "faces", "recall", "precision", rows=[
        (name, str(of["support"]), _value(of["recall"]), _value(of["precision"]))
        for name, of in details["per_class"].items()
    ])  # fmt: skip
    groups = details.get("groups") or {}
    for name, entries in groups.items():
        yield _table(name, "faces", "people", "accuracy", rows=[
            (one["value"], str(one["rows"]), f"{one['people']}{', few' if one['few'] else ''}",
             _value({"value": one["accuracy"], "low": one["low"], "high": one["high"]}))
            for one in entries
        ])  # fmt: skip
    untold = [name for name in ("gender", "age", "race") if name not in {title.partition(" ")[0] for title in groups}]
    if untold:
        yield f"**Not tested by {', '.join(untold)}**: no test dataset says it. Nobody knows whom it fails most."


def _table(*names: str, rows: list[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in (names, *rows)]
    return "\n".join([lines[0], f"|---|{'--:|' * (len(names) - 1)}", *lines[1:]])


def _value(of: Mapping[str, Any] | None) -> str:
    if of is None or of.get("value") is None:
        return "none"
    ends = (of.get("low"), of.get("high"))
    return f"{of['value']:.3f}" + (f" [{ends[0]:.3f}, {ends[1]:.3f}]" if None not in ends else "")
