"""What the stage writes, against the saved file answering the validation set anew, and against the shards."""

import csv
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional

from models.checkpoint import load_checkpoint, read_info
from models.core.runtime import Compute
from models.data.loader import ShardLoader
from models.registry import find_model
from models.training import stage
from models.training.history import History
from models.training.loss import balance_classes
from models.training.run import Job, state_name
from models.training.stage import run as train
from models.training.stage import write_losses
from pipeline.core.lineage.snapshot import read_snapshot
from pipeline.shards.read import open_shards
from tests.models.training_inputs import make_training_shards, train_params


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One training of three epochs that keeps averaged weights and weighs classes, and what it said."""
    root = tmp_path_factory.mktemp("stage")
    shards, said, done = make_training_shards(root, rows=60), [], []
    params = train_params(
        model="baseline", epochs=3, select="loss", ema=0.5, class_weights=1.0, label_smoothing=0.1, learning_rate=0.003
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(root)
        summary = train(shards, root / "out", params, seed=5, say=said.append, progress=lambda *one: done.append(one))
    return SimpleNamespace(
        shards=shards,
        out=root / "out",
        params=params,
        summary=summary,
        said=said,
        done=done,
        folder=open_shards(shards),
    )


def read_split(made, split):
    (batch,) = ShardLoader(made.shards, split, batch_size=500, shuffle=False, seed=0)
    return batch


def test_the_claimed_validation_is_that_of_the_saved_file(made):
    """The loss by torch's own cross-entropy, with the class weights of the training rows by a count of them."""
    saved, held = load_checkpoint(made.out), read_split(made, "val")
    labels = read_split(made, "train").labels
    with torch.inference_mode():
        logits = saved.module(saved.prepare(held.images))
    counts = torch.bincount(labels, minlength=8).float()
    weights = torch.where(counts > 0, 1 / counts.clamp(min=1), 0)
    weights = weights * len(labels) / (weights * counts).sum()
    each = functional.cross_entropy(logits, held.labels, reduction="none", label_smoothing=0.1)
    loss = (each * weights[held.labels]).sum() / weights[held.labels].sum()
    right = logits.argmax(1) == held.labels
    recalls = [right[held.labels == label].float().mean().item() for label in held.labels.unique()]
    claimed = made.summary["validation"]
    assert claimed["loss"] == pytest.approx(loss.item(), abs=2e-5)
    assert claimed["accuracy"] == pytest.approx(right.float().mean().item(), abs=1e-6)
    assert claimed["balanced_accuracy"] == pytest.approx(sum(recalls) / len(recalls), abs=1e-6)
    assert claimed["chance"] == pytest.approx(1 / len(held.labels.unique()), abs=1e-6)
    assert set(claimed) == {"loss", "accuracy", "balanced_accuracy", "chance"}
    assert balance_classes(labels, 8, 1.0)[labels[0]] == pytest.approx(weights[labels[0]].item())


def test_the_summary_is_of_the_shards_and_the_network(made):
    rows = {split: sum(entry.rows for entry in made.folder.entries(split)) for split in ("train", "val")}
    network = load_checkpoint(made.out).module
    with (made.out / "losses.csv").open() as stream:
        losses = list(csv.DictReader(stream))
    expected = {
        "rows_in": rows["train"], "rows_out": rows["train"], "model": "baseline", "preset": "none", "augment": "none",
        "size_px": 32, "task": "emotion", "parameters": sum(part.numel() for part in network.parameters()), "epochs": 3,
        "best_epoch": 1 + int(np.argmin([float(row["val_loss"]) for row in losses])), "validation_rows": rows["val"],
    }  # fmt: skip
    assert {name: made.summary[name] for name in expected} == expected
    assert made.summary["temperature"] == read_info(made.out).temperature
    best = losses[expected["best_epoch"] - 1]
    assert made.summary["validation"]["loss"] == float(best["val_loss"])
    assert json.loads((made.out / "summary.json").read_text())["validation"] == made.summary["validation"]


