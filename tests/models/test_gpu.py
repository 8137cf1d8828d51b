"""On a GPU: the first steps lose what they lose on the CPU, and bf16 trains through the engine."""

from itertools import islice

import pytest
import torch

from models.checkpoint import load_checkpoint
from models.personal.people import read_features
from models.registry import create_model, find_model
from models.training.epochs import Reading, build_epochs
from models.training.stage import run as train
from tests.models.training_inputs import make_training_shards, train_params
from tests.run_inputs import make_run

pytestmark = pytest.mark.usefixtures("gpu")


@pytest.mark.parametrize("name", ["proposed", "resnet50v2"])
def test_the_first_steps_lose_what_they_lose_on_the_cpu(name, tmp_path):
    reading = Reading(make_training_shards(tmp_path), "train", find_model(name).input(64), 16, seed=0, cache_mb=0)
    batches = list(islice(build_epochs(reading, lambda: 0, shuffle=True), 5))
    assert len(batches) == 5
    losses = []
    for device in ("cpu", "cuda"):
        torch.manual_seed(0)
        network = create_model(name, size_px=64).to(device)
        for module in network.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
        losses.append([])
        for faces in (batch.to(torch.device(device)) for batch in batches):
            outputs = network(reading.spec.normalize(faces.pixels))
            loss = torch.nn.functional.cross_entropy(outputs, faces.labels)
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


def test_a_personal_network_reads_on_the_gpu_what_it_reads_on_the_cpu(tmp_path):
    general = load_checkpoint(make_run(make_training_shards(tmp_path), tmp_path / "run"))
    faces = torch.randint(0, 256, (4, 3, 48, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    on_cpu = read_features(general, faces)
    general.module.cuda()
    for one, other in zip(on_cpu, read_features(general, faces), strict=True):
        assert one == pytest.approx(other, abs=1e-3)
