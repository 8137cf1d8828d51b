"""Which samples a person is asked about, and in which order: the most doubtful first.

The order is that of `prep doubt`. Without its table, it is made of what there is: the test faces that the network
misclassifies, the surest mistakes first, and then the faces that the detector was least sure of.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core.emotions import CLASSES
from pipeline.core.errors import DataError
from pipeline.core.folders import ALIGNED, DOUBT, EVALUATE, LABELS, SAMPLES
from pipeline.core.names import DETECTIONS_NAME, DOUBT_NAME, LABELS_NAME, PREDICTIONS_NAME, SAMPLES_NAME
from pipeline.core.schema import ALIGNED as FOUND
from pipeline.core.schema import PREDICTIONS
from pipeline.core.tables import read_table

_DOUBT_COLUMNS: Final = (
    "rank",
    "sample_id",
    "dataset",
    "reason",
    "score",
    "label",
    "suggested",
    "neighbours",
    "detail",
)


_NEIGHBOURS: Final = 6  # so many are shown


@dataclass(frozen=True, slots=True)
class Doubtful:
    """A sample to look at.

    Attributes:
        sample_id: as in every table.
        reason: why it is asked about: label, outlier, duplicate, crop, mistake or detector.
        score: how doubtful it is, 0..1, or None.
        label: the name of its class now, or None.
        answer: the class that a network or a neighbour suggests, or None.
        neighbours: samples that resemble it, the nearest first.
        detail: the reason in words.
    """

    sample_id: str
    reason: str
    score: float | None = None
    label: str | None = None
    answer: str | None = None
    neighbours: tuple[str, ...] = ()
    detail: str = ""


def build_queue(datasets: Collection[str], labels: Mapping[str, str], *, limit: int) -> list[Doubtful]:
    """Return the samples to ask about, each once.

    Args:
        datasets: only samples of these are asked about.
        labels: the class of each labelled sample.
        limit: at most so many.

    Raises:
        DataError: there is nothing to ask about.
        TableError: a table is torn.
    """
    found: dict[str, Doubtful] = {}
    doubted = (DOUBT / DOUBT_NAME).is_file()
    for one in _doubtful(datasets, limit) if doubted else _by_results(datasets, labels):
        if one.sample_id.partition("/")[0] in datasets and len(found) < limit:
            found.setdefault(one.sample_id, one)
    if not found:
        raise DataError(f"{', '.join(sorted(datasets))}: no face to decide about; run prep align first, or dvc repro")
    return list(found.values())


def asked_for(samples: Iterable[str], labels: Mapping[str, str]) -> list[Doubtful]:
    """Return a queue of these samples, in their order."""
    return [Doubtful(name, "asked for", label=labels.get(name)) for name in dict.fromkeys(samples)]


def read_labels(datasets: Collection[str]) -> dict[str, str]:
    """Return the name of the class of every labelled sample."""
    labels: dict[str, str] = {}
    for name in datasets:
        path = LABELS / name / LABELS_NAME
        if path.is_file():
            table = read_table(path, ["sample_id", "label"])
            columns = table["sample_id"].to_pylist(), table["label"].to_pylist()
            labels |= {sample: CLASSES[label] for sample, label in zip(*columns, strict=True) if label is not None}
    return labels


def read_samples(dataset: str, wanted: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return the rows of `schema.SAMPLES` of these samples."""
    columns = ["sample_id", "source_path", "face_number", "time_s", "source_labels", "subject_id"]
    rows = read_table(SAMPLES / dataset / SAMPLES_NAME, columns)
    some = rows.filter(pc.is_in(rows["sample_id"], value_set=pa.array(wanted, pa.string())))
    return {row["sample_id"]: row for row in some.to_pylist()}


def _doubtful(datasets: Collection[str], limit: int) -> Iterator[Doubtful]:
    rows = read_table(DOUBT / DOUBT_NAME, _DOUBT_COLUMNS)
    mine = rows.filter(pc.is_in(rows["dataset"], value_set=pa.array(datasets, pa.string())))
    for row in mine.sort_by("rank").slice(0, limit).to_pylist():
        label, answer = _class(row["label"]), _class(row["suggested"])
        others = tuple(row["neighbours"][:_NEIGHBOURS])
        yield Doubtful(row["sample_id"], row["reason"], row["score"], label, answer, others, row["detail"])


def _class(number: int | None) -> str | None:
    return None if number is None else CLASSES[number]


def _by_results(datasets: Collection[str], labels: Mapping[str, str]) -> Iterator[Doubtful]:
    predictions = EVALUATE / PREDICTIONS_NAME
    if predictions.is_file():
        rows = read_table(predictions, PREDICTIONS.names, PREDICTIONS).to_pylist()
        wrong = [row for row in rows if row["label"] != row["predicted"]]
        for row in sorted(wrong, key=lambda row: (-row["probabilities"][row["predicted"]], row["sample_id"])):
            name, sure = row["sample_id"], row["probabilities"][row["predicted"]]
            yield Doubtful(name, "mistake", sure, labels.get(name), CLASSES[row["predicted"]])
    seen: list[tuple[float, str]] = []
    for dataset in datasets:
        path = ALIGNED / dataset / DETECTIONS_NAME
        if path.is_file():
            rows = read_table(path, ["sample_id", "status", "face_score"]).to_pylist()
            seen += [(row["face_score"], row["sample_id"]) for row in rows if row["status"] == FOUND]
    for score, name in sorted(seen):
        yield Doubtful(name, "detector", 1 - score, labels.get(name))
