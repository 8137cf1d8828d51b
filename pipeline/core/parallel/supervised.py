"""Work that may crash or hang its process. If a worker dies, its part is still completed.

A worker reports which unit (picture) of its part it is working on. If it dies, because memory runs out or a decoder
crashes, its pipe closes and the parent notices at once. A worker that stays at one unit for longer than the deadline is
killed. The unit is then tried alone in a new process. If that process ends in the same way, the part is done again
without the unit, otherwise it is done again as a whole.
"""

import multiprocessing
import multiprocessing.connection
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Final, Generic

from pipeline.core.errors import DataError
from pipeline.core.parallel.pool import AHEAD, ignore_units, without_missing_main
from pipeline.core.parallel.units import NO_UNIT, Job, Lost, PartFunction, Result, Started, work

# The deadline applies to one unit. Work on several units at once, or before the first one (loading detectors), may take
# this many deadlines.
_SEVERAL: Final = 10
# After this many workers in a row that die while they start, none is expected to start. One alone may be a mishap.
_BIRTHS: Final = 2
# The progress of all workers, and their deadlines, are checked at least this often.
_LOOK_S: Final = 0.25
# A part is given up after its process died this many times without a unit that does so alone.
_DEATHS: Final = 3
# Numerical libraries start one thread per core unless these are set before they are loaded. With one process per core,
# that would be far too many.
_THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(slots=True)
class _Task(Generic[Job]):
    """One part, with what is known about its units.

    Attributes:
        index: its position among the jobs.
        job: what the function receives.
        lost: the units that are left out, with the reason.
        cleared: the units that were tried alone and did not end their process.
        suspects: the units that are to be tried alone.
        deaths: how many times its process died while it was at no unit.
    """

    index: int
    job: Job
    lost: dict[int, Lost] = field(default_factory=dict)
    cleared: set[int] = field(default_factory=set)
    suspects: list[int] = field(default_factory=list)
    deaths: int = 0


@dataclass(slots=True)
class _Worker:
    process: BaseProcess
    pipe: Connection
    unit: Any  # shared memory: the unit being worked on
    beat: Any  # shared memory: how many times it has reported a unit
    done: Any  # shared memory: the units of its part that are done
    started: bool = False
    hung: bool = False
    heard: tuple[int, float] = (0, 0.0)  # the last beat that was seen, and when (s)
    task: "_Task[Any] | None" = None
    only: int | None = None


def map_parts(
    function: "PartFunction[Job, Result]",
    jobs: Sequence[Job],
    workers: int,
    count_units: Callable[[Job], int],
    *,
    deadline_s: float,
    report: Callable[[int], None] = ignore_units,
) -> Iterator[Result]:
    """Yield `function(job, units)` for each job, in the order of the jobs, from processes that may die.

    Args:
        function: does one part. It must be importable by name, because processes are spawned; jobs must be picklable.
        jobs: the parts.
        workers: the number of processes. At least one is started, so that a crash never ends this process.
        count_units: returns how many units a job has; all are tried alone if it died without naming one.
        deadline_s: the seconds of wall clock time that one unit may take.
        report: called with the number of units that are done, over all parts; it never decreases.

    Raises:
        DataError: a part keeps ending its process although none of its units does so alone, or no process starts.
        Exception: whatever `function` raises.
    """
    size = min(workers, len(jobs))
    pool = Supervisor(function, size, count_units, deadline_s)
    waiting = iter(enumerate(jobs))
    try:
        for index in range(len(jobs)):
            for number, job in islice(waiting, max(0, index + size * AHEAD - pool.added)):
                pool.add(number, job)
            while index not in pool.results:
                pool.advance()
                report(pool.count_done())
            yield pool.results.pop(index)
    finally:
        pool.dismiss()


