"""How many small faults in the code do the tests notice? `make mutants` asks mutmut, area by area.

`python -m benchmarks.mutants [AREA ...] [--sample N] [--seed S] [--jobs J] [--again]`. Each area is mutated and tested
in a copy of the working tree below the temporary folder (or `MUTANTS_DIR`), never in the tree itself. The page
docs/mutants.md is written after each run, what it says of other areas and seeds kept; the reasons of the survivors lie
in docs/mutants.yaml. One without is shown as open.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Final

from benchmarks.mutants_report import PAGE, Result, Survivor, build_page

ROOT: Final = Path(__file__).parents[1]
SAMPLE: Final = 250
_KILLED: Final = frozenset({1, 3, 24, 36, 152, 255, -24})  # a failed test, or far more time than without the change
_MUTMUT: Final = str(Path(sys.executable).with_name("mutmut"))
_NOTHING: Final = "nothing.is.called.so"


@dataclass(frozen=True, slots=True)
class Area:
    """What belongs together.

    Attributes:
        files: that are mutated, as patterns from the root.
        tests: that may notice, files or folders, and pytest's own options.
        seconds: of tests that a mutant meets first, the quickest of its function; the others only if it survives.
    """

    files: tuple[str, ...]
    tests: tuple[str, ...]
    seconds: float | None = None


_TRAINING: Final = (
    "average",
    "engine",
    "epochs",
    "feed",
    "files",
    "history",
    "keeper",
    "learner",
    "loss",
    "module",
    "optimizer",
    "reporting",
    "run",
)
# Of the whole trainings those that take a second or two.
_TRAINED: Final = (
    "the_outputs_say_what_was_trained_on_what",
    "an_interrupted_training_ends_with_the_same_weights[phases]",
    "other_parameters_do_not_go_on_from_a_state",
    "of_the_demos_datasets_the_checkpoint_names_those_it_learned_from",
    "the_classical_baselines_are_trained_and_answer_from_the_file[hog-svm]",
    "missing_shards_and_unknown_networks_are_one_line",
)
# Those that draw no thousand bootstraps.
_MEASURED: Final = (
    "scores_are_those_of_scikit_learn",
    "per_class_scores_are_those_of_scikit_learn",
    "confusion_is_the_share_of_each_true_class",
    "calibration_error_is_that_of_torchmetrics",
    "scores_by_hand",
    "a_face_that_was_not_found_counts_as_wrong_but_not_in_the_calibration",
    "the_interval_of_a_mean_is_that_of_its_formula",
    "rows_of_one_person_make_the_interval_wider",
    "draws_are_the_same_in_one_go_and_in_many",
    "group_names_do_not_matter",
    "two_networks_are_compared_on_the_same_people",
    "perfect_answers_on_seven_classes_are_perfect",
    "a_class_of_one_person_has_no_interval_of_its_recall",
)
_CALIBRATED: Final = (
    "it_is_that_of_a_fit_by_scipy",
    "rows_of_classes_that_were_never_trained_do_not_count",
    "without_rows_and_where_no_other_is_better_it_stays_as_it_is",
    "few_rows_that_are_all_right_make_a_network_a_little_surer",
    "answers_are_the_mean_over_the_views",
)
# Of each layout in each kind of archive one layout will do.
_PACKED: Final = "tests/pipeline/ingest/test_archives.py::test_archive_reads_like_its_folder"
_UNREAD: Final = tuple(f"--deselect={_PACKED}[{name}-" for name in ("affectnet_npy", "ckplus", "fer2013", "rafdb"))


def _files(room: str, *, without: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the modules of a room, not those of its sub-rooms: a pattern's `*` would match their slashes, too."""
    found = (path for path in sorted((ROOT / room).glob("*.py")) if path.stem not in {"__init__", *without})
    return tuple(path.relative_to(ROOT).as_posix() for path in found)


