"""What is measured and what it was trained on: a network, the shards whose test set it answers, and the results."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from models.checkpoint import Checkpoint, load_checkpoint
from models.core.runtime import network_device
from models.data.loader import ShardLoader
from models.evaluation.held_out import HeldOut, faces_for
from models.evaluation.metrics import Bootstrap
from models.evaluation.summary import AnsweredRows, TestSlice, Training
from pipeline.core.emotions import CLASSES
from pipeline.core.errors import ModelError
from pipeline.core.lineage.snapshot import read_snapshot
from pipeline.core.names import INDEX_NAME, TEST
from pipeline.core.params import EvaluateParams
from pipeline.core.schema import INDEX
from pipeline.core.tables import read_table
from pipeline.shards.read import ShardFolder

# Parts of the contract that must be equal in training and here, because the network would otherwise see other pixels.
_MUST_MATCH: Final = ("classes", "align", "equalize")


@dataclass(frozen=True, slots=True)
class TestSet:
    """A network, the shards whose test set it answers, and how answers are scored."""

    shards: Path
    run: Path
    folder: ShardFolder
    params: EvaluateParams
    bootstrap: Bootstrap

    def faces_for(self, checkpoint: Checkpoint) -> ShardLoader:
        """Return the test set decoded for a network."""
        return faces_for(checkpoint, self.shards, TEST, self.params.batch_size, unclassed=self.folder.unclassed)

    def whole_faces(self) -> ShardLoader:
        """Return the test set at full size, for pictures."""
        size, unclassed = self.params.batch_size, self.folder.unclassed
        return ShardLoader(self.shards, TEST, batch_size=size, shuffle=False, seed=0, unclassed=unclassed)


@dataclass(frozen=True, slots=True)
class Done:
    """The results: the rows, metrics.json, details.json, additions to summary.json, and scores of classes by place."""

    rows: HeldOut
    report: dict[str, Any]
    details: dict[str, Any]
    summary: dict[str, Any]
    views: dict[tuple[str, ...], TestSlice] = field(default_factory=dict)


def load_matching(path: Path, folder: ShardFolder) -> Checkpoint:
    """Load a checkpoint that reads what these shards hold.

    Raises:
        ModelError: its class order or preprocessing differs; names the first difference.
    """
    checkpoint = load_checkpoint(path, network_device().name)
    if (classes := checkpoint.info.heads.classes) not in ((), folder.classes):
        raise ModelError(f"{path}: its outputs are {', '.join(classes)}; they must be {', '.join(folder.classes)}")
    for key in _MUST_MATCH:
        difference = _difference(key, checkpoint.contract.get(key), folder.contract.get(key))
        if difference:
            where, there, here = difference
            raise ModelError(
                f"{path}: trained on {where} = {there}, but {folder.location} has {here}; train on these shards"
            )
    return checkpoint


def _difference(key: str, there: Any, here: Any) -> tuple[str, str, str] | None:
    if isinstance(there, dict) and isinstance(here, dict):
        for name in sorted({*there, *here}):
            if found := _difference(f"{key}.{name}", there.get(name), here.get(name)):
                return found
        return None
    return None if there == here else (key, json.dumps(there), json.dumps(here))


def read_training(run: Path, shards: Path) -> Training:
    """Return which datasets and classes the network of a run was trained on, from the index of its shards."""
    paths = [Path(given.path) for given in read_snapshot(run).inputs]
    trained_on = next((path for path in paths if (path / INDEX_NAME).is_file()), shards)
    return read_index(trained_on)


def read_index(shards: Path) -> Training:
    """Return which datasets and classes shards train on."""
    index = read_table(shards / INDEX_NAME, schema=INDEX)
    index = index.filter(pc.equal(index["split"], "train"))
    return Training(frozenset(index["dataset"].to_pylist()), frozenset(index["label"].drop_null().to_pylist()))


def answered_rows(rows: HeldOut, probabilities: NDArray[np.float32]) -> AnsweredRows:
    """Return rows and answers (N, 8) with the rows whose face was not found after them."""
    missing = rows.missing
    group = np.concatenate([rows.group, rows.missing_group])
    count = len(rows.sample_id)
    return AnsweredRows(
        dataset=np.array([*rows.dataset, *missing["dataset"].to_pylist()]),
        label=np.concatenate([rows.label, missing["label"].to_numpy().astype(np.int64)]),
        group=group,
        found=np.arange(len(group)) < count,
        probabilities=np.concatenate([probabilities, np.zeros((len(missing), len(CLASSES)), np.float32)]),
    )
