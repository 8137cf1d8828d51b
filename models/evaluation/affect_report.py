"""Scores of a network for valence or arousal; rows without an annotation are left out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.checkpoint import Checkpoint
from models.core.affect import AFFECTS, TASK_OUTPUTS, score_affect
from models.data.loader import ShardLoader
from pipeline.core.parallel.pool import Progress, no_progress
from pipeline.core.schema import AFFECT_PREDICTIONS
from pipeline.shards.read import ShardFolder, iter_shards

_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class AffectRows:
    """The test rows with a face, in the order of the shards, and what a network answered.

    Attributes:
        task: valence, arousal or affect (both).
        sample_id: N ids.
        dataset: (N,) names.
        true: (N, 2) valence and arousal in [-1, 1], NaN if not annotated.
        answers: (N, 2) in [-1, 1], NaN if the network was not trained on it.
    """

    task: str
    sample_id: Sequence[str]
    dataset: NDArray[np.str_]
    true: NDArray[np.float32]
    answers: NDArray[np.float32]

    def columns(self) -> list[tuple[str, NDArray[np.float32], NDArray[np.float32]]]:
        """Return name, annotations (N,) and answers (N,) of each value that the network was trained on."""
        places = [(name, AFFECTS.index(name)) for name in TASK_OUTPUTS[self.task]]
        return [(name, self.true[:, place], self.answers[:, place]) for name, place in places]


def read_affects(folder: ShardFolder, split: str) -> NDArray[np.float32]:
    """Return the annotated valence and arousal (N, 2) of a split, NaN if not annotated."""
    table = pa.concat_tables(iter_shards(folder, split, list(AFFECTS)))
    columns = [table[name].to_pandas().to_numpy(np.float32, na_value=np.nan) for name in AFFECTS]
    return np.stack(columns, axis=1)


def answer_affects(
    checkpoint: Checkpoint, loader: ShardLoader, total: int, progress: Progress = no_progress
) -> NDArray[np.float32]:
    """Return the answers (N, 2) for all faces of a loader, in its order."""
    parts: list[NDArray[np.float32]] = []
    done = 0
    for batch in loader:
        parts.append(checkpoint.predict_affect(batch.images))
        done += len(batch)
        progress(done, total, "faces")
    return np.concatenate(parts)


def describe_affects(rows: AffectRows) -> dict[str, Any]:
    """Return CCC, RMSE and sign agreement of each value, over all rows and per dataset, as nested plain numbers.

    A dataset without annotations of a value has no entry for it.
    """
    everything = np.ones(len(rows.dataset), bool)
    per_dataset = {str(name): _describe(rows, rows.dataset == name) for name in np.unique(rows.dataset)}
    return {**_describe(rows, everything), "per_dataset": per_dataset}


def build_affect_table(rows: AffectRows) -> pa.Table:
    """Return the rows as the table that evaluate writes, sorted by sample_id."""
    columns = {"sample_id": pa.array(rows.sample_id), "dataset": pa.array(rows.dataset.tolist())}
    for position, name in enumerate(AFFECTS):
        columns[name] = _nullable(rows.true[:, position])
        columns[f"predicted_{name}"] = _nullable(rows.answers[:, position])
    return pa.table(columns, schema=AFFECT_PREDICTIONS).sort_by("sample_id")


def list_signs(rows: AffectRows) -> list[tuple[str, str]]:
    """Return (actual, answered) signs for every annotation other than 0, such as ("valence -", "valence +")."""
    pairs = []
    for name, true, answers in rows.columns():
        signed = ~np.isnan(true) & (true != 0)
        for actual, answered in zip(true[signed] > 0, answers[signed] > 0, strict=True):
            pairs.append((f"{name} {'-+'[int(actual)]}", f"{name} {'-+'[int(answered)]}"))
    return pairs


def _describe(rows: AffectRows, mask: NDArray[np.bool_]) -> dict[str, Any]:
    block: dict[str, Any] = {"rows": int(mask.sum())}
    for name, true, answers in rows.columns():
        found = score_affect(answers[mask], true[mask], ~np.isnan(true[mask]))
        if found is not None:
            block[name] = {score: round(value, _DECIMALS) for score, value in found.plain().items()}
    return block


def _nullable(values: NDArray[np.float32]) -> pa.Array:
    return pa.array(values, pa.float32(), mask=np.isnan(values))
