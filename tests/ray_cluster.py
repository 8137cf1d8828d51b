"""A Ray cluster of two nodes on the loopback address, in a process of its own that ends with the test.

Run as a script, it starts the head and says its address and the id of each node. It obeys the lines of its input:
`add CPUS GPUS` and `kill NUMBER`, and ends when its input does.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.imports import ROOT

OBJECT_STORE_BYTES = 80 << 20
# Ray's own choice of 15 leaves its workers nothing of a busy machine.
SETTINGS = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # on the loopback address
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_enable_metrics_collection": "0",
    "RAY_worker_niceness": "0",
    "RAY_object_spilling_threshold": "0.8",
}
CHECKS = {"health_check_period_ms": 1000, "health_check_failure_threshold": 5, "health_check_initial_delay_ms": 1000}
# On a busy machine, Ray's own services may take longer to start than Ray waits for them.
TRIES = 4


class RayCluster:
    """The cluster; `address` is where a driver joins it."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self.address = address
        self._process = process

    def tell(self, line: str) -> None:
        """Give an order and wait until it is obeyed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(line, file=self._process.stdin, flush=True)
        assert self._process.stdout.readline() == "done\n"


@contextmanager
def ray_cluster(*nodes: str) -> Iterator[RayCluster]:
    """Start a head with one CPU and further nodes, each "CPUS GPUS"."""
    # Not below pytest's folder: the path of a socket has at most 107 characters.
    folder = tempfile.mkdtemp(prefix="rc", dir="/tmp")
    Path(folder, "ray").mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "PREP_"))}
    environment |= {**SETTINGS, "RAY_TMPDIR": folder, "PYTHONPATH": str(ROOT)}
    try:
        for number in range(TRIES):
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.ray_cluster"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=None if number == TRIES - 1 else subprocess.DEVNULL,
                text=True,
                env=environment,
                cwd=folder,
            )
            with process:
                address = process.stdout.readline().strip() if process.stdout else ""
                if not address:
                    continue
                cluster = RayCluster(process, address)
                for node in nodes:
                    cluster.tell(f"add {node}")
                yield cluster
                return
        raise AssertionError("Ray does not start here")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _serve() -> None:
    said, sys.stdout = sys.stdout, sys.stderr
    from ray.cluster_utils import Cluster

    options = {"object_store_memory": OBJECT_STORE_BYTES, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "_system_config": CHECKS, **options})
    nodes = [cluster.head_node]
    try:
        print(cluster.address, file=said, flush=True)
        for line in sys.stdin:
            order, *numbers = line.split()
            if order == "add":
                cpus, gpus = map(int, numbers)
                nodes.append(cluster.add_node(num_cpus=cpus, num_gpus=gpus, object_store_memory=OBJECT_STORE_BYTES))
            else:
                cluster.remove_node(nodes[int(numbers[0])], allow_graceful=False)
            print("done", file=said, flush=True)
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    _serve()
