"""Compare training and alignment on a GPU with the CPU of the same machine: `make bench-gpu`.

It needs a checkout and the locked wheels only: faces are drawn, and the one photograph is the portrait that
scikit-image ships. It should take less than 8 minutes on one H100 with 16 cores, and writes gpu.json and gpu.md.
Without a GPU its figures mean nothing, but every line of it runs, so `python benchmarks/gpu.py --tiny` serves as a
test.

    python benchmarks/gpu.py [--tiny] [--out FOLDER]
"""

import json
import math
import os
import resource
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402 - the path comes first

from benchmarks.gpu_faces import align_portraits, write_drawn_shards  # noqa: E402
from benchmarks.gpu_report import build_page  # noqa: E402
from models.core.runtime import network_device, reproducible  # noqa: E402
from models.data.faces import FaceBatch  # noqa: E402
from models.registry import create_model, find_model  # noqa: E402
from models.training.augment import Augmentation  # noqa: E402
from models.training.engine import plan_compute  # noqa: E402
from models.training.epochs import Reading, build_epochs  # noqa: E402
from models.training.optimizer import build_optimizer  # noqa: E402
from models.training.stage import run as train  # noqa: E402
from pipeline.core.parallel.pool import worker_count  # noqa: E402
from pipeline.core.params import TrainParams, read_params  # noqa: E402

PRECISIONS = ("fp32", "bf16")
# Trains until the given step is reported; the parent kills it there.
RESUMED = """
import json, sys, time
from pathlib import Path

from models.training.stage import run as train
from pipeline.core.params import TrainParams

def report(done, total, note):
    print(done, flush=True)
    time.sleep(0.05)

if __name__ == "__main__":
    params = TrainParams.model_validate(json.loads(sys.argv[3]))
    train(Path(sys.argv[1]), Path(sys.argv[2]), params, seed=1, progress=report)
"""


@dataclass(frozen=True)
class Size:
    """How much is measured, of which networks."""

    networks: tuple[str, ...]
    faces: int
    side_px: int
    batch_size: int
    epochs: int
    losses: int
    portraits: int


FULL = Size(
    ("proposed", "compact", "resnet50v2"), faces=4096, side_px=224, batch_size=128, epochs=4, losses=20, portraits=256
)
TINY = Size(("proposed",), faces=40, side_px=32, batch_size=16, epochs=2, losses=2, portraits=1)


