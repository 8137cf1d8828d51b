"""The one seam between a stage and what runs its parts: a function, the parts, and results in their order.

`map_parts` is for work that may crash or hang its process, such as decoding files that someone else made; `map_ordered`
is for work that does not. Both run in processes of this machine (`supervised`, `pool`).
"""

from collections.abc import Callable, Iterator, Sequence

from pipeline.core.parallel import pool, supervised
from pipeline.core.parallel.units import Job, PartFunction, Result


def map_parts(
    function: PartFunction[Job, Result],
    jobs: Sequence[Job],
    workers: int,
    count_units: Callable[[Job], int],
    *,
    deadline_s: float,
    report: Callable[[int], None] = pool.ignore_units,
) -> Iterator[Result]:
    """Yield `function(job, units)` for each job, in the order of the jobs, from processes that may die.

    The arguments and errors are those of `supervised.map_parts`.
    """
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

    The arguments and errors are those of `pool.map_ordered`.
    """
    return pool.map_ordered(function, jobs, workers, report, threads=threads)
