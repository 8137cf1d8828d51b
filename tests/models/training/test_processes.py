"""Several processes that train together, on the CPU: Lightning's ddp, as on several GPUs."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from models.checkpoint import load_checkpoint
from models.core.inputs import InputSpec
from models.training.epochs import Reading, build_epochs
from models.training.stage import run as train
from tests.imports import ROOT
from tests.models.training_inputs import make_training_shards, train_params

SEED = 5


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    make_training_shards(folder)
    return folder


def prep_train(project, out, changes, **environment):
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values |= {"seed": SEED, "train": train_params(**changes).plain()}
    (project / "params.yaml").write_text(yaml.safe_dump(values))
    command = [Path(sys.executable).with_name("prep"), "train", "--src", "shards", "--out", out]
    settings = {"PREP_DEVICE": "cpu", "OMP_NUM_THREADS": "1", **environment}
    done = subprocess.run(
        command, cwd=project, env=os.environ | settings, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
def test_two_processes_end_with_the_weights_of_one_with_twice_the_batch(project, monkeypatch):
    """The whole set is one batch, so that both see the same faces in a step; nothing draws or counts by batch."""
    alike = {"model": "baseline", "epochs": 3, "select": "last", "ema": 0.5, "optimizer": "sgd", "precision": "fp32"}
    rows = sum(map(len, build_epochs(reading(project), lambda: 0, shuffle=True)))
    scaled = {"learning_rate": 0.0005, "scale_rate": "linear"}  # twice as much, which the one process is told
    together = prep_train(
        project, "two", {**alike, **scaled, "batch_size": rows}, PREP_DEVICES="2", PREP_STRATEGY="ddp"
    )
    assert together.count("train: baseline") == 1  # the first writes and speaks, the other does neither
    monkeypatch.chdir(project)
    train(Path("shards"), Path("one"), train_params(**alike, batch_size=2 * rows), seed=SEED)
    two, one = (load_checkpoint(project / name).module.state_dict() for name in ("two", "one"))
    for name, value in one.items():
        np.testing.assert_allclose(two[name], value, atol=2e-6, err_msg=name)
    losses = [np.genfromtxt(project / name / "losses.csv", delimiter=",", skip_header=1) for name in ("two", "one")]
    np.testing.assert_allclose(losses[0][:, 2:4], losses[1][:, 2:4], rtol=1e-4)
    assert sorted(path.name for path in project.glob(".*")) == []


def test_each_process_goes_on_from_what_the_first_one_saved(project):
    first, other = (build_epochs(reading(project, rank), lambda: 1, shuffle=True) for rank in (0, 1))
    whole = [batch.pixels for batch in other]
    passing = iter(first)
    next(passing), next(passing)
    again = build_epochs(reading(project, 1), lambda: 1, shuffle=True)
    again.load_state_dict(first.state_dict())
    rest = [batch.pixels for batch in again]
    assert len(rest) == len(whole) - 2
    assert all(np.array_equal(one, two) for one, two in zip(rest, whole[2:], strict=True))


def reading(project, rank=0):
    spec = InputSpec(32, (0.5,) * 3, (0.25,) * 3)
    return Reading(project / "shards", "train", spec, 16, seed=1, cache_mb=0, rank=rank, world_size=2)