class Bench:
    """Everything that is measured, on one device."""

    def __init__(self, size: Size, work: Path) -> None:
        """Draw the faces and write their shards.

        Args:
            size: how much.
            work: a folder that is thrown away afterwards.
        """
        self.size, self.work = size, work
        self.device = torch.device(network_device().name)
        self.shards = write_drawn_shards(work / "inputs", size.faces, size.side_px)

    def params(self, name: str, precision: str, **changes: Any) -> TrainParams:
        """Return the project's parameters with a network, a precision, and as few epochs as is measured."""
        given = read_params(ROOT / "params.yaml").train.resolved().plain()
        small = {"model": name, "precision": precision, "size_px": self.size.side_px, "epochs": self.size.epochs}
        more = {"batch_size": self.size.batch_size, "warmup_epochs": 1, "presets": {}, "preset": "none"}
        return TrainParams.model_validate({**given, **small, **more, **changes})

    def compare_losses(self, name: str) -> dict[str, Any]:
        """Return the first losses in fp32 on the CPU and on the device, on the same augmented batches.

        Dropout is off, because each kind of device draws it otherwise.
        """
        losses = {kind: self._first_losses(name, torch.device(kind)) for kind in self._kinds()}
        here, there = losses["cpu"], losses[str(self.device)]
        worst = max(abs(one - other) / one for one, other in zip(here, there, strict=True))
        return {"cpu": here, "device": there, "largest_difference": worst}

    def _first_losses(self, name: str, device: torch.device) -> list[float]:
        params = self.params(name, "fp32")
        batches = islice(self._batches(name, min(32, self.size.batch_size)), self.size.losses)
        with reproducible(worker_count()):
            torch.manual_seed(1)
            network = create_model(name, size_px=self.size.side_px).to(device).train()
            for module in network.modules():
                if isinstance(module, torch.nn.Dropout):
                    module.p = 0.0
            optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
            augment = Augmentation(params.augmentations["thesis"], self.size.side_px)
            losses = []
            for step, faces in enumerate(batch.to(device) for batch in batches):
                torch.manual_seed(step)
                outputs = network(find_model(name).input(self.size.side_px).normalize(augment(faces.pixels)))
                loss = torch.nn.functional.cross_entropy(outputs, faces.labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
        return losses

    def learn(self, name: str, precision: str, cache_mb: int) -> dict[str, Any]:
        """Train as `prep train` does; return what it scored, its speed and memory.

        Images a second count training faces alone, after the first epoch; validation's time is in them.
        """
        params = self.params(name, precision, cache_mb=cache_mb)
        steps: list[tuple[int, float]] = []
        _forget_peak(self.device)
        out = self.work / f"{name}-{precision}-{cache_mb}"
        summary = train(
            self.shards, out, params, seed=1, progress=lambda done, *_: steps.append((done, time.perf_counter()))
        )
        each = max(done for done, _ in steps) // params.epochs
        timed = [(done, when) for done, when in steps if done >= each]
        rate = (timed[-1][0] - timed[0][0]) * params.batch_size / (timed[-1][1] - timed[0][1])
        return {
            "accuracy": summary["validation"]["accuracy"],
            "loss": summary["validation"]["loss"],
            "images_s": rate,
            "memory_mb": _peak_mb(self.device),
        }

    def rate_from_device(self, name: str, precision: str) -> float:
        """Return images a second of the same network and optimizer on one batch that lies on the device."""
        params = self.params(name, precision)
        spec = find_model(name).input(self.size.side_px)
        network = create_model(name, size_px=self.size.side_px).to(self.device, memory_format=torch.channels_last)
        optimizer = build_optimizer(network.train(), params, 0.001, fused=self.device.type == "cuda")
        held = next(self._batches(name, params.batch_size)).to(self.device)
        count = max(2, self.size.faces // params.batch_size)

        def learn(steps: int) -> float:
            start = time.perf_counter()
            for _ in range(steps):
                pixels = spec.normalize(held.pixels).contiguous(memory_format=torch.channels_last)
                with torch.autocast(self.device.type, torch.bfloat16, enabled=precision == "bf16"):
                    outputs = network(pixels)
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(outputs.float(), held.labels).backward()
                optimizer.step()
            _wait(self.device)
            return time.perf_counter() - start

        with reproducible(params.threads):  # the kernels that training takes, so that feeding alone differs
            learn(2)  # the first steps choose kernels and take memory
            return count * len(held) / learn(count)

    def resume(self) -> dict[str, Any]:
        """Kill a training at its third step, go on, and compare with one that was left alone."""
        params = self.params("compact", "auto", checkpoint_minutes=0)
        command = [sys.executable, "-c", RESUMED, str(self.shards), str(self.work / "killed")]
        killed_at = 3
        with subprocess.Popen(
            [*command, json.dumps(params.plain())], stdout=subprocess.PIPE, text=True, env=_environment()
        ) as process:
            told = iter(process.stdout or ())
            reached = any(int(line) >= killed_at for line in told)
            process.kill()
        first: list[int] = []
        ends = [
            train(self.shards, self.work / name, params, seed=1, progress=lambda done, *_: first.append(done))
            for name in ("killed", "whole")
        ]
        losses = [end["validation"]["loss"] for end in ends]
        return {"killed_at": killed_at if reached else None, "went_on_at": first[0], "losses": losses}

    def align(self) -> dict[str, Any]:
        """Align portraits on the CPU and on the device: rows a second, and how far the points lie apart."""
        results = {}
        for kind in self._kinds():
            with _on(kind):
                results[kind] = align_portraits(self.work / f"align-{kind}", self.size.portraits)
        here, there = results["cpu"], results[str(self.device)]
        apart = max(math.dist(one, other) for one, other in zip(here.points, there.points, strict=True))
        rates = {"cpu_faces_s": here.faces_s, "device_faces_s": there.faces_s}
        return {"faces": len(here.points), "largest_distance_px": apart, **rates}

    def _kinds(self) -> list[str]:
        return list(dict.fromkeys(["cpu", str(self.device)]))

    def _batches(self, name: str, batch_size: int) -> Iterator[FaceBatch]:
        spec = find_model(name).input(self.size.side_px)
        return iter(build_epochs(Reading(self.shards, "train", spec, batch_size, 1, 0), lambda: 0, shuffle=True))


def measure(bench: Bench) -> dict[str, Any]:
    """Return everything, as gpu.json holds it."""
    found: dict[str, Any] = {"ran": plan_compute(bench.params("compact", "auto"), classical=False).plain()}
    found |= {"torch": torch.__version__, "threads": worker_count(), "size": asdict(bench.size), "networks": {}}
    start = time.perf_counter()
    for name in bench.size.networks:
        entry: dict[str, Any] = {"losses": bench.compare_losses(name)}
        for precision in PRECISIONS:
            held = bench.learn(name, precision, cache_mb=4096)
            held["device_images_s"] = bench.rate_from_device(name, precision)
            held["streamed_images_s"] = bench.learn(name, precision, cache_mb=0)["images_s"]
            entry[precision] = held | {"ratio": held["images_s"] / held["device_images_s"]}
        found["networks"][name] = entry
        print(f"{name}: done after {time.perf_counter() - start:.0f} s", flush=True)
    return found | {"resume": bench.resume(), "align": bench.align(), "seconds": time.perf_counter() - start}


def main(arguments: Sequence[str]) -> None:
    """Measure, write gpu.json and gpu.md, and print the page."""
    parser = ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tiny", action="store_true", help="run every line, measure nothing worth knowing")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder of gpu.json and gpu.md")
    given = parser.parse_args(arguments)
    with TemporaryDirectory() as folder:
        found = measure(Bench(TINY if given.tiny else FULL, Path(folder)))
    page = build_page(found)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "gpu.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (given.out / "gpu.md").write_text(page, encoding="utf-8")
    print(page)


@contextmanager
def _on(device: str) -> Iterator[None]:
    """Let PREP_DEVICE name a device."""
    before = os.environ.get("PREP_DEVICE", "")
    os.environ["PREP_DEVICE"] = device
    try:
        yield
    finally:
        os.environ["PREP_DEVICE"] = before


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def _wait(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    (torch.cuda.synchronize if device.type == "cuda" else torch.cpu.synchronize)()


def _forget_peak(device: torch.device) -> None:
    (torch.cuda.reset_peak_memory_stats if device.type == "cuda" else torch.cpu.synchronize)()


def _peak_mb(device: torch.device) -> float:
    """Return the most memory that tensors took on a GPU, or this process of the machine, in MiB."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


if __name__ == "__main__":
    main(sys.argv[1:])
