"""One step of training: what autocast may touch and what not."""

from contextlib import nullcontext

import pytest
import torch

from models.core.inputs import InputSpec
from models.data.faces import FaceBatch
from models.registry import create_model, find_model
from models.training.history import History, Phase
from models.training.loss import Objective
from models.training.module import Amounts, Learner
from tests.models.training_inputs import train_params


class Listening(torch.nn.Module):
    """Answers in float32 whatever it is asked, and keeps what it read."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.linspace(-1, 1, 8))

    def forward(self, pixels):
        self.read = pixels
        with torch.autocast("cpu", enabled=False):
            return pixels.float().mean((1, 2, 3))[:, None] * self.weight


@pytest.mark.parametrize("augment", ["none", "thesis", "strong"])
def test_pixels_mixture_and_loss_are_the_same_under_autocast(augment):
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(16) % 8
    faces = FaceBatch(
        torch.randint(0, 256, (16, 3, 32, 32), dtype=torch.uint8, generator=generator), labels,
        torch.nn.functional.one_hot(labels, 8).float(), torch.rand(16, generator=generator) + 0.5,
        torch.zeros(16, 2), torch.zeros(16, 2, dtype=torch.bool),
    )  # fmt: skip
    params = train_params(augment=augment, mixup=0.3, label_smoothing=0.1)
    spec, phase = InputSpec(32, (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)), Phase("train", 0, 1, None, 0.001)
    objective = Objective(params, torch.linspace(0.3, 3, 8))
    found = []
    for context in (nullcontext(), torch.autocast("cpu", torch.bfloat16)):
        network = Listening()
        learner = Learner(network, spec, params, phase, objective, History("loss"), Amounts(1, 0), seed=3)
        with context:
            loss = learner.training_step(faces, 0)
        found.append((network.read, loss.detach()))
    (plain, loss), (cast, cast_loss) = found
    assert cast.dtype == cast_loss.dtype == torch.float32
    assert plain.unique().numel() > 1000
    torch.testing.assert_close(cast, plain)
    torch.testing.assert_close(cast_loss, loss)


def test_a_compiled_network_is_compiled_once_whatever_the_size_of_the_last_batch(monkeypatch):
    made = []
    network = create_model("compact", size_px=32)
    network.compile(backend=lambda graph, _inputs: made.append(graph) or graph.forward)
    spec, phase = find_model("compact").input(32), Phase("train", 0, 1, None, 0.001)
    losses = {}
    for compiled in (True, False):
        params = train_params(model="compact", batch_size=16, compile=compiled, channels_last=True)
        learner = Learner(
            network, spec, params, phase, Objective(params, torch.ones(8)), History("loss"), Amounts(1, 0), seed=3
        )
        if not compiled:
            monkeypatch.setattr(network, "_compiled_call_impl", None)
        learner.train()
        torch.manual_seed(1)
        losses[compiled] = [learner.training_step(some_faces(rows), 0).item() for rows in (16, 16, 5, 16, 5)]
        learner.eval()
        with torch.no_grad():
            for rows in (16, 5):
                learner.validation_step(some_faces(rows), 0)
        assert len(made) == 2  # one that learns and one that answers
    assert losses[True] == pytest.approx(losses[False], rel=1e-4)


def some_faces(rows):
    generator = torch.Generator().manual_seed(rows)
    pixels = torch.randint(0, 256, (rows, 3, 32, 32), dtype=torch.uint8, generator=generator)
    labels = torch.arange(rows) % 8
    rest = torch.ones(rows), torch.zeros(rows, 2), torch.zeros(rows, 2, dtype=torch.bool)
    return FaceBatch(pixels, labels, torch.nn.functional.one_hot(labels, 8).float(), *rest)
