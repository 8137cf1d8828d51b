import errno
import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from pipeline.core.errors import DataError, LineageError, OutputError, OutputUseError
from pipeline.core.lineage import known
from pipeline.core.lineage.identity import file_md5, identity
from pipeline.core.lineage.snapshot import read_snapshot
from pipeline.core.schema import REJECTS, SPLIT, Reason
from pipeline.core.stage_output import Reject, Source, stage_output
from pipeline.core.tables import read_table, rows_to_table


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "a.txt").write_text("a")


def run(out: Path, rows: int = 3, rejected: int = 0, sources=(Path("source"),)) -> None:
    with stage_output(out, stage="split", sources=sources, params={"seed": 1}, tools=["numpy", "absent"]) as output:
        table = rows_to_table([{"sample_id": str(n), "split": "train", "group_id": "g"} for n in range(rows)], SPLIT)
        output.write_table("split.parquet", table)
        output.reject(Reject(f"r{n}", "d", Reason.unlabelled, "no label") for n in reversed(range(rejected)))
        output.finish(rows_in=rows + rejected, rows_out=rows)


def test_an_output_has_table_rejects_summary_and_snapshot(tmp_path):
    run(tmp_path / "out", rows=3, rejected=2)
    assert json.loads((tmp_path / "out/summary.json").read_text()) == {
        "rows_in": 5,
        "rows_out": 3,
        "rejected": {"unlabelled": 2},
    }
    rejects = read_table(tmp_path / "out/rejects.parquet", schema=REJECTS).to_pylist()
    assert [row["sample_id"] for row in rejects] == ["r0", "r1"]
    assert {row["stage"] for row in rejects} == {"split"}
    snapshot = read_snapshot(tmp_path / "out")
    assert [(given.path, given.md5) for given in snapshot.inputs] == [("source", identity(tmp_path / "source"))]
    assert set(snapshot.files) == {"split.parquet", "rejects.parquet", "summary.json"}
    assert set(snapshot.tools) == {"numpy"}


def test_two_runs_are_the_same_bytes_and_other_rows_another_id(tmp_path):
    run(tmp_path / "a")
    run(tmp_path / "b")
    run(tmp_path / "c", rows=4)
    assert identity(tmp_path / "a") == identity(tmp_path / "b")
    assert read_snapshot(tmp_path / "a").id != read_snapshot(tmp_path / "c").id


def test_no_absolute_path_is_written(tmp_path):
    run(tmp_path / "a", sources=(tmp_path / "source",))
    assert str(tmp_path) not in (tmp_path / "a/snapshot.json").read_text()


def test_lost_rows_are_an_error_and_leave_the_old_result(tmp_path):
    out = tmp_path / "out"
    run(out)
    before = identity(out)
    with (
        pytest.raises(OutputError, match="5 rows came in, 3 went out and 0 were rejected"),
        stage_output(out, stage="split", sources=[], params={}) as output,
    ):
        output.finish(rows_in=5, rows_out=3)
    assert identity(out) == before
    assert [path.name for path in tmp_path.iterdir() if ".partial" in path.name] == []


def test_no_row_left_is_an_error_that_says_why_and_leaves_the_old_result(tmp_path):
    out = tmp_path / "out"
    run(out)
    before = identity(out)
    lost = [Reject(f"toy/{number}.png#0", "toy", Reason.no_face, "no attempt saw one") for number in range(3)]
    with (
        pytest.raises(
            DataError, match=r"split: none of 3 rows is left; 3 of them no_face: toy/0\.png#0: no attempt saw"
        ),
        stage_output(out, stage="split", sources=[], params={}) as output,
    ):
        output.reject(lost)
        output.finish(rows_in=3, rows_out=0)
    assert identity(out) == before


def test_an_input_that_moves_meanwhile_is_an_error(tmp_path):
    with (
        pytest.raises(LineageError, match="source: changed while it was being read"),
        stage_output(tmp_path / "out", stage="s", sources=[Path("source")], params={}) as output,
    ):
        output.finish(rows_in=0, rows_out=0)
        (tmp_path / "source" / "b.txt").write_text("b")
    assert not (tmp_path / "out").exists()


def change_unseen(path: Path) -> None:
    """Write other bytes of the same size, and set the time of change back."""
    before = path.stat()
    with path.open("r+b") as stream:
        stream.write(b"x" * before.st_size)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


@pytest.mark.parametrize("age_s", [0, 1.5])
def test_a_change_that_keeps_size_and_time_is_an_error_too(tmp_path, age_s):
    """Just after a file was made, its times may be too coarse to tell; later, the time that nobody can set does."""
    (tmp_path / "source/a.txt").write_text("a")
    time.sleep(age_s)
    with (
        pytest.raises(LineageError, match="source: changed while it was being read"),
        stage_output(tmp_path / "out", stage="s", sources=[Path("source")], params={}) as output,
    ):
        output.finish(rows_in=0, rows_out=0)
        change_unseen(tmp_path / "source/a.txt")


