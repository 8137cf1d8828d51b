"""A killed ingest does not hash again what it hashed, unless a file may have changed; then nothing of it is kept."""

import os
import time
import zipfile
from pathlib import Path

import pytest

from pipeline.core.lineage.identity import file_md5, identity
from pipeline.core.params import read_params
from pipeline.core.parts import Resume, kept_parts
from pipeline.core.tables import read_table
from pipeline.ingest.stage import run as ingest
from pipeline.ingest.trees import archive, folder
from pipeline.ingest.trees.tree import stream_md5

PARAMS = read_params(Path(__file__).parents[3] / "params.yaml").ingest


@pytest.fixture(params=["folder", "zip", "folder of zips"])
def raw(request, tmp_path, monkeypatch):
    """Six pictures in three batches; of a folder of zips, each in its own."""
    monkeypatch.setenv("PREP_WORKERS", "1")
    monkeypatch.setattr(folder, "_BATCH", 2)
    monkeypatch.setattr(archive, "_STEP_FILES", 2)
    names = [f"{('happy', 'sad')[number % 2]}/{number}.jpg" for number in range(6)]
    root = tmp_path / "raw"
    if request.param == "folder":
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(name.encode())
    else:
        root.mkdir()
        with zipfile.ZipFile(root / "all.zip", "w") as packed:
            for name in names:
                packed.writestr(name, name)
        if request.param == "zip":
            root = root / "all.zip"
    time.sleep(1.1)  # the times of younger files say nothing
    return root


def ingested(monkeypatch, raw, out, *, dies_after=99, fresh=False) -> tuple[list[str], int]:
    """Ingest, and return what was said of parts taken over, and how many files were hashed one by one."""
    said: list[str] = []
    hashed = 0

    def counted(stream):
        nonlocal hashed
        if hashed == dies_after:
            raise KeyboardInterrupt
        hashed += 1
        return stream_md5(stream)

    monkeypatch.setattr(folder, "stream_md5", counted)
    monkeypatch.setattr(archive, "stream_md5", counted)
    ingest(str(raw), out, PARAMS, dataset="toy", fmt="folder", resume=Resume(fresh, said.append))
    return said, hashed


def test_what_was_hashed_is_not_hashed_again(raw, tmp_path, monkeypatch):
    archives = int(raw.name == "raw" and (raw / "all.zip").exists())  # of which the file is hashed, too
    with pytest.raises(KeyboardInterrupt):
        ingested(monkeypatch, raw, tmp_path / "out", dies_after=3)
    assert ingested(monkeypatch, raw, tmp_path / "out") == (
        ["1 of 3 parts taken over from an earlier run"],
        4 + archives,
    )
    assert kept_parts(tmp_path) == []
    assert ingested(monkeypatch, raw, tmp_path / "clean") == ([], 6 + archives)
    assert identity(tmp_path / "out") == identity(tmp_path / "clean")


def test_a_file_that_changed_is_hashed_again(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "_BATCH", 1)
    monkeypatch.setenv("PREP_WORKERS", "1")
    for name in ("happy/0.jpg", "sad/1.jpg", "sad/2.jpg"):
        path = tmp_path / "raw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"before")
    time.sleep(1.1)
    with pytest.raises(KeyboardInterrupt):
        ingested(monkeypatch, tmp_path / "raw", tmp_path / "out", dies_after=2)
    changed = tmp_path / "raw/happy/0.jpg"
    times = changed.stat()
    changed.write_bytes(b"after!")
    os.utime(changed, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert ingested(monkeypatch, tmp_path / "raw", tmp_path / "out") == (
        ["1 of 3 parts taken over from an earlier run"],
        2,
    )
    rows = {row["source_path"]: row["source_md5"] for row in read_table(tmp_path / "out/samples.parquet").to_pylist()}
    assert rows["happy/0.jpg"] == file_md5(changed)


def test_a_file_that_is_too_young_is_hashed_again(tmp_path, monkeypatch):
    """It may change once more without getting another time."""
    monkeypatch.setenv("PREP_WORKERS", "1")
    monkeypatch.setattr(folder, "_BATCH", 1)
    for name in ("happy/0.jpg", "sad/1.jpg"):
        path = tmp_path / "raw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    with pytest.raises(KeyboardInterrupt):
        ingested(monkeypatch, tmp_path / "raw", tmp_path / "out", dies_after=1)
    assert ingested(monkeypatch, tmp_path / "raw", tmp_path / "out") == ([], 2)
