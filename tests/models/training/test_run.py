"""What a job is: its phases, what its network reads, and what must agree before an interrupted training goes on."""

import hashlib
import json
from dataclasses import replace
from types import SimpleNamespace

import lightning
import pytest
import torch

from models.core.inputs import InputSpec
from models.core.runtime import Compute
from models.registry import find_model
from models.training import engine, run
from models.training.engine import build_trainer
from models.training.history import Phase
from models.training.run import Job, build_network, build_phases, count_rows, read_labels, state_name
from pipeline.core.emotions import CLASSES
from pipeline.core.errors import ModelError, UsageError
from pipeline.shards.read import open_shards
from tests.models.training_inputs import make_training_shards, train_params

FP32 = Compute("cpu", "", "fp32", False, 1)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_training_shards(tmp_path_factory.mktemp("run"), rows=60)


def job(shards, *, seed=3, **changes):
    params = train_params(**changes)
    return Job(shards, open_shards(shards), params, find_model(params.model), seed, lambda *said: None)


def test_phases_are_one_or_features_and_then_fine_tuning():
    rates = {"learning_rate": 0.5, "fine_tune_rate": 0.25, "unfreeze_blocks": 3, "epochs": 7}
    assert build_phases(train_params(frozen_epochs=0, **rates)) == [Phase("train", 0, 7, 3, 0.5)]
    assert build_phases(train_params(frozen_epochs=2, **rates)) == [
        Phase("features", 0, 2, 0, 0.5), Phase("finetune", 2, 5, 3, 0.25),
    ]  # fmt: skip
    assert build_phases(train_params(frozen_epochs=7, **rates)) == [Phase("features", 0, 7, 0, 0.5)]
    with pytest.raises(UsageError, match=r"^train\.frozen_epochs: at most train\.epochs, 7, not 8$"):
        build_phases(train_params(frozen_epochs=8, **rates))


def test_a_network_reads_the_face_with_the_margin_that_is_asked_for(shards):
    # The crops have a margin of 0.25 on each side, so the face is half of the side.
    assert job(shards, margin=0.25).spec.zoom == 1
    assert job(shards, margin=0.1).spec.zoom == pytest.approx(0.5 / 0.8)
    assert job(shards, margin=0.0).spec.zoom == pytest.approx(0.5)
    assert job(shards, margin=0.4).spec.zoom == 1  # no more than there is
    assert job(shards, margin=0.1, size_px=40).spec.size_px == 40
    asked = job(shards, margin=0.1, model="descriptor-linear", size_px=None)
    assert asked.spec.zoom == 1  # it takes its own part of the crop
    whole = replace(job(shards, margin=0.1), folder=SimpleNamespace(contract={"align": {}}))
    assert whole.spec.zoom == 1
    assert replace(whole, folder=SimpleNamespace(contract={})).spec.zoom == 1


def test_pixels_are_divided_by_255_and_no_more_if_that_is_asked_for(shards):
    pixels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).expand(1, 3, 16, 16)
    spec = job(shards, model="compact", input_scale="unit").spec
    torch.testing.assert_close(spec.normalize(pixels[:, : spec.channels]), pixels[:, : spec.channels] / 255)
    assert job(shards, model="compact").spec.mean != spec.mean


def test_outputs_are_those_of_the_task(shards):
    assert job(shards).heads.outputs == CLASSES
    assert job(shards, task="arousal").heads.outputs == ("arousal",)
    assert job(shards, task="affect").heads.outputs == ("valence", "arousal")
    both = replace(job(shards, task="all"), given=frozenset({"arousal", "valence"})).heads
    assert (both.classes, both.values) == (CLASSES, ("valence", "arousal"))


