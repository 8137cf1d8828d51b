"""Running a set of DVC experiments, one after the other, each in a temporary folder; what is done is not run again.

`dvc exp run --temp` leaves the working folder as it is. A name ends with a digest of what the experiment is made of,
and its dvc.lock must say the same (`made_of`). So a set goes on after a kill, which loses only the experiment that was
running, and after changes that do not concern it.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from models.experiments.made_of import TARGET, MadeOf, digest_of, first_difference, made_now, made_then
from pipeline.core.errors import DataError, LineageError
from pipeline.core.folders import RUNS
from pipeline.core.params.read import Loader
from pipeline.verify.dvc_lock import LOCK, Cache, Stage, cache_folder, read_stages

LOGS: Final = RUNS / "logs" / "experiments"
_TEMPORARY: Final = Path(".dvc/tmp/exps")
_PATIENCE_S: Final = 20.0
_LONGEST_LABEL: Final = 60
_REFUSED: Final = re.compile(r"[^A-Za-z0-9_-]+")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment to run or read: its name, values of params.yaml that are replaced, and what it is made of."""

    name: str
    overrides: tuple[str, ...]
    made_of: MadeOf


@dataclass(frozen=True, slots=True)
class Done:
    """An experiment that was run: its name, commit, and the stages of its dvc.lock by name."""

    name: str
    commit: str
    stages: Mapping[str, Stage]

    def find(self, path: str) -> Path:
        """Return where DVC's cache has an output file of the experiment; the path is that in the project.

        Raises:
            DataError: no stage wrote it, or the cache no longer has it.
        """
        cache = Cache(cache_folder())
        for out in (out for stage in self.stages.values() for out in stage.outs):
            md5 = out.md5 if out.path == path else None
            if path.startswith(f"{out.path}/"):
                md5 = (cache.tree(out.md5) or {}).get(path.removeprefix(f"{out.path}/"))
            if md5 and (place := cache.place(md5)).is_file():
                return place
        raise DataError(
            f"{self.name}: DVC's cache has no {path} of this experiment; dvc exp remove {self.name}, then run it again"
        )

    def read_json(self, path: str) -> dict[str, Any]:
        """Return the content of a JSON file that the experiment wrote to DVC's cache."""
        content: dict[str, Any] = json.loads(self.find(path).read_text(encoding="utf-8"))
        return content


def plan_experiment(label: str, overrides: Sequence[str]) -> Experiment:
    """Return the experiment with these values, as it would be made now.

    Args:
        label: begins its name; what a name may not hold becomes a hyphen.
        overrides: `KEY=VALUE` as for `dvc exp run -S`.

    Raises:
        UsageError: an override that DVC cannot read.
        ParamsError: values that params.yaml may not have.
    """
    made_of = made_now(overrides).made_of
    short = _REFUSED.sub("-", label)[:_LONGEST_LABEL].strip("-")
    return Experiment(f"{short}-{digest_of(made_of)}", tuple(overrides), made_of)


def find_done(experiment: Experiment) -> Done | None:
    """Return the experiment if it was run, or if the last commit holds its results; None if it is to be run."""
    for commit in (*_commits(experiment), "HEAD"):
        stages = _stages_of(commit)
        if stages and first_difference(made_then(stages, experiment.made_of), experiment.made_of) is None:
            full = (_git("rev-parse", commit) or commit).strip()
            return Done(experiment.name if commit != "HEAD" else "HEAD", full, {one.name: one for one in stages})
    return None


def run_missing(experiments: Sequence[Experiment], say: Say) -> dict[str, str]:
    """Run the experiments that are not done yet, in their order.

    Args:
        experiments: those of the set.
        say: called with a line before and after each run.

    Returns:
        name -> why, for those that failed; the others are done.
    """
    failed: dict[str, str] = {}
    waiting = [one for one in experiments if find_done(one) is None]
    for number, experiment in enumerate(waiting, start=1):
        say(f"{number} of {len(waiting)}: {experiment.name} runs; its output is in {_log(experiment)}")
        _run(experiment)
        if find_done(experiment) is None:
            failed[experiment.name] = _why(experiment)
            say(f"{experiment.name} failed: {failed[experiment.name]}")
    return failed


def _commits(experiment: Experiment) -> list[str]:
    """Return the experiments of this name, one for each commit that such a one started from."""
    return (_git("for-each-ref", "--format=%(objectname)", f"refs/exps/*/*/{experiment.name}") or "").split()


def _log(experiment: Experiment) -> Path:
    return LOGS / f"{experiment.name}.log"


def _run(experiment: Experiment) -> None:
    values = [word for override in experiment.overrides for word in ("-S", override)]
    command = [sys.executable, "-m", "dvc", "exp", "run", "--temp", "--name", experiment.name, *values, TARGET]
    # DVC looks up the name and home of the user, and a container may run as a user without either.
    environment = {"USER": "nobody", "HOME": tempfile.gettempdir()} | os.environ
    # `prep` in dvc.yaml is the one that runs here, also where its environment was not activated.
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', os.defpath)}"
    LOGS.mkdir(parents=True, exist_ok=True)
    with _log(experiment).open("wb") as log, _cleared():
        # A session of its own, so that an interrupt reaches DVC and the stage that it runs, once.
        process = subprocess.Popen(
            command,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            process.wait()
        except BaseException:
            _stop(process)
            raise


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End DVC and the stage that it runs: as Ctrl-C does, and then by force."""
    for number in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(_PATIENCE_S)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


@contextmanager
def _cleared() -> Iterator[None]:
    """Remove the temporary folders that an interrupted experiment leaves, because they contain faces."""
    before = set(_TEMPORARY.glob("*/tmp*"))
    try:
        yield
    except BaseException:
        for folder in set(_TEMPORARY.glob("*/tmp*")) - before:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _why(experiment: Experiment) -> str:
    """Say in one line why an experiment is not done although it ran."""
    for commit in _commits(experiment):
        found = first_difference(made_then(_stages_of(commit), experiment.made_of), experiment.made_of)
        return (
            f"it ran with another {found}: files changed meanwhile, or git does not have them; commit them, then "
            f"dvc exp remove {experiment.name}"
        )
    lines = _log(experiment).read_text(encoding="utf-8", errors="replace").splitlines()
    # The first is what a stage said; DVC's own come after it.
    said = [line for line in lines if line.casefold().startswith("error: ")]
    return said[0][len("error: ") :] if said else (lines or ["it said nothing"])[-1]


def _stages_of(commit: str) -> list[Stage]:
    text = _git("show", f"{commit}:./{LOCK}")
    if text is None:
        return []
    try:
        return read_stages(yaml.load(text, Loader=Loader) or {})  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, LineageError):
        return []  # of an experiment that was made otherwise


def _git(*arguments: str) -> str | None:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else None
