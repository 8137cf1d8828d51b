"""A file is read once while it looks as it did; the clock here is one that goes in steps."""

import os

from pipeline.core.lineage import known
from pipeline.core.lineage.identity import file_md5


def test_a_file_that_is_old_enough_is_read_once(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_text("one")
    monkeypatch.setattr(known.time, "time_ns", lambda: path.stat().st_ctime_ns + 2_000_000_000)
    read = []
    monkeypatch.setattr(known, "file_md5", lambda path: read.append(path) or file_md5(path))
    files = known.KnownFiles()
    assert files.md5(path) == files.md5(path) == file_md5(path)
    assert read == [path]


def test_a_change_while_a_young_file_is_read_is_seen_later(tmp_path, monkeypatch):
    """Reading takes long, so that the file is old by the time that it is done; its look was taken before."""
    path = tmp_path / "a"
    path.write_text("one")
    look = known.look_of(path.stat())
    now = iter([look[2] + 1, look[2] + 3_000_000_000])
    monkeypatch.setattr(known.time, "time_ns", lambda: next(now, look[2] + 5_000_000_000))
    monkeypatch.setattr(known, "look_of", lambda found: look)  # a clock too coarse to tell the two apart
    files = known.KnownFiles()
    first = files.md5(path)
    path.write_text("two")
    assert files.md5(path) == file_md5(path) != first
    os.utime(path)
