"""Training: the same bytes on every run, whatever was killed; chosen on validation; the test set untouched."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp, softmax
from sklearn.metrics import balanced_accuracy_score

from models.checkpoint import load_checkpoint, read_info
from models.data.loader import ShardLoader
from models.training import engine
from models.training.credit import vouch
from models.training.history import COLUMNS
from models.training.stage import run as train
from pipeline.core.emotions import CLASSES
from pipeline.core.errors import DataError, ModelError, UsageError
from pipeline.core.lineage.snapshot import Input, Snapshot, read_snapshot, write_snapshot
from pipeline.shards.read import open_shards
from pipeline.shards.stage import run as write_shards
from tests.models.training_inputs import ROOT, make_training_shards, train_params
from tests.shard_inputs import make_inputs, shard_params


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_training_shards(tmp_path_factory.mktemp("training"))


@pytest.fixture(scope="module")
def few_shards(tmp_path_factory):
    """dlib's descriptor takes a quarter of a second a face."""
    return make_training_shards(tmp_path_factory.mktemp("few"), rows=24)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def read_losses(folder):
    with (folder / "losses.csv").open() as stream:
        return list(csv.DictReader(stream))


EVERYTHING = {
    "augment": "strong", "mixup": 0.2, "ema": 0.9, "label_smoothing": 0.1, "class_weights": 1.0, "optimizer": "adamw",
    "weight_decay": 0.05, "schedule": "cosine", "warmup_epochs": 0.5, "clip_norm": 1.0, "soft_labels": True,
}  # fmt: skip


# Two threads take turns at the thousand small operations of an augmentation: minutes on a busy machine.
@pytest.mark.parametrize("changes", [{"threads": 2, "epochs": 1}, EVERYTHING], ids=["plain", "everything"])
def test_a_rerun_gives_the_same_bytes_whatever_threads_the_machine_offers(shards, here, changes):
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    train(shards, here / "one", train_params(**changes), seed=5)
    torch.set_num_threads(4)
    train(shards, here / "two", train_params(**changes), seed=5)
    assert torch.get_num_threads() == 4
    torch.set_num_threads(before)
    assert content(here / "one") == content(here / "two")


def test_another_seed_gives_other_weights(shards, here):
    for seed in (5, 6):
        train(shards, here / str(seed), train_params(epochs=1), seed=seed)
    one, two = (load_checkpoint(here / str(seed)).module.state_dict() for seed in (5, 6))
    assert not torch.equal(one["blocks.0.0.weight"], two["blocks.0.0.weight"])


PHASES = {"frozen_epochs": 1, "unfreeze_blocks": 1, "epochs": 2, "augment": "thesis"}


@pytest.mark.parametrize(
    ("changes", "stops"),
    [
        ({**EVERYTHING, "cache_mb": 4096}, (1, 3, 7)),
        ({**EVERYTHING, "cache_mb": 0}, (3,)),
        (PHASES, (3, 7)),
        ({"accumulate": 2, "batch_size": 16}, (3, 4)),
    ],
    ids=["memory", "streamed", "phases", "accumulated"],
)
def test_an_interrupted_training_ends_with_the_same_weights(shards, here, changes, stops):
    params = train_params(**changes)
    train(shards, here / "whole", params, seed=5)
    for stop in stops:

        def interrupt(done, total, note, stop=stop):
            if done == stop:
                raise KeyboardInterrupt

        handler = signal.getsignal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            train(shards, here / "parts", params, seed=5, progress=interrupt)
        signal.signal(signal.SIGINT, handler)
        assert not (here / "parts").exists()
    first = []
    train(shards, here / "parts", params, seed=5, progress=lambda done, total, note: first.append(done))
    assert first[0] > 1  # it did go on, and not begin again
    assert content(here / "whole") == content(here / "parts")
    assert sorted(path.name for path in here.iterdir()) == ["parts", "whole"]


SCRIPT = """
import sys, pathlib, time
from models.training.stage import run as train
from tests.models.training_inputs import train_params
def report(done, total, note):
    print(done, flush=True)
    time.sleep(0.05)
params = train_params(ema=0.9, augment="thesis")
train(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), params, seed=5, progress=report)
"""


