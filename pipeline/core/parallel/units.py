"""What a worker process of `supervised` is given, what it reports, and its loop."""

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Final, Literal, TypeVar

from pipeline.core.parallel.pool import end_with_parent

Job = TypeVar("Job")
Result = TypeVar("Result")

NO_UNIT: Final = -1
Lost = Literal["died", "hung"]


def _silent(unit: int) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True)
class Units:
    """Which units of a part to work on, and where to report it.

    `at(unit)` is to be called before anything is done that could kill the process on account of that unit, and
    `at(NO_UNIT)` before what is done for several at once. `only` is set when one unit is tried alone; what the function
    returns then is thrown away. `lost` are to be left out: those that ended the process, with the reason.
    `finish(count)` says that so many more are done, for the progress bar.
    """

    at: Callable[[int], None] = _silent
    finish: Callable[[int], None] = _silent
    only: int | None = None
    lost: Mapping[int, Lost] = field(default_factory=dict)


PartFunction = Callable[[Job, Units], Result]


class Started:
    """What a worker reports before its first part."""


def work(pipe: Connection, unit: Any, beat: Any, done: Any, function: PartFunction[Any, Any]) -> None:
    """Live as a worker: take a part, do it, report; until the pipe closes."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers; they need not each say so

    def at(number: int) -> None:
        unit.value = number
        beat.value += 1

    def finish(count: int) -> None:
        done.value += count

    pipe.send((None, Started))
    while True:
        try:
            job, only, lost = pipe.recv()
        except (EOFError, OSError):
            return
        answer: tuple[Exception | None, Any]
        try:
            answer = None, function(job, Units(at, finish, only, lost))
        except Exception as error:  # noqa: BLE001  whatever it is, the parent raises it
            answer = error, None
        try:
            pipe.send(answer)
        except (BrokenPipeError, ConnectionResetError):
            return  # the parent was killed: no one is left to hear it
