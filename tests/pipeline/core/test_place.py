"""Kills, power cuts and planted links: what is there by name is whole, and nobody else's file is touched."""

import multiprocessing
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.core import place
from pipeline.core.errors import OutputError
from pipeline.core.place import put_in_place, workplace

WORKERS = """
import multiprocessing, os, sys, time
from pathlib import Path
from pipeline.core.parallel.supervised import map_parts
from pipeline.core.parallel.pool import map_ordered

def work(job, units=None):
    Path(sys.argv[1], str(os.getpid())).touch()
    time.sleep(60)

if __name__ == "__main__":
    if sys.argv[2] == "supervised":
        list(map_parts(work, [1, 2], 2, int, deadline_s=600))
    else:
        list(map_ordered(work, [1, 2], 2))
"""


def fill(out, text):
    with workplace(out) as folder:
        (folder / "deep").mkdir()
        (folder / "deep/a.txt").write_text(text)
        put_in_place(folder, out)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("exchange", [True, False])
def test_a_result_takes_the_place_of_the_one_before(tmp_path, monkeypatch, exchange):
    if not exchange:
        monkeypatch.setattr(place, "_exchange", lambda *_: False)
    fill(tmp_path / "out", "first")
    fill(tmp_path / "out", "second")
    assert (tmp_path / "out/deep/a.txt").read_text() == "second"
    assert names(tmp_path) == ["out"]


@pytest.mark.skipif(sys.platform != "linux", reason="renameat2 is Linux's")
def test_the_exchange_is_one_step(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    assert place._exchange(tmp_path / "one", tmp_path / "other")
    assert (names(tmp_path / "one"), names(tmp_path / "other")) == (["other"], ["one"])


def test_killed_between_two_renames_the_next_run_gives_the_result_back(tmp_path):
    """Where folders cannot be exchanged: the old one has left its place, the new one is not there."""
    out = tmp_path / "out"
    fill(out, "first")
    beside = tmp_path / ".out.partial"
    beside.mkdir()
    out.rename(beside / "old")
    (beside / "0123").mkdir()
    with workplace(out):
        assert (out / "deep/a.txt").read_text() == "first"
    assert names(tmp_path) == ["out"]


def test_a_rename_that_fails_leaves_the_result_that_was_there(tmp_path, monkeypatch):
    out = tmp_path / "out"
    fill(out, "first")
    real = Path.rename

    def rename(path, target):
        if target == out and path.parent.name == ".out.partial" and path.name != "old":
            raise OSError(28, "No space left on device")
        return real(path, target)

    monkeypatch.setattr(place, "_exchange", lambda *_: False)
    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(OSError, match="No space"):
        fill(out, "second")
    assert (out / "deep/a.txt").read_text() == "first"
    assert names(tmp_path) == ["out"]


def test_every_byte_is_on_the_disk_before_its_name(tmp_path, monkeypatch):
    synced, order = set(), []
    real_sync, real_rename = os.fsync, Path.rename

    def fsync(opened):
        synced.add(os.fstat(opened).st_ino)
        real_sync(opened)

    def rename(path, target):
        order.append({found.stat().st_ino for found in [path, *path.rglob("*")]} <= synced)
        return real_rename(path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "rename", rename)
    fill(tmp_path / "out", "first")
    assert order == [True]
    assert tmp_path.stat().st_ino in synced  # and the name itself


def test_an_output_is_its_owners_alone(tmp_path):
    old = os.umask(0)
    try:
        fill(tmp_path / "out", "a face")
    finally:
        os.umask(old)
    found = [tmp_path / "out", *(tmp_path / "out").rglob("*")]
    assert {stat.S_IMODE(path.stat().st_mode) for path in found} == {0o700, 0o600}


@pytest.mark.parametrize("kind", ["link to a file", "link to a folder", "pipe"])
def test_what_someone_planted_is_neither_followed_nor_emptied(tmp_path, kind):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs/thesis.txt").write_text("ten years")
    planted = tmp_path / ".out.partial"
    if kind == "pipe":
        os.mkfifo(planted)
    else:
        planted.symlink_to(tmp_path / "theirs" / ("thesis.txt" if kind == "link to a file" else ""))
    with pytest.raises(OSError, match=r"\.out\.partial"), workplace(tmp_path / "out"):
        pass
    assert (tmp_path / "theirs/thesis.txt").read_text() == "ten years"


def test_a_second_run_is_refused_and_disturbs_nothing(tmp_path):
    with workplace(tmp_path / "out") as folder:
        (folder / "half").touch()
        with pytest.raises(OutputError, match="another run is writing it"), workplace(tmp_path / "out"):
            pass
        assert (folder / "half").exists()


def _write_late(folder, go):
    while not Path(go).exists():
        time.sleep(0.01)
    Path(folder, "part").write_text("of the dead run")


def test_a_late_worker_of_a_dead_run_writes_nowhere(tmp_path):
    """Its run was killed, the next one is on: it holds the path that its own run gave it."""
    with workplace(tmp_path / "out") as dead:
        context = multiprocessing.get_context("spawn")
        worker = context.Process(target=_write_late, args=(str(dead), str(tmp_path / "go")))
        worker.start()
    with workplace(tmp_path / "out") as folder:
        (tmp_path / "go").touch()
        worker.join()
        assert worker.exitcode != 0
        assert names(folder) == []


@pytest.mark.parametrize("kind", ["supervised", "pool"])
def test_workers_end_with_a_killed_parent(tmp_path, kind):
    script, told = tmp_path / "script.py", tmp_path / "told"
    script.write_text(WORKERS)
    told.mkdir()
    parent = subprocess.Popen([sys.executable, script, told, kind])
    try:
        wait_for(lambda: len(names(told)) == 2)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    wait_for(lambda: not any(is_alive(int(name)) for name in names(told)))


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def is_alive(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