def test_a_file_that_was_only_touched_is_no_error(tmp_path):
    with stage_output(tmp_path / "out", stage="s", sources=[Path("source")], params={}) as output:
        output.finish(rows_in=0, rows_out=0)
        (tmp_path / "source/a.txt").touch()
        (tmp_path / "source/b.txt").write_bytes(b"")
        (tmp_path / "source/b.txt").unlink()
    assert read_snapshot(tmp_path / "out").inputs[0].md5 == identity(tmp_path / "source")


def test_each_input_is_hashed_once_and_only_what_was_touched_again(tmp_path, monkeypatch):
    for number in range(20):
        (tmp_path / f"source/{number}.txt").write_text(str(number))
    time.sleep(1.1)
    hashed = []
    monkeypatch.setattr(known, "file_md5", lambda path: hashed.append(path.name) or file_md5(path))
    with stage_output(tmp_path / "out", stage="s", sources=[Path("source"), Path("source/3.txt")], params={}) as output:
        output.finish(rows_in=0, rows_out=0)
        assert sorted(hashed) == sorted([*(f"{number}.txt" for number in range(20)), "a.txt"])
        (tmp_path / "source/7.txt").touch()
    assert hashed[21:] == ["7.txt"]


def test_a_given_identity_is_taken_as_it_is(tmp_path):
    run(tmp_path / "out", sources=[Source(Path("source"), "0123.dir")])
    assert read_snapshot(tmp_path / "out").inputs[0].md5 == "0123.dir"


def test_a_folder_of_someone_else_is_never_replaced(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("ten years")
    with pytest.raises(OutputUseError, match="home: not empty and not an output of prep"):
        run(tmp_path / "home")
    assert (tmp_path / "home" / "thesis.txt").read_text() == "ten years"


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputUseError, match="out: is a file"):
        run(tmp_path / "out")


def test_a_full_disk_changes_nothing(tmp_path):
    run(tmp_path / "out")
    before = identity(tmp_path / "out")
    with (
        pytest.raises(OutputError, match="the disk is full; nothing was changed"),
        stage_output(tmp_path / "out", stage="split", sources=[], params={}),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert identity(tmp_path / "out") == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
@pytest.mark.parametrize("name", [".split.parquet.partial", "summary.json", "snapshot.json"])
def test_whatever_file_the_disk_is_full_for_it_is_said_in_the_same_words(tmp_path, name):
    run(tmp_path / "out")
    before = identity(tmp_path / "out")
    with (
        pytest.raises(OutputError, match="out: the disk is full; nothing was changed"),
        stage_output(tmp_path / "out", stage="split", sources=[], params={}) as output,
    ):
        output.path(name).symlink_to("/dev/full")
        output.write_table(
            "split.parquet", rows_to_table([{"sample_id": "a", "split": "train", "group_id": "g"}], SPLIT)
        )
        output.finish(rows_in=1, rows_out=1)
    assert identity(tmp_path / "out") == before


def _hold(folder: str) -> None:
    os.chdir(folder)
    with stage_output(Path("out"), stage="split", sources=[], params={}) as output:
        output.path("half.bin").write_bytes(b"half")
        Path("holding").touch()
        time.sleep(60)


def test_two_runs_at_once_and_a_killed_run(tmp_path):
    run(tmp_path / "out")
    before = identity(tmp_path / "out")
    process = multiprocessing.get_context("spawn").Process(target=_hold, args=(str(tmp_path),))
    process.start()
    while not (tmp_path / "holding").exists():
        assert process.is_alive()
        time.sleep(0.01)
    with pytest.raises(OutputError, match="another run is writing it"):
        run(tmp_path / "out")
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert identity(tmp_path / "out") == before
    assert list(tmp_path.glob(".out.partial/*/half.bin"))
    run(tmp_path / "out", rows=7)
    assert not (tmp_path / ".out.partial").exists()


def test_the_result_of_another_stage_is_never_replaced(tmp_path):
    run(tmp_path / "out")
    before = identity(tmp_path / "out")
    with (
        pytest.raises(OutputUseError, match="out: holds the result of split"),
        stage_output(tmp_path / "out", stage="shard", sources=[], params={}),
    ):
        pass
    assert identity(tmp_path / "out") == before


@pytest.mark.parametrize("out", ["source", "source/inside", "."])
def test_what_is_read_is_never_written_over(tmp_path, out):
    (tmp_path / "summary.json").write_text("{}")
    (tmp_path / "source" / "summary.json").write_text("{}")
    with pytest.raises(OutputUseError, match="is, holds or lies in source, which is read"):
        run(tmp_path / out)
    assert (tmp_path / "source" / "a.txt").read_text() == "a"
