"""Work that can kill its process: a crew of workers of which each may die, and the part they work on goes on.

A worker says which unit (picture) of its part it is working on. When it dies, out of memory or in a decoder, its pipe
closes, which the crew sees at once. The unit is then tried alone in a new process; if that one dies too, the part is
done again without the unit, else it is done again whole.
"""

import multiprocessing
import multiprocessing.connection
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Final, Generic, TypeVar

from pipeline.errors import DataError
from pipeline.workers import end_with_parent

Job = TypeVar("Job")
Result = TypeVar("Result")

NO_UNIT: Final = -1
# A part that dies this often without one unit being to blame is given up.
_DEATHS: Final = 3
# The libraries of numbers start one thread a core unless told before they are loaded.
_THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def _silent(unit: int) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True)
class Units:
    """Which units of a part to work on, and whom to tell.

    `at(unit)` is to be called before anything is done that could kill the process on account of that unit, and
    `at(NO_UNIT)` before what is done for several at once. `only` is set when one unit is tried alone; what the function
    returns then is thrown away. `crashed` are to be left out.
    """

    at: Callable[[int], None] = _silent
    only: int | None = None
    crashed: frozenset[int] = frozenset()


PartFunction = Callable[[Job, Units], Result]


@dataclass(slots=True)
class _Task(Generic[Job]):
    """One part on its way: what is known of its units, and how often it died."""

    index: int
    job: Job
    crashed: set[int] = field(default_factory=set)
    cleared: set[int] = field(default_factory=set)  # tried alone and survived
    suspects: list[int] = field(default_factory=list)
    deaths: int = 0


@dataclass(slots=True)
class _Worker:
    process: BaseProcess
    pipe: Connection
    unit: Any  # shared memory: the unit being worked on
    task: "_Task[Any] | None" = None
    only: int | None = None


def map_parts(
    function: "PartFunction[Job, Result]", jobs: Sequence[Job], workers: int, count_units: Callable[[Job], int]
) -> Iterator[Result]:
    """Yield `function(job, units)` for each job in order, over processes that may die.

    Args:
        function: importable by name, as are the jobs picklable; processes are spawned.
        jobs: the parts.
        workers: how many processes; there is always at least one, so that this one survives.
        count_units: how many units a job has, for the case that it died where no unit was named.

    Raises:
        DataError: a part kills its process though none of its units does so alone.
    """
    crew = _Crew(function, jobs, min(workers, max(1, len(jobs))), count_units)
    try:
        for index in range(len(jobs)):
            while index not in crew.results:
                crew.advance()
            yield crew.results.pop(index)
    finally:
        crew.dismiss()


class _Crew(Generic[Job, Result]):
    def __init__(
        self, function: PartFunction[Job, Result], jobs: Sequence[Job], size: int, count_units: Callable[[Job], int]
    ) -> None:
        self.results: dict[int, Result] = {}
        self._function = function
        self._count_units = count_units
        self._context = multiprocessing.get_context("spawn")
        self._tasks: deque[_Task[Job]] = deque(_Task(index, job) for index, job in enumerate(jobs))
        self._workers = [self._hire() for _ in range(size)] if jobs else []

    def advance(self) -> None:
        """Give work to idle workers, then wait for one to report or to die."""
        for number, worker in enumerate(self._workers):
            if worker.task is None and self._tasks:
                self._assign(number, self._tasks.popleft())
        busy = {worker.pipe: number for number, worker in enumerate(self._workers) if worker.task is not None}
        for pipe in multiprocessing.connection.wait(list(busy)):
            self._hear(busy[pipe])  # type: ignore[index]  # wait() gives back the very pipes it was given

    def dismiss(self) -> None:
        """End every worker."""
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join()
            worker.pipe.close()

    def _hire(self) -> _Worker:
        pipe, far_end = self._context.Pipe()
        unit = self._context.RawValue("q", NO_UNIT)
        process = self._context.Process(target=_work, args=(far_end, unit, self._function), daemon=True)
        before = {name: os.environ.get(name) for name in _THREADS}
        os.environ.update(dict.fromkeys(_THREADS, "1"))
        try:
            process.start()
        finally:
            _restore(before)
        far_end.close()  # or the end of the process would not close the pipe
        return _Worker(process, pipe, unit)

    def _assign(self, number: int, task: _Task[Job]) -> None:
        worker = self._workers[number]
        worker.task, worker.only = task, task.suspects[0] if task.suspects else None
        worker.unit.value = NO_UNIT
        try:
            worker.pipe.send((task.job, worker.only, frozenset(task.crashed)))
        except (BrokenPipeError, ConnectionResetError):
            self._bury(number)

    def _hear(self, number: int) -> None:
        worker = self._workers[number]
        try:
            failure, result = worker.pipe.recv()
        except (EOFError, ConnectionResetError):
            self._bury(number)
            return
        if failure is not None:
            raise failure
        task, only, worker.task = worker.task, worker.only, None
        if task is None:
            return
        if only is None:
            self.results[task.index] = result
            return
        task.suspects.remove(only)
        task.cleared.add(only)
        self._tasks.appendleft(task)

    def _bury(self, number: int) -> None:
        """Draw the conclusion from a worker's death, and hire another."""
        worker = self._workers[number]
        task, only, unit = worker.task, worker.only, worker.unit.value
        worker.process.join()
        worker.pipe.close()
        self._workers[number] = self._hire()
        if task is None:
            return
        if only is not None:
            task.suspects.remove(only)
            task.crashed.add(only)
        elif unit in task.cleared:
            task.crashed.add(unit)  # it survived alone, and the part has now died of it a second time
        else:
            self._suspect(task, unit)
        self._tasks.appendleft(task)

    def _suspect(self, task: _Task[Job], unit: int) -> None:
        task.deaths += unit == NO_UNIT
        if task.deaths >= _DEATHS:
            raise DataError(
                f"part {task.index}: its worker process died {task.deaths} times, though no picture of it does so "
                "alone; perhaps the memory is short: try a smaller PREP_WORKERS"
            )
        known = task.crashed | task.cleared
        task.suspects = (
            [unit] if unit != NO_UNIT else [one for one in range(self._count_units(task.job)) if one not in known]
        )


def _restore(environment: dict[str, str | None]) -> None:
    for name, value in environment.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _work(pipe: Connection, unit: Any, function: PartFunction[Any, Any]) -> None:
    """Live as a worker: take a part, do it, report; until the pipe closes."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers; they need not each say so

    def at(number: int) -> None:
        unit.value = number

    while True:
        try:
            job, only, crashed = pipe.recv()
        except (EOFError, ConnectionResetError):
            return
        answer: tuple[Exception | None, Any]
        try:
            answer = None, function(job, Units(at, only, crashed))
        except Exception as error:  # noqa: BLE001  whatever it is, the parent raises it
            answer = error, None
        try:
            pipe.send(answer)
        except (BrokenPipeError, ConnectionResetError):
            return  # the parent was killed: no one is left to hear it
