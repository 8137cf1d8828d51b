"""The one seam between a stage and what runs its parts: a function, the parts, and results in their order.

`map_parts` is for work that may crash or hang its process, such as decoding files that someone else made; `map_ordered`
is for work that does not. Both run in processes of this machine (`supervised`, `pool`), or on the machines of a Ray
cluster if PREP_CLUSTER names one (`cluster`). The results are the same; docs/cluster.md says what the nodes need.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pipeline.core.parallel import pool, supervised
from pipeline.core.parallel.units import Job, PartFunction, Result

if TYPE_CHECKING:
    from pipeline.core.parallel.cluster.connect import Cluster

CLUSTER: Final = "PREP_CLUSTER"


@dataclass(slots=True)
class _State:
    """The cluster that this process has joined, by its address and the project folder; and who is told of it."""

    tell: Callable[[str], None] = pool.say_nothing
    cluster: "Cluster | None" = None
    joined: tuple[str, Path] | None = None


_state: Final = _State()


def asked_cluster() -> str:
    """Return PREP_CLUSTER, which is empty where parts run in processes of this machine."""
    return os.environ.get(CLUSTER, "").strip()


def map_parts(
    function: PartFunction[Job, Result],
    jobs: Sequence[Job],
    workers: int,
    count_units: Callable[[Job], int],
    *,
    deadline_s: float,
    report: Callable[[int], None] = pool.ignore_units,
    gpu_share: float = 0,
) -> Iterator[Result]:
    """Yield `function(job, units)` for each job, in the order of the jobs, from processes that may die.

    The arguments and errors are those of `supervised.map_parts`; on a cluster, also those of `cluster.drive.run_parts`,
    and as many parts run at once as there are CPUs and shares of GPUs, or PREP_WORKERS.
    """
    if cluster := join_cluster():
        from pipeline.core.parallel.cluster import drive
        from pipeline.core.parallel.cluster.part import Part

        def pack(index: int, job: Job) -> Part:
            return Part(index, function, job, cluster.code, count_units, deadline_s)

        return drive.run_parts(cluster, jobs, pack, report, gpu_share=gpu_share)
    return supervised.map_parts(function, jobs, workers, count_units, deadline_s=deadline_s, report=report)


def map_ordered(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    workers: int,
    report: Callable[[int], None] = pool.ignore_units,
    *,
    threads: bool = False,
) -> Iterator[Result]:
    """Yield `function(job)` for each job, in the order of the jobs.

    The arguments and errors are those of `pool.map_ordered`; on a cluster, also those of `cluster.drive.run_parts`.
    """
    if cluster := join_cluster():
        from pipeline.core.parallel.cluster import drive
        from pipeline.core.parallel.cluster.part import Part

        def pack(index: int, job: Job) -> Part:
            return Part(index, function, job, cluster.code)

        return drive.run_parts(cluster, jobs, pack, report)
    return pool.map_ordered(function, jobs, workers, report, threads=threads)


def ask_workers(function: Callable[[], Result], *, gpus: float = 0) -> list[Result]:
    """Return what a function returns in this process or, on a cluster, on each node, where it gets a share of a GPU."""
    if cluster := join_cluster():
        from pipeline.core.parallel.cluster import drive

        return drive.ask_nodes(cluster, function, gpus=gpus)
    return [function()]


def join_cluster() -> "Cluster | None":
    """Return the cluster that PREP_CLUSTER names, joined at the first call; None if it names none.

    Raises:
        UsageError, ExtraError, DataError: see `cluster.connect.join`.
    """
    address = asked_cluster()
    if not address:
        return None
    from pipeline.core.parallel.cluster import connect

    asked = address, Path.cwd()
    if _state.joined != asked:
        leave_cluster()
        _state.cluster = connect.join(address, _state.tell)
        _state.joined = asked
    return _state.cluster


def leave_cluster() -> None:
    """Leave the cluster that this process has joined, if any; the end of the process does the same."""
    if _state.cluster is not None:
        _state.cluster.leave()
        _state.cluster = _state.joined = None


@contextmanager
def telling(tell: Callable[[str], None]) -> Iterator[None]:
    """Have `tell` told which cluster is joined in here, with the address of its dashboard."""
    before, _state.tell = _state.tell, tell
    try:
        yield
    finally:
        _state.tell = before
