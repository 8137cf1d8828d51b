"""The two tables of the thesis, with and without augmentation, filled with the results of DVC's experiments.

Each row is a network and each column a test set. A cell is the balanced accuracy on the rows whose face was found, with
its 95% interval. If there are several experiments with a network, the newest one counts, and
the newest one that was validated on the test set. All are on the same snapshot
of the data. A third table has published figures beside ours (`published`).
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from models.evaluation.published import Figure, beside
from pipeline.core import folders
from pipeline.core.errors import UsageError
from pipeline.core.lineage.snapshot import read_snapshot
from pipeline.core.names import SNAPSHOT_NAME, TEST

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

    @property
    def title(self) -> str:
        """The network's name, marked if its epoch or temperature was chosen on the rows that it is tested on."""
        held = self.metrics["network"].get("validated_on")
        return f"{self.model} (validated on the test set)" if held == TEST else self.model


@dataclass(frozen=True, slots=True)
class Filled:
    """The experiments in the tables, and the number of those left out because they are on other data."""

    runs: list[Run]
    left_out: int


def write_tables(
    out: Path, figures: Sequence[Figure] = (), snapshot: str | None = None, commits: int | None = 1
) -> Filled:
    """Fill the tables with experiments that `dvc exp show` lists, of one snapshot of the data.

    Args:
        out: the Markdown file to write.
        figures: published ones.
        snapshot: the id of the shards, or its beginning; None: that of data/shards, or else of the newest experiment.
        commits: so many of the last commits are read with the experiments that started from them; None: all commits,
            for each of which DVC takes about a second.

    Raises:
        UsageError: there is no experiment, or none on these shards.
    """
    runs = list(read_runs(read_experiments(commits)))
    if not runs:
        raise UsageError(f"dvc exp show: no experiment with {METRICS}; run dvc exp run -S train.model=NAME first")
    chosen = choose_runs(runs, snapshot or _current(runs))
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


def build_page(runs: list[Run], figures: Sequence[Figure] = ()) -> str:
    """Return the tables as Markdown, below a list of the raw data with its hashes.

    Args:
        runs: newest first, at least one, all on the same snapshot.
        figures: published ones, which get a table of their own.
    """
    data = "".join(f"- `{path}` {md5}\n" for path, md5 in sorted(runs[0].metrics.get("data", {}).items()))
    head = f"Balanced accuracy with its 95% interval, on shards `{runs[0].shards}`:\n\n{data}"
    parts = [head]
    for augmented, title in ((False, "Without augmentation"), (True, "With augmentation")):
        part = [run for run in runs if run.augment is None or (run.augment != "none") == augmented]
        parts.append(f"## {title}\n\n{build_table(part)}")
    if figures:
        parts.append(f"## Beside published figures\n\n{beside(list(figures), [run.metrics for run in runs])}")
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


def build_table(runs: list[Run]) -> str:
    """Return one table as Markdown, with one row per network and one column per test set.

    Args:
        runs: newest first; only the first one of each network is shown.
    """
    if not runs:
        return "No experiment yet.\n"
    newest: dict[str, Run] = {}
    for run in runs:
        newest.setdefault(run.title, run)
    names = sorted({name for run in newest.values() for name in run.metrics.get("per_dataset", {})})
    columns = [_ALL, *names]
    lines = [f"| network | seed | {' | '.join(columns)} |", "|---" * (len(columns) + 2) + "|"]
    for run in newest.values():
        cells = [_cell(run, column) for column in columns]
        seed = run.metrics.get("seeds", {}).get("training", "-")
        lines.append(f"| {run.title} | {seed} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(run: Run, column: str) -> str:
    block = run.metrics if column == _ALL else run.metrics.get("per_dataset", {}).get(column, {})
    if _SCORE not in block:
        return "-"
    ends = block.get("interval", {}).get(_SCORE)
    return f"{block[_SCORE]:.3f}" + (
        f" ({ends['low']:.3f} to {ends['high']:.3f})" if ends and ends["low"] is not None else ""
    )


def _read_run(revision: Mapping[str, Any]) -> Iterator[Run]:
    data = revision.get("data") or {}
    metrics = ((data.get("metrics") or {}).get(METRICS) or {}).get("data") or {}
    network, shards = metrics.get("network"), metrics.get("snapshot", {}).get("shards")
    if network and shards:
        yield Run(network["model"], network.get("augment"), shards, metrics)


def read_experiments(commits: int | None = 1) -> list[Mapping[str, Any]]:
    """Return the parsed output of `dvc exp show --json`: one entry per commit, newest first.

    Args:
        commits: so many of the last ones; None: all.

    Raises:
        UsageError: DVC cannot be run, or reports an error.
    """
    which = ["--all-commits"] if commits is None else ["--num", str(commits)]
    command = [sys.executable, "-m", "dvc", "exp", "show", "--json", *which]
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
