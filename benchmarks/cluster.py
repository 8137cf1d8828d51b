"""What the engines cost: parts a second, seconds of overhead a part, and the driver's memory.

A part sleeps, as a part that waits for nothing but its own work, so that the figures are those of the engine and not of
the number of cores. The start (workers, Ray) is measured apart, by a first round of parts. The driver's memory is
measured with parts that do nothing.

    python -m benchmarks.cluster [PARTS]    # of the second memory figure; 100,000 unless given
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

from pipeline.core.parallel.engine import map_parts
from pipeline.core.parallel.units import Units

WORKERS: Final = (1, 2, 4)
PARTS_A_WORKER: Final = 20
WORK_S: Final = 1.0
MEMORY_PARTS: Final = (1_000, 100_000)


def work(job: tuple[int, float], units: Units) -> int:
    """Sleep for the seconds of a job."""
    units.at(0)
    time.sleep(job[1])
    units.finish(1)
    return job[0]


def one(_: tuple[int, float]) -> int:
    """Return the units of a job."""
    return 1


class Simulated(Sequence[tuple[int, float]]):
    """Parts that take no memory until they are asked for."""

    def __init__(self, count: int, work_s: float) -> None:
        self._count, self._work_s = count, work_s

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        if index >= self._count:
            raise IndexError(index)
        return index, self._work_s


def measure(workers: int, parts: int, work_s: float) -> dict[str, float]:
    """Run in a process of its own: return seconds of start and of work, and the peak memory in MB."""
    began = time.perf_counter()
    rounds = map_parts(work, Simulated(workers + parts, work_s), workers, one, deadline_s=600)
    for _ in range(workers):
        next(rounds)
    started = time.perf_counter()
    assert sum(1 for _ in rounds) == parts
    ended = time.perf_counter()
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"start_s": started - began, "work_s": ended - started, "peak_mb": peak_mb}


def run(cluster: str, workers: int, parts: int, work_s: float) -> dict[str, float]:
    """Measure one engine in a new process."""
    environment = {**os.environ, "PREP_CLUSTER": cluster, "PREP_WORKERS": str(workers)}
    command = [sys.executable, "-m", "benchmarks.cluster", "one", str(workers), str(parts), str(work_s)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main() -> None:
    """Print the tables of docs/cluster.md."""
    print(
        "| engine | workers | start, s | parts a second | overhead a part of 1 s |\n|---|---|---|---|---|", flush=True
    )
    for name, cluster in (("local", ""), ("Ray", "auto")):
        for workers in WORKERS:
            parts = workers * PARTS_A_WORKER
            got = run(cluster, workers, parts, WORK_S)
            overhead = got["work_s"] * workers / parts / WORK_S - 1
            start_s, rate = got["start_s"] - WORK_S, parts / got["work_s"]
            print(f"| {name} | {workers} | {start_s:.1f} | {rate:.2f} | {overhead:.1%} |", flush=True)
    most = int(sys.argv[1]) if len(sys.argv) > 1 else MEMORY_PARTS[1]
    print("\n| engine | parts | peak of the driver, MB | parts a second |\n|---|---|---|---|", flush=True)
    for name, cluster in (("local", ""), ("Ray", "auto")):
        for parts in (MEMORY_PARTS[0], most):
            got = run(cluster, 2, parts, 0)
            print(f"| {name} | {parts:,} | {got['peak_mb']:.0f} | {parts / got['work_s']:.0f} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        from benchmarks import cluster as own  # the nodes import its functions by this name

        print(json.dumps(own.measure(int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))))
    else:
        main()
