"""The worker's side of `supervised`: what a worker process receives, what it reports, and its loop."""

import errno
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Final, Literal, TypeVar

from pipeline.core.errors import is_short_of_memory
from pipeline.core.parallel.pool import end_with_parent
from pipeline.core.tables import pass_pandas_over

Job = TypeVar("Job")
Result = TypeVar("Result")

# The unit of a worker that works on none in particular.
NO_UNIT: Final = -1
# Why a unit is given up: its process died, or did not finish it before the deadline.
Lost = Literal["died", "hung"]


def _silent(unit: int) -> None:
    """Ignore a report."""


@dataclass(frozen=True, slots=True)
class Units:
    """Which units of a part to work on, and how to report progress.

    Attributes:
        at: call `at(unit)` before doing anything with a unit that could crash the process or take too long, and
            `at(NO_UNIT)` before work on several units at once.
        finish: call `finish(count)` when `count` more units are done; for the progress bar.
        only: the one unit to work on, when it is tried alone; the result is discarded. None: all units.
        lost: the units to leave out because they ended a process before, with the reason.
    """

    at: Callable[[int], None] = _silent
    finish: Callable[[int], None] = _silent
    only: int | None = None
    lost: Mapping[int, Lost] = field(default_factory=dict)


PartFunction = Callable[[Job, Units], Result]


class Started:
    """Sent by a worker before its first part, to tell a death at the start from a death at work."""


def work(pipe: Connection, unit: Any, beat: Any, done: Any, function: PartFunction[Any, Any]) -> None:
    """Run as a worker: receive a part, do it and send the result, until the pipe closes.

    Args:
        pipe: this end of the connection with the parent.
        unit: the number of the current unit, in shared memory.
        beat: how many times the current unit has been reported, in shared memory.
        done: the number of finished units of the part, in shared memory.
        function: does one part.
    """
    end_with_parent()
    pass_pandas_over()
    # Ctrl-C reaches every process. The parent ends its workers, so that not each of them prints a traceback.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def at(number: int) -> None:
        # Shared memory and not the pipe: what was written last can be read even if this process crashes right after.
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
        except Exception as error:  # noqa: BLE001  the parent raises it, whatever it is
            if is_short_of_memory(error):
                # As if the kernel had ended this process: the unit is tried alone in a new one, and blamed if it is so.
                os._exit(errno.ENOMEM)
            answer = error, None
        try:
            pipe.send(answer)
        except (BrokenPipeError, ConnectionResetError):
            return  # the parent was killed, so nobody needs the answer
