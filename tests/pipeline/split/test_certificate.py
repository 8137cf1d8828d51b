import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.schema import INDEX
from pipeline.split import split
from pipeline.split.certificate import check, crossing
from pipeline.tables import read_table, write_table

from .conftest import sample


@pytest.fixture
def folders(datasets, params, tmp_path):
    """A split of 40 people with 4 pictures each, every second picture the same file twice, and its shards."""
    pictures = [
        sample(f"p{person:02d}/{number}.png", (person + number) % 8, subject=f"p{person:02d}", sequence="s")
        for person in range(40)
        for number in range(4)
    ]
    datasets.add("d", "both", pictures)
    split(datasets.aligned, datasets.labels, datasets.roles, tmp_path / "split", params, seed=1, workers=1)
    rows = read_table(tmp_path / "split/split.parquet").to_pylist()
    write_shards(tmp_path / "shards", {row["sample_id"]: row["split"] for row in rows})
    return tmp_path / "split", tmp_path / "shards"


def write_shards(folder, splits, *, index=None):
    (folder / "parquet").mkdir(parents=True, exist_ok=True)
    for name in ("train", "val", "test"):
        ids = sorted(key for key, given in splits.items() if given == name)
        table = {"sample_id": ids, "dataset": ["d"] * len(ids), "subject_id": [key.split("/")[1] for key in ids]}
        write_table(folder / f"parquet/{name}-00000.parquet", pa.table(table))
    rows = [
        {"sample_id": key, "dataset": "d", "label": 0, "split": name, "shard": f"{name}-00000", "copy": 0}
        for key, name in sorted((index or splits).items())
    ]
    write_table(folder / "index.parquet", pa.Table.from_pylist(rows, schema=INDEX))


def promised(split_folder):
    rows = read_table(split_folder / "split.parquet").to_pylist()
    return {row["sample_id"]: row["split"] for row in rows}


def test_a_true_certificate_holds(folders):
    assert check(*folders) == []


def test_one_moved_sample_is_named_with_all_that_it_ties(folders):
    split_folder, shards = folders
    splits = promised(split_folder)
    moved = next(key for key, name in splits.items() if name == "train")
    person = moved.split("/")[1]
    write_shards(shards, splits | {moved: "test"})
    problems = check(split_folder, shards)
    assert any(f"{moved} is in test, but split.parquet says train" in line for line in problems)
    assert any(f"person d/{person} is in test and train" in line for line in problems)
    assert any(f"group subject:d/{person} is in test and train" in line for line in problems)
    assert any(f"sequence d/{person}/s is in test and train" in line for line in problems)


def test_a_shard_that_the_index_does_not_know_is_named(folders):
    split_folder, shards = folders
    splits = promised(split_folder)
    key = next(iter(splits))
    write_shards(shards, splits, index={other: name for other, name in splits.items() if other != key})
    assert check(split_folder, shards) == [
        f"{shards}: {key} ({splits[key]}) is in a shard but not in the index; write the shards again"
    ]


def test_a_certificate_that_states_a_crossing_is_named(folders):
    path = folders[0] / "certificate.json"
    content = json.loads(path.read_text())
    content["crossing"]["subjects"] = 2
    path.write_text(json.dumps(content))
    assert check(*folders) == [f"{path}: states that 2 subjects cross"]


def test_a_missing_index_is_one_line(folders):
    (folders[1] / "index.parquet").unlink()
    problems = check(*folders)
    assert len(problems) == 1
    assert "index.parquet" in problems[0]


def test_crossing_by_hand():
    names = ["a", "b", None, "a", "b", None]
    assert crossing(names, ["train", "val", "train", "test", "val", "test"]) == {"a": ["test", "train"]}


def test_a_torn_shard_is_named(folders):
    (folders[1] / "parquet/val-00000.parquet").write_bytes(b"PAR1 torn")
    problems = check(*folders)
    assert len(problems) == 1
    assert "val-00000.parquet: not a readable Parquet file" in problems[0]


def test_a_class_whose_groups_are_too_large_is_said(datasets, params, tmp_path):
    datasets.add("d", "both", [sample(f"{n}.png", 0, subject="only one") for n in range(20)])
    split(datasets.aligned, datasets.labels, datasets.roles, tmp_path / "out", params, seed=1, workers=1)
    certificate = json.loads((tmp_path / "out/certificate.json").read_text())
    assert list(certificate["off_by_more_than_tolerance"]["d"]) == ["anger"]


def test_a_sample_without_links_is_not_left_out_of_the_count(folders):
    split_folder, shards = folders
    write_shards(shards, promised(split_folder))
    path = split_folder / "links.parquet"
    links = pq.read_table(path)
    pq.write_table(links.slice(0, 0), path)
    (problem,) = check(split_folder, shards)
    assert f"{path}: {len(links)} written samples are not in it" in problem
    (split_folder / "certificate.json").write_text('{"crossing": []}')
    assert any("not a certificate" in line for line in check(split_folder, shards))
