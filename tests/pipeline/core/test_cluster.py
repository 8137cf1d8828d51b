"""One suite for both engines, processes of this machine and a cluster of two nodes; and how a cluster is joined."""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.core.errors import DataError, ExtraError, UsageError
from pipeline.core.parallel import engine as engines
from pipeline.core.parallel.cluster import connect
from pipeline.core.parallel.engine import ask_workers, join_cluster, leave_cluster, map_ordered, map_parts
from pipeline.core.parallel.pool import AHEAD
from tests import cluster_jobs as jobs
from tests.imports import ROOT
from tests.ray_cluster import ray_cluster

# Ray imports modules that warn.
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The project folder of all tests: another one would be checked on all nodes again."""
    before, place = Path.cwd(), tmp_path_factory.mktemp("project")
    os.chdir(place)
    yield place
    leave_cluster()
    os.chdir(before)


@pytest.fixture(scope="module")
def two_nodes(folder):
    with ray_cluster("1 0") as started:
        yield started
        leave_cluster()


@pytest.fixture
def cluster(two_nodes, folder, monkeypatch):
    monkeypatch.setenv("PREP_CLUSTER", two_nodes.address)
    return join_cluster()


@pytest.fixture(params=["local", "cluster"])
def engine(request):
    return request.getfixturevalue(request.param) if request.param == "cluster" else None


def test_results_come_in_order_and_progress_never_decreases(engine):
    heard: list[int] = []
    assert list(map_ordered(jobs.square, range(50), 2, heard.append)) == [number * number for number in range(50)]
    assert heard == sorted(heard)
    assert heard[-1] == 50


def test_a_picture_that_kills_and_one_that_hangs_are_named(engine):
    heard: list[int] = []
    given = ["well", "kill", "well", "hang", "well"]
    results = list(map_parts(jobs.pictures, given, 2, jobs.count, deadline_s=1, report=heard.append))
    assert [job for job, *_ in results] == given
    assert [(done, lost) for _, done, lost in results[1:4]] == [
        ([0, 2, 3], {1: "died"}),
        ([0, 1, 2, 3], {}),
        ([0, 2, 3], {1: "hung"}),
    ]
    assert heard == sorted(heard)
    assert heard[-1] == 20


def test_an_error_of_the_work_is_raised_here(engine):
    with pytest.raises(DataError, match=r"^row 3 of b\.csv: wrong$"):
        list(map_parts(jobs.pictures, ["well", "error"], 2, jobs.count, deadline_s=60))
    with pytest.raises(DataError, match=r"^row 3 of b\.csv: wrong$"):
        list(map_ordered(jobs.fail, range(9), 2))


def test_a_function_of_the_calling_script_is_told(cluster, monkeypatch):
    monkeypatch.setattr(jobs.square, "__module__", "__main__")
    with pytest.raises(UsageError, match=r"square: a function of the calling script.*put it into a module"):
        list(map_ordered(jobs.square, [1], 1))


def test_nothing_to_do(engine):
    assert (
        list(map_ordered(jobs.square, [], 2)) == list(map_parts(jobs.pictures, [], 2, jobs.count, deadline_s=1)) == []
    )


class _Watched(Sequence):
    asked = -1

    def __len__(self):
        return 60

    def __getitem__(self, number):
        if number >= len(self):
            raise IndexError
        self.asked = max(self.asked, number)
        return number


def test_parts_are_handed_out_only_a_few_ahead(cluster):
    watched = _Watched()
    for done, _ in enumerate(map_ordered(jobs.square, watched, 2)):
        assert watched.asked <= done + 2 * AHEAD


def test_workers_are_in_the_folder_with_the_code_of_the_driver(cluster, folder):
    (found,) = map_ordered(jobs.surroundings, [0], 1)
    # A worker below the cluster would otherwise hand its own work to the cluster.
    assert {**found, "path": ""} == {
        "cwd": str(folder), "PREP_CLUSTER": "", "PREP_DEVICE": "cpu", "OMP_NUM_THREADS": "1", "path": ""
    }  # fmt: skip
    given = [path for path in sys.path if path and Path(path).exists()]
    assert found["path"].split(os.pathsep)[: len(given)] == given


def test_a_node_that_does_not_see_the_folder_is_named(cluster):
    for place, why in (
        ({"probe": "/nowhere/probe"}, r"cannot read /nowhere/probe \(No such file or directory\)"),
        ({"token": "other"}, "reads another file at "),
    ):
        other = dataclasses.replace(cluster, place={**cluster.place, **place})
        with pytest.raises(DataError, match=rf"^node \S+ \(127\.0\.0\.1, \w+\): {why}.*every node must see"):
            connect.check_nodes(other)


def test_a_node_with_other_code_or_libraries_is_named(cluster, monkeypatch):
    here = connect.fingerprint()
    monkeypatch.setattr(connect, "fingerprint", lambda: {**here, "pipeline/frames.py": "x", "numpy": "0.1"})
    with pytest.raises(
        DataError, match=r"^node .*libraries of this machine: numpy \S+ and not 0\.1, pipeline/frames\.py"
    ):
        connect.check_nodes(cluster)


def test_a_node_that_joins_later_is_checked_too(cluster, monkeypatch):
    monkeypatch.setattr(engines._state, "cluster", dataclasses.replace(cluster, code="other"))
    with pytest.raises(DataError, match="has other code or libraries"):
        list(map_ordered(jobs.square, range(3), 2))


def test_without_a_gpu_on_any_node_that_is_said(cluster):
    with pytest.raises(DataError, match="no node with a GPU"):
        ask_workers(os.getpid, gpus=0.1)


@pytest.mark.parametrize("device", ["auto", "mps", "cuda:1"])
def test_a_device_that_nodes_would_take_differently_is_refused(monkeypatch, device):
    monkeypatch.setenv("PREP_CLUSTER", "127.0.0.1:1")
    monkeypatch.setenv("PREP_DEVICE", device)
    with pytest.raises(UsageError, match=f"PREP_DEVICE: {device} with PREP_CLUSTER"):
        list(map_ordered(jobs.square, [1], 1))


@pytest.mark.parametrize("address", ["head", "head:", ":6379", "head:x", "head:99999", "http://head:1", "AUTO"])
def test_what_is_no_address_is_told(monkeypatch, address):
    monkeypatch.setenv("PREP_CLUSTER", address)
    with pytest.raises(UsageError, match=r"PREP_CLUSTER: expected auto, HOST:PORT or ray://HOST:PORT, not"):
        list(map_ordered(jobs.square, [1], 1))


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1"])
def test_where_nothing_answers_is_told(monkeypatch, address):
    monkeypatch.setenv("PREP_CLUSTER", address)
    with pytest.raises(UsageError, match=f"nothing answers at {address}"):
        list(map_ordered(jobs.square, [1], 1))


@pytest.fixture
def noted(tmp_path, monkeypatch):
    """What `ray start` notes, in a folder for temporary files of this test's own."""
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(connect, "_answers", lambda address: address == "10.0.0.1:6379")
    (tmp_path / "ray").mkdir()
    return tmp_path / "ray/ray_current_cluster"


