"""Handing parts to a cluster: a few ahead, each with a deadline and a number of tries, results in their order.

Ray notices a worker or a node that is gone; the part is then handed out again, to whichever node is free.
"""

import os
import pickle
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from pipeline.core.errors import DataError, ParamsError, UsageError
from pipeline.core.parallel.cluster import entry
from pipeline.core.parallel.cluster.connect import Cluster, one_line
from pipeline.core.parallel.cluster.part import Answer, Part
from pipeline.core.parallel.pool import AHEAD

Job = TypeVar("Job")

DEADLINE: Final = "PREP_PART_DEADLINE"
RETRIES: Final = "PREP_PART_RETRIES"
_DEADLINE_S: Final = 3600
_RETRIES: Final = 3
# How often the driver looks after parts, and how often after nodes (s).
_LOOK_S: Final = 0.25
_NODES_S: Final = 5
# A cluster may replace its nodes; after this time without any, the run ends.
_NO_NODE_S: Final = 300
# Parts that wait at the nodes for each one that runs, so that no worker waits for the driver.
_QUEUED: Final = 2

_Key = tuple[int, int]  # a part and its try


def ask_nodes(cluster: Cluster, function: Callable[[], Any], *, gpus: float = 0) -> list[Any]:
    """Return what a function returns on each node that may work; it gets a share of a GPU."""
    ray = cluster.ray
    strategy = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    nodes = cluster.nodes(gpu=gpus > 0)
    if not nodes:
        raise DataError("the cluster has no node with a GPU; ray status shows its nodes")
    payload = pickle.dumps(Part(0, _call, function, cluster.code))
    answers = [
        ray.remote(entry.do)
        .options(num_cpus=0, num_gpus=gpus, scheduling_strategy=strategy(node["NodeID"], soft=False))
        .remote(cluster.place, cluster.environment, payload, None, (0, 0))
        for node in nodes
    ]
    try:
        return [_open(*pair).result for pair in ray.get(answers)]
    except ray.exceptions.RayError as error:
        raise DataError(f"a node could not be asked: {one_line(error)}") from None


def run_parts(
    cluster: Cluster,
    jobs: Sequence[Job],
    pack: Callable[[int, Job], Part],
    report: Callable[[int], None],
    *,
    gpu_share: float = 0,
) -> Iterator[Any]:
    """Yield the result of each job, in the order of the jobs.

    Args:
        cluster: where.
        jobs: the parts.
        pack: makes the part with this number of a job.
        report: called with the number of units that are done, over all parts; it never decreases.
        gpu_share: the share of a GPU that each part needs.

    Raises:
        DataError: a part was lost more often than PREP_PART_RETRIES allows, or no node is left.
        UsageError: the function is one of the calling script.
        Exception: whatever the function raises.
    """
    driver = _Driver(cluster, jobs, pack, gpu_share)
    try:
        for index in range(len(jobs)):
            while index not in driver.results:
                driver.advance(index)
                report(driver.count_done())
            yield driver.results.pop(index)
        report(driver.count_done())
    finally:
        driver.end()


@dataclass(slots=True)
class _Try:
    key: _Key
    ref: Any


@dataclass(slots=True)
class _Progress:
    """What the board said last; it is asked again only after it has answered."""

    running: dict[_Key, tuple[float, int]] = field(default_factory=dict)
    ended: list[_Key] = field(default_factory=list)
    asked: Any = None


