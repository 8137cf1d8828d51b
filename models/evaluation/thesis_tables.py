"""The two tables of the thesis, with and without augmentation, filled with the results of DVC's experiments.

Each row is a network and each column a test set. A cell is the balanced accuracy on the rows whose face was found, with
its 95% interval. If there are several experiments with a network, the newest one counts. All are on the same snapshot
of the data. A csv (columns model, augment, dataset, accuracy) adds published figures to the cells.
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
# A finished experiment has no executor any more, or one in the state "success".
_DONE: Final = (None, "success")
_SHORT: Final = 12  # characters of a snapshot's id in a message


@dataclass(frozen=True, slots=True)
class Run:
    """One experiment.

    Attributes:
        model: the name of the network.
        augment: the augmentation; None for classical baselines, which have none and are therefore in both tables.
        shards: the id of the shards.
        metrics: the content of metrics.json.
    """

    model: str
    augment: str | None
    shards: str
    metrics: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Filled:
    """The experiments in the tables, and the number of those left out because they are on other data."""

    runs: list[Run]
    left_out: int


def write_tables(out: Path, published: Path | None = None, snapshot: str | None = None) -> Filled:
    """Fill the two tables with the experiments that `dvc exp show` lists, of one snapshot of the data.

    Args:
        out: the Markdown file to write.
        published: a csv of published accuracies, see `read_published`; None: no published figures.
        snapshot: the id of the shards, or its beginning; None: that of data/shards, or else of the newest experiment.

    Raises:
        UsageError: there is no experiment, none on these shards, or `published` cannot be read.
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
    """Return the runs on one snapshot, because scores on different test sets cannot be compared.

    Args:
        runs: any number of them, newest first.
        snapshot: the id of the shards, or its beginning.

    Raises:
        UsageError: there is no such run.
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
    """Return both tables as Markdown, below a list of the raw data with its hashes.

    Args:
        runs: newest first, at least one, all on the same snapshot.
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
    """Yield the runs in the output of `dvc exp show --json`, newest first.

    The workspace and experiments that have not finished are skipped. The network's name is read from the metrics, not
    from the parameters that DVC shows: metrics.json is in git, so an experiment that stopped before `evaluate` shows
    its own parameters beside the metrics of the commit that it started from.
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
    """Return one table as Markdown, with one row per network and one column per test set.

    Args:
        runs: newest first; only the first one of each network is shown.
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
    """Read a csv of published accuracies.

    Args:
        path: a csv with the columns model, augment (none without augmentation), dataset (or all) and accuracy.

    Returns:
        accuracy in [0, 1] by model, augment and dataset.

    Raises:
        UsageError: the file cannot be read, or a row has no number; the message names the row.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    figures = {}
    # The header is row 1, as in a spreadsheet.
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
    """Return the parsed output of `dvc exp show --json --all-commits`: one entry per commit, newest first.

    Raises:
        UsageError: DVC cannot be run, or reports an error.
    """
    command = [sys.executable, "-m", "dvc", "exp", "show", "--json", "--all-commits"]
    try:
        # DVC looks up the name and home of the user, and a container may run as a user without either.
        environment = {"USER": "nobody", "HOME": tempfile.gettempdir()} | os.environ
        shown = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    except OSError as error:
        raise UsageError(f"dvc exp show: cannot be run: {error.strerror}; use the project's environment") from None
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise UsageError(f"dvc exp show: {last}") from None
    content: list[Mapping[str, Any]] = json.loads(shown)
    return content
