"""Work for the tests of the engines. Nodes import it by its name."""

import os
import signal
import sys
import time
from pathlib import Path

from pipeline.core.errors import DataError
from pipeline.core.parallel.pool import finish_units
from pipeline.core.parallel.units import Units


def square(number: int) -> int:
    finish_units(1)
    return number * number


def fail(number: int) -> int:
    if number == 3:
        raise DataError("row 3 of b.csv: wrong")
    return number


def surroundings(_: int) -> dict[str, str]:
    names = ("PREP_CLUSTER", "PREP_DEVICE", "OMP_NUM_THREADS")
    return {"cwd": os.getcwd(), **{name: os.environ.get(name, "") for name in names}, "path": os.pathsep.join(sys.path)}


def count(job: str) -> int:
    return 4


def pictures(job: str, units: Units) -> tuple[str, list[int], dict[int, str]]:
    """Work on four pictures; the second of a job "kill" ends its process, that of a job "hang" does not end."""
    done = []
    for unit in range(4) if units.only is None else [units.only]:
        if unit in units.lost:
            continue
        units.at(unit)
        if unit == 1 and job == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if unit == 1 and job == "hang":
            time.sleep(600)
        if unit == 1 and job == "error":
            raise DataError("row 3 of b.csv: wrong")
        done.append(unit)
        units.finish(1)
    return job, done, dict(units.lost)


def die_once(log: str) -> str:
    """End the process that does this, which is Ray's own worker on a cluster; the second try succeeds."""
    if not Path(log).exists():
        Path(log).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return log


def die(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hang_once(log: str) -> str:
    if not Path(log).exists():
        Path(log).touch()
        time.sleep(600)
    return log


def slowly(number: int) -> tuple[int, int]:
    time.sleep(0.5)
    return number, os.getppid()


def large(number: int) -> bytes:
    return bytes([number]) * (20 << 20)


def gpu(_: int, units: Units) -> tuple[str, float]:
    began = time.time()
    time.sleep(1)
    return os.environ.get("CUDA_VISIBLE_DEVICES", ""), began