AREAS: Final = {
    "labels": Area(
        (*_files("pipeline/labels"), "pipeline/core/synonyms.py"),
        ("tests/pipeline/labels", "tests/pipeline/core/test_synonyms.py"),
    ),
    "readers": Area(
        ("pipeline/ingest/*.py",),
        ("tests/pipeline/ingest", "tests/pipeline/core/test_synonyms.py", *_UNREAD),
        seconds=6,
    ),
    "split": Area(
        _files("pipeline/split", without=("identities",)),
        tuple(
            f"tests/pipeline/split/test_{name}.py"
            for name in ("parts", "said", "whole", "certificate", "contradictions", "groups", "keep", "stage")
        ),
    ),
    "balance": Area(
        ("pipeline/core/draws.py", "pipeline/shards/balance.py", "pipeline/shards/balanced_rows.py"),
        tuple(f"tests/pipeline/shards/test_{name}.py" for name in ("balance", "balanced_rows", "plan")),
    ),
    "metrics": Area(
        (
            *(f"models/evaluation/{name}.py" for name in ("metrics", "intervals", "summary")),
            *(f"models/core/{name}.py" for name in ("affect", "calibration")),
        ),
        (
            "tests/models/evaluation/test_summary.py",
            "tests/models/core/test_affect.py",
            *(f"tests/models/evaluation/test_metrics.py::test_{name}" for name in _MEASURED),
            *(f"tests/models/core/test_calibration.py::test_{name}" for name in _CALIBRATED),
        ),
    ),
    "augmentation": Area(
        ("models/training/augment.py",),
        ("tests/models/training/test_augment.py", "tests/models/training/test_augment_bounds.py"),
    ),
    "training": Area(
        (*_files("models/training", without=("augment", "credit")), "models/core/streams.py"),
        (
            *(f"tests/models/training/test_{name}.py" for name in _TRAINING),
            *(f"tests/models/training/test_stage.py::test_{name}" for name in _TRAINED),
            "tests/models/core/test_streams.py",
        ),
    ),
    "geometry": Area(
        (
            *_files("pipeline/geometry"),
            "pipeline/select/gates.py",
            *(f"pipeline/align/{name}.py" for name in ("crop", "turn", "choice", "scale", "refine")),
        ),
        (
            "tests/pipeline/geometry",
            "tests/pipeline/select/test_gates.py",
            *(f"tests/pipeline/align/test_{name}.py" for name in ("crop", "scale", "refine")),
        ),
    ),
    "lineage": Area(
        (*_files("pipeline/core/lineage"), *_files("pipeline/verify")),
        ("tests/pipeline/core/lineage", "tests/pipeline/verify"),
    ),
}


def main() -> None:
    """Mutate the areas that are named, all without a name, and say what survived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("areas", nargs="*", metavar="AREA", help=", ".join(AREAS))
    parser.add_argument("--sample", type=int, default=SAMPLE, help="so many mutants of each area, drawn; 0: all")
    parser.add_argument("--seed", type=int, default=1, help="of the draw")
    parser.add_argument("--again", action="store_true", help="only those of the draw that were not killed before")
    parser.add_argument("--jobs", type=int, default=1, help="mutants that are tried at once")
    asked = parser.parse_args()
    below = Path(os.environ.get("MUTANTS_DIR", Path(tempfile.gettempdir(), "prep-mutants")))
    found = []
    for name in asked.areas or AREAS:
        folder = below / name
        _copy_tree(folder, AREAS[name])
        found.append(result := _run(folder, name, asked.sample, asked.seed, jobs=asked.jobs, again=asked.again))
        print(f"{name}: {result.killed} of {result.decided} killed ({result.share:.1%}), {result.made} in all")
    page = build_page(found, list(AREAS), PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(page, encoding="utf-8")


def _copy_tree(folder: Path, area: Area) -> None:
    """Bring the copy up to date; what mutmut found there stays. A file that did not change keeps its time."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        source, target = ROOT / name, folder / name
        if source.is_file() and not (target.is_file() and target.read_bytes() == source.read_bytes()):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    more = {"only_mutate": list(area.files), "pytest_add_cli_args_test_selection": list(area.tests)}
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in more.items())
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (folder / "pyproject.toml").write_text(
        settings.replace("[tool.mutmut]\n", "[tool.mutmut]\n" + lines), encoding="utf-8"
    )


