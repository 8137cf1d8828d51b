"""What the project knows about the samples of one dataset, from whichever tables there are."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.core.folders import ALIGNED, DOUBT, EVALUATE, LABELS, SAMPLES, SELECTED, SPLIT
from pipeline.core.names import DOUBT_NAME, LABELS_NAME, PREDICTIONS_NAME, REJECTS_NAME, SAMPLES_NAME, SPLIT_NAME
from pipeline.core.tables import iter_batches, read_table

Rows = dict[str, dict[str, Any]]
_SAMPLE = ["sample_id", "source_path", "face_number", "time_s", "subject_id", "source_labels"]
_DOUBTFUL = 0.5  # a score above it: rather doubtful than not


@dataclass(frozen=True, slots=True)
class KnownSamples:
    """The rows of each table by sample_id; empty where a table is not there."""

    samples: Rows
    faces: Rows
    labels: Rows
    sets: Rows
    doubt: Rows
    answers: Rows
    left_out: Mapping[str, list[str]] = field(default_factory=dict)

    def doubtful_first(self, limit: int | None) -> list[str]:
        """Return the samples, sorted; with a limit at most so many, the most doubtful ones."""
        if limit is None:
            return list(self.samples)
        last = len(self.doubt) + 1
        ranked = sorted(self.samples, key=lambda name: self.doubt[name]["rank"] if name in self.doubt else last)
        return sorted(ranked[:limit])

    def is_doubtful(self, name: str) -> bool:
        """Return whether a sample is rather doubtful than not."""
        return name in self.doubt and self.doubt[name]["score"] > _DOUBTFUL


def sources(dataset: str) -> list[Path]:
    """Return the folders that `read_known_samples` reads, without those that are not there."""
    own = [folder / dataset for folder in (SAMPLES, ALIGNED, SELECTED, LABELS)]
    return [folder for folder in (*own, SPLIT, DOUBT, EVALUATE) if folder.is_dir()]


def read_known_samples(dataset: str) -> KnownSamples:
    """Read all tables about a dataset.

    Raises:
        TableError: the samples are not there, or a table is torn.
    """
    samples = _rows(SAMPLES / dataset / SAMPLES_NAME, _SAMPLE)
    left_out: dict[str, list[str]] = defaultdict(list)
    for folder in (ALIGNED / dataset, SELECTED / dataset, LABELS / dataset, SPLIT):
        for row in _list(folder / REJECTS_NAME, ["sample_id", "reason"]):
            if row["reason"] not in left_out[row["sample_id"]]:
                left_out[row["sample_id"]].append(row["reason"])
    doubt = ["sample_id", "rank", "score", "reason", "detail", "suggested", "probs"]
    return KnownSamples(
        samples=samples,
        faces=_faces(ALIGNED / dataset),
        labels=_rows(LABELS / dataset / LABELS_NAME, ["sample_id", "label"]),
        sets=_rows(SPLIT / SPLIT_NAME, ["sample_id", "split"]),
        doubt=_rows(DOUBT / DOUBT_NAME, doubt),
        answers=_rows(EVALUATE / PREDICTIONS_NAME, ["sample_id", "predicted", "probabilities"]),
        left_out=left_out,
    )


def _faces(folder: Path) -> Rows:
    if not folder.is_dir():
        return {}
    columns = ["sample_id", "face_box", "landmarks", "face_score"]
    return {row["sample_id"]: row for batch in iter_batches(folder, columns) for row in batch.to_pylist()}


def _rows(path: Path, columns: list[str]) -> Rows:
    return {row["sample_id"]: row for row in _list(path, columns)}


def _list(path: Path, columns: list[str]) -> list[dict[str, Any]]:
    return read_table(path, columns).to_pylist() if path.is_file() else []
