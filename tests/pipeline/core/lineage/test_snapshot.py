"""A snapshot that someone wrote by hand."""

import json

import pytest

from pipeline.core.errors import LineageError
from pipeline.core.lineage.snapshot import read_snapshot
from pipeline.verify.links import Verifier

GOOD = {
    "stage": "a", "id": "b", "inputs": [{"path": "x", "md5": "y"}], "params": {}, "tools": {},
    "files": {}, "contract": {},
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [{"files": 5}, {"id": 5}, {"inputs": 5}, {"inputs": [5]}, {"inputs": [{"path": 1, "md5": "y"}]},
     {"files": {"a": {}}}, {"params": []}, {"more": 1}],
)  # fmt: skip
def test_another_type_is_named_and_verify_goes_on(tmp_path, change):
    (tmp_path / "snapshot.json").write_text(json.dumps(GOOD | change))
    with pytest.raises(LineageError, match=r"snapshot\.json: not a snapshot"):
        read_snapshot(tmp_path)
    (problem,) = Verifier({}).check(tmp_path)
    assert problem.path.endswith("snapshot.json")


@pytest.mark.parametrize("text", ["5", "[]", "{}", "null", '{"inputs": []}'])
def test_another_shape_is_named(tmp_path, text):
    (tmp_path / "snapshot.json").write_text(text)
    with pytest.raises(LineageError, match=r"snapshot\.json: not a snapshot"):
        read_snapshot(tmp_path)
