"""Work in several processes: one process per core, each with one thread; jobs are parts, and results come in order.

`map_ordered` is for work that does not crash its process. `supervised.map_parts` is for work that might, such as
decoding files that someone else made.
"""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final, TypeVar

from pipeline.core.errors import DataError, ParamsError
from pipeline.core.tables import pass_pandas_over

Job = TypeVar("Job")
Result = TypeVar("Result")

# From Linux's prctl.h, which Python does not define.
_PR_SET_PDEATHSIG: Final = 1
# The progress of the workers is read four times a second, often enough for a smooth bar.
_LOOK_S: Final = 0.25
# Jobs that are handed out for each worker before the first of them is taken, so that few wait behind a slow one.
AHEAD: Final = 4

# Called as work advances, with the units that are done, their total, and a short note for the progress bar.
Progress = Callable[[int, int, str], None]


def no_progress(done: int, total: int, note: str) -> None:
    """Ignore the progress."""


def ignore_units(done: int) -> None:
    """Ignore the number of units that are done."""


def say_nothing(line: str) -> None:
    """Ignore a message."""


def worker_count() -> int:
    """Return the number of worker processes: PREP_WORKERS, or one per core that this process may run on.

    Raises:
        ParamsError: PREP_WORKERS is not a whole number of at least 1.
    """
    text = os.environ.get("PREP_WORKERS", "")
    if not text:
        # Not cpu_count, which counts the cores of the machine: a container or a batch job may have only some of them.
        affinity = getattr(os, "sched_getaffinity", None)  # macOS has none
        return len(affinity(0)) if affinity else os.cpu_count() or 1
    if not text.isdecimal() or int(text) < 1:
        raise ParamsError(f"PREP_WORKERS: expected a whole number of at least 1, not {text!r}")
    return int(text)


def end_with_parent() -> None:
    """Make this worker process end with the process that started it, even if that is killed. Called in the worker.

    The signal of Linux also ends a worker that is stuck in C code. The thread does it on systems without that signal.
    """
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
    """Hide the name of the calling script while processes are started, if there is no such file.

    A spawned process runs the calling script once more by its file. For a script on standard input, Python names the
    file `<stdin>`, and every worker would die because it cannot be opened.
    """
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


class _Tally(threading.local):
    """What `finish_units` calls in this thread; nothing outside of a map."""

    add: Callable[[int], None] | None = None


_tally: Final = _Tally()


class _Count:
    """A number of finished units that threads share, and that is reported whenever it grows."""

    def __init__(self, report: Callable[[int], None]) -> None:
        self._report, self._done, self._lock = report, 0, threading.Lock()

    def add(self, count: int) -> None:
        with self._lock:
            self._done += count
            self._report(self._done)


def finish_units(count: int) -> None:
    """Report that `count` more units are done; called by functions that `map_ordered` runs."""
    if _tally.add is not None:
        _tally.add(count)


@contextmanager
def counting(add: Callable[[int], None]) -> Iterator[None]:
    """Let `finish_units` of this thread call `add`."""
    before, _tally.add = _tally.add, add
    try:
        yield
    finally:
        _tally.add = before


def map_ordered(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    workers: int,
    report: Callable[[int], None] = ignore_units,
    *,
    threads: bool = False,
) -> Iterator[Result]:
    """Yield `function(job)` for each job, in the order of the jobs.

    With one worker or one job, everything runs in this process. Otherwise `function` and the jobs are pickled, and
    processes are spawned rather than forked, so that they inherit no locks and no threads.

    Args:
        function: does one job; it may call `finish_units`.
        jobs: the parts. Only a few more than there are workers are handed out at a time.
        workers: the number of processes, at least 1.
        report: called with the number of units that are done, over all jobs.
        threads: use threads instead of processes, for functions that release the interpreter's lock.

    Raises:
        DataError: a process died, most often because there was too little memory.
    """
    if workers <= 1 or len(jobs) <= 1:
        count = _Count(report)
        for job in jobs:
            # For each job anew, because the consumer of this generator may run another `map_ordered` between two jobs.
            with counting(count.add):
                result = function(job)
            yield result
    elif threads:
        yield from _map_threads(function, jobs, min(workers, len(jobs)), report)
    else:
        yield from _map_processes(function, jobs, min(workers, len(jobs)), report)


def _map_threads(
    function: Callable[[Job], Result], jobs: Sequence[Job], workers: int, report: Callable[[int], None]
) -> Iterator[Result]:
    with ThreadPoolExecutor(workers, initializer=_start_thread, initargs=(_Count(report).add,)) as pool:
        try:
            for future in _submitted(pool, function, jobs, workers):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _map_processes(
    function: Callable[[Job], Result], jobs: Sequence[Job], workers: int, report: Callable[[int], None]
) -> Iterator[Result]:
    context = multiprocessing.get_context("spawn")
    count = context.Value("q", 0)
    left = len(jobs)
    with ProcessPoolExecutor(workers, context, _start_process, (count,)) as pool:
        try:
            for future in _submitted(pool, function, jobs, workers):
                while not wait([future], _LOOK_S).done:
                    report(count.value)
                result = future.result()
                left -= 1
                yield result
        except BrokenProcessPool:
            raise DataError("a worker process died, perhaps for want of memory; try a smaller PREP_WORKERS") from None
        finally:
            # After an error or an interruption the remaining jobs would only delay the message. Otherwise a worker that
            # is still starting must find `count`, which is gone after this call.
            pool.shutdown(wait=not left, cancel_futures=True)
        report(count.value)


def _submitted(
    pool: Executor, function: Callable[[Job], Result], jobs: Sequence[Job], workers: int
) -> Iterator[Future[Result]]:
    """Yield the futures of the jobs in their order, never more than a few ahead: each takes memory here."""
    waiting, futures = iter(jobs), deque[Future[Result]]()
    while True:
        with without_missing_main():
            futures.extend(
                pool.submit(function, job) for job in islice(waiting, max(0, AHEAD * workers - len(futures)))
            )
        if not futures:
            return
        yield futures.popleft()  # a future keeps its result, so it must not stay in the queue


def _start_process(count: Any) -> None:
    end_with_parent()
    pass_pandas_over()

    def add(units: int) -> None:
        with count.get_lock():
            count.value += units

    _start_thread(add)


def _start_thread(add: Callable[[int], None]) -> None:
    _tally.add = add
