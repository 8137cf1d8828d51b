"""Cross-validation: one DVC experiment for each fold of `split.folds`, and one score of all their answers together.

Every row of a fold is answered by the one network that did not train on its group. The answers are pooled before they
are scored, because a mean over folds weighs a small fold as much as a large one, and a fold of one person has no
interval. Rows of an official test set are tested in every fold and belong to none; they are counted and left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.evaluation.metrics import Bootstrap, Measured, measure
from models.evaluation.summary import HEADLINES, AnsweredRows
from models.experiments.made_of import made_now
from models.experiments.runs import Done, Experiment, Say, find_done, plan_experiment, run_missing
from models.experiments.written import say_interval, write_json, write_text
from pipeline.core.emotions import CLASSES
from pipeline.core.errors import DataError, UsageError
from pipeline.core.folders import EVALUATE, SHARDS, SPLIT
from pipeline.core.names import FOLDS_NAME, MISSING_FACES_NAME, PREDICTIONS_NAME, SPLIT_NAME, TEST
from pipeline.core.schema import PREDICTIONS
from pipeline.core.tables import read_table, write_table

_JSON_NAME: Final = "folds.json"
_PAGE_NAME: Final = "folds.md"
_DECIMALS: Final = 6


@dataclass(frozen=True, slots=True)
class FoldAnswers:
    """What one fold answered.

    Attributes:
        answers: the columns of `schema.PREDICTIONS` of the rows that are tested in this fold alone.
        missing: sample_id, dataset and label of those whose face was not found.
        group: sample_id -> group of the split.
        tested_always: number of test rows that belong to no fold.
        folds: number of folds of the split.
    """

    answers: pa.Table
    missing: pa.Table
    group: Mapping[str, str]
    tested_always: int
    folds: int


def run(out: Path, folds: str | None, overrides: Sequence[str], *, start: bool, say: Say) -> dict[str, Any]:
    """Run the folds that are missing, pool their answers, and write the scores.

    Args:
        out: the folder for folds.json, folds.md and predictions.parquet (the pooled answers).
        folds: their number, or `people` for one each; None: that of params.yaml.
        overrides: `KEY=VALUE` for all folds, as for `dvc exp run -S`.
        start: whether folds that are missing are run; if not, and one is missing, nothing is written.
        say: called with lines about the progress.

    Returns:
        The content of folds.json: see `score_folds`.

    Raises:
        UsageError: no number of folds, or a network that answers no classes.
        ParamsError: values that params.yaml may not have.
        DataError: a fold failed or is missing; those that are done are kept.
    """
    given = [*overrides, *([f"split.folds={folds}"] if folds is not None else [])]
    params = made_now(given).params
    if not params.split.folds:
        raise UsageError("split.folds: 0: no folds; --folds 10 or --folds people asks for some")
    # How many people there are is known when the first of them was left out.
    known = params.split.folds if isinstance(params.split.folds, int) else 1
    done = _done([_plan(fold, given) for fold in range(known)], start=start, say=say)
    answered = [read_fold(one, fold) for fold, one in enumerate(done)]
    done += _done([_plan(fold, given) for fold in range(known, answered[0].folds)], start=start, say=say)
    answered += [read_fold(one, fold) for fold, one in enumerate(done[known:], start=known)]
    bootstrap = Bootstrap(params.evaluate.bootstrap_draws, params.seed, params.evaluate.calibration_bins)
    result = {"folds": len(answered), "overrides": given, **score_folds(answered, bootstrap)}
    for entry, one in zip(result["per_fold"], done, strict=True):
        entry |= {"experiment": one.name, "commit": one.commit}
    out.mkdir(parents=True, exist_ok=True)
    write_table(out / PREDICTIONS_NAME, pa.concat_tables([one.answers for one in answered]).sort_by("sample_id"))
    write_json(out / _JSON_NAME, result)
    write_text(out / _PAGE_NAME, build_page(result))
    return result


def _plan(fold: int, overrides: Sequence[str]) -> Experiment:
    return plan_experiment(f"fold-{fold}", [*overrides, f"split.fold={fold}"])


def _done(plans: Sequence[Experiment], *, start: bool, say: Say) -> list[Done]:
    """Return the experiments, after those that are missing ran.

    Raises:
        DataError: one is still missing.
    """
    failed = run_missing(plans, say) if start else {}
    found = {plan.name: find_done(plan) for plan in plans}
    if missing := [name for name, one in found.items() if one is None]:
        raise DataError(
            f"{len(missing)} folds are missing; the first: {missing[0]}: {failed.get(missing[0], 'not run')}"
        )
    return [one for one in found.values() if one is not None]


def read_fold(done: Done, fold: int) -> FoldAnswers:
    """Read what an experiment answered of the rows that belong to its fold.

    Raises:
        UsageError: its network answers no classes.
        DataError: DVC's cache lost the results.
    """
    answers = read_table(done.find(f"{EVALUATE}/{PREDICTIONS_NAME}"), schema=PREDICTIONS)
    if not len(answers):
        raise UsageError(f"train.task: {done.name} answers no face with a class, and only such answers are pooled")
    missing = read_table(done.find(f"{SHARDS}/{MISSING_FACES_NAME}"))
    tested = pc.and_(pc.equal(missing["split"], TEST), pc.is_valid(missing["label"]))
    missing = missing.filter(tested).select(["sample_id", "dataset", "label"])
    folds = read_table(done.find(f"{SPLIT}/{FOLDS_NAME}"))
    split = read_table(done.find(f"{SPLIT}/{SPLIT_NAME}"), ["sample_id", "group_id"])
    mine = folds.filter(pc.equal(folds["fold"], fold))["sample_id"]
    kept, lost = (rows.filter(pc.is_in(rows["sample_id"], value_set=mine)) for rows in (answers, missing))
    always = len(answers) + len(missing) - len(kept) - len(lost)
    group = dict(zip(split["sample_id"].to_pylist(), split["group_id"].to_pylist(), strict=True))
    return FoldAnswers(kept, lost, group, always, pc.max(folds["fold"]).as_py() + 1)


def score_folds(folds: Sequence[FoldAnswers], bootstrap: Bootstrap) -> dict[str, Any]:
    """Score the answers of all folds together, of each dataset and of each fold.

    Args:
        folds: in their order; no row is in two of them.
        bootstrap: settings of the intervals, which are over people.

    Returns:
        `pooled`, `per_dataset` and `per_fold`: scores of rows with a face, and in `all_rows` those in which a face that
        was not found counts as wrong; `over_folds`: mean and standard deviation of the scores of the folds;
        `tested_in_every_fold`: the number of rows that belong to no fold.
    """
    names = sorted({name for fold in folds for name in fold.group.values()})
    numbers = {name: number for number, name in enumerate(names)}
    parts = [_rows(fold, numbers) for fold in folds]
    columns = ([getattr(part, field.name) for part in parts] for field in fields(AnsweredRows))
    rows = AnsweredRows(*map(np.concatenate, columns))
    datasets = [str(name) for name in np.unique(rows.dataset)]
    per_fold = [{"fold": number, **_score(part, bootstrap)} for number, part in enumerate(parts)]
    return {
        "pooled": _score(rows, bootstrap),
        "per_dataset": {name: _score(rows.where(rows.dataset == name), bootstrap) for name in datasets},
        "per_fold": per_fold,
        "over_folds": {name: _spread([one[name]["value"] for one in per_fold if name in one]) for name in HEADLINES},
        "tested_in_every_fold": folds[0].tested_always,
    }


def _rows(fold: FoldAnswers, numbers: Mapping[str, int]) -> AnsweredRows:
    count = len(fold.answers)
    ids, datasets, labels = (
        [*fold.answers[name].to_pylist(), *fold.missing[name].to_pylist()] for name in ("sample_id", "dataset", "label")
    )
    probabilities = np.zeros((len(ids), len(CLASSES)), np.float32)
    shares = np.array(fold.answers["probabilities"].to_pylist(), np.float32)
    probabilities[:count] = shares.reshape(count, len(CLASSES))
    return AnsweredRows(
        dataset=np.array(datasets, str),
        label=np.array(labels, np.int64),
        group=np.array([numbers[fold.group[sample_id]] for sample_id in ids], np.int64),
        found=np.arange(len(ids)) < count,
        probabilities=probabilities,
    )


def _score(rows: AnsweredRows, bootstrap: Bootstrap) -> dict[str, Any]:
    faces = rows.where(rows.found)
    scored: dict[str, Any] = {"rows": len(faces.label), "missed": len(rows.label) - len(faces.label)}
    if len(faces.label):
        measured = measure(faces.answers(), bootstrap)
        scored |= {"people": measured.groups, **_headlines(measured)}
    return scored | ({"all_rows": _headlines(measure(rows.answers(), bootstrap))} if len(rows.label) else {})


def _headlines(measured: Measured) -> dict[str, Any]:
    return {name: measured.scores[name].plain() for name in HEADLINES}


def _spread(values: Sequence[float]) -> dict[str, float | None]:
    mean = round(float(np.mean(values)), _DECIMALS) if values else None
    deviation = round(float(np.std(values, ddof=1)), _DECIMALS) if len(values) > 1 else None
    return {"mean": mean, "standard_deviation": deviation}


def build_page(result: Mapping[str, Any]) -> str:
    """Return the scores as Markdown: pooled, of each dataset, of each fold."""
    heads = " | ".join(name.replace("_", " ") for name in HEADLINES)
    lines = [f"| | rows | people | {heads} |", "|---" * (len(HEADLINES) + 3) + "|"]
    lines += [_line(f"**{result['folds']} folds together**", result["pooled"])]
    lines += [_line(name, scored) for name, scored in result["per_dataset"].items()]
    lines += [_line(f"fold {scored['fold']}", scored) for scored in result["per_fold"]]
    for key, words in (("mean", "mean over folds"), ("standard_deviation", "standard deviation over folds")):
        spread = [result["over_folds"][name][key] for name in HEADLINES]
        lines += [f"| {words} | | | {' | '.join('-' if one is None else f'{one:.3f}' for one in spread)} |"]
    return "\n".join(lines) + "\n"


def _line(name: str, scored: Mapping[str, Any]) -> str:
    cells = [say_interval(scored.get(score)) for score in HEADLINES]
    return f"| {name} | {scored['rows']} | {scored.get('people', 0)} | {' | '.join(cells)} |"