def test_auto_takes_the_cluster_that_this_user_started_here(noted):
    assert connect.find_here() == ""
    noted.write_text("10.0.0.1:6379")
    assert connect.find_here() == "10.0.0.1:6379"
    noted.write_text("10.0.0.1:1")  # it is gone
    assert connect.find_here() == ""


def test_auto_never_takes_that_of_another_user(noted, monkeypatch):
    noted.write_text("10.0.0.1:6379")
    monkeypatch.setattr(os, "getuid", lambda: noted.stat().st_uid + 1)
    with pytest.raises(UsageError, match=r"10\.0\.0\.1:6379 is another user's; PREP_CLUSTER=10\.0\.0\.1:6379 joins it"):
        connect.find_here()


@pytest.mark.parametrize("started", [False, True])
def test_auto_never_follows_what_the_environment_names(noted, monkeypatch, started):
    if started:
        noted.write_text("10.0.0.1:6379")
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.2:6379")
    with pytest.raises(UsageError, match=r"RAY_ADDRESS names 10\.0\.0\.2:6379; PREP_CLUSTER=10\.0\.0\.2:6379 joins"):
        connect.find_here()
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    noted.write_text("10.0.0.1:6379")
    assert connect.find_here() == "10.0.0.1:6379"


LOCAL = (
    "import sys; from stages.cli import run; run(['--help']); from pipeline.core.parallel.engine import map_ordered; "
    "import tests.cluster_jobs as jobs; print(list(map_ordered(jobs.square, [1, 2], 1)), 'ray' in sys.modules)"
)


def test_without_the_variable_ray_is_never_loaded(monkeypatch):
    environment = {**os.environ, "RAY_ADDRESS": "127.0.0.1:1", "PREP_CLUSTER": ""}
    command = [sys.executable, "-c", LOCAL]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=True)
    assert done.stdout.splitlines()[-1] == "[1, 4] False"


def test_a_missing_ray_names_its_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setattr(connect, "find_here", lambda: "")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREP_CLUSTER", "auto")
    with pytest.raises(ExtraError, match=r"ray is not installed; pip install 'expression-prep\[cluster\]'"):
        list(map_ordered(jobs.square, [1], 1))
    assert not list(tmp_path.iterdir())