def _run(folder: Path, area: str, sample: int, seed: int, *, jobs: int, again: bool) -> Result:
    _mutmut(folder, [_NOTHING], jobs)  # makes the mutants and learns which test runs which function
    made = sorted(_verdicts(folder))
    drawn = made if sample == 0 or sample >= len(made) else sorted(random.Random(seed).sample(made, sample))
    tried = _alive(folder, drawn) if again else drawn
    if (seconds := AREAS[area].seconds) is not None and tried:
        stats = folder / "mutants" / "mutmut-stats.json"
        whole = stats.read_text(encoding="utf-8")
        stats.write_text(_quickest(whole, seconds), encoding="utf-8")
        _try(folder, area, tried, jobs)
        stats.write_text(whole, encoding="utf-8")
        tried = _alive(folder, tried)
    if tried:
        _try(folder, area, tried, jobs)
    decided = {name: code for name, code in _verdicts(folder).items() if name in set(drawn) and code is not None}
    survivors = [Survivor(name, _difference(folder, name)) for name, code in decided.items() if code not in _KILLED]
    return Result(area, len(made), len(decided), seed, tuple(survivors))


def _alive(folder: Path, names: Sequence[str]) -> list[str]:
    verdicts = _verdicts(folder)
    return [name for name in names if verdicts[name] not in _KILLED]


def _try(folder: Path, area: str, names: Sequence[str], jobs: int) -> None:
    if status := _mutmut(folder, names, jobs):
        sys.exit(f"error: {area}: mutmut ended with {status}; {folder / 'mutmut.log'} says why")


def _quickest(stats: str, seconds: float) -> str:
    """Return what mutmut learned with the quickest tests alone of those that run a function, so many seconds of them.

    A tree is read by nearly every test of the readers: a mutant would take minutes, and most die of the first few.
    """
    content = json.loads(stats)
    took = content["duration_by_test"]
    for function, tests in content["tests_by_mangled_function_name"].items():
        ordered = sorted(tests, key=lambda test: (took[test], test))
        until = accumulate(took[test] for test in ordered)
        content["tests_by_mangled_function_name"][function] = [
            test for test, end in zip(ordered, until, strict=True) if end <= seconds
        ] or ordered[:1]
    return json.dumps(content)


def _mutmut(folder: Path, names: Sequence[str], jobs: int) -> int:
    """Run mutmut in the copy and return its exit status; its own lines go to a file beside it."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    with Path(folder, "mutmut.log").open("a", encoding="utf-8") as log:
        command = [_MUTMUT, "run", "--max-children", str(jobs), *names]
        return subprocess.run(command, cwd=folder, env=environment, stdout=log, stderr=log, check=False).returncode


def _verdicts(folder: Path) -> dict[str, int | None]:
    """Return the exit status of the tests for each mutant; None: not tried."""
    found: dict[str, int | None] = {}
    for file in sorted((folder / "mutants").rglob("*.meta")):
        found |= json.loads(file.read_text(encoding="utf-8"))["exit_code_by_key"]
    return found


def _difference(folder: Path, name: str) -> str:
    """Return the lines that a mutant changes, old and new."""
    command = [_MUTMUT, "show", name]
    shown = subprocess.run(command, cwd=folder, check=True, capture_output=True).stdout.decode()
    changed = [line for line in shown.splitlines() if line[:1] in {"-", "+"} and line[:3] not in {"---", "+++"}]
    return "\n".join(changed)


if __name__ == "__main__":
    main()
