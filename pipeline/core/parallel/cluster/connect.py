"""Joining the Ray cluster that PREP_CLUSTER names, and checking that its nodes can work for this project.

`ray.init` without an address would join whatever RAY_ADDRESS or a file in /tmp names. Here it always gets an address.
"""

import atexit
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipeline.core.device import AUTO as ANY_DEVICE
from pipeline.core.device import CPU, DEVICE, asked_device
from pipeline.core.errors import DataError, UsageError
from pipeline.core.extras import missing_extra
from pipeline.core.lineage.identity import PARTIAL_SUFFIX
from pipeline.core.parallel.cluster.code import differences, digest, fingerprint
from pipeline.core.parallel.engine import CLUSTER
from pipeline.core.parallel.pool import worker_count

AUTO: Final = "auto"
_CLIENT: Final = "ray://"
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
# Seconds that an address may take to answer, and a node to check itself: it may have to start a process and import.
_ANSWER_S: Final = 10
_CHECK_S: Final = 120
# Results are a few MB and are taken at once, so a cluster of this machine alone needs little.
_OBJECT_STORE_BYTES: Final = 256 << 20


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster that this process has joined, whose nodes were checked for one project folder.

    Attributes:
        ray: the module, so that nothing else imports it.
        place: what `entry.enter` takes.
        environment: the variables that each worker sets.
        code: the digest of the code that all nodes must have.
    """

    ray: Any
    place: Mapping[str, str]
    environment: Mapping[str, str]
    code: str

    def nodes(self, *, gpu: bool = False) -> list[Mapping[str, Any]]:
        """Return what Ray knows of the nodes that may work: they are alive and have CPUs, and GPUs if asked for."""
        needed = ("CPU", "GPU") if gpu else ("CPU",)
        return [node for node in self.ray.nodes() if node["Alive"] and all(node["Resources"].get(n) for n in needed)]

    def slots(self, gpu_share: float) -> int:
        """Return how many parts can run at once: one for each CPU, or GPU share; at most PREP_WORKERS where set."""
        count = 0
        for node in self.nodes(gpu=gpu_share > 0):
            resources = node["Resources"]
            here = resources["CPU"] if not gpu_share else min(resources["CPU"], resources["GPU"] / gpu_share)
            count += int(here)
        return min(count, worker_count()) if os.environ.get("PREP_WORKERS") else count

    def leave(self) -> None:
        """Leave the cluster, and end it if it was started for this process."""
        self.ray.shutdown()
        Path(self.place["probe"]).unlink(missing_ok=True)


def join(address: str, tell: Callable[[str], None]) -> Cluster:
    """Join a cluster and check each node; `tell` is told which cluster it is.

    Raises:
        UsageError: no cluster is there, it is another user's, or the device is none that a cluster can give.
        ExtraError: Ray is not installed.
        DataError: a node does not see the project folder, or has other code or libraries.
    """
    device = asked_device(CPU)
    if device not in (CPU, "cuda"):
        hint = "its nodes differ" if device == ANY_DEVICE else "Ray itself chooses the GPU of each worker"
        raise UsageError(f"{DEVICE}: {device} with {CLUSTER}, but {hint}; use cpu or cuda")
    found = find_here() if address == AUTO else address
    if found:
        _check_answer(found)
    ray = _import_ray(loopback=not found or _is_on_loopback(found))
    how, dashboard = _init(ray, found)
    cluster = Cluster(ray, _mark_folder(), _environment(device), digest())
    check_nodes(cluster)
    count, cpus = len(cluster.nodes()), int(sum(node["Resources"]["CPU"] for node in cluster.nodes()))
    where = f"dashboard http://{dashboard}" if dashboard else "without a dashboard"
    tell(f"{how}: {count} node{'s' * (count != 1)}, {cpus} CPUs; {where}")
    return cluster


def check_nodes(cluster: Cluster) -> None:
    """Let every node read the project's probe and compare its code.

    Raises:
        DataError: one cannot; names it.
    """
    from pipeline.core.parallel.cluster import entry

    ray, nodes = cluster.ray, cluster.nodes()
    if not nodes:
        raise DataError("the cluster has no node with CPUs; ray status shows its nodes")
    task = ray.remote(entry.check)
    strategy = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    here = fingerprint()
    asked = [
        task.options(num_cpus=0, scheduling_strategy=strategy(node["NodeID"], soft=False), max_retries=1).remote(
            cluster.place, cluster.environment
        )
        for node in nodes
    ]
    for node, answer in zip(nodes, asked, strict=True):
        name = name_of(node)
        try:
            problem, there = ray.get(answer, timeout=_CHECK_S)
        except ray.exceptions.GetTimeoutError:
            raise DataError(f"{name}: did not answer within {_CHECK_S} s; ray status shows its state") from None
        except ray.exceptions.RayError as error:
            raise DataError(f"{name}: {one_line(error)}") from None
        if problem:
            raise DataError(
                f"{name}: {problem}; every node must see the project folder at the path {cluster.place['folder']}, "
                "as on a network file system"
            )
        if different := differences(here, there):
            more = f" and {len(different) - 3} more" if len(different) > 3 else ""
            raise DataError(
                f"{name}: does not have the code and libraries of this machine: {', '.join(different[:3])}{more}; "
                "use the same checkout and requirements.lock everywhere"
            )


def name_of(node: Mapping[str, Any]) -> str:
    """Return a node's name for people; two nodes may share a host, so a part of its id is in it."""
    return f"node {node['NodeManagerHostname']} ({node['NodeManagerAddress']}, {node['NodeID'][:8]})"


