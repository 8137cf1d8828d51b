"""What a snapshot holds, what is wrong with one, and what the identity of a file is."""

import hashlib
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.core.errors import LineageError
from pipeline.core.lineage.identity import FileIdentity, file_md5, is_ignored
from pipeline.core.lineage.snapshot import (
    Input,
    Snapshot,
    file_table,
    read_snapshot,
    rows_id,
    tool_versions,
    write_snapshot,
)
from pipeline.core.tables import digest_rows


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def test_a_snapshot_is_sorted_json_that_reads_back(tmp_path):
    inputs = (Input("a", "b", "c"), Input("d", "e"))
    files, beside = {"f": {"md5": "m", "size": 3}}, {"g": {"md5": "n", "size": 4}}
    whole = Snapshot("stäge", "1", inputs, {"z": 1, "a": [2]}, {"t": "1"}, files, {"c": {}}, {"device": "cpu"}, beside)
    write_snapshot(tmp_path, whole)
    text = (tmp_path / "snapshot.json").read_bytes().decode("utf-8")
    content = json.loads(text)
    assert text == json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    assert "stäge" in text
    assert content["inputs"] == [
        {"path": "a", "md5": "b", "snapshot": "c"}, {"path": "d", "md5": "e", "snapshot": None},
    ]  # fmt: skip
    again = read_snapshot(tmp_path)
    assert again == whole
    assert content["beside"] == {"g": {"md5": "n", "size": 4}}


GOOD = {"stage": "a", "id": "b", "inputs": [{"path": "x", "md5": "y"}], "params": {}, "tools": {}, "files": {}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"stage": 1}, "stage must be a text, not 1"),
        ({"id": None}, "id must be a text, not None"),
        ({"inputs": [{"path": 1, "md5": "y"}]}, "inputs.path must be a text, not 1"),
        ({"inputs": [{"path": "x", "md5": 2}, {"path": "x", "md5": "y"}]}, "inputs.md5 must be a text, not 2"),
        ({"inputs": [{"path": "x", "md5": "y", "snapshot": 3}]}, "inputs.snapshot must be a text, not 3"),
        ({"params": []}, "params must be a mapping"), ({"tools": []}, "tools must be a mapping"),
        ({"files": []}, "files must be a mapping"), ({"contract": []}, "contract must be a mapping"),
        ({"ran": []}, "ran must be a mapping"), ({"beside": []}, "beside must be a mapping"),
        ({"files": {"f": 5}}, "f must have an md5"), ({"files": {"f": {"md5": 5}}}, "f must have an md5"),
        ({"beside": {"g": {}}}, "g must have an md5"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_snapshot_is_said(tmp_path, change, said):
    (tmp_path / "snapshot.json").write_text(json.dumps(GOOD | change))
    with pytest.raises(LineageError) as caught:
        read_snapshot(tmp_path)
    assert str(caught.value) == f"{tmp_path / 'snapshot.json'}: not a snapshot: {said}"


def test_tools_are_those_that_are_installed():
    from importlib.metadata import version

    found = tool_versions(["pytest", "no-such-tool", "numpy"])
    assert list(found.items()) == [("numpy", version("numpy")), ("pytest", version("pytest"))]


def test_the_id_is_of_rows_and_of_bytes(tmp_path):
    table = pa.table({"a": [1, 2]})
    pq.write_table(table, tmp_path / "t.parquet")
    (tmp_path / "b.bin").write_bytes(b"x")
    whole = {"b.bin": hashlib.sha256(b"x").hexdigest(), "t.parquet": digest_rows(tmp_path / "t.parquet")}
    expected = hashlib.sha256(json.dumps(whole).encode()).hexdigest()
    assert rows_id(tmp_path, ["t.parquet", "b.bin"]) == rows_id(tmp_path, ["b.bin", "t.parquet"]) == expected
    # The rows, not the container: another compression is the same.
    pq.write_table(table, tmp_path / "t.parquet", compression="zstd")
    assert rows_id(tmp_path, ["t.parquet", "b.bin"]) == expected
    assert file_table([FileIdentity("a", 3, "m")]) == {"a": {"md5": "m", "size": 3}}


@pytest.mark.parametrize(
    ("name", "folder", "ignored"),
    [(".x.partial", True, True), (".x.partial", False, True), ("x.partial", False, False), (".x", False, False),
     (".git", False, True), ("__pycache__", True, True), (".hg", True, True), (".hg", False, False),
     (".dvc", True, True), (".dvc", False, False), ("git", True, False)],
)  # fmt: skip
def test_what_dvc_passes_over(name, folder, ignored):
    assert is_ignored(name, folder=folder) == ignored


def test_a_file_of_several_chunks_is_hashed_whole(tmp_path):
    content = bytes(range(256)) * 5000  # more than one mebibyte
    (tmp_path / "large").write_bytes(content)
    assert file_md5(tmp_path / "large") == md5(content)
    with pytest.raises(LineageError, match=r"none: cannot be read: No such file or directory$"):
        file_md5(tmp_path / "none")