@pytest.mark.slow
def test_a_killed_process_is_gone_on_from(shards, here):
    params = train_params(ema=0.9, augment="thesis")
    command = [sys.executable, "-c", SCRIPT, str(shards), str(here / "parts")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        while process.stdout.readline().strip() != "3":
            time.sleep(0.001)
        process.kill()
    assert not (here / "parts").exists()
    first = []
    train(shards, here / "parts", params, seed=5, progress=lambda done, total, note: first.append(done))
    assert first[0] > 1
    train(shards, here / "whole", params, seed=5)
    assert content(here / "whole") == content(here / "parts")


def test_other_parameters_do_not_go_on_from_a_state(shards, here):
    def interrupt(done, total, note):
        if done == 3:
            raise KeyboardInterrupt

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(shards, here / "out", train_params(), seed=5, progress=interrupt)
    signal.signal(signal.SIGINT, handler)
    first = []
    train(shards, here / "out", train_params(), seed=6, progress=lambda done, total, note: first.append(done))
    assert 1 in first  # the first batch is learned from again


@pytest.mark.parametrize(
    "other", [{"count_processes": lambda: 2}, {"resolve_precision": lambda asked, device: "bf16"}, {}]
)
def test_a_state_of_another_precision_or_number_of_processes_is_left_with_a_word(shards, here, monkeypatch, other):
    def interrupt(done, total, note):
        if done == 3:
            raise KeyboardInterrupt

    handler = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as changed, pytest.raises(KeyboardInterrupt):
        for name, answer in other.items():
            changed.setattr(engine, name, answer)
        train(shards, here / "out", train_params(), seed=5, progress=interrupt)
    signal.signal(signal.SIGINT, handler)
    first, said = [], []
    report = lambda done, total, note: first.append(done)  # noqa: E731
    train(shards, here / "out", train_params(), seed=5, progress=report, say=said.append)
    assert said[0] == "trains on cpu, fp32"
    assert [line.partition(":")[0] for line in said[1:]] == (["starts anew"] if other else [])
    assert (1 in first) == bool(other)
    assert read_snapshot(here / "out").ran == {"device": "cpu", "precision": "fp32", "tf32": False, "processes": 1}


def test_temperature_and_claimed_score_are_those_of_the_saved_file(shards, here):
    """On faces that it has learned, as the noise of these tests has nothing that holds on others."""
    train(shards, here / "out", train_params(tta_flip=True, epochs=12, learning_rate=0.003), seed=5)
    saved = load_checkpoint(here / "out")
    claimed = vouch(saved.module, replace(saved.info, temperature=1.0), open_shards(shards), shards, "train", range(8))
    (batch,) = ShardLoader(shards, "train", batch_size=500, shuffle=False, seed=0)
    labels, pixels = batch.labels.numpy(), saved.prepare(batch.images)
    with torch.inference_mode():
        logits = torch.stack([saved.module(pixels), saved.module(pixels.flip(-1))]).double().numpy()

    # Eight rows more, labelled as the network answers, speak for a temperature of 1.
    target = np.eye(8)[labels] + softmax(logits, axis=2).mean(0) * 8 / len(labels)

    def loss(log_temperature):
        answers = logsumexp(log_softmax(logits / np.exp(log_temperature), axis=2), axis=0) - np.log(2)
        return -(target * answers).sum(1).mean()

    expected = np.exp(minimize(loss, 0.0, method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-12}).x[0])
    assert 0.05 < expected < 20
    assert claimed.temperature == pytest.approx(expected, rel=1e-3)
    answers = softmax(logits / expected, axis=2).mean(0).argmax(1)
    score = balanced_accuracy_score(labels, answers)
    assert claimed.validation["balanced_accuracy"] == pytest.approx(score, abs=1e-6)
    assert claimed.validation["chance"] == pytest.approx(1 / len(set(labels)), abs=1e-6)
    # What the file itself says is of validation, and true of the file.
    (held,) = ShardLoader(shards, "val", batch_size=500, shuffle=False, seed=0)
    score = balanced_accuracy_score(held.labels.numpy(), saved.predict(held.images).argmax(1))
    assert saved.info.validation["balanced_accuracy"] == pytest.approx(score, abs=1e-6)


