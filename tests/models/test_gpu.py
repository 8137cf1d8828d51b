"""On a GPU: the first steps lose what they lose on the CPU, and bf16 trains through the engine."""

import pytest
import torch

from models.registry import create_model, find_model
from models.train import train
from tests.models.training_inputs import make_training_shards, train_params

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")


@pytest.mark.parametrize("name", ["proposed", "resnet50v2"])
def test_the_first_steps_lose_what_they_lose_on_the_cpu(name):
    spec = find_model(name).input(64)
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (5, 16, 3, 64, 64), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, 8, (5, 16), generator=generator)
    losses = []
    for device in ("cpu", "cuda"):
        torch.manual_seed(0)
        network = create_model(name, size_px=64).to(device)
        for module in network.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
        losses.append([])
        for batch, truth in zip(images, labels, strict=True):
            loss = torch.nn.functional.cross_entropy(network(spec.prepare(batch).to(device)), truth.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses[-1].append(loss.item())
    assert losses[0] == pytest.approx(losses[1], rel=0.01)


def test_the_engine_trains_in_bf16(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shards = make_training_shards(tmp_path)
    summary = train(shards, tmp_path / "out", train_params(precision="auto"), seed=5)
    assert summary["epochs"] == 2
