"""What the page says of a network: the figure beside its baselines, calibration, confusion, groups, loss by epoch."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.core.emotions import CLASSES
from pipeline.core.errors import DataError
from pipeline.core.lineage.snapshot import read_snapshot
from pipeline.core.names import AFFECT_PREDICTIONS_NAME, DETAILS_NAME, METRICS_NAME, PREDICTIONS_NAME
from pipeline.core.schema import AFFECT_PREDICTIONS, PREDICTIONS
from pipeline.core.tables import read_table
from pipeline.report.sets import read_json

Floats = NDArray[np.floating[Any]]
# Valence, arousal and the rows of a cell.
Cell = tuple[float, float, int]

CELL_SIDE: Final = 0.08  # of valence and of arousal
LOSSES_NAME: Final = "losses.csv"
_AFFECTS: Final = ("valence", "arousal")
_VALUES: Final = (*_AFFECTS, "dominance")
_VALUE_SCORES: Final = ("ccc", "pearson", "rmse", "sign_agreement", "sign_agreement_with_zeros")
# Side of the cells whose errors are averaged into one arrow.
_ERROR_SIDE: Final = 0.2
_HEADLINE: Final = ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "ece", "ece_chance", "rows")
_SCORES: Final = ("balanced_accuracy", "accuracy")
_BINS: Final = 15
_DECIMALS: Final = 6


def build_losses(run: Path) -> dict[str, Any]:
    """Return the course of a training; empty for a network that is not trained by epochs.

    Returns:
        the columns of losses.csv that are numbers; `name`, what the loss is called; and `fine_tuned_from`, the first
        epoch of fine-tuning after feature extraction, None if there is no such phase.

    Raises:
        DataError: a cell is no number.
    """
    file = run / LOSSES_NAME
    if not file.is_file():
        return {}
    with file.open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    phases = [row.get("phase") for row in rows]
    start = phases.index("finetune") if "finetune" in phases else 0
    told = {"name": rows[0].get("loss") or "loss" if rows else "loss"}
    try:
        return (
            told
            | {"fine_tuned_from": float(rows[start]["epoch"]) if start else None}
            | {
                name: [float(row[name]) if row[name] else None for row in rows]
                for name in (rows[0] if rows else ())
                if name not in ("phase", "loss")
            }
        )
    except (TypeError, ValueError) as error:
        raise DataError(f"{file}: {error}; run the stage that writes {run}") from None


def build_network(evaluation: Path) -> dict[str, Any]:
    """Return what is known of a network on the test set.

    Returns:
        metrics: the headlines of metrics.json; seeds, permutation_probe and majority_class as there. For a network of
        classes: figures, score -> who -> value, low and high; confusion, actual class -> predicted class -> rows;
        per_class, class -> recall with interval; calibration, one entry per bin with rows. For one of values:
        affect_scores, name -> score -> value, low and high; affect, the annotated and the answered ones by cell
        (`affect_cells`); errors, see `error_cells`. groups: see `read_groups`. occlusion: hidden region
        -> score -> value, low and high.

    Raises:
        DataError: a file is missing or torn.
    """
    metrics = read_json(evaluation / METRICS_NAME)
    details = read_json(evaluation / DETAILS_NAME) if (evaluation / DETAILS_NAME).is_file() else {}
    found: dict[str, Any] = {
        "metrics": {name: metrics[name] for name in _HEADLINE if name in metrics} | _affect_scores(metrics),
        "seeds": metrics.get("seeds", {}),
        "permutation_probe": metrics.get("permutation_probe", {}),
        "groups": read_groups(details),
        "occlusion": details.get("occlusion", {}),
        "described": metrics.get("network", {}),
    }
    if any(name in metrics for name in _VALUES):
        found |= {"affect_scores": _values(metrics, details), **_affect_answers(evaluation)}
    if "accuracy" not in metrics:
        return found
    answers = read_table(evaluation / PREDICTIONS_NAME, schema=PREDICTIONS)
    bins = read_snapshot(evaluation).params.get("calibration_bins", _BINS)
    return found | {
        "figures": _figures(metrics, details),
        "confusion": _confusion(answers, list(details.get("per_class") or CLASSES)),
        "per_class": {name: of.get("recall") for name, of in details.get("per_class", {}).items()},
        "calibration": _calibration(answers, int(bins)),
    }


def read_answers(evaluation: Path) -> pa.Table | None:
    """Return sample_id, predicted and confidence of each answered face; None for a network of values alone."""
    if "accuracy" not in read_json(evaluation / METRICS_NAME):
        return None
    answers = read_table(evaluation / PREDICTIONS_NAME, schema=PREDICTIONS)
    sure = _confidence(answers)
    return answers.select(["sample_id", "predicted"]).append_column("confidence", pa.array(sure, pa.float32()))


def read_groups(details: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return attribute -> the scores of its values; empty where the datasets say nothing of people's gender or age."""
    groups = details.get("groups")
    return dict(groups) if isinstance(groups, Mapping) else {}


