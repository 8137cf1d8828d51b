"""Work over processes: order, errors, and workers that die."""

import functools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from pipeline.core.errors import DataError, ParamsError
from pipeline.core.parallel.engine import map_ordered, map_parts
from pipeline.core.parallel.pool import AHEAD, finish_units, worker_count
from pipeline.core.parallel.units import Units
from tests.imports import ROOT


def _square(number: int) -> int:
    return number * number


def _die(number: int) -> int:
    if number == 2:
        os.abort()
    return number


@pytest.mark.parametrize("threads", [False, True])
@pytest.mark.parametrize("workers", [1, 3])
def test_results_come_in_order(workers, threads):
    squares = map_ordered(_square, range(70), workers, threads=threads)
    assert list(squares) == [number * number for number in range(70)]


class _Watched(Sequence):
    """Numbers, and the last one that was asked for."""

    asked = -1

    def __len__(self):
        return 100

    def __getitem__(self, number):
        if number >= len(self):
            raise IndexError
        self.asked = number
        return number


@pytest.mark.parametrize("threads", [False, True])
def test_jobs_are_handed_out_only_a_few_ahead(threads):
    jobs = _Watched()
    for done, _ in enumerate(map_ordered(_square, jobs, 2, threads=threads)):
        assert jobs.asked <= done + 2 * AHEAD


def _fail(number: int) -> int:
    if number == 3:
        raise DataError("part 3 is wrong")
    return number


@pytest.mark.parametrize(("workers", "threads"), [(1, False), (2, False), (2, True)])
def test_an_error_comes_in_its_turn(workers, threads):
    results = map_ordered(_fail, range(50), workers, threads=threads)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(DataError, match="part 3 is wrong"):
        next(results)


def _slowly(units: int) -> int:
    for _ in range(units):
        time.sleep(0.06)
        finish_units(1)
    return units


def _slow_part(job: int, units: Units) -> int:
    for unit in range(job) if units.only is None else [units.only]:
        units.at(unit)
        time.sleep(0.06)
        units.finish(1)
    return job


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("kind", ["supervised", "processes", "threads"])
def test_progress_moves_within_a_part(workers, kind):
    heard: list[int] = []
    jobs = [20, 12]
    if kind == "supervised":
        results = map_parts(_slow_part, jobs, workers, lambda job: job, deadline_s=60, report=heard.append)
    else:
        results = map_ordered(_slowly, jobs, workers, heard.append, threads=kind == "threads")
    assert list(results) == jobs
    assert heard == sorted(heard)
    assert heard[-1] == 32
    assert len({done for done in heard if 0 < done < 32 and done not in jobs}) > 2


def test_what_is_done_twice_counts_once(tmp_path):
    """The part dies at its third unit, which is tried alone, and the others are done again without it."""
    heard: list[int] = []
    jobs = [("counted", 4, str(tmp_path / "log"))]
    (result,) = map_parts(_part, jobs, 1, _count, deadline_s=600, report=heard.append)
    assert result[1] == [0, 1, 3]
    assert heard == sorted(heard)
    assert heard[-1] == 4


def test_a_dead_process_is_one_line():
    with pytest.raises(DataError, match="a worker process died"):
        list(map_ordered(_die, range(5), 2))


def test_worker_count(monkeypatch):
    monkeypatch.setenv("PREP_WORKERS", "3")
    assert worker_count() == 3
    monkeypatch.delenv("PREP_WORKERS")
    assert worker_count() == len(os.sched_getaffinity(0))
    for wrong in ("0", "-1", "two", "1.5"):
        monkeypatch.setenv("PREP_WORKERS", wrong)
        with pytest.raises(ParamsError, match="PREP_WORKERS"):
            worker_count()


def _part(job: tuple[str, int, str], units: Units) -> tuple[int, list[int], bool]:
    """Work on the units of a job as it says; deaths leave a line in a log."""
    kind, count, log = job
    done = []
    for unit in range(count) if units.only is None else [units.only]:
        if unit in units.lost:
            continue
        units.at(unit)
        if kind == "batch":
            units.at(-1)
        deadly = unit == 2
        if kind == "once":
            deadly = deadly and not Path(log).exists()
        if kind == "company":  # only dies when it is not alone, whatever is left out
            deadly = units.only is None and unit == 0
            units.at(-1)
        if kind in ("hang", "busy") and deadly:
            with Path(log).open("a") as stream:
                stream.write(f"{unit} {units.only} {units.lost}\n")
            while kind == "busy":  # holds the interpreter, as a decoder in C can
                re.match(r"(a+)+$", "a" * 40 + "b")
            time.sleep(600)
        if deadly and kind != "well":
            with Path(log).open("a") as stream:
                stream.write(f"{unit} {units.only}\n")
            _ = bytearray(1 << 60) if kind == "memory" else os.kill(os.getpid(), signal.SIGKILL)
        if kind == "error":
            raise DataError("row 3 of b.csv: wrong")
        done.append(unit)
        units.finish(1)
    threads = all(os.environ.get(name) == "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"))
    return os.getpid(), done, threads


def _count(job: tuple[str, int, str]) -> int:
    return job[1]