class _Driver:
    def __init__(
        self, cluster: Cluster, jobs: Sequence[Any], pack: Callable[[int, Any], Part], gpu_share: float
    ) -> None:
        self.results: dict[int, Any] = {}
        self._cluster, self._jobs, self._pack, self._gpu_share = cluster, jobs, pack, gpu_share
        self._deadline_s, self._retries = _number(DEADLINE, _DEADLINE_S, 1), _number(RETRIES, _RETRIES, 0)
        self._tries: dict[Any, _Try] = {}  # by the reference of its answer
        self._next = self._finished = self._most = self._slots = 0
        self._looked_at = -_NODES_S * 1.0
        self._had_node_at = time.monotonic()
        self._progress = _Progress()
        ray = cluster.ray
        self._task = ray.remote(entry.do).options(num_cpus=1, num_gpus=gpu_share, max_retries=0, name="part")
        # If its node is lost, it starts anew without what it knew, and the deadlines of running parts begin again.
        self._board = ray.remote(entry.Board).options(num_cpus=0, max_restarts=-1, name=None).remote()

    def advance(self, wanted: int) -> None:
        """Hand out parts, then wait a moment for answers; `wanted` is the part that the caller waits for."""
        self._look_at_nodes()
        ahead = max(1, self._slots) * AHEAD
        while len(self._tries) < max(1, self._slots) * _QUEUED and self._next < min(len(self._jobs), wanted + ahead):
            self._submit((self._next, 0))
            self._next += 1
        ready, _ = self._cluster.ray.wait(list(self._tries), num_returns=1, timeout=_LOOK_S)
        for ref in ready:
            self._take(self._tries.pop(ref))
        self._read_board()
        self._end_late()

    def count_done(self) -> int:
        """Return how many units are done. Units that are done again after a loss are not counted twice."""
        alive = {one.key for one in self._tries.values()}
        running = sum(done for key, (_, done) in self._progress.running.items() if key in alive)
        self._most = max(self._most, self._finished + running)
        return self._most

    def end(self) -> None:
        """End what still runs."""
        for ref in self._tries:
            self._cluster.ray.cancel(ref, force=True)
        self._cluster.ray.kill(self._board)

    def _submit(self, key: _Key) -> None:
        part = self._pack(key[0], self._jobs[key[0]])
        _check_importable(part.function)
        payload = pickle.dumps(part)
        ref = self._task.remote(self._cluster.place, self._cluster.environment, payload, self._board, key)
        self._tries[ref] = _Try(key, ref)

    def _take(self, one: _Try) -> None:
        ray = self._cluster.ray
        self._progress.ended.append(one.key)
        try:
            answer = _open(*ray.get(one.ref))
        except ray.exceptions.RayTaskError as error:
            raise DataError(f"part {one.key[0]}: {one_line(error.cause or error)}") from None
        except ray.exceptions.RayError as error:
            self._again(one.key, one_line(error))
            return
        self.results[one.key[0]] = answer.result
        self._finished += answer.units

    def _again(self, key: _Key, why: str) -> None:
        index, number = key
        if number >= self._retries:
            raise DataError(
                f"part {index}: lost {number + 1} times with its worker or node, the last time: {why}; perhaps the "
                f"memory of a node is short: try a smaller PREP_WORKERS ({RETRIES} is {self._retries})"
            )
        self._submit((index, number + 1))

    def _read_board(self) -> None:
        progress, ray = self._progress, self._cluster.ray
        if progress.asked is not None:
            ready, _ = ray.wait([progress.asked], timeout=0)
            if not ready:
                return
            try:
                progress.running = ray.get(progress.asked)
            except ray.exceptions.RayError:
                progress.running = {}
        progress.asked = self._board.read.remote(progress.ended)
        progress.ended = []

    def _end_late(self) -> None:
        """End parts that have run for longer than the deadline, and hand them out again."""
        for ref, one in list(self._tries.items()):
            if self._progress.running.get(one.key, (0.0, 0))[0] > self._deadline_s:
                # Not waited for: the process may be stopped or its node out of reach. The part is done elsewhere.
                self._cluster.ray.cancel(ref, force=True)
                del self._tries[ref]
                self._progress.ended.append(one.key)
                self._again(one.key, f"not done within {self._deadline_s} s ({DEADLINE})")

    def _look_at_nodes(self) -> None:
        now = time.monotonic()
        if now - self._looked_at < _NODES_S:
            return
        self._looked_at, self._slots = now, self._cluster.slots(self._gpu_share)
        if self._slots:
            self._had_node_at = now
        elif now - self._had_node_at > _NO_NODE_S:
            raise DataError(f"the cluster has had no node that may work for {_NO_NODE_S} s; ray status shows them")


def _check_importable(function: Callable[..., Any]) -> None:
    if getattr(function, "__module__", "") == "__main__":
        raise UsageError(
            f"{getattr(function, '__name__', function)}: a function of the calling script, and the nodes of a cluster "
            "import it by its name; put it into a module"
        )


def _call(function: Callable[[], Any]) -> Any:
    return function()


def _open(problem: str, answer: bytes) -> Answer:
    if problem:
        raise DataError(f"a node of the cluster {problem}; every node must see the project folder at the same path")
    opened: Answer = pickle.loads(answer)  # noqa: S301  from a worker, which runs this project's code
    if opened.error is not None:
        raise opened.error
    return opened


def _number(variable: str, default: int, least: int) -> int:
    text = os.environ.get(variable, "")
    if text and (not text.isdecimal() or int(text) < least):
        raise ParamsError(f"{variable}: expected a whole number of at least {least}, not {text!r}")
    return int(text or default)
