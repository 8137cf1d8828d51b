"""Compare the images per second of a training fed from shards with one fed from memory: `make bench-feeding`.

It runs on the device that `prep train` would use (PREP_DEVICE). Each network makes the same steps (augmentation
`strong`, forward, backward, Adam) in alternation from a batch that is already scaled and on the device, and from shards
of 224 px, streamed and scaled as `prep train` does when they do not fit into memory. The ratio is the median over the
rounds.

    python -m benchmarks.feeding [FACES] [ROUNDS]
"""

import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from benchmarks.faces_input import cropped_faces, write_inputs
from models.core.runtime import accelerator
from models.data.faces import FaceBatch
from models.registry import create_model, find_model
from models.training.augment import Augmentation
from models.training.epochs import Reading, build_epochs
from pipeline.core.parallel.pool import worker_count
from pipeline.core.params import Params, read_params
from pipeline.shards.stage import run as write_shards

NETWORKS = {"compact": 48, "proposed": 48, "resnet50v2": 224}  # and the side that each reads, in pixels
SIZE_PX = 224
BATCH_SIZE = 32


def main(faces: int, rounds: int) -> None:
    """Print images a second from memory and from the shards, and their ratio, for each network."""
    device = torch.device({"gpu": "cuda"}.get(accelerator(), accelerator()))
    workers = 0 if device.type == "cpu" else worker_count()
    with tempfile.TemporaryDirectory() as folder:
        params = read_params(Path("params.yaml"))
        inputs = write_inputs(Path(folder), cropped_faces(faces, SIZE_PX))
        shards = Path(folder) / "shards"
        write_shards(*inputs, shards, params.shard.model_copy(update={"balance": "none"}), seed=1, workers=1)
        print(f"{device}, {faces} faces, {BATCH_SIZE} a batch, {workers} decoding threads, {rounds} rounds")
        for name, size_px in NETWORKS.items():
            step = Step(name, size_px, params, device)
            reading = Reading(
                shards, "train", step.spec, BATCH_SIZE, seed=1, cache_mb=0, workers=workers, device=device
            )
            epochs = build_epochs(reading, lambda: 0, shuffle=True)
            held = next(iter(epochs))
            steps = faces // BATCH_SIZE
            step.rate([held] * 2)  # the first steps choose kernels and take memory
            rates = [(step.rate([held] * steps), step.rate(islice(epochs, steps))) for _ in range(rounds)]
            memory, streamed = np.median(rates, axis=0)
            ratio = np.median([after / before for before, after in rates])
            rate = f"{memory:.0f} images/s from memory, {streamed:.0f} from the shards, ratio {ratio:.2f}"
            print(f"{name} at {size_px} px: {rate}", flush=True)


class Step:
    """One training step of a network, as `prep train` makes it."""

    def __init__(self, name: str, size_px: int, params: Params, device: torch.device) -> None:
        """Build the network on a device; it reads the part of a crop that the margins of `params` leave."""
        zoom = (1 - 2 * params.align.margin) / (1 - 2 * params.train.margin)
        self.spec = replace(find_model(name).input(size_px), zoom=zoom)
        self._augment = Augmentation(params.train.augmentations["strong"], size_px)
        self._device = device
        self._network = create_model(name, size_px=size_px).to(device, memory_format=torch.channels_last).train()
        self._optimizer = torch.optim.Adam(self._network.parameters(), lr=0.001)

    def rate(self, batches: Iterable[FaceBatch]) -> float:
        """Return images a second over some batches."""
        count, start = 0, time.perf_counter()
        for batch in batches:
            self._learn(batch)
            count += len(batch)
        if self._device.type == "cuda":
            torch.cuda.synchronize()
        return count / (time.perf_counter() - start)

    def _learn(self, faces: FaceBatch) -> None:
        pixels = self.spec.normalize(self._augment(faces.pixels)).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._device.type == "cuda"):
            outputs = self._network(pixels)
        loss = torch.nn.functional.cross_entropy(outputs.float(), faces.labels)
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()


if __name__ == "__main__":
    given = [int(text) for text in sys.argv[1:3]]
    main(*given, *(2048, 5)[len(given) :])
