"""What evaluate writes of a network for valence, arousal or dominance; rows without an annotation are left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.core.affect import AFFECTS
from models.evaluation.affect_scores import MEAN_CCC, MeasuredAffect, measure_affect
from models.evaluation.intervals import FEW_GROUPS, Interval
from models.evaluation.metrics import Bootstrap
from pipeline.core.schema import AFFECT_PREDICTIONS
from pipeline.shards.read import ShardFolder, iter_shards

# Place in metrics.json -> scores, as `summary.build_views` has them.
AffectViews = Mapping[tuple[str, ...], MeasuredAffect]
_INTERVAL: Final = "interval"


@dataclass(frozen=True, slots=True)
class AffectRows:
    """The test rows with a face, in the order of the shards, and what a network answered.

    Attributes:
        values: the names of the K values that the network answers.
        sample_id: N ids.
        dataset: (N,) names.
        group: (N,) numbers; rows of one person or one group of the split have the same number.
        true: (N, K) in [-1, 1], NaN if not annotated.
        answers: (N, K) in [-1, 1].
    """

    values: tuple[str, ...]
    sample_id: Sequence[str]
    dataset: NDArray[np.str_]
    group: NDArray[np.int64]
    true: NDArray[np.float32]
    answers: NDArray[np.float32]

    def columns(self) -> list[tuple[str, NDArray[np.float32], NDArray[np.float32]]]:
        """Return name, annotations (N,) and answers (N,) of each value."""
        return [(name, self.true[:, place], self.answers[:, place]) for place, name in enumerate(self.values)]


def read_affects(folder: ShardFolder, split: str, names: Sequence[str]) -> NDArray[np.float32]:
    """Return the annotations (N, K) of a split, NaN if not annotated."""
    table = pa.concat_tables(iter_shards(folder, split, list(names)))
    columns = [table[name].to_pandas().to_numpy(np.float32, na_value=np.nan) for name in names]
    return np.stack(columns, axis=1)


def measure_views(rows: AffectRows, trained: frozenset[str], bootstrap: Bootstrap) -> AffectViews:
    """Score all rows, those of each dataset, and those of datasets that did and did not train the network."""
    known = np.isin(rows.dataset, sorted(trained))
    masks: dict[tuple[str, ...], NDArray[np.bool_]] = {(): np.ones(len(rows.dataset), bool)}
    masks |= {("per_dataset", str(name)): rows.dataset == name for name in np.unique(rows.dataset)}
    masks |= {("within",): known, ("across",): ~known}
    return {
        place: measure_affect(rows.values, rows.answers[mask], rows.true[mask], rows.group[mask], bootstrap)
        for place, mask in masks.items()
        if mask.any()
    }


def add_affect(report: dict[str, Any], views: AffectViews) -> None:
    """Add the scores to metrics.json: of each value its rows, scores and their intervals, and the mean CCC.

    A value without annotations has no entry, and a score that is undefined is null.
    """
    for place, measured in views.items():
        block = _folder(report, place)
        for name, of in measured.values.items():
            scores = {score: None if found is None else found.value for score, found in of.scores.items()}
            block[name] = {"rows": of.rows, **scores, _INTERVAL: {key: _ends(one) for key, one in of.scores.items()}}
        if measured.mean_ccc is not None:
            block[MEAN_CCC] = measured.mean_ccc.value
            block.setdefault(_INTERVAL, {})[MEAN_CCC] = _ends(measured.mean_ccc)


def add_affect_details(details: dict[str, Any], views: AffectViews) -> None:
    """Add the scores to details.json as value, low and high, with the number of people or groups they come from."""
    for place, measured in views.items():
        block = _folder(details, place)
        for name, of in measured.values.items():
            scores = {score: None if found is None else found.plain() for score, found in of.scores.items()}
            block[name] = {"rows": of.rows, "people": of.groups, **scores}
        if measured.mean_ccc is not None:
            block[MEAN_CCC] = measured.mean_ccc.plain()


def list_few(views: AffectViews) -> dict[str, str]:
    """Return a warning for all rows, and for each dataset, whose intervals come from few people or groups."""
    warnings = {}
    for place, measured in views.items():
        fewest = min((of.groups for of in measured.values.values()), default=FEW_GROUPS)
        if fewest < FEW_GROUPS and (not place or place[0] == "per_dataset"):
            name = place[-1] if place else "all"
            said = "one person has no interval" if fewest == 1 else f"of {fewest} people or groups, and rough"
            warnings[f"{name}, intervals of values"] = f"{name}, intervals of values: {said}"
    return warnings


def _folder(report: dict[str, Any], place: tuple[str, ...]) -> dict[str, Any]:
    for name in place:
        report = report.setdefault(name, {})
    return report


def _ends(found: Interval | None) -> dict[str, float | None]:
    return {"low": None, "high": None} if found is None else {"low": found.low, "high": found.high}


def build_affect_table(rows: AffectRows) -> pa.Table:
    """Return the rows as the table that evaluate writes, sorted by sample_id."""
    columns: dict[str, Any] = {"sample_id": pa.array(rows.sample_id), "dataset": pa.array(rows.dataset.tolist())}
    nothing = np.full(len(rows.dataset), np.nan, np.float32)
    found = {name: (true, answers) for name, true, answers in rows.columns()}
    for name in AFFECTS:
        true, answers = found.get(name, (nothing, nothing))
        columns |= {name: _nullable(true), f"predicted_{name}": _nullable(answers)}
    return pa.table(columns, schema=AFFECT_PREDICTIONS).sort_by("sample_id")


def list_signs(rows: AffectRows) -> list[tuple[str, str]]:
    """Return (actual, answered) signs for every annotation other than 0, such as ("valence -", "valence +")."""
    pairs = []
    for name, true, answers in rows.columns():
        signed = ~np.isnan(true) & (true != 0)
        for actual, answered in zip(true[signed] > 0, answers[signed] > 0, strict=True):
            pairs.append((f"{name} {'-+'[int(actual)]}", f"{name} {'-+'[int(answered)]}"))
    return pairs


def _nullable(values: NDArray[np.float32]) -> pa.Array:
    return pa.array(values, pa.float32(), mask=np.isnan(values))