def test_the_outputs_say_what_was_trained_on_what(shards, here):
    summary = train(shards, here / "out", train_params(tta_flip=True), seed=5)
    rows = read_losses(here / "out")
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert list(rows[0]) == [*COLUMNS, "loss"]
    assert {row["loss"] for row in rows} == {"cross-entropy"}
    info = read_info(here / "out")
    folder = open_shards(shards)
    assert info.shards == folder.snapshot_id
    assert info.contract == folder.contract
    assert info.tta_flip
    assert info.params["epochs"] == 2
    assert summary["rows_in"] == summary["rows_out"] == sum(entry.rows for entry in folder.entries("train"))
    # align.margin is 0.25 there and 0.05 is to be left: (1 - 2 * 0.25) / (1 - 2 * 0.05).
    assert info.input.zoom == pytest.approx(0.5 / 0.9)
    assert info.validation["rows"] == sum(entry.rows for entry in folder.entries("val"))
    assert info.temperature == summary["temperature"]
    live = json.loads((here / "out/dvclive/metrics.json").read_text())
    assert f"{live['val_loss']:.6f}" == rows[-1]["val_loss"]
    assert not any("time" in path for path in content(here / "out"))


def test_the_kept_weights_are_the_best_on_validation(shards, here):
    summary = train(shards, here / "out", train_params(epochs=4, select="loss", learning_rate=0.02), seed=5)
    losses = [float(row["val_loss"]) for row in read_losses(here / "out")]
    assert summary["best_epoch"] == 1 + int(np.argmin(losses))
    assert summary["validation"]["loss"] == min(losses)


def test_bf16_trains_like_fp32_with_every_ingredient(shards, here):
    losses = []
    for precision in ("fp32", "bf16"):
        params = train_params(**{**EVERYTHING, "soft_labels": False, "epochs": 3, "model": "compact"})
        params = params.model_validate({**params.plain(), "precision": precision})
        train(shards, here / precision, params, seed=5)
        losses.append([float(row["train_loss"]) for row in read_losses(here / precision)])
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
    assert losses[0][-1] < losses[0][0]