def _run(kinds, tmp_path, workers):
    jobs = [(kind, 4, str(tmp_path / f"{index}.log")) for index, kind in enumerate(kinds)]
    return list(map_parts(_part, jobs, workers, _count, deadline_s=0.5 if {"hang", "busy"} & set(kinds) else 600))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_deadly_unit_is_tried_alone_and_left_out(tmp_path, workers):
    start = time.monotonic()
    results = _run(["well", "deadly", "well"], tmp_path, workers)
    assert time.monotonic() - start < 30
    assert [done for _, done, _ in results] == [[0, 1, 2, 3], [0, 1, 3], [0, 1, 2, 3]]
    assert (tmp_path / "1.log").read_text().splitlines() == ["2 None", "2 2"]
    assert all(threads for *_, threads in results)
    assert os.getpid() not in {pid for pid, *_ in results}


def test_a_unit_that_dies_once_is_kept(tmp_path):
    assert [done for _, done, _ in _run(["once"], tmp_path, 1)] == [[0, 1, 2, 3]]
    assert (tmp_path / "0.log").read_text().splitlines() == ["2 None"]


def test_a_death_in_a_batch_is_traced_to_its_unit(tmp_path):
    assert [done for _, done, _ in _run(["batch"], tmp_path, 1)] == [[0, 1, 3]]


@pytest.mark.parametrize("kind", ["hang", "busy"])
def test_a_unit_that_does_not_end_is_tried_alone_and_left_out(tmp_path, kind):
    assert [done for _, done, _ in _run(["well", kind], tmp_path, 1)] == [[0, 1, 2, 3], [0, 1, 3]]
    assert (tmp_path / "1.log").read_text().splitlines() == ["2 None {}", "2 2 {}"]


def _tell(_: str, units: Units) -> dict[int, str]:
    for unit in range(2):
        if unit not in units.lost and units.only in (None, unit):
            units.at(unit)
            if unit == 0:
                os.abort()
            time.sleep(600)
    return dict(units.lost)


def test_it_is_told_how_each_unit_ended_its_process():
    assert list(map_parts(_tell, [""], 1, lambda _: 2, deadline_s=0.5)) == [{0: "died", 1: "hung"}]


def _send_half(pipe: Connection, message: bytes) -> None:
    os.write(pipe.fileno(), message[: len(message) // 2])
    os.kill(os.getpid(), signal.SIGKILL)


def _die_while_answering(log: str, units: Units) -> str:
    units.at(0)
    if not Path(log).exists():
        Path(log).touch()
        Connection._send = _send_half  # in this process alone, which ends with it
    return "whole"


def test_a_death_with_half_of_the_answer_sent_is_a_death_like_any_other(tmp_path):
    logs = [str(tmp_path / f"{index}.log") for index in range(3)]
    assert list(map_parts(_die_while_answering, logs, 2, lambda _: 1, deadline_s=600)) == ["whole"] * 3


FROM_STANDARD_INPUT = """
import operator
from pipeline.core.parallel.supervised import map_parts
from pipeline.core.parallel.pool import map_ordered
print(list(map_ordered(abs, [-1, 2], 2)), list(map_parts(operator.is_, [1, 2], 2, int, deadline_s=60)))
"""


def test_a_script_on_standard_input_has_workers_too():
    done = subprocess.run([sys.executable, "-"], input=FROM_STANDARD_INPUT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "[1, 2] [False, False]\n")


def test_workers_that_never_start_are_told_as_that(tmp_path):
    """A script that starts workers whenever it is read, as each of them does."""
    script = tmp_path / "script.py"
    script.write_text(FROM_STANDARD_INPUT.replace("list(map_ordered(abs, [-1, 2], 2)), ", ""))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    said = done.stderr.splitlines()[-1]
    assert "a worker process ended while it started (exit code 1;" in said
    assert "__main__" in said


@pytest.mark.slow
def test_a_part_that_dies_though_no_unit_does_is_given_up(tmp_path):
    with pytest.raises(DataError, match="part 0: its worker process died 3 times"):
        _run(["company"], tmp_path, 1)


def test_an_error_of_the_work_is_raised_here(tmp_path):
    with pytest.raises(DataError, match=r"row 3 of b\.csv: wrong"):
        _run(["well", "error"], tmp_path, 2)


def test_no_jobs(tmp_path):
    assert _run([], tmp_path, 2) == []


def test_the_environment_is_as_before(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    _run(["well"], tmp_path, 1)
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ


def test_partial_functions_travel(tmp_path):
    doubled = functools.partial(_part)
    assert [done for _, done, _ in map_parts(doubled, [("well", 2, "")], 1, _count, deadline_s=600)] == [[0, 1]]


def test_without_affinity_every_core_counts(monkeypatch):
    monkeypatch.delenv("PREP_WORKERS", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert worker_count() == os.cpu_count()


LATE = """
import os, sys, time
sys.path.insert(0, {root!r})
from pipeline.core.parallel.pool import map_ordered

if __name__ == "__mp_main__":
    try:
        os.close(os.open("first", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        time.sleep(2)  # the second worker starts late

def double(number):
    return 2 * number

if __name__ == "__main__":
    print(*map_ordered(double, [1, 2, 3], 2))
"""


def test_a_worker_that_starts_when_all_is_done_says_nothing(tmp_path):
    (tmp_path / "late.py").write_text(LATE.format(root=str(ROOT)))
    done = subprocess.run([sys.executable, "late.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("2 4 6\n", "")


def test_a_unit_that_takes_all_memory_is_tried_alone_and_left_out(tmp_path):
    (result,) = _run(["memory"], tmp_path, 1)
    assert result[1] == [0, 1, 3]
    assert (tmp_path / "0.log").read_text() == "2 None\n2 2\n"