class Supervisor(Generic[Job, Result]):
    """Worker processes that may die, and the parts that were given to them; see `map_parts`.

    Attributes:
        results: part -> its result; the caller takes it out.
        added: how many parts were given.
    """

    def __init__(
        self,
        function: PartFunction[Job, Result],
        size: int,
        count_units: Callable[[Job], int],
        deadline_s: float,
    ) -> None:
        self.results: dict[int, Result] = {}
        self.added = 0
        self._function = function
        self._count_units = count_units
        self._deadline_s = deadline_s
        self._births = 0  # workers in a row that died while they started
        self._finished = 0  # units of the parts that have a result
        self._most = 0
        self._context = multiprocessing.get_context("spawn")
        self._tasks: deque[_Task[Job]] = deque()
        self._workers = [self._hire() for _ in range(size)]

    def add(self, index: int, job: Job) -> None:
        """Give one more part, by the number under which its result will be."""
        self._tasks.append(_Task(index, job))
        self.added += 1

    def advance(self) -> None:
        """Give parts to idle workers, then wait a moment for one to send its result or to die."""
        for number, worker in enumerate(self._workers):
            if worker.task is None and self._tasks:
                self._assign(number, self._tasks.popleft())
        busy = {worker.pipe: number for number, worker in enumerate(self._workers) if worker.task is not None}
        for pipe in multiprocessing.connection.wait(list(busy), min(_LOOK_S, self._deadline_s / 4)):
            self._hear(busy[pipe])  # type: ignore[index]  # wait() gives back the very pipes it was given
        for worker in self._workers:
            self._end_hung(worker)

    def count_done(self) -> int:
        """Return how many units are done. Units that are done again after a death are not counted twice."""
        running = sum(worker.done.value for worker in self._workers if worker.task is not None and worker.only is None)
        self._most = max(self._most, self._finished + running)
        return self._most

    def dismiss(self) -> None:
        """End every worker."""
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join()
            worker.pipe.close()

    def _hire(self) -> _Worker:
        pipe, far_end = self._context.Pipe()
        unit, beat, done = (self._context.RawValue("q", value) for value in (NO_UNIT, 0, 0))
        process = self._context.Process(target=work, args=(far_end, unit, beat, done, self._function), daemon=True)
        # A spawned process inherits the environment, so it is set here and restored after the start.
        before = {name: os.environ.get(name) for name in _THREADS}
        os.environ.update(dict.fromkeys(_THREADS, "1"))
        try:
            with without_missing_main():
                process.start()
        finally:
            _restore(before)
        far_end.close()  # while it is open here, the death of the process would not close the pipe
        return _Worker(process, pipe, unit, beat, done)

    def _end_hung(self, worker: _Worker) -> None:
        """Kill a worker that has been at one unit for too long. Its death is then noticed like any other."""
        beat, now = worker.beat.value, time.monotonic()
        if worker.task is None or beat != worker.heard[0]:
            worker.heard = beat, now
        elif now - worker.heard[1] > self._deadline_s * (_SEVERAL if worker.unit.value == NO_UNIT else 1):
            worker.hung = True
            worker.process.kill()

    def _assign(self, number: int, task: _Task[Job]) -> None:
        worker = self._workers[number]
        worker.task, worker.only = task, task.suspects[0] if task.suspects else None
        worker.unit.value, worker.heard = NO_UNIT, (worker.beat.value, time.monotonic())
        worker.done.value = 0
        try:
            worker.pipe.send((task.job, worker.only, dict(task.lost)))
        except (BrokenPipeError, ConnectionResetError):
            self._bury(number)

    def _hear(self, number: int) -> None:
        worker = self._workers[number]
        try:
            failure, result = worker.pipe.recv()
        except (EOFError, OSError):  # OSError: it died after sending half of its answer
            self._bury(number)
            return
        if result is Started:
            worker.started, self._births = True, 0
            return
        if failure is not None:
            raise failure
        task, only, worker.task = worker.task, worker.only, None
        if task is None:
            return
        if only is None:
            self.results[task.index] = result
            self._finished += self._count_units(task.job)
            return
        task.suspects.remove(only)
        task.cleared.add(only)
        # In front of the others, because results are yielded in order and the caller may be waiting for this part.
        self._tasks.appendleft(task)

    def _bury(self, number: int) -> None:
        """Decide what a worker's death says about its part, and start another worker."""
        worker = self._workers[number]
        task, only, unit = worker.task, worker.only, worker.unit.value
        how: Lost = "hung" if worker.hung else "died"
        worker.process.join()
        worker.pipe.close()
        if not worker.started and not worker.hung:
            self._count_birth(worker.process.exitcode)
        self._workers[number] = self._hire()
        if task is None:
            return
        if not worker.started:
            self._tasks.appendleft(task)  # the part was never begun, so it is not to blame
            return
        if only is not None:
            task.suspects.remove(only)
            task.lost[only] = how
        elif unit in task.cleared:
            task.lost[unit] = how  # it survived alone, but this is the second death of the part at this unit
        else:
            self._suspect(task, unit)
        self._tasks.appendleft(task)

    def _count_birth(self, code: int | None) -> None:
        self._births += 1
        if self._births >= _BIRTHS:
            raise DataError(
                f"a worker process ended while it started (exit code {code}; with -9, the memory is short: try a "
                "smaller PREP_WORKERS). Each is a new Python that runs the calling script once more: what the script "
                "does must stand under if __name__ == '__main__'"
            )

    def _suspect(self, task: _Task[Job], unit: int) -> None:
        # A death at no unit may be caused by any of them, so all are tried alone.
        task.deaths += unit == NO_UNIT
        if task.deaths >= _DEATHS:
            raise DataError(
                f"part {task.index}: its worker process died {task.deaths} times, though no picture of it does so "
                "alone; perhaps the memory is short: try a smaller PREP_WORKERS"
            )
        known = task.lost.keys() | task.cleared
        task.suspects = (
            [unit] if unit != NO_UNIT else [one for one in range(self._count_units(task.job)) if one not in known]
        )


def _restore(environment: dict[str, str | None]) -> None:
    for name, value in environment.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
