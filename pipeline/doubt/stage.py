"""The stage: rank all labelled faces by how doubtful they are, with the reason, and draw the map of them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from pipeline.core.emotions import CLASSES
from pipeline.core.names import DETECTIONS_NAME, DOUBT_NAME, EMBEDDING_NAME
from pipeline.core.parallel.pool import Progress, no_progress
from pipeline.core.params import DoubtParams
from pipeline.core.schema import DETECTIONS, DOUBT, EMBEDDING, FACES, Doubt, Reason
from pipeline.core.stage_output import Reject, stage_output
from pipeline.core.tables import read_table, table_files
from pipeline.doubt.answers import answer, has_learned, reduce
from pipeline.doubt.copies import doubt_copies
from pipeline.doubt.crops import doubt_crops, tukey
from pipeline.doubt.features import Features, join, read_descriptors, read_features
from pipeline.doubt.labels import doubt_labels
from pipeline.doubt.likeness import NEIGHBOURS, build_map, nearest
from pipeline.doubt.rows import Labelled, read_labelled

Floats = NDArray[np.float64]

_TOOLS: Final = ("cleanlab", "numpy", "scikit-image", "scikit-learn", "scipy")
_MEASURED: Final = ("sample_id", "status", "face_score", "sharpness", "box_iou", "outside_share", "other_faces")
_DECIMALS: Final = 4  # a score says no more, and equal ones are then equal on every machine
_SUGGESTED: Final = 0.5  # a label score above it: another class is likelier


@dataclass(frozen=True, slots=True)
class _Judged:
    """What was found out about N labelled faces: scores (4, N) in the order of `Doubt`, and what rows say besides."""

    scores: Floats
    details: list[list[str]]
    suggested: list[int | None]
    probs: Floats
    neighbours: list[list[str]]


def run(  # noqa: PLR0913 - what goes in, and how
    aligned: Mapping[str, Path],
    labels: Mapping[str, Path],
    split: Path,
    out: Path,
    params: DoubtParams,
    *,
    copy: float,
    seed: int,
    workers: int,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Write doubt.parquet (`schema.DOUBT`), every labelled sample with a face, and embedding.parquet.

    Labels are classes; without any, both are empty.

    Args:
        aligned: the folder of aligned faces of each dataset.
        labels: the folder of labels of each dataset.
        split: the folder that `split` wrote: who belongs together, and which pictures are copies.
        out: the folder to write.
        params: the features, the number of folds, and of faces on the map.
        copy: lowest similarity of certain copies, 0..1 (`split.contradiction_similarity`).
        seed: of the folds and of the map.
        workers: processes that read faces; the result does not depend on it.
        progress: called with faces read and folds answered.

    Returns:
        The content of summary.json. rows_in are the labelled samples, rows_out those with a face; `reasons` counts the
        main reasons of scores above 0.5, `label_issues` the labels of each class that confident learning takes for
        wrong, `agreement` is the share of labels that the answers repeat.

    Raises:
        DataError: too few classes or groups to learn from.
        TableError: an input table is missing or torn.
    """
    sources = [*aligned.values(), *labels.values(), split]
    settings = {**params.plain(), "copy": copy, "seed": seed}
    # The order of sums depends on the number of threads, so there is one.
    with (
        stage_output(out, stage="doubt", sources=sources, params=settings, tools=_TOOLS) as output,
        threadpool_limits(1),
    ):
        found, faceless = read_labelled(aligned, labels, split, folds=params.folds, copy=copy, seed=seed)
        if not found.ids:  # nothing can be doubted where nothing has a class
            output.write_table(DOUBT_NAME, DOUBT.empty_table())
            output.write_table(EMBEDDING_NAME, EMBEDDING.empty_table())
            return output.finish(rows_in=0, rows_out=0, reasons={}, label_issues={}, agreement=None)
        measured = _measure(aligned)
        output.reject(_rejects(faceless, measured))
        reduced = _features(found, aligned, params, seed, workers, progress)
        answers = answer(reduced, found.labels, found.fold, progress)
        probs = answers.mean(axis=1)
        judged, issues = _judge(found, reduced[:, 0], answers, measured, seed)
        output.write_table(DOUBT_NAME, _table(found, judged))
        rows, places = build_map(reduced[:, 0], found.ids, params.map_faces, seed)
        columns = [[found.ids[row] for row in rows.tolist()], *places.round(_DECIMALS).T.tolist()]
        output.write_table(EMBEDDING_NAME, pa.table(dict(zip(EMBEDDING.names, columns, strict=True)), schema=EMBEDDING))
        likely = judged.scores.max(axis=0) > _SUGGESTED
        reasons = Counter(list(Doubt)[number] for number in judged.scores.argmax(axis=0)[likely].tolist())
        wrong = Counter(found.labels[issues].tolist())
        return output.finish(
            rows_in=len(found.ids) + len(faceless),
            rows_out=len(found.ids),
            reasons={str(reason): reasons[reason] for reason in Doubt},
            label_issues={name: wrong[number] for number, name in enumerate(CLASSES) if wrong[number]},
            agreement=round(float((probs.argmax(axis=1) == found.labels).mean()), _DECIMALS),
        )


