"""The two tables of the thesis, with and without augmentation, filled from DVC's experiments.

A row is a network, a column a test set: balanced accuracy on the rows whose face was found, with its 95% interval.
Of several experiments with one network the newest counts, and all are of one data snapshot. Published figures stand
beside ours where a csv gives them (columns model, augment, dataset, accuracy).
"""

import csv
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipeline.core import folders
from pipeline.core.errors import UsageError
from pipeline.core.lineage.snapshot import read_snapshot
from pipeline.core.names import SNAPSHOT_NAME

METRICS: Final = "runs/evaluate/metrics.json"
_SCORE: Final = "balanced_accuracy"
_ALL: Final = "all"
_WORKSPACE: Final = "workspace"
_DONE: Final = (None, "success")
_SHORT: Final = 12


@dataclass(frozen=True, slots=True)
class Run:
    """One experiment: the network, how its faces were augmented, the id of the shards, and its metrics.

    The classical baselines learn from the faces as they are: `augment` is None, and they stand in both tables.
    """

    model: str
    augment: str | None
    shards: str
    metrics: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Filled:
    """What the tables were filled with, and how many experiments were left out: they are on other data."""

    runs: list[Run]
    left_out: int


def write_tables(out: Path, published: Path | None = None, snapshot: str | None = None) -> Filled:
    """Fill the two tables from the experiments that dvc exp show lists, of one data snapshot.

    Args:
        out: the Markdown file to write.
        published: a csv of published accuracies; see `read_published`.
        snapshot: the id of the shards, or its beginning; None: those in data/shards, or of the newest experiment.

    Raises:
        UsageError: no experiment, none on these shards, or `published` cannot be read.
    """
    runs = list(read_runs(read_experiments()))
    if not runs:
        raise UsageError(f"dvc exp show: no experiment with {METRICS}; run dvc exp run -S train.model=NAME first")
    chosen = choose_runs(runs, snapshot or _current(runs))
    figures = read_published(published) if published else {}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(build_page(chosen, figures), encoding="utf-8")
    return Filled(chosen, len(runs) - len(chosen))


def choose_runs(runs: list[Run], snapshot: str) -> list[Run]:
    """Return the runs on one snapshot: scores on different test sets do not belong in one table.

    Raises:
        UsageError: there is none.
    """
    chosen = [run for run in runs if run.shards.startswith(snapshot)]
    if not chosen:
        known = ", ".join(sorted({run.shards[:_SHORT] for run in runs}))
        raise UsageError(f"--snapshot {snapshot[:_SHORT]}: no experiment on these shards; there are some on {known}")
    return chosen


def _current(runs: list[Run]) -> str:
    here = folders.SHARDS / SNAPSHOT_NAME
    return read_snapshot(folders.SHARDS).id if here.is_file() else runs[0].shards


def build_page(runs: list[Run], published: Mapping[tuple[str, str, str], float]) -> str:
    """Return both tables as Markdown, and from which bytes they come.

    Args:
        runs: newest first, at least one, all on one snapshot.
        published: accuracy in [0, 1] by model, augment and dataset.
    """
    data = "".join(f"- `{path}` {md5}\n" for path, md5 in sorted(runs[0].metrics.get("data", {}).items()))
    head = f"Balanced accuracy with its 95% interval, on shards `{runs[0].shards}`:\n\n{data}"
    parts = [head]
    for augmented, title in ((False, "Without augmentation"), (True, "With augmentation")):
        part = [run for run in runs if run.augment is None or (run.augment != "none") == augmented]
        parts.append(f"## {title}\n\n{build_table(part, published)}")
    return "\n".join(parts)


def read_runs(shown: list[Mapping[str, Any]]) -> Iterator[Run]:
    """Yield the runs in what `dvc exp show --json` prints, newest first; what has not finished is passed over.

    So is the workspace. What was measured is read from the metrics themselves: metrics.json is in git, so an
    experiment that has not come so far shows its own parameters beside the metrics of the commit it began with.
    """
    for baseline in shown:
        revisions = [baseline]
        for experiment in baseline.get("experiments") or []:
            if (experiment.get("executor") or {}).get("state") in _DONE:
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
    lines = [f"| network | seed | {' | '.join(columns)} |", "|---" * (len(columns) + 2) + "|"]
    for run in newest.values():
        cells = [_cell(run, column, published) for column in columns]
        seed = run.metrics.get("seeds", {}).get("training", "-")
        lines.append(f"| {run.model} | {seed} | {' | '.join(cells)} |")
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
    text = f"{block[_SCORE]:.3f}" + (
        f" ({ends['low']:.3f} to {ends['high']:.3f})" if ends and ends["low"] is not None else ""
    )
    figure = published.get((run.model, run.augment or "none", column))
    return text if figure is None else f"{text}, published {figure:.3f}"


def _read_run(revision: Mapping[str, Any]) -> Iterator[Run]:
    data = revision.get("data") or {}
    metrics = ((data.get("metrics") or {}).get(METRICS) or {}).get("data") or {}
    network, shards = metrics.get("network"), metrics.get("snapshot", {}).get("shards")
    if network and shards:
        yield Run(network["model"], network.get("augment"), shards, metrics)


def read_experiments() -> list[Mapping[str, Any]]:
    """Return what `dvc exp show --json` prints of every commit.

    Raises:
        UsageError: DVC cannot be run here, or says no.
    """
    command = [sys.executable, "-m", "dvc", "exp", "show", "--json", "--all-commits"]
    try:
        # DVC asks for a name and a home, which the user of a container may not have.
        environment = {"USER": "nobody", "HOME": tempfile.gettempdir()} | os.environ
        shown = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    except OSError as error:
        raise UsageError(f"dvc exp show: cannot be run: {error.strerror}; use the project's environment") from None
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise UsageError(f"dvc exp show: {last}") from None
    content: list[Mapping[str, Any]] = json.loads(shown)
    return content
