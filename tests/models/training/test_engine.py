"""What the environment makes of a training: devices, machines, strategy, precision."""

import pytest
import torch

from models.core.runtime import describe_compute, reproducible, resolve_precision
from models.training.engine import build_trainer, count_devices, count_nodes, count_processes
from models.training.optimizer import scale_rate
from pipeline.core.device import Device, gpu_problem
from pipeline.core.errors import ParamsError
from tests.cards import A100, H100, P100, T4, pretend
from tests.models.training_inputs import train_params

CUDA = Device("cuda:0")


@pytest.fixture(autouse=True)
def _forget():
    yield
    gpu_problem.cache_clear()


@pytest.mark.parametrize(("card", "auto"), [(H100, "bf16"), (A100, "bf16"), (T4, "fp16"), (P100, "fp32")])
def test_auto_is_the_fastest_that_the_card_itself_computes_in(card, auto, monkeypatch):
    pretend(monkeypatch, card)
    assert resolve_precision("auto", CUDA) == auto
    assert resolve_precision("fp32", CUDA) == "fp32"
    assert resolve_precision("fp16", CUDA) == "fp16"
    if auto != "bf16":
        with pytest.raises(ParamsError, match=f"train.precision: {card[0]} has no bf16"):
            resolve_precision("bf16", CUDA)


def test_without_a_gpu_auto_is_fp32():
    assert resolve_precision("auto", Device("cpu")) == resolve_precision("auto", Device("mps")) == "fp32"
    assert resolve_precision("bf16", Device("cpu")) == "bf16"
    with pytest.raises(ParamsError, match=r"train.precision: fp16 needs an NVIDIA GPU, and this trains on cpu"):
        resolve_precision("fp16", Device("cpu"))


def test_how_many_train_together(monkeypatch):
    assert count_processes() == 1
    pretend(monkeypatch, H100, H100)
    monkeypatch.setenv("PREP_DEVICE", "auto")
    for text, count in [("", 1), ("1", 1), ("2", 2), ("auto", 2), ("-1", 2)]:
        monkeypatch.setenv("PREP_DEVICES", text)
        assert count_devices(CUDA) == count
    for text, words in [("3", "at most 2, the GPUs"), ("two", "whole number of at least 1, not 'two'"), ("0", "'0'")]:
        monkeypatch.setenv("PREP_DEVICES", text)
        with pytest.raises(ParamsError, match=f"PREP_DEVICES: .*{words}"):
            count_devices(CUDA)
    monkeypatch.setenv("PREP_DEVICE", "cuda:1")
    monkeypatch.setenv("PREP_DEVICES", "2")
    with pytest.raises(ParamsError, match="PREP_DEVICES: 2, but PREP_DEVICE names one GPU, cuda:1"):
        count_devices(Device("cuda:1"))


def test_several_machines_without_a_launcher_are_refused(monkeypatch):
    for name in ("TORCHELASTIC_RUN_ID", "SLURM_STEP_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREP_NODES", "2")
    monkeypatch.setenv("NODE_RANK", "1")  # what Lightning alone would go by, and still take itself for the first
    with pytest.raises(ParamsError, match=r"PREP_NODES: 2 machines, .*torchrun --nnodes 2 --node-rank 0 .* prep train"):
        count_nodes()
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("RANK", "1")
    assert count_nodes() == 2


def test_the_rate_grows_with_the_processes_by_the_rule_that_is_asked_for():
    rates = {rule: [scale_rate(0.1, rule, count) for count in (1, 4)] for rule in ("none", "linear", "sqrt")}
    assert rates == {"none": [0.1, 0.1], "linear": [0.1, 0.4], "sqrt": [0.1, 0.2]}


def test_batch_statistics_over_processes_need_gpus(monkeypatch, tmp_path):
    monkeypatch.setenv("PREP_DEVICE", "cpu")
    monkeypatch.setenv("PREP_DEVICES", "2")
    with pytest.raises(ParamsError, match=r"train.sync_batchnorm: torch has it on GPUs alone; false on cpu"):
        build_trainer(train_params(sync_batchnorm=True), 1, [], tmp_path)


def test_an_unknown_strategy_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PREP_STRATEGY", "dpp")
    with pytest.raises(ParamsError, match=r"PREP_STRATEGY: expected .*\(auto, ddp, .*, not 'dpp'"):
        build_trainer(train_params(), 1, [], tmp_path)


def test_draws_are_kept_apart_on_the_device_in_use_alone(monkeypatch):
    """Two GPUs are there; to fork the state of both would warn, and take memory on each."""
    asked = []
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: asked.append(device) or torch.zeros(1))
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: asked.append(device))
    pretend(monkeypatch, H100, H100)
    for device, index in [("cpu", None), ("cuda:1", 1), ("auto", 0)]:
        monkeypatch.setenv("PREP_DEVICE", device)
        asked.clear()
        with reproducible(1):
            pass
        assert [torch.device(one).index for one in asked] == ([] if index is None else [index, index])


def test_what_is_recorded_of_a_gpu(monkeypatch):
    pretend(monkeypatch, H100)
    with reproducible(1):
        found = describe_compute(CUDA, "bf16", processes=2)
    card = "NVIDIA H100 80GB HBM3"
    assert found.plain() == {"device": "cuda", "card": card, "precision": "bf16", "tf32": False, "processes": 2}
    assert str(found) == f"{card} (cuda), bf16, 2 processes"
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    assert describe_compute(CUDA).tf32
    plain = {"device": "cpu", "precision": "fp32", "tf32": False, "processes": 1}
    assert describe_compute(Device("cpu")).plain() == plain