def _measure(aligned: Mapping[str, Path]) -> dict[str, dict[str, Any]]:
    """Return the detections of every sample by its id, with the landmarks of those that have a face."""
    rows: dict[str, dict[str, Any]] = {}
    for folder in aligned.values():
        for row in read_table(folder / DETECTIONS_NAME, _MEASURED, DETECTIONS).to_pylist():
            rows[row["sample_id"]] = row
        for row in read_table(folder, ["sample_id", "landmarks"], FACES).to_pylist():
            rows[row["sample_id"]]["landmarks"] = row["landmarks"]
    return rows


def _rejects(faceless: Mapping[str, str], measured: Mapping[str, Mapping[str, Any]]) -> list[Reject]:
    return [
        Reject(sample_id, dataset, Reason(measured[sample_id]["status"]), "labelled, but without a face to look at")
        for sample_id, dataset in faceless.items()
    ]


def _features(
    found: Labelled, aligned: Mapping[str, Path], params: DoubtParams, seed: int, workers: int, progress: Progress
) -> Features:
    """Return the features (N, 2, C) of the labelled faces that the parameters ask for."""
    parts = [part for folder in aligned.values() for part in table_files(folder)]
    readers = [read_features, *([read_descriptors] if params.features == "both" else [])]
    spaces = []
    for read in readers:
        ids, features = read(parts, workers=workers, progress=progress)
        at = {sample_id: row for row, sample_id in enumerate(ids)}
        spaces.append(features[[at[sample_id] for sample_id in found.ids]])
    return join([reduce(spaces[0], seed), *spaces[1:]])


def _judge(
    found: Labelled, reduced: Features, answers: Floats, measured: Mapping[str, Mapping[str, Any]], seed: int
) -> tuple[_Judged, NDArray[np.bool_]]:
    """Return what was found out, and which labels are probably wrong."""
    probs = answers.mean(axis=1)
    wrong, other, issues = doubt_labels(found.labels, probs)
    learned = has_learned(found.labels, found.fold)
    wrong, issues = np.where(learned, wrong, 0), issues & learned
    copied, likeliest, copies = doubt_copies(found.pictures, found.labels, probs)
    like, distances = nearest(reduced, found.ids, seed)
    apart = np.zeros(len(found.ids))
    for dataset in np.unique(found.datasets):
        here = found.datasets == dataset
        apart[here] = tukey(distances[here], 1e-9)
    mirror = np.abs(answers[:, 0] - answers[:, 1]).sum(axis=1) / 2
    cropped, why = doubt_crops([measured[sample_id] for sample_id in found.ids], mirror, found.datasets)
    suggested = [
        int(likeliest[row])
        if copied[row] > max(wrong[row], _SUGGESTED)
        else int(other[row])
        if wrong[row] > _SUGGESTED
        else None
        for row in range(len(found.ids))
    ]
    details = [
        [
            f"{CLASSES[int(other[row])]} is answered with {probs[row, other[row]]:.2f}, "
            f"{CLASSES[int(found.labels[row])]} with {probs[row, found.labels[row]]:.2f}",
            f"{len(copies[row])} copies, of which {CLASSES[int(likeliest[row])]} is the likeliest label",
            "no face of its dataset is near",
            why[row],
        ]
        for row in range(len(found.ids))
    ]
    neighbours = [
        [found.ids[other] for other in dict.fromkeys([*copies[row], *like[row].tolist()])][:NEIGHBOURS]
        for row in range(len(found.ids))
    ]
    scores = np.stack([wrong, copied, apart, cropped]).round(_DECIMALS)
    return _Judged(scores, details, suggested, probs, neighbours), issues


def _table(found: Labelled, judged: _Judged) -> pa.Table:
    best, reason = judged.scores.max(axis=0), judged.scores.argmax(axis=0)
    order = np.lexsort((np.arange(len(best)), -best))
    seen: Counter[int] = Counter()
    rows = []
    for rank, row in enumerate(order.tolist()):
        label = int(found.labels[row])
        seen[label] += 1
        rows.append(
            {
                "rank": rank + 1,
                "rank_in_class": seen[label],
                "sample_id": found.ids[row],
                "dataset": str(found.datasets[row]),
                "reason": str(list(Doubt)[int(reason[row])]),
                "detail": judged.details[row][int(reason[row])],
                "score": float(best[row]),
                **{f"{name}_score": float(judged.scores[number, row]) for number, name in enumerate(Doubt)},
                "label": label,
                "suggested": judged.suggested[row],
                "probs": judged.probs[row].tolist(),
                "neighbours": judged.neighbours[row],
            }
        )
    return pa.Table.from_pylist(rows, schema=DOUBT)
