"""On a GPU no operation sees two devices: training, testing, saliency, personal models, for every kind of network."""

import lightning
import numpy as np
import pytest
import torch
from lightning.pytorch.strategies import SingleDeviceStrategy

from models.checkpoint import Checkpoint, CheckpointInfo, load_checkpoint
from models.classical.baselines import Classical
from models.core.inputs import InputSpec
from models.evaluation.gallery import explain
from models.evaluation.held_out import answer_logits, faces_for
from models.evaluation.stage import run as evaluate
from models.personal.people import read_features
from models.registry import create_model, find_model, list_models
from models.training import engine
from models.training.stage import run as train
from pipeline.core.device import Device
from tests.models.test_registry import LARGER
from tests.models.training_inputs import make_training_shards, train_params
from tests.pretended import GPU, MixUpError, PretendedAccelerator, PretendedGpu
from tests.run_inputs import evaluate_params

# One of each way to build a network; facenet-pytorch's is large, and learns below as a personal model.
KINDS = {"proposed": 32, "compact": 32, "efficientnet_b0": 32, "resnet18": 32}
NETWORKS = [entry.name for entry in list_models() if entry.kind != "classical" and entry.name not in LARGER]
EVERYTHING = {"augment": "strong", "mixup": 0.2, "ema": 0.9, "label_smoothing": 0.1, "class_weights": 1.0,
              "clip_norm": 1.0, "optimizer": "adamw", "tta_flip": True, "warmup_epochs": 0.5}  # fmt: skip


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_training_shards(tmp_path_factory.mktemp("devices"), rows=20)


@pytest.fixture(scope="module")
def few_shards(tmp_path_factory):
    """A descriptor takes tenths of a second a face."""
    return make_training_shards(tmp_path_factory.mktemp("classical"), rows=10)


@pytest.fixture
def gpu():
    with PretendedGpu() as pretended:
        yield pretended


@pytest.fixture
def lightning_on_gpu(monkeypatch):
    """Let Lightning's own loop move the module and the batches there."""
    build = lightning.Trainer

    def trainer(**given):
        there = {"accelerator": PretendedAccelerator(), "strategy": SingleDeviceStrategy(GPU)}
        # In bf16, which a GPU takes unless told otherwise; Lightning has other rules for it.
        return build(**{**given, **there, "devices": 1, "deterministic": False, "precision": "bf16-mixed"})

    monkeypatch.setattr(engine.lightning, "Trainer", trainer)
    for name in ("Stream", "stream", "current_stream"):  # torch.cpu's do nothing
        monkeypatch.setattr(torch.cuda, name, getattr(torch.cpu, name))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1 << 30, 1 << 30))


def make_checkpoint(name, size_px):
    torch.manual_seed(0)
    classes = ("anger", "contempt", "disgust", "fear", "happy", "neutral", "sad", "surprise")
    spec = find_model(name).input(size_px)
    network = create_model(name, size_px=size_px).to(GPU)
    return Checkpoint(CheckpointInfo(name, classes, spec, {}, "", "emotion", True, {}), network)


def faces(count=3, side=80):
    return torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", KINDS)
def test_training_sees_one_device(name, shards, tmp_path, monkeypatch, gpu, lightning_on_gpu):
    monkeypatch.chdir(tmp_path)
    streamed = {"cache_mb": 0} if name == "compact" else {}
    params = train_params(model=name, size_px=KINDS[name], epochs=1, **EVERYTHING, **streamed)
    train(shards, tmp_path / "out", params, seed=5)
    assert gpu.operations > 500


