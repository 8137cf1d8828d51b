"""What commands say of devices, to a person who did not ask."""

import json

import pytest
import torch

from pipeline.core.device import gpu_problem
from stages.cli import run
from stages.device import note_other_device, note_unused_gpu
from tests.cards import H100, P100, pretend

CPU = {"device": "cpu", "precision": "fp32", "tf32": False, "processes": 1}
GPU = {"device": "cuda", "card": "NVIDIA H100", "precision": "bf16", "tf32": False, "processes": 2}


@pytest.fixture(autouse=True)
def _forget():
    yield
    gpu_problem.cache_clear()


@pytest.mark.parametrize(
    ("card", "told"), [(P100, f"note: runs on the CPU: {P100[0]} has compute capability 6.0"), (H100, ""), (None, "")]
)
def test_why_auto_leaves_a_gpu_alone(card, told, monkeypatch, capsys):
    pretend(monkeypatch, *([card] if card else []))
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    monkeypatch.setenv("PREP_DEVICE", "auto")
    note_unused_gpu()
    said = capsys.readouterr().err
    assert said.startswith(told)
    assert len(said.splitlines()) == bool(told)


def test_a_training_elsewhere_than_the_numbers_in_git_is_told_of(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    note_other_device(GPU)  # nothing was evaluated yet
    path = tmp_path / "runs/evaluate/metrics.json"
    path.parent.mkdir(parents=True)
    for content in ("{", "{}", json.dumps({"device": {"train": {}}}), json.dumps({"device": {"train": GPU}})):
        path.write_text(content)
        note_other_device(GPU)
    assert capsys.readouterr().err == ""
    path.write_text(json.dumps({"device": {"train": CPU}}))
    note_other_device(GPU)
    said = capsys.readouterr().err
    assert said.startswith(
        "note: runs/evaluate/metrics.json is of a training on cpu, fp32, this one ran on NVIDIA H100"
    )
    assert "(cuda), bf16, 2 processes: weights, numbers and dvc.lock will differ" in said


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("train", ["PREP_DEVICE ", "PREP_DEVICES", "PREP_NODES", "PREP_STRATEGY", "PREP_WORKERS"]),
        ("align", ["PREP_DEVICE ", "PREP_WORKERS"]),
        ("evaluate", ["PREP_DEVICE "]),
        ("predict", ["PREP_DEVICE "]),
        ("personalize", ["PREP_DEVICE "]),
    ],
)
def test_help_texts_name_what_says_where_a_command_runs(command, names, capsys):
    assert run([command, "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert [name for name in names if name not in text] == []
    assert "cuda:N, mps, auto" in text
