"""Work over processes: one process a core, one thread each, a part as the unit of work, results in order.

`map_ordered` is for work that does not kill its process. `supervised.map_parts` is for work that might, such as
decoding what someone else made.
"""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final, TypeVar

from pipeline.core.errors import DataError, ParamsError

Job = TypeVar("Job")
Result = TypeVar("Result")

_PR_SET_PDEATHSIG: Final = 1
# How long to wait for a part before looking how far all are.
_LOOK_S: Final = 0.25

# Called as work advances: units done, units in all, a short note for the progress bar.
Progress = Callable[[int, int, str], None]


def no_progress(done: int, total: int, note: str) -> None:
    """Show nothing."""


def say_nothing(line: str) -> None:
    """Tell nobody."""


def worker_count() -> int:
    """Return how many processes to use: PREP_WORKERS, else one for each core this process may run on.

    Raises:
        ParamsError: PREP_WORKERS is not a whole number of at least 1.
    """
    text = os.environ.get("PREP_WORKERS", "")
    if not text:
        affinity = getattr(os, "sched_getaffinity", None)  # macOS has none
        return len(affinity(0)) if affinity else os.cpu_count() or 1
    if not text.isdecimal() or int(text) < 1:
        raise ParamsError(f"PREP_WORKERS: expected a whole number of at least 1, not {text!r}")
    return int(text)


def end_with_parent() -> None:
    """Have this worker end when the process that started it does, even one that is killed; called in the worker."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _follow(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


@contextmanager
def without_missing_main() -> Iterator[None]:
    """Start processes in here: a worker runs the calling script once more, and one on standard input is no file."""
    main = sys.modules["__main__"]
    file = getattr(main, "__file__", None)
    if file is None or Path(file).exists():
        yield
        return
    del main.__file__
    try:
        yield
    finally:
        main.__file__ = file


class _Tally:
    """How many units are done in this process, or over all workers, and who wants to know."""

    count: Any = None  # shared memory, in a worker
    report: Callable[[int], None] | None = None
    done = 0


def finish_units(count: int) -> None:
    """Say, inside of what `map_ordered` runs, that so many more units are done."""
    if _Tally.count is not None:
        with _Tally.count.get_lock():
            _Tally.count.value += count
    elif _Tally.report is not None:
        _Tally.done += count
        _Tally.report(_Tally.done)


def map_ordered(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    workers: int,
    report: Callable[[int], None] | None = None,
) -> Iterator[Result]:
    """Yield `function(job)` for each job in order, over processes when there is more than one of both.

    `function` and the jobs are pickled; the processes are spawned, so that no lock or thread is inherited.

    Args:
        function: what is done; may call `finish_units`.
        jobs: the parts.
        workers: how many processes.
        report: called with the units that are done, of all jobs.

    Raises:
        DataError: a process died, most often because the memory ran out.
    """
    if workers <= 1 or len(jobs) <= 1:
        yield from _map_here(function, jobs, report)
        return
    context = multiprocessing.get_context("spawn")
    count = context.Value("q", 0)
    with ProcessPoolExecutor(min(workers, len(jobs)), context, _start_worker, (count,)) as pool:
        try:
            with without_missing_main():
                futures = deque(pool.submit(function, job) for job in jobs)
            while futures:
                future = futures.popleft()  # its result is not kept beyond here
                while report is not None and not wait([future], _LOOK_S).done:
                    report(count.value)
                yield future.result()
        except BrokenProcessPool:
            raise DataError("a worker process died, perhaps for want of memory; try a smaller PREP_WORKERS") from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        if report is not None:
            report(count.value)


def _map_here(
    function: Callable[[Job], Result], jobs: Sequence[Job], report: Callable[[int], None] | None
) -> Iterator[Result]:
    done = 0
    for job in jobs:
        # Set for each job anew: what is done between two of them may be other work of this kind.
        _Tally.report, _Tally.done = report, done
        try:
            result = function(job)
        finally:
            done, _Tally.report = _Tally.done, None
        yield result


def _start_worker(count: Any) -> None:
    end_with_parent()
    _Tally.count = count
