"""One step of training: what autocast may touch and what not."""

from contextlib import nullcontext

import pytest
import torch

from models.inputs import InputSpec
from models.training.course import Course, Phase
from models.training.faces import Faces
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
    faces = Faces(
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
        learner = Learner(network, spec, params, phase, objective, Course("loss"), Amounts(1, 0), seed=3)
        with context:
            loss = learner.training_step(faces, 0)
        found.append((network.read, loss.detach()))
    (plain, loss), (cast, cast_loss) = found
    assert cast.dtype == cast_loss.dtype == torch.float32
    assert plain.unique().numel() > 1000
    torch.testing.assert_close(cast, plain)
    torch.testing.assert_close(cast_loss, loss)
