"""Datasets as the tables before the split have them: rows in, folders out."""

import hashlib

import pyarrow as pa
import pytest

from pipeline.core.params import SplitParams
from pipeline.core.schema import FACES, LABELS
from pipeline.core.tables import part_name, write_table
from tests.shard_inputs import write_selected

PARAMS = {
    "train_share": 0.75,
    "val_share": 0.1,
    "held_out": "official",
    "tolerance_points": 1.0,
    "keep": None,
    "duplicates": "none",
    "duplicate_similarity": 0.8,
    "contradictions": "keep",
    "contradiction_similarity": 0.9,
    "identities": "none",
    "identity_distance": 0.4,
    "folds": 0,
    "fold": 0,
    "fold_order": "balanced",
}


def sample(path, label, *, n=0, subject=None, sequence=None, split=None, md5=None, image=b"", face=True, valence=None):
    """Return a sample; one with a valence has labels, whether it has a class or not."""
    return {
        "path": path,
        "n": n,
        "label": label,
        "subject_id": subject,
        "sequence_id": sequence,
        "source_split": split,
        "source_md5": md5 or hashlib.md5(path.encode(), usedforsecurity=False).hexdigest(),
        "image": image,
        "face": face,
        "valence": valence,
    }


class Datasets:
    """Writes the tables of each dataset that `add` is told of."""

    def __init__(self, folder):
        self.folder = folder
        self.aligned, self.selected, self.labels, self.roles = {}, {}, {}, {}

    def add(self, name, role, samples):
        rows = [self._row(name, entry) for entry in samples]
        faces = [row for row, entry in zip(rows, samples, strict=True) if entry["face"]]
        labelled = [row for row in rows if row["label"] is not None or row["valence"] is not None]
        for kind, table in (("aligned", self.aligned), ("labels", self.labels)):
            table[name] = self.folder / kind / name
            table[name].mkdir(parents=True, exist_ok=True)
        write_table(self.aligned[name] / part_name(0), _table(faces, FACES))
        self.selected[name] = write_selected(self.folder / "selected" / name, [row["sample_id"] for row in faces])
        write_table(self.labels[name] / "labels.parquet", _table(labelled, LABELS))
        self.roles[name] = role
        return self

    @staticmethod
    def _row(name, entry):
        return entry | {
            "sample_id": f"{name}/{entry['path']}#{entry['n']}",
            "dataset": name,
            "source_path": entry["path"],
            "face_number": entry["n"],
            "source_labels": [],
            "label_probs": None if entry["label"] is None else [float(index == entry["label"]) for index in range(8)],
            "face_box": [0.0] * 4,
            "landmarks": [0.0] * 10,
            "face_score": 1.0,
            "detector": "none",
            "attempt": "none",
            "turn_deg": 0,
        }


def _table(rows, schema):
    rows = sorted(rows, key=lambda row: row["sample_id"])
    return pa.Table.from_pylist([{name: row.get(name) for name in schema.names} for row in rows], schema=schema)


@pytest.fixture
def datasets(tmp_path):
    return Datasets(tmp_path / "in")


@pytest.fixture
def params():
    return SplitParams(**PARAMS)
