"""PREP_DEVICE is read once for all commands; a card that cannot be used is said in one line."""

import subprocess
import sys

import pytest
import torch

from pipeline.align.mtcnn.networks import count_fitting, network_device
from pipeline.core.device import Device, asked_device, describe_device, find_device, gpu_problem, runs_on
from pipeline.core.errors import ParamsError
from tests.cards import BUILT, H100, NEXT, P100, T4, pretend


@pytest.fixture(autouse=True)
def _forget():
    gpu_problem.cache_clear()
    yield
    gpu_problem.cache_clear()


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("cpu", "cpu"),
        ("auto", "cuda:0"),
        ("", "cuda:0"),
        ("cuda", "cuda:0"),
        ("cuda:0", "cuda:0"),
        ("cuda:1", "cuda:1"),
    ],
)
def test_each_value_means_one_device(asked, found, monkeypatch):
    pretend(monkeypatch, H100, H100)
    monkeypatch.setenv("PREP_DEVICE", asked)
    assert find_device() == Device(found)
    # Crops are data: unless asked, they are made on the CPU, with the same bytes on every machine.
    assert network_device().name == (found if asked else "cpu")


@pytest.mark.parametrize(
    "wrong", ["tpu", "gpu", "CUDA", "cuda:", "cuda:-1", "cuda:x", "cuda:1,2", "0", " cpu", "mps:0"]
)
def test_an_unknown_value_is_named(wrong, monkeypatch):
    monkeypatch.setenv("PREP_DEVICE", wrong)
    with pytest.raises(ParamsError, match=r"PREP_DEVICE: expected cpu, cuda, cuda:N .*, mps or auto") as told:
        asked_device()
    assert repr(wrong) in str(told.value)


def test_a_gpu_that_is_not_there_is_told_of(monkeypatch):
    pretend(monkeypatch, H100, H100)
    monkeypatch.setenv("PREP_DEVICE", "cuda:2")
    with pytest.raises(ParamsError, match="PREP_DEVICE: cuda:2, but torch finds 2 GPUs here, counted from 0"):
        find_device()


def test_without_a_gpu(monkeypatch):
    pretend(monkeypatch)
    monkeypatch.setattr(torch.cuda, "init", failing("Found no NVIDIA driver on your system. Please check"))
    monkeypatch.setenv("PREP_DEVICE", "auto")
    assert find_device() == Device("cpu")  # nothing to say: there is none
    for name, words in [("cuda", "torch finds no GPU"), ("mps", "no Apple GPU")]:
        monkeypatch.setenv("PREP_DEVICE", name)
        with pytest.raises(ParamsError, match=f"PREP_DEVICE: {name}, but .*{words}"):
            find_device()


def test_a_driver_that_is_too_old_is_told_of(monkeypatch):
    pretend(monkeypatch)
    monkeypatch.setattr(torch.version, "cuda", "13.2")
    message = "The NVIDIA driver on your system is too old (found version 12020). Please update your\nGPU driver"
    monkeypatch.setattr(torch.cuda, "init", failing(message))
    monkeypatch.setenv("PREP_DEVICE", "auto")
    found = find_device()
    assert found.name == "cpu"
    assert found.note == (
        "this torch, built with CUDA 13.2, cannot use the GPU: The NVIDIA driver on your system is too old (found "
        "version 12020); update the NVIDIA driver, or use PREP_DEVICE=cpu"
    )
    monkeypatch.setenv("PREP_DEVICE", "cuda")
    with pytest.raises(ParamsError, match=r"PREP_DEVICE: cuda, but this torch, built with CUDA 13\.2"):
        find_device()


@pytest.mark.parametrize(("card", "remedy"), [(P100, "a torch built with an older CUDA"), (NEXT, "a newer torch")])
def test_a_card_without_kernels_is_told_of(card, remedy, monkeypatch):
    pretend(monkeypatch, card)
    monkeypatch.setenv("PREP_DEVICE", "auto")
    note = find_device().note
    assert all(words in note for words in (card[0], remedy, "sm_75"))
    assert "\n" not in note
    monkeypatch.setenv("PREP_DEVICE", "cuda:0")
    with pytest.raises(ParamsError, match=card[0]):
        find_device()


# NVIDIA's tables of cards, and its rules for machine code and PTX.
@pytest.mark.parametrize(
    ("built", "capability", "runs"),
    [
        (BUILT, (7, 5), True), (BUILT, (8, 9), True), (BUILT, (9, 0), True), (BUILT, (12, 1), True),
        (BUILT, (7, 0), False), (BUILT, (6, 1), False), (BUILT, (11, 0), False), (BUILT, (13, 0), False),
        (["sm_86"], (8, 0), False), (["compute_90"], (10, 0), True), (["compute_90"], (8, 9), False),
        (["sm_90a"], (9, 0), True), (["sm_100a"], (10, 3), False), ([], (9, 0), False),
    ],
)  # fmt: skip
def test_which_cards_run_what_was_built(built, capability, runs):
    assert runs_on(built, capability) is runs


def test_a_snapshot_names_the_card_and_not_its_number(monkeypatch):
    pretend(monkeypatch, T4, H100)
    assert describe_device(Device("cuda:1")) == {"device": "cuda", "card": "NVIDIA H100 80GB HBM3"}
    assert describe_device(Device("cpu")) == {"device": "cpu"}


def test_as_many_processes_share_a_card_as_its_memory_holds(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: ((8 << 30) * (index + 1), 1 << 40))
    counts = [count_fitting(Device(name)) for name in ("cpu", "mps", "cuda:0", "cuda:1", "cuda:9")]
    assert counts == [0, 0, 2, 5, 26]
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: (1 << 20, 1 << 40))
    assert count_fitting(Device("cuda:0")) == 1


def test_the_cpu_needs_no_torch():
    code = "import sys; from pipeline.core.device import find_device; find_device(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def failing(message):
    def init():
        raise RuntimeError(message)

    return init