def test_it_says_on_what_it_trains_and_how_far_it_is(made):
    assert made.said == ["trains on cpu, fp32"]
    batches = -(-made.summary["rows_in"] // 32)
    # At the beginning of each epoch, then after each of its batches.
    steps = [epoch * batches + done for epoch in range(3) for done in range(batches + 1)]
    assert [(done, total) for done, total, _ in made.done] == [(step, 3 * batches) for step in steps]
    assert sorted(path.name for path in made.out.parent.iterdir() if "out" in path.name) == ["out"]


def test_snapshot_and_checkpoint_say_how_it_was_made(made):
    snapshot, info = read_snapshot(made.out), read_info(made.out)
    assert snapshot.stage == "train"
    assert [given.snapshot for given in snapshot.inputs] == [made.folder.snapshot_id]
    assert snapshot.params == {**made.params.plain(), "seed": 5} == info.params
    assert set(snapshot.tools) == {"lightning", "numpy", "scikit-learn", "timm", "torch", "torchvision"}
    assert snapshot.ran == {"device": "cpu", "precision": "fp32", "tf32": False, "processes": 1}
    assert snapshot.contract == made.folder.contract == info.contract
    assert (info.model, info.task, info.tta_flip, info.shards) == (
        "baseline",
        "emotion",
        False,
        made.folder.snapshot_id,
    )
    assert info.classes[0] == "anger"
    assert len(info.classes) == 8
    assert info.input.size_px == 32


def job(made, **changes):
    params = train_params(**changes)
    return Job(made.shards, made.folder, params, find_model(params.model), 5, lambda *said: None)


def test_a_state_of_another_training_is_told_and_ones_own_is_not(made, tmp_path):
    compute, said = Compute("cpu", "", "fp32", False, 1), []
    here = job(made)
    (tmp_path / f"{state_name(here, compute)}-train.ckpt").touch()
    stage._announce(here, compute, tmp_path, said.append)
    assert said == ["trains on cpu, fp32"]
    stage._announce(job(made, ema=0.9), compute, tmp_path, said.append)
    assert said[1:] == [
        "trains on cpu, fp32",
        "starts anew: the interrupted training had other shards, parameters, device, precision or processes",
    ]


def test_a_file_of_weights_is_a_source_and_published_ones_are_not(made):
    assert stage._sources(job(made)) == stage._sources(job(made, weights="hub")) == [made.shards]
    assert [str(one) for one in stage._sources(job(made, weights="w.bin"))] == [str(made.shards), "w.bin"]


def test_only_the_demos_datasets_that_were_learned_from_are_named(made):
    contract = {"x": 1, "rendered": ["two", "three", "one"]}
    here = replace(job(made), folder=replace(made.folder, contract=contract))
    assert stage._contract(here) == {"x": 1, "rendered": ["two", "one"]}
    assert contract["rendered"] == ["two", "three", "one"]
    other = replace(job(made), folder=replace(made.folder, contract={"x": 1, "rendered": ["three"]}))
    assert stage._contract(other) == {"x": 1}
    assert stage._contract(replace(here, folder=replace(made.folder, contract={"x": 1}))) == {"x": 1}


def test_losses_are_written_to_six_decimals_and_empty_where_there_are_none(tmp_path):
    history = History("last")
    history.record("features", ((2.0, 3.0, 1.0, 3.0), (0.0,) * 4), {})
    history.record("finetune", ((1.0, 3.0, 3.0, 3.0), (1.0, 8.0, 1.0, 4.0)), {})
    write_losses(tmp_path / "losses.csv", history, "1 - CCC")
    assert (tmp_path / "losses.csv").read_bytes().decode() == (
        "epoch,phase,train_loss,val_loss,train_accuracy,val_accuracy,loss\n"
        "1,features,0.666667,,0.333333,,1 - CCC\n"
        "2,finetune,0.333333,0.125000,1.000000,0.250000,1 - CCC\n"
    )


def test_nothing_is_compiled_anew_to_score_a_compiled_network(made, tmp_path, monkeypatch):
    """Its faces come in other batches than those of training, and compiling takes a minute on a GPU."""
    monkeypatch.chdir(tmp_path)
    graphs, at_scoring = [], []
    compile_ = torch.nn.Module.compile
    backend = lambda graph, _inputs: graphs.append(graph) or graph.forward  # noqa: E731
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module: compile_(module, backend=backend))
    vouch = stage.vouch
    monkeypatch.setattr(stage, "vouch", lambda *given: at_scoring.append(len(graphs)) or vouch(*given))
    params = train_params(model="baseline", epochs=1, batch_size=4, compile=True)
    train(made.shards, tmp_path / "out", params, seed=5)
    assert len(graphs) == at_scoring[0] > 0