def test_rows_and_labels_are_those_of_the_split_that_is_named(shards):
    folder = open_shards(shards)
    counts = {split: count_rows(folder, split) for split in ("train", "val", "test", "none")}
    assert counts["train"] > counts["val"] > 0 == counts["none"]
    assert counts["test"] > 0
    labels = read_labels(folder)
    assert labels.dtype == torch.int64
    # Three of every five rows are of training; of their faces one in 25 was not found: see `shard_inputs`.
    expected = sorted((n * 3 + n // 7) % 8 for _ in "12" for n in range(60) if n % 5 < 3 and n % 25 != 7)
    assert sorted(labels.tolist()) == expected


def test_a_state_is_of_one_snapshot_parameters_seed_and_way_to_compute(shards):
    here = job(shards)
    names = {
        state_name(here, FP32), state_name(job(shards, seed=4), FP32), state_name(job(shards, ema=0.5), FP32),
        state_name(here, replace(FP32, precision="bf16")), state_name(here, replace(FP32, processes=2)),
        state_name(replace(here, folder=SimpleNamespace(snapshot_id="of other shards")), FP32),
    }  # fmt: skip
    assert len(names) == 6
    assert state_name(job(shards), FP32) == state_name(here, FP32)
    # A state that an earlier release left is found by its name.
    content = {"shards": here.folder.snapshot_id, "params": here.params.plain(), "seed": 3, "ran": FP32.plain()}
    expected = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
    assert state_name(here, FP32) == expected


def test_the_network_is_the_one_that_is_asked_for(shards, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(run, "create_model", lambda *given, **named: asked.append((given, named)))
    build_network(job(shards, model="baseline", size_px=40, weights="hub"))
    build_network(job(shards, task="affect", weights="none"))
    build_network(job(shards, weights=str(tmp_path / "w"), weights_sha256="0" * 64))
    assert asked == [
        (("baseline", 8, True), {"size_px": 40, "weights": None, "weights_sha256": None}),
        (("proposed", 2, False), {"size_px": 32, "weights": None, "weights_sha256": None}),
        (("proposed", 8, False), {"size_px": 32, "weights": tmp_path / "w", "weights_sha256": "0" * 64}),
    ]


def test_memory_that_runs_out_and_ctrl_c_are_told_in_the_projects_words(shards, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def fit(error):
        def failing(*given, **named):
            raise error

        monkeypatch.setattr(lightning.Trainer, "fit", failing)
        run.run_training(job(shards, batch_size=24, size_px=40), tmp_path / "state", tmp_path / "live")

    with pytest.raises(
        ModelError, match=r"^the GPU's memory ran out with train.batch_size 24 at train.size_px 40; low"
    ):
        fit(torch.OutOfMemoryError())
    with pytest.raises(KeyboardInterrupt):
        fit(SystemExit())


def test_lightning_is_set_up_as_the_parameters_and_the_environment_say(tmp_path, monkeypatch):
    monkeypatch.setattr(engine.lightning, "Trainer", lambda **given: given)
    monkeypatch.setenv("PREP_DEVICES", "2")
    params = train_params(precision="bf16", clip_norm=2.5, accumulate=3)
    found = build_trainer(params, 6, (), tmp_path)
    assert found == {
        "accelerator": "cpu", "devices": 2, "num_nodes": 1, "strategy": "auto", "precision": "bf16-mixed",
        "max_epochs": 6, "accumulate_grad_batches": 3, "sync_batchnorm": False, "gradient_clip_val": 2.5,
        "callbacks": [], "default_root_dir": tmp_path, "deterministic": True, "benchmark": False, "logger": False,
        "enable_progress_bar": False, "enable_model_summary": False, "num_sanity_val_steps": 0,
        "use_distributed_sampler": False,
    }  # fmt: skip
    monkeypatch.delenv("PREP_DEVICES")
    monkeypatch.setenv("PREP_STRATEGY", "ddp")
    found = build_trainer(train_params(precision="fp32", clip_norm=0.0, sync_batchnorm=True), 1, ["log"], tmp_path)
    picked = {name: found[name] for name in ("gradient_clip_val", "precision", "strategy", "devices", "callbacks")}
    assert picked == {
        "gradient_clip_val": None, "precision": "32-true", "strategy": "ddp", "devices": 1, "callbacks": ["log"],
    }  # fmt: skip
    assert found["sync_batchnorm"]


@pytest.fixture
def phase(shards, tmp_path, monkeypatch):
    """Run a phase with a Trainer that only notes what it is given."""
    given = []

    def run_phase(held=True, state=False, **changes):
        trainer = SimpleNamespace(
            current_epoch=5, num_devices=1, global_rank=0, world_size=1,
            strategy=SimpleNamespace(root_device=torch.device("cpu")),
            fit=lambda *parts, **named: given.append((*parts, named)),
        )  # fmt: skip
        monkeypatch.setattr(run, "build_trainer", lambda *parts: given.append(parts) or trainer)
        here = job(shards, **changes)
        if not held:
            here = replace(here, folder=replace(here.folder, splits={"train": here.folder.splits["train"]}))
        file = tmp_path / "state.ckpt"
        if state:
            file.touch()
        weights, history = torch.ones(8), run.History("loss")
        network = build_network(here)
        objective = run.Objective(here.params, weights)
        run._run_phase(here, network, Phase("finetune", 4, 6, 2, 0.125), objective, history, file, "live")
        return here, network, history, file, *given

    return run_phase


def test_a_phase_is_given_to_lightning_with_its_epochs_callbacks_and_data(phase):
    here, network, history, file, made, fitted = phase(batch_size=16, accumulate=2, checkpoint_minutes=7, epochs=10)
    params, epochs, (keeper, report, live), folder = made
    assert (params, epochs, live, folder) == (here.params, 6, "live", file.parent)
    assert (keeper._path, keeper._history, keeper._seconds, keeper._accumulate) == (file, history, 420, 2)
    assert (report._before, report._epochs, report._progress) == (4, 10, here.progress)
    learner, train, val, named = fitted
    assert named == {"ckpt_path": None, "weights_only": True}
    assert (learner.network, learner.history, learner.spec) == (network, history, here.spec)
    assert (learner.phase.name, learner.params, learner._seed) == ("finetune", here.params, 3)
    rows = {split: count_rows(here.folder, split) for split in ("train", "val")}
    batches = -(-rows["train"] // 16)
    assert batches % 2  # so that the last step has one batch
    assert (learner._amounts.steps, learner._amounts.validation_rows) == (-(-batches // 2), rows["val"])
    # The base is closed but for its last two blocks.
    opened = [all(p.requires_grad for p in block.parameters()) for block in network.blocks]
    assert opened == [False, False, False, True, True]
    # Training is mixed by the number of the epoch over all phases; validation comes as it is stored.
    reading = run._reading(here, "train")
    again = run.build_epochs(reading, lambda: 9, shuffle=True)
    assert [faces.labels.tolist() for faces in train] == [faces.labels.tolist() for faces in again]
    assert torch.cat([faces.labels for faces in val]).tolist() == [
        int(label) for table in run.iter_shards(here.folder, "val", ["label"]) for label in table["label"].to_pylist()
    ]


def test_without_validation_there_is_none_and_a_state_is_gone_on_from(phase):
    here, _, _, file, _, (learner, _, val, named) = phase(held=False, state=True)
    assert val is None
    assert learner._amounts.validation_rows == 0
    assert named == {"ckpt_path": str(file), "weights_only": True}
    assert here.spec == replace(InputSpec(32, (0.5,) * 3, (0.25,) * 3), zoom=here.spec.zoom)


@pytest.mark.parametrize("channels_last", [True, False])
def test_weights_are_laid_out_as_asked(phase, channels_last):
    _, network, *_ = phase(channels_last=channels_last)
    weight = network.blocks[1][0].weight
    assert weight.is_contiguous(memory_format=torch.channels_last) == channels_last


@pytest.mark.parametrize(
    ("device", "cores", "devices", "workers"),
    [("cpu", 8, 1, 0), ("cuda", 8, 3, 2), ("cuda", 8, 1, 8), ("cuda", 2, 3, 1), ("cuda", 8, 0, 8)],
)
def test_beside_a_gpu_the_processes_of_a_machine_share_its_cores(shards, monkeypatch, device, cores, devices, workers):
    asked = []
    monkeypatch.setattr(run, "worker_count", lambda: cores)
    monkeypatch.setattr(run, "build_epochs", lambda reading, epoch, *, shuffle: asked.append((reading, shuffle)))
    root = torch.device(device)
    trainer = SimpleNamespace(
        num_devices=devices, global_rank=2, world_size=4, strategy=SimpleNamespace(root_device=root)
    )
    for split in ("train", "val"):
        run._epochs(job(shards, batch_size=9, cache_mb=5), trainer, split, lambda: 0)
    for (reading, shuffle), split in zip(asked, ("train", "val"), strict=True):
        assert (reading.workers, reading.rank, reading.world_size, reading.device) == (workers, 2, 4, root)
        assert (reading.split, reading.batch_size, reading.cache_mb, reading.seed) == (split, 9, 5, 3)
        assert shuffle == (split == "train")


def test_what_is_recorded_of_a_training_is_its_precision_and_its_processes(monkeypatch):
    monkeypatch.setattr(engine, "count_processes", lambda: 3)
    found = engine.plan_compute(train_params(precision="bf16"), classical=False)
    assert (found.device, found.precision, found.processes) == ("cpu", "bf16", 3)
    one = engine.plan_compute(train_params(precision="bf16"), classical=True)
    assert (one.device, one.precision, one.processes) == ("cpu", "fp32", 1)