def one_line(error: BaseException) -> str:
    """Return the first line of one of Ray's long messages, with its kind."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:300] if lines else ''}"


def find_here() -> str:
    """Return the address of the cluster that this user started here with `ray start`; empty if there is none.

    Raises:
        UsageError: another user started it, or RAY_ADDRESS names another one.
    """
    temporary = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp"  # noqa: S108  as Ray has it
    noted = Path(temporary, "ray", "ray_current_cluster")
    found = ""
    if noted.is_file():
        found = noted.read_text(encoding="utf-8").strip()
        if found and not _answers(found):
            found = ""  # what `ray start` noted stays when the cluster is gone
        if found and noted.stat(follow_symlinks=False).st_uid != os.getuid():
            raise UsageError(f"{CLUSTER}: auto, but the cluster {found} is another user's; {CLUSTER}={found} joins it")
    named = os.environ.get("RAY_ADDRESS", "")
    if named not in ("", AUTO, found):
        raise UsageError(
            f"{CLUSTER}: auto joins the cluster of this machine ({found or 'none is there'}), and RAY_ADDRESS names "
            f"{named}; {CLUSTER}={named} joins that one"
        )
    return found


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.removeprefix(_CLIENT).rpartition(":")
    if not host or "/" in host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise UsageError(f"{CLUSTER}: expected auto, HOST:PORT or ray://HOST:PORT, not {address!r}")
    return host.strip("[]"), int(port)


def _answers(address: str) -> bool:
    try:
        socket.create_connection(_host_and_port(address), _ANSWER_S).close()
    except OSError:
        return False
    return True


def _check_answer(address: str) -> None:
    if not _answers(address):
        raise UsageError(f"{CLUSTER}: nothing answers at {address}; ray start --head starts a cluster and says where")


def _is_on_loopback(address: str) -> bool:
    """Tell whether a cluster listens on the loopback address alone. Ray takes 127.0.0.1 for this machine's own address.

    A cluster that listens on both was started on the latter.
    """
    host, port = _host_and_port(address)
    if host not in _LOOPBACK or address.startswith(_CLIENT):
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing, but makes the system choose the address to send from
        except OSError:
            return True
        return not _answers(f"{probe.getsockname()[0]}:{port}")


def _import_ray(*, loopback: bool) -> Any:
    """Import Ray, after the variables that it reads while it is imported."""
    if loopback:
        # The only way to keep all of its ports on the loopback address, on Linux as on macOS.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # a worker without a GPU keeps what it inherits
    try:
        import ray
        import ray.util.scheduling_strategies
    except ModuleNotFoundError as error:
        raise missing_extra(error) or error from None
    return ray


def _init(ray: Any, found: str) -> tuple[str, str]:
    """Start or join a cluster; return how, for people, and the address of its dashboard."""
    if ray.is_initialized():
        raise UsageError(f"{CLUSTER}: this process has joined a cluster of Ray by itself; ray.shutdown() leaves it")
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    if not found:
        # Not in /tmp/ray, where another command would take it for one to join; it ends with this process.
        scratch = tempfile.mkdtemp(prefix="prep-")
        atexit.register(shutil.rmtree, scratch, ignore_errors=True)
        options |= {
            "address": "local",
            "num_cpus": worker_count(),
            "object_store_memory": _OBJECT_STORE_BYTES,
            "dashboard_host": "127.0.0.1",
            "include_dashboard": True,
            "_temp_dir": scratch,
        }
    with _own_signals():
        try:
            context = ray.init(**{"address": found, **options})
        except Exception as error:  # noqa: BLE001  Ray raises plain ones, such as for a node that starts too slowly
            raise UsageError(f"{CLUSTER}: cannot join {found or 'a cluster of its own'}: {one_line(error)}") from None
    atexit.register(ray.shutdown)  # before the folder is removed
    from pipeline.core.parallel.cluster import entry

    ray.cloudpickle.register_pickle_by_value(entry)
    return f"joined the cluster {found}" if found else "started a cluster for this command", context.dashboard_url or ""


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep this process's answer to SIGTERM, which `ray.init` replaces."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _mark_folder() -> dict[str, str]:
    """Write the file that each node must read, until this process ends."""
    token = secrets.token_hex(16)
    folder = Path.cwd()
    probe = folder / f".cluster-{token[:8]}{PARTIAL_SUFFIX}"
    try:
        probe.write_text(token, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{folder}: cannot be written, and the nodes must read a file there: {error.strerror}"
        ) from None
    atexit.register(probe.unlink, missing_ok=True)
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    return {"folder": str(folder), "path": path, "probe": str(probe), "token": token}


def _environment(device: str) -> dict[str, str]:
    """Return the variables of the workers: this device, one thread a process, no cluster below the cluster."""
    shared = {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "FSSPEC_"))}
    return {**shared, DEVICE: device, CLUSTER: "", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
