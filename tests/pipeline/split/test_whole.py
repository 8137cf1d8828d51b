"""A whole split read back: its folder, its settings, what is lost altogether, and what the check says of it."""

import json
from itertools import combinations

import pyarrow as pa
import pytest

from pipeline.core.errors import DataError
from pipeline.core.lineage.snapshot import read_snapshot
from pipeline.core.schema import Reason
from pipeline.core.stage_output import Reject
from pipeline.core.tables import read_table, write_table
from pipeline.ingest.registry import READERS, open_pictures
from pipeline.split.check import check
from pipeline.split.dropped import whole_losses
from pipeline.split.people import read_rows
from pipeline.split.stage import run as split
from tests.pipeline.ingest.layouts import WRITERS, Read

from .conftest import sample
from .hand import ROWS
from .test_certificate import write_shards


@pytest.fixture
def made(datasets, params, tmp_path):
    datasets.add("d", "both", [sample(f"p{n // 2}/{n}.png", n % 8, subject=f"p{n // 2}") for n in range(32)])
    split(datasets.aligned, datasets.labels, datasets.roles, tmp_path / "split", params, seed=7, workers=1)
    splits = {row["sample_id"]: row["split"] for row in read_table(tmp_path / "split/split.parquet").to_pylist()}
    write_shards(tmp_path / "shards", splits)
    return tmp_path / "split", tmp_path / "shards", splits


def test_the_folder_holds_what_was_asked_for_and_its_settings(made, params):
    names = {path.name for path in made[0].iterdir()}
    assert names == {
        "split.parquet",
        "links.parquet",
        "certificate.json",
        "rejects.parquet",
        "summary.json",
        "snapshot.json",
    }
    snapshot = read_snapshot(made[0])
    assert snapshot.params == {**params.plain(), "seed": 7, "roles": {"d": "both"}}
    assert snapshot.stage == "split"
    assert set(snapshot.tools) == {"numpy"}


def test_a_row_of_the_index_that_no_shard_has_is_said(made):
    folder, shards, splits = made
    write_shards(shards, splits, index=splits | {"d/p0/none.png#0": "val"})
    again = "write the shards again"
    assert check(folder, shards) == [f"{shards}: d/p0/none.png#0 (val) is in the index but in no shard; {again}"]


def test_a_kept_split_that_is_not_kept_is_said(made, tmp_path):
    folder, shards, splits = made
    path = folder / "certificate.json"
    content = json.loads(path.read_text())
    moved = next(key for key, name in splits.items() if name == "train")
    before = read_table(folder / "split.parquet").to_pylist()
    rows = [{**row, "split": "val"} if row["sample_id"] == moved else row for row in before]
    write_table(tmp_path / "kept.parquet", pa.Table.from_pylist(rows, read_table(folder / "split.parquet").schema))
    path.write_text(json.dumps({**content, "keep": {"file": str(tmp_path / "kept.parquet"), "kept": len(splits)}}))
    assert check(folder, shards) == [
        f"{tmp_path / 'kept.parquet'}: had {moved} in val, now it is in train; run prep split again"
    ]


def test_a_path_may_hold_the_sign_before_the_number_of_a_face(datasets):
    datasets.add("d", "both", [sample("a#b.png", 2, n=1), sample("x.csv", 2, n=3, md5="table")])
    rows = read_rows(datasets.aligned, datasets.labels)
    assert rows.paths == ["d/a#b.png", "d/x.csv#3"]
    assert rows.pictures[1] is None


@pytest.mark.parametrize("layout", [reader.name for reader in READERS if reader.pictures_in_table])
def test_rows_of_a_raw_table_are_one_picture_only_where_their_bytes_are(datasets, tmp_path, layout):
    WRITERS[layout](tmp_path / "raw")
    read = Read(tmp_path / "raw", tmp_path / "samples", fmt=layout).rows
    rows = [sample(row["source_path"], 2, n=row["face_number"], md5=row["source_md5"]) for row in read]
    datasets.add("d", "both", rows)
    found = read_rows(datasets.aligned, datasets.labels)
    pictures = open_pictures(str(tmp_path / "raw"), layout)
    seen = [pictures.read(row["source_path"], row["face_number"]) for row in read]
    assert found.sample_ids == sorted(row["sample_id"] for row in read)
    of = dict(zip(found.sample_ids, zip(found.paths, found.pictures, strict=True), strict=True))
    for (one, content), (other, second) in combinations(zip(read, seen, strict=True), 2):
        if content != second:
            path, md5 = of[one["sample_id"]]
            assert path != of[other["sample_id"]][0]
            assert md5 is None or md5 != of[other["sample_id"]][1]
    assert len(set(seen)) > 1


def test_a_dataset_that_is_lost_altogether_says_for_what(datasets, params, tmp_path):
    rejects = [Reject("a/0#0", "a", Reason.outside_role, "no part"), Reject("b/0#0", "b", Reason.contradicted, "two")]
    assert whole_losses(ROWS, [2], rejects) == {"b": "none of 2 rows is left; 1 of them contradicted: b/0#0: two"}
    assert whole_losses(ROWS, [0, 3], rejects) == {}
    official = [sample(f"{n}.png", n % 8, split="test") for n in range(3)]
    datasets.add("d", "train", official).add("e", "train", [sample(f"e{n}.png", 1, split="test") for n in range(2)])
    with pytest.raises(
        DataError, match=r"^d: none of 3 rows is left; 3 of them outside_role: .*; e: none of 2 rows is l"
    ):
        split(datasets.aligned, datasets.labels, datasets.roles, tmp_path / "out", params, seed=1, workers=1)
