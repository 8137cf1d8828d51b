"""`prep tables`: the two tables of the thesis, with and without augmentation, filled from DVC's experiments.

A row is a network, a column a test set: balanced accuracy on the rows whose face was found, with its 95% interval.
Of several experiments with one network the newest counts. Published figures stand beside ours where a csv gives them
(`--published`, columns model, augment, dataset, accuracy).
"""

import csv
import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from pipeline.errors import UsageError
from stages import project

METRICS: Final = "runs/evaluate/metrics.json"
_SCORE: Final = "balanced_accuracy"
_ALL: Final = "all"
_WORKSPACE: Final = "workspace"


@dataclass(frozen=True, slots=True)
class Run:
    """One experiment: the network, whether its faces were augmented, and its metrics."""

    name: str
    model: str
    augment: str
    metrics: Mapping[str, Any]


def tables(
    out: Annotated[Path, typer.Option(help="The file to write.")] = project.RUNS / "tables.md",
    published: Annotated[
        Path | None, typer.Option(help="A csv of published accuracies: model, augment, dataset, accuracy.")
    ] = None,
) -> None:
    """Fill the two tables from the experiments that dvc exp show lists."""
    runs = list(read_runs(_experiments()))
    if not runs:
        raise UsageError(f"dvc exp show: no experiment with {METRICS}; run dvc exp run -S train.model=NAME first")
    figures = read_published(published) if published else {}
    parts = []
    for augmented, title in ((False, "Without augmentation"), (True, "With augmentation")):
        chosen = [run for run in runs if (run.augment != "none") == augmented]
        parts.append(f"## {title}\n\n{build_table(chosen, figures)}")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join(parts), encoding="utf-8")
    typer.echo(f"{out}: {len(runs)} experiments")


def read_runs(shown: list[Mapping[str, Any]]) -> Iterator[Run]:
    """Yield the runs in what `dvc exp show --json` prints, newest first; what has not finished is passed over.

    So is the workspace: its parameters may be another run's than its metrics.
    """
    for baseline in shown:
        revisions = [baseline]
        for experiment in baseline.get("experiments") or []:
            revisions.extend(experiment.get("revs") or [])
        for revision in revisions:
            if revision.get("rev") != _WORKSPACE:
                yield from _read_run(revision)


def build_table(runs: list[Run], published: Mapping[tuple[str, str, str], float]) -> str:
    """Return one table as Markdown: a row a network, a column a test set.

    Args:
        runs: newest first; the first of each network counts.
        published: accuracy in [0, 1] by model, augment and dataset.
    """
    if not runs:
        return "No experiment yet.\n"
    newest: dict[str, Run] = {}
    for run in runs:
        newest.setdefault(run.model, run)
    names = sorted({name for run in newest.values() for name in run.metrics.get("per_dataset", {})})
    columns = [_ALL, *names]
    lines = [f"| network | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for run in newest.values():
        cells = [_cell(run, column, published) for column in columns]
        lines.append(f"| {run.model} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def read_published(path: Path) -> dict[tuple[str, str, str], float]:
    """Read published accuracies by model, augment and dataset.

    Raises:
        UsageError: missing, or a row without a number; names the row.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    figures = {}
    for number, row in enumerate(rows, start=2):
        try:
            figures[row["model"], row["augment"], row["dataset"]] = float(row["accuracy"])
        except (KeyError, TypeError, ValueError):
            raise UsageError(f"{path}, row {number}: expected model,augment,dataset,accuracy with a number") from None
    return figures


def _cell(run: Run, column: str, published: Mapping[tuple[str, str, str], float]) -> str:
    block = run.metrics if column == _ALL else run.metrics.get("per_dataset", {}).get(column, {})
    if _SCORE not in block:
        return "-"
    ends = block.get("interval", {}).get(_SCORE)
    text = f"{block[_SCORE]:.3f}" + (f" ({ends['low']:.3f} to {ends['high']:.3f})" if ends else "")
    figure = published.get((run.model, run.augment, column))
    return text if figure is None else f"{text}, published {figure:.3f}"


def _read_run(revision: Mapping[str, Any]) -> Iterator[Run]:
    data = revision.get("data") or {}
    metrics = ((data.get("metrics") or {}).get(METRICS) or {}).get("data")
    values = ((data.get("params") or {}).get(project.PARAMS.as_posix()) or {}).get("data") or {}
    train = values.get("train") or {}
    train = _with_preset(train, str(train.get("preset")))
    if metrics and "model" in train:
        name = revision.get("name") or str(revision.get("rev", ""))[:7]
        yield Run(name, train["model"], train.get("augment", "none"), metrics)


def _with_preset(train: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the keys of the train section with a preset on top, and the preset that it begins with below that."""
    preset = (train.get("presets") or {}).get(name)
    if preset is None:
        return train
    return {**_with_preset(train, str(preset.get("preset"))), **preset}


def _experiments() -> list[Mapping[str, Any]]:
    command = ["dvc", "exp", "show", "--json", "--all-commits"]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except OSError as error:
        raise UsageError(f"dvc exp show: cannot be run: {error.strerror}; use the project's environment") from None
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise UsageError(f"dvc exp show: {last}") from None
    content: list[Mapping[str, Any]] = json.loads(shown)
    return content
