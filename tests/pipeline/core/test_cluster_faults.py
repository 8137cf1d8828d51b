"""A cluster that loses workers and nodes, hangs, or is full; and the same bytes as without a cluster."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.core.errors import DataError
from pipeline.core.parallel.engine import ask_workers, leave_cluster, map_ordered, map_parts
from pipeline.core.params import DemoParams
from pipeline.demo.stage import run as render
from tests import cluster_jobs as jobs
from tests.imports import ROOT
from tests.ray_cluster import ray_cluster

pytestmark = [pytest.mark.faults, pytest.mark.filterwarnings("default")]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    leave_cluster()


@pytest.fixture
def started(folder, monkeypatch):
    """A head with one CPU, and two nodes with one CPU each."""
    with ray_cluster("1 0", "1 0") as cluster:
        monkeypatch.setenv("PREP_CLUSTER", cluster.address)
        yield cluster
        leave_cluster()


def test_a_worker_or_a_part_that_is_lost_is_done_again(started, folder, monkeypatch):
    logs = [str(folder / f"{number}.log") for number in range(5)]
    assert list(map_ordered(jobs.die_once, logs, 2)) == logs
    with pytest.raises(DataError, match="part 0: lost 3 times with its worker or node, the last time: WorkerCrashed"):
        monkeypatch.setenv("PREP_PART_RETRIES", "2")
        list(map_ordered(jobs.die, [0], 1))
    monkeypatch.setenv("PREP_PART_DEADLINE", "4")
    logs = [str(folder / f"hung-{number}.log") for number in range(3)]
    assert list(map_ordered(jobs.hang_once, logs, 2)) == logs


def test_a_node_that_is_killed_costs_nothing_but_time(started):
    results = map_ordered(jobs.slowly, range(30), 3)
    first = [next(results) for _ in range(4)]
    started.tell("kill 1")
    rest = list(results)
    assert [number for number, _ in first + rest] == list(range(30))
    assert len({parent for _, parent in first + rest}) > 1


def test_results_larger_than_the_object_store_arrive(started):
    for number, result in enumerate(map_ordered(jobs.large, range(20), 3)):
        assert (len(result), result[0]) == (20 << 20, number)


def test_each_worker_gets_a_share_of_a_gpu(folder, monkeypatch):
    """The GPU is one that Ray was told of; no more parts run at once than there are shares."""
    with ray_cluster("4 1") as cluster:
        monkeypatch.setenv("PREP_CLUSTER", cluster.address)
        monkeypatch.setenv("PREP_DEVICE", "cuda")
        assert len(ask_workers(os.getpid, gpus=0.1)) == 1
        results = list(map_parts(jobs.gpu, range(4), 4, jobs.count, deadline_s=60, gpu_share=0.5))
        leave_cluster()
    assert {devices for devices, _ in results} == {"0"}
    began = sorted(moment for _, moment in results)
    assert began[2] - began[1] > 0.5


def prep(folder: Path, command: str, address: str) -> str:
    environment = {**os.environ, "PREP_CLUSTER": address, "PYTHONPATH": str(ROOT)}
    arguments = [sys.executable, "-m", "stages", *command.split()]
    done = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def results(folder: Path) -> dict[str, bytes]:
    places = [folder / "data" / name for name in ("samples", "aligned", "faces", "split", "shards")]
    files = [path for place in places for path in sorted(place.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


STAGES = (
    "ingest --src raw/rafdb", "align --src raw/rafdb", "select --src data/aligned/rafdb",
    "equalize --src data/aligned/rafdb", "harmonize --src data/samples/rafdb", "split", "shard",
)  # fmt: skip


def test_one_node_two_nodes_and_this_machine_write_the_same_bytes(tmp_path):
    params = (ROOT / "params.yaml").read_text()
    only = "datasets:\n  rafdb: {src: raw/rafdb, format: auto, role: both}\n\n"
    only = re.sub(r"(?ms)^datasets:\n.*?(?=^\S)", only, params)
    written = []
    for number, nodes in enumerate([None, (), ("1 0",)]):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "params.yaml").write_text(only)
        render(folder / "raw", DemoParams(faces=80, seed=1), workers=2)
        if nodes is None:
            for stage in STAGES:
                prep(folder, stage, "")
        else:
            with ray_cluster(*nodes) as cluster:
                said = [prep(folder, stage, cluster.address) for stage in STAGES]
            joined = f"note: joined the cluster {cluster.address}: {len(nodes) + 1} node"
            assert sum(joined in text for text in said) == 5
        assert not list(folder.glob(".*.partial"))
        written.append(results(folder))
    assert len(written[0]) > 20
    assert written[0] == written[1] == written[2]


def test_auto_starts_a_cluster_that_ends_with_the_command(tmp_path, monkeypatch):
    """And says where its dashboard answers."""
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    code = (
        "import re, urllib.request; import tests.cluster_jobs as jobs\n"
        "from pipeline.core.parallel.engine import map_ordered, telling\n"
        "said = []\n"
        "with telling(said.append): print(list(map_ordered(jobs.square, [1, 2, 3], 2)))\n"
        "page = re.search(r'http://127\\.0\\.0\\.1:\\d+', said[0])[0]\n"
        "print(said[0], urllib.request.urlopen(page, timeout=60).status)"
    )
    environment = {**os.environ, "PREP_CLUSTER": "auto", "PYTHONPATH": str(ROOT), "RAY_worker_niceness": "0"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "[1, 4, 9]"
    assert re.fullmatch(r"started a cluster for this command: 1 node, \d+ CPUs; dashboard http://127\S+ 200", lines[1])
    port = int(lines[1].split(":")[-1].split()[0])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