def _figures(metrics: Mapping[str, Any], details: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return score -> who -> value, low and high: the network, those measured beside it, the majority class."""
    figures: dict[str, dict[str, Any]] = {}
    for score in _SCORES:
        who = {"this network": details.get(score) or {"value": metrics[score]}}
        who |= {name: of[score] for name, of in details.get("beside", {}).items() if score in of}
        majority = (details.get("majority_class") or metrics.get("majority_class", {})).get(score)
        who |= {} if majority is None else {"majority class": {"value": majority}}
        figures[score] = who
    return figures


def _affect_scores(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return the scores of values by name, such as `valence ccc`."""
    given = {name: metrics[name] for name in _VALUES if name in metrics}
    scores = {
        f"{name} {score}": scores[score]
        for name, scores in given.items()
        for score in ("rows", *_VALUE_SCORES)
        if scores.get(score) is not None
    }
    return scores | ({"mean ccc": metrics["mean_ccc"]} if metrics.get("mean_ccc") is not None else {})


def _values(metrics: Mapping[str, Any], details: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return value -> score -> value, low and high, or None where it is undefined."""
    return {
        name: {score: details[name].get(score) for score in _VALUE_SCORES}
        for name in _VALUES
        if name in metrics and name in details
    }


def error_cells(true: Floats, answers: Floats) -> Floats:
    """Return (M, 5), for each cell of the circle with rows: mean annotation, mean answer and rows.

    Args:
        true: (N, 2) annotated valence and arousal, NaN where there is none; only rows with both count.
        answers: (N, 2) what was answered.
    """
    both = ~np.isnan(true).any(axis=1)
    values = np.concatenate([true[both], answers[both]], axis=1).astype(np.float64)
    cells = np.floor((values[:, :2] + 1) / _ERROR_SIDE + 1e-6)  # 1e-6: float32 of a round number lies beside it
    _, cell, counts = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    columns = [np.bincount(cell.ravel(), weights=column, minlength=len(counts)) for column in values.T]
    return np.stack([*(column / counts for column in columns), counts.astype(np.float64)], axis=1)


def _affect_answers(evaluation: Path) -> dict[str, Any]:
    table = read_table(evaluation / AFFECT_PREDICTIONS_NAME, schema=AFFECT_PREDICTIONS)
    named = {"annotated": _AFFECTS, "answered": tuple(f"predicted_{name}" for name in _AFFECTS)}
    cells = {title: affect_cells(table, names) for title, names in named.items()}
    columns = {name: pc.fill_null(table[name], np.nan).to_numpy() for names in named.values() for name in names}
    true, answers = (np.stack([columns[name] for name in names], axis=1) for names in named.values())
    known = ~np.isnan(answers).any(axis=1)
    return {
        "affect": {title: found for title, found in cells.items() if found},
        "errors": error_cells(true[known], answers[known]).round(_DECIMALS).tolist(),
    }


def affect_cells(table: pa.Table, names: Sequence[str] = _AFFECTS) -> list[Cell]:
    """Return valence and arousal of the middle of each cell of a grid, and the rows in it, that have both values."""
    both = pc.and_(pc.is_valid(table[names[0]]), pc.is_valid(table[names[1]]))
    values = np.stack([table[name].filter(both).to_numpy().astype(np.float64) for name in names], axis=1)
    cells = np.floor((np.clip(values, -1, 1) + 1) / CELL_SIDE + 0.5).astype(np.int64)
    places, counts = np.unique(cells, axis=0, return_counts=True)
    return [
        (round(x * CELL_SIDE - 1, 2), round(y * CELL_SIDE - 1, 2), rows)
        for (x, y), rows in zip(places.tolist(), counts.tolist(), strict=True)
    ]


def _confusion(answers: pa.Table, names: Sequence[str]) -> dict[str, dict[str, int]]:
    labels, predicted = (answers[name].to_numpy().astype(np.int64) for name in ("label", "predicted"))
    counts = np.bincount(labels * len(CLASSES) + predicted, minlength=len(CLASSES) ** 2).reshape(len(CLASSES), -1)
    numbers = {name: CLASSES.index(name) for name in names}
    return {
        actual: {answer: int(counts[row, column]) for answer, column in numbers.items()}
        for actual, row in numbers.items()
    }


def _confidence(answers: pa.Table) -> "np.ndarray[Any, np.dtype[np.float64]]":
    flat = answers["probabilities"].combine_chunks().flatten().to_numpy().astype(np.float64)
    return np.asarray(flat.reshape(len(answers), len(CLASSES)).max(axis=1))


def _calibration(answers: pa.Table, bins: int) -> list[dict[str, float]]:
    """Return for each bin of equal width in confidence that has rows: mean confidence, share of right answers, rows."""
    if not len(answers):
        return []
    sure = _confidence(answers)
    right = answers["label"].to_numpy() == answers["predicted"].to_numpy()
    of_bin = np.minimum((sure * bins).astype(np.int64), bins - 1)
    return [
        {
            "confidence": round(float(sure[of_bin == number].mean()), _DECIMALS),
            "accuracy": round(float(right[of_bin == number].mean()), _DECIMALS),
            "rows": int((of_bin == number).sum()),
        }
        for number in np.unique(of_bin)
    ]
