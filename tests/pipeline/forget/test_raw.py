"""What a raw tree holds packed is found, and the commands that are printed take it out."""

import subprocess
import tarfile
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.decisions.forgotten import Digest
from pipeline.forget.commands import removal
from pipeline.forget.digests import md5_of
from pipeline.forget.look import Wanted
from pipeline.forget.raw import in_raw

GONE, KEPT = b"\xff\xd8\xff the withdrawn picture", b"\xff\xd8\xff another picture"
WANTED = Wanted([Digest("mine/happy/a.jpg#0", "picture", md5_of(GONE))], ["mine/happy/a.jpg#0"])


def pack(path, names):
    """Pack the withdrawn picture under the first name and another under the second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in zip(names, (GONE, KEPT), strict=True):
                archive.writestr(name, content)
        return
    loose = path.parent.parent.parent / "loose"
    with tarfile.open(path, "w:gz" if path.suffix in {".tgz", ".gz"} else "w") as archive:
        for number, content in enumerate((GONE, KEPT)):
            loose.write_bytes(content)
            archive.add(loose, names[number])


def contents(path):
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return [archive.read(name) for name in archive.namelist()]
    with tarfile.open(path) as archive:
        return [archive.extractfile(member).read() for member in archive]


@pytest.mark.parametrize("name", ["p.zip", "p.tar", "p.tgz", "p: q.tar", "p.tar.gz"])
@pytest.mark.parametrize("first", ["happy/a.jpg", "./happy/a[1]*.jpg", "-rf", "happy/12:30 a.jpg"])
@pytest.mark.parametrize("unpacked", [False, True])
def test_a_member_of_an_archive_is_found_and_removed(tmp_path, monkeypatch, name, first, unpacked):
    monkeypatch.chdir(tmp_path)
    archive = tmp_path / "raw/mine" / name
    pack(archive, (first, "sad/b.jpg"))
    src = "raw/mine"
    (tmp_path / src / "labels.txt").write_text("no picture")
    if unpacked:  # the archive that was downloaded still lies beside its files
        (tmp_path / src / "happy").mkdir()
        (tmp_path / src / "happy/a.jpg").write_bytes(GONE)
    holders = list(in_raw(WANTED, src))
    assert len(holders) == 1 + unpacked
    for line in removal(holders):
        if line.startswith("dvc repro"):
            break
        subprocess.run(["bash", "-c", line], check=True, capture_output=True)
    assert list(in_raw(WANTED, src)) == []
    assert contents(archive) == [KEPT]


def test_a_colon_in_the_name_of_a_file_is_no_archive(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "raw/mine/12:30 party.jpg"
    place.parent.mkdir(parents=True)
    place.write_bytes(GONE)
    commands = list(removal(list(in_raw(WANTED, "raw/mine"))))
    assert commands[:2] == ["rm 'raw/mine/12:30 party.jpg'", "dvc repro"]


@pytest.mark.parametrize("kind", ["parquet", "arrow", "stream"])
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_a_row_of_a_raw_table_is_found(tmp_path, kind, nested, packed):
    values = [{"bytes": one, "path": None} for one in (GONE, KEPT)] if nested else [GONE, KEPT]
    table = pa.table({"img": values, "label": [0, 1]})
    path = tmp_path / ("t.parquet" if kind == "parquet" else "t.arrow")
    for rows, found in ((table, True), (table.slice(1), False)):
        if kind == "parquet":
            pq.write_table(rows, path)
        else:
            write = pa.ipc.new_file if kind == "arrow" else pa.ipc.new_stream
            with write(path, rows.schema) as writer:
                writer.write_table(rows)
        src = tmp_path
        if packed:
            src = tmp_path / "all.zip"
            with zipfile.ZipFile(src, "w") as archive:
                archive.write(path, f"data/{path.name}")
        holders = list(in_raw(WANTED, str(src)))
        assert [holder.kind for holder in holders] == ["table"] * found
        if found:
            assert (holders[0].member != "") == packed
            assert next(removal(holders)).startswith("# no command edits")


def test_a_result_that_no_stage_writes_is_removed_as_a_whole(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "runs/export/fiftyone/mine/data"
    data.mkdir(parents=True)
    (data.parent / "snapshot.json").write_text("{}")
    (data / "a.jpg").write_bytes(GONE)
    from pipeline.forget.places import find_holders

    assert "rm -rf runs/export/fiftyone/mine" in list(removal(list(find_holders(WANTED, {}))))


def test_an_archive_that_nobody_can_read_is_not_proven(tmp_path):
    (tmp_path / "p.rar").write_bytes(b"Rar!")
    (holder,) = in_raw(WANTED, str(tmp_path))
    assert holder.kind == "unproven"
