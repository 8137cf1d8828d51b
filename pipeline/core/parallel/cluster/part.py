"""Doing one part on a node, in a worker process of Ray: there, too, what may crash runs in a supervised process."""

import os
import pickle
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pipeline.core.errors import DataError
from pipeline.core.parallel.cluster.code import digest
from pipeline.core.parallel.pool import counting
from pipeline.core.parallel.supervised import Supervisor

# Progress is posted this often (s), for each post is a message over the network.
_POST_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Part:
    """One part as it is sent to a node.

    Attributes:
        index: its position among the jobs.
        function: `function(job)`, or `function(job, units)` of a supervised part.
        job: what the function receives.
        code: the driver's `code.digest`.
        count_units: returns how many units a job has; None for a part that is not supervised.
        deadline_s: the seconds that one unit of a supervised part may take.
    """

    index: int
    function: Callable[..., Any]
    job: Any
    code: str
    count_units: Callable[[Any], int] | None = None
    deadline_s: float = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a part: its result or the error it raised, and how many units are done."""

    result: Any = None
    error: Exception | None = None
    units: int = 0


def do_part(payload: bytes, post: Callable[[int], None]) -> bytes:
    """Do a pickled `Part` and return a pickled `Answer`; `post` is told how many of its units are done."""
    counter = _Counter(post)
    try:
        part: Part = pickle.loads(payload)  # noqa: S301  from the driver, whose code runs here anyway
        # A node may join after the check at the start.
        if part.code != digest():
            raise DataError(f"node {socket.gethostname()}: has other code or libraries than the machine of the command")
        if part.count_units is None:
            with counting(counter.add):
                answer = Answer(part.function(part.job))
        else:
            answer = Answer(_supervise(part, part.count_units, counter))
    except Exception as error:  # noqa: BLE001  the driver raises it, whatever it is
        answer = Answer(error=error)
    return _dumps(Answer(answer.result, answer.error, counter.done))


class _Counter:
    def __init__(self, post: Callable[[int], None]) -> None:
        self.done = 0
        self._post, self._posted = post, time.monotonic()

    def add(self, count: int) -> None:
        self.done += count
        if time.monotonic() - self._posted > _POST_S:
            self._posted = time.monotonic()
            self._post(self.done)


@dataclass(slots=True)
class _Kept:
    """The supervised process of this worker. Loading detectors takes seconds, so it is kept for the parts to come."""

    key: tuple[Any, ...] = ()
    supervisor: Supervisor[Any, Any] | None = None

    def fit(self, part: Part, count_units: Callable[[Any], int]) -> Supervisor[Any, Any]:
        key = part.function, count_units, part.deadline_s, os.getcwd()
        if self.supervisor is None or key != self.key:
            self.end()
            self.key, self.supervisor = key, Supervisor(part.function, 1, count_units, part.deadline_s)
        return self.supervisor

    def end(self) -> None:
        if self.supervisor is not None:
            self.supervisor.dismiss()
            self.supervisor = None


_kept: Final = _Kept()


def _supervise(part: Part, count_units: Callable[[Any], int], counter: _Counter) -> Any:
    supervisor = _kept.fit(part, count_units)
    before = supervisor.count_done()
    try:
        supervisor.add(part.index, part.job)
        while part.index not in supervisor.results:
            supervisor.advance()
            counter.add(supervisor.count_done() - before - counter.done)
        return supervisor.results.pop(part.index)
    except BaseException:
        _kept.end()
        raise


def _dumps(answer: Answer) -> bytes:
    try:
        return pickle.dumps(answer)
    except Exception as error:  # noqa: BLE001  results and errors of others may be unpicklable in any way
        return pickle.dumps(Answer(error=DataError(f"a result that cannot be sent: {error}"), units=answer.units))