def test_no_step_waits_for_the_gpu(shards, tmp_path, monkeypatch, gpu, lightning_on_gpu):
    """Four steps an epoch wait as often as two; what waits is an epoch's end, a saved state and the progress bar."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("models.training.reporting.time.monotonic", lambda: 0.0)
    waits, steps = [], []
    for batch_size in (12, 6):
        gpu.waits.clear()
        # torch clips by the device that its C++ sees, which is not the pretended one.
        changes = {**EVERYTHING, "clip_norm": 0.0, "batch_size": batch_size, "checkpoint_minutes": 9}
        params, done = train_params(model="compact", **changes), []
        train(shards, tmp_path / str(batch_size), params, seed=5, progress=lambda one, *_, done=done: done.append(one))
        waits.append(len(gpu.waits))
        steps.append(max(done))
    assert steps == [4, 8]
    assert waits[0] == waits[1] > 0


def test_what_it_scores_on_validation_is_answered_where_it_trained(
    shards, tmp_path, monkeypatch, gpu, lightning_on_gpu
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("models.training.stage.network_device", lambda classical: Device("cuda:0"))
    answered = []

    def answer(network, loader):
        answered.append(network.device)
        return answer_logits(network, loader)

    monkeypatch.setattr("models.training.credit.answer_logits", answer)
    train(shards, tmp_path / "out", train_params(epochs=1), seed=5)
    assert answered == [GPU]


def test_large_batches_are_answered_and_all_cores_decode(few_shards, gpu, monkeypatch):
    general, seen = make_checkpoint("compact", 32), []
    general.module.register_forward_pre_hook(lambda _module, given: seen.append(len(given[0])))
    assert general.predict(faces(300, 32)).shape == (300, 8)
    assert seen == [256, 256, 44, 44]  # each face and its mirror image
    monkeypatch.setenv("PREP_WORKERS", "3")
    assert faces_for(general, few_shards, "train", 8).workers == 3
    on_cpu = Checkpoint(general.info, create_model("compact", size_px=32))
    assert faces_for(on_cpu, few_shards, "train", 8).workers == 0
    seen.clear()
    on_cpu.module.register_forward_pre_hook(lambda _module, given: seen.append(len(given[0])))
    on_cpu.predict(faces(70, 32))
    assert seen == [64, 64, 6, 6]


@pytest.mark.parametrize("task", ["affect", "valence"])
def test_training_on_affect_sees_one_device(task, shards, tmp_path, monkeypatch, gpu, lightning_on_gpu):
    monkeypatch.chdir(tmp_path)
    params = train_params(model="compact", epochs=1, task=task, affect_loss="ccc", **EVERYTHING)
    train(shards, tmp_path / "out", params, seed=5)
    assert gpu.operations > 500


@pytest.mark.parametrize("name", NETWORKS)
def test_answers_maps_and_personal_models_see_one_device(name, gpu):
    general = make_checkpoint(name, max(32, find_model(name).min_size_px))
    pixels = faces()
    answers = general.predict(pixels)
    assert answers.shape == (3, 8)
    maps = explain(general, list(pixels.permute(0, 2, 3, 1).numpy()), [0, 1, 2])
    assert set(maps) >= {"gradient"}
    features, log_probabilities = read_features(general, pixels)
    assert len(features) == 3
    assert np.exp(log_probabilities) == pytest.approx(answers, abs=1e-4)
    assert gpu.operations > 200


def test_evaluation_sees_one_device_and_answers_as_on_the_cpu(tmp_path, monkeypatch):
    """Nothing but the place is pretended, so the numbers are the same."""
    from tests.run_inputs import make_run, make_shards

    shards = make_shards(tmp_path)
    run = make_run(shards, tmp_path / "run")
    evaluate(shards, run, tmp_path / "cpu", evaluate_params(), seed=3)
    with PretendedGpu() as gpu:
        monkeypatch.setattr(
            "models.evaluation.measured.load_checkpoint", lambda path, device: load_checkpoint(path, "cuda:0")
        )
        evaluate(shards, run, tmp_path / "gpu", evaluate_params(), seed=3)
        assert gpu.operations > 100
    for name in ("predictions.parquet", "confusion.csv", "details.json"):
        assert (tmp_path / "cpu" / name).read_bytes() == (tmp_path / "gpu" / name).read_bytes()


@pytest.mark.parametrize("name", ["hog-svm", "descriptor-linear"])
def test_classical_networks_stay_on_the_cpu(name, few_shards, tmp_path, monkeypatch, gpu):
    monkeypatch.chdir(tmp_path)
    train(few_shards, tmp_path / "out", train_params(model=name, size_px=None), seed=5)
    moved = load_checkpoint(tmp_path / "out", "cuda:0")
    assert moved.device == torch.device("cpu")
    assert moved.predict(faces(2, 224)).shape == (2, 8)
    assert gpu.operations == 0


def test_a_mix_up_is_seen(gpu, monkeypatch):
    """The test of the tests: what was wrong once, planted again."""
    general = make_checkpoint("compact", 32)
    monkeypatch.setattr(InputSpec, "normalize", lambda self, pixels: pixels.float() / torch.full((3, 1, 1), 255.0))
    with pytest.raises(MixUpError, match=r"aten\.div.*'cpu', 'cuda:0'"):
        general.predict(faces())
    monkeypatch.undo()
    with pytest.raises(MixUpError):
        torch.nn.functional.cross_entropy(general.module(general.prepare(faces())), torch.arange(3))
    with pytest.raises(TypeError, match="to numpy"):
        np.asarray(general.module(general.prepare(faces())).detach())


def test_moved_buffers_of_a_classical_network_would_be_seen(few_shards, tmp_path, monkeypatch, gpu):
    monkeypatch.chdir(tmp_path)
    train(few_shards, tmp_path / "out", train_params(model="hog-svm", size_px=None), seed=5)
    monkeypatch.setattr(Classical, "_apply", torch.nn.Module._apply)
    with pytest.raises(MixUpError):
        load_checkpoint(tmp_path / "out", "cuda:0").predict(faces(2, 224))