def test_two_batches_added_up_move_the_weights_as_one_of_twice_the_size(here):
    """Nothing draws, counts or weighs by batch, and the faces divide by two."""
    shards = make_training_shards(here, rows=160)
    rows = sum(entry.rows for entry in open_shards(shards).entries("train"))
    assert rows % 2 == 0
    alike = {"model": "baseline", "epochs": 3, "select": "last", "optimizer": "sgd", "ema": 0.5, "schedule": "cosine"}
    for name, changes in (("one", {"batch_size": rows}), ("added", {"batch_size": rows // 2, "accumulate": 2})):
        train(shards, here / name, train_params(**alike, **changes), seed=5)
    one, added = (load_checkpoint(here / name).module.state_dict() for name in ("one", "added"))
    for name, value in one.items():
        torch.testing.assert_close(added[name], value, atol=2e-6, rtol=1e-5)


def test_a_streamed_last_batch_of_one_face_is_left_out(shards, here):
    rows = sum(entry.rows for entry in open_shards(shards).entries("train"))
    size = next(size for size in range(5, rows) if rows % size == 1)
    done = []
    params = train_params(batch_size=size, cache_mb=0, epochs=1)
    train(shards, here / "out", params, seed=5, progress=lambda batches, total, note: done.append((batches, total)))
    assert done[-1] == (rows // size, rows // size)


def test_the_validation_loss_does_not_depend_on_the_batch_size(shards, here):
    """The network hardly moves, so that batches of training make no difference."""
    found = []
    for size in (7, 60):
        params = train_params(
            model="baseline", epochs=1, learning_rate=1e-12, batch_size=size, class_weights=1.0, select="loss"
        )
        train(shards, here / str(size), params, seed=5)
        found.append(float(read_losses(here / str(size))[0]["val_loss"]))
    assert found[0] == pytest.approx(found[1], abs=2e-6)


def test_the_test_set_is_not_read(shards, here):
    shutil.copytree(shards, here / "shards")
    for path in (here / "shards/parquet").glob("test-*"):
        path.write_bytes(b"not to be read")
    train(here / "shards", here / "out", train_params(epochs=1), seed=5)


def mislabel(shards, copy, split):
    shutil.copytree(shards, copy)
    for path in (copy / "parquet").glob(f"{split}-*"):
        table = pq.read_table(path)
        place = table.schema.get_field_index("label")
        field = table.schema.field(place)
        wrong = pa.array([(label + 3) % 8 for label in table["label"].to_pylist()], field.type)
        pq.write_table(table.set_column(place, field, wrong), path)
    return copy


def test_the_thesiss_protocol_validates_on_the_test_set(shards, here):
    params = train_params(epochs=1, validate_on="test")
    summaries = {
        split: train(mislabel(shards, here / split, split), here / f"{split}-out", params, seed=5)
        for split in ("none", "val", "test")
    }
    assert summaries["val"]["validation"] == summaries["none"]["validation"] != summaries["test"]["validation"]
    tested = sum(pq.read_metadata(path).num_rows for path in (shards / "parquet").glob("test-*"))
    assert summaries["none"]["validation_rows"] == tested


def test_what_a_network_scored_is_of_validation_and_not_of_the_other_splits(shards, here):
    """One split at a time with other labels: validation's change what is claimed, the test set's nothing."""
    claimed = {}
    for split in ("none", "val", "test"):
        copy = mislabel(shards, here / split, split)
        train(copy, here / f"{split}-out", train_params(epochs=6, select="last", learning_rate=0.003), seed=5)
        claimed[split] = read_info(here / f"{split}-out")
    assert claimed["test"].validation == claimed["none"].validation
    assert claimed["test"].temperature == claimed["none"].temperature
    assert claimed["val"].validation["balanced_accuracy"] != claimed["none"].validation["balanced_accuracy"]
    assert claimed["val"].temperature != claimed["none"].temperature


def test_of_the_demos_datasets_the_checkpoint_names_those_it_learned_from(here):
    inputs = make_inputs(here, rows=40, hostile=False)
    for name, folder in inputs.labels.items():
        demo = here / "demo"
        demo.mkdir(exist_ok=True)
        write_snapshot(demo, Snapshot("demo", "d", (), {}, {}, {}))
        raw = Input(f"demo/{name}" if name == "one" else f"real/{name}", "0" * 32)
        known = read_snapshot(folder)
        write_snapshot(folder, replace(known, inputs=(raw,)))
        (here / raw.path).mkdir(parents=True)
    write_shards(*inputs.tables, here / "shards", shard_params(), seed=1, workers=1)
    assert open_shards(here / "shards").contract["rendered"] == ["one"]
    train(here / "shards", here / "out", train_params(epochs=1), seed=5)
    assert "demo network" in load_checkpoint(here / "out").doubts


def test_it_stops_early_when_nothing_gets_better(shards, here):
    summary = train(shards, here / "out", train_params(epochs=30, patience=1, learning_rate=1e-12), seed=5)
    assert summary["epochs"] < 30


def test_feature_extraction_leaves_the_base_alone_then_opens_it_from_the_end(shards, here):
    changes = {"epochs": 2, "select": "last", "learning_rate": 0.01, "fine_tune_rate": 0.01, "unfreeze_blocks": 1}
    train(shards, here / "features", train_params(frozen_epochs=2, **changes), seed=5)
    train(shards, here / "both", train_params(frozen_epochs=1, **changes), seed=5)
    features, both = (load_checkpoint(here / name).module.state_dict() for name in ("features", "both"))
    same = [torch.equal(features[f"blocks.{n}.0.weight"], both[f"blocks.{n}.0.weight"]) for n in range(5)]
    assert same == [True, True, True, True, False]
    assert torch.equal(features["blocks.0.1.running_mean"], torch.zeros(16))
    assert [row["phase"] for row in read_losses(here / "both")] == ["features", "finetune"]


def test_memory_and_stream_see_the_same_faces(shards, here):
    """They mix in different orders; with a network that hardly moves and no batch statistics, the sums agree."""
    for name, cache_mb in (("memory", 4096), ("stream", 0)):
        params = train_params(model="baseline", epochs=1, learning_rate=1e-12, cache_mb=cache_mb)
        train(shards, here / name, params, seed=5)
    memory, stream = (read_losses(here / name)[0] for name in ("memory", "stream"))
    for column in ("train_loss", "val_loss", "train_accuracy", "val_accuracy"):
        assert float(memory[column]) == pytest.approx(float(stream[column]), abs=2e-6)


@pytest.mark.parametrize("task", ["valence", "affect"])
@pytest.mark.parametrize("loss", ["mse", "ccc"])
def test_valence_and_arousal_train_where_they_are_given(shards, here, task, loss):
    summary = train(shards, here / "out", train_params(task=task, affect_loss=loss), seed=5)
    names = ("valence", "arousal") if task == "affect" else ("valence",)
    for name in names:
        assert {f"{name}_ccc", f"{name}_rmse", f"{name}_sign_agreement"} <= set(summary["validation"])
        assert summary["validation"][f"{name}_rows"] < summary["validation_rows"]  # one dataset gives none
    checkpoint = load_checkpoint(here / "out")
    answers = checkpoint.predict_affect(np.zeros((2, 48, 48, 3), np.uint8))
    assert answers.shape == (2, 3)
    assert np.isnan(answers).all(0).tolist() == [False, task == "valence", True]
    with pytest.raises(ModelError, match=f"trained on {task}, not on classes"):
        checkpoint.predict(np.zeros((2, 48, 48, 3), np.uint8))


def test_classes_and_values_train_together_and_what_nobody_says_is_an_error(shards, here):
    summary = train(shards, here / "out", train_params(task="all"), seed=5)
    assert {"balanced_accuracy", "valence_ccc", "valence_pearson"} <= set(summary["validation"])
    assert not any(name.startswith("dominance") for name in summary["validation"])  # no row has one
    assert summary["temperature"] != 1.0
    checkpoint = load_checkpoint(here / "out")
    assert (checkpoint.info.heads.classes, checkpoint.info.heads.values) == (CLASSES, ("valence", "arousal"))
    images = np.random.default_rng(0).integers(0, 256, (3, 48, 48, 3), np.uint8)
    np.testing.assert_allclose(checkpoint.predict(images).sum(1), 1, atol=1e-6)
    assert np.isnan(checkpoint.predict_affect(images)).all(0).tolist() == [False, False, True]
    message = (
        r"^train.task: dominance: no training row of .* has a dominance; set train.task to what rows have, emotion "
    )
    with pytest.raises(DataError, match=message):
        train(shards, here / "none", train_params(task="dominance"), seed=5)


@pytest.mark.parametrize("model", ["hog-svm", "descriptor-linear"])
def test_the_classical_baselines_are_trained_and_answer_from_the_file(few_shards, here, model):
    summary = train(few_shards, here / "out", train_params(model=model, size_px=None), seed=5)
    assert summary["epochs"] == 1
    assert read_losses(here / "out")[0]["phase"] == "fit"
    answers = load_checkpoint(here / "out").predict(np.random.default_rng(0).integers(0, 256, (2, 48, 48, 3), np.uint8))
    np.testing.assert_allclose(answers.sum(1), 1, atol=1e-6)
    with pytest.raises(UsageError, match="answers emotion alone"):
        train(few_shards, here / "out", train_params(model=model, task="affect"), seed=5)


def test_missing_shards_and_unknown_networks_are_one_line(shards, here):
    with pytest.raises(DataError, match="run prep shard first"):
        train(here / "none", here / "out", train_params(), seed=5)
    with pytest.raises(UsageError, match="no network 'alexnet-9'"):
        train(shards, here / "out", train_params(model="alexnet-9"), seed=5)
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("select", ["loss", "balanced_accuracy", "last"])
def test_a_training_that_diverges_says_so_and_leaves_no_network(tmp_path, monkeypatch, select):
    monkeypatch.chdir(tmp_path)
    params = train_params(optimizer="sgd", learning_rate=1e20, clip_norm=0.0, select=select)
    with pytest.raises(ModelError, match=r"^training diverged: after epoch 1 .*; lower train.learning_rate"):
        train(make_training_shards(tmp_path, rows=40), tmp_path / "out", params, seed=1)
    assert not (tmp_path / "out").exists()
