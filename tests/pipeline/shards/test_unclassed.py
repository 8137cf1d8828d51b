"""Rows with affect and no class: in shards of their own, so that those with a class are what they would be without."""

import json
import tarfile

import pyarrow.parquet as pq
import pytest

from models.data.loader import ShardLoader
from pipeline.frames import read_shards
from pipeline.shards.read import iter_shards, open_shards
from pipeline.shards.stage import run as write_shards
from tests.shard_inputs import make_inputs, shard_params

UNCLASSED = 30


def rows_of(file):
    return pq.read_table(file).drop_columns(["image"]).to_pylist()


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Thirty rows of dataset `one` have no class, of which n = 132 has no face."""
    return make_inputs(tmp_path_factory.mktemp("inputs"), unclassed=UNCLASSED)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"balance": "undersample"},
        {"balance": "oversample", "max_copies": 3},
        {"balance": "weights", "balance_over": "dataset_and_class"},
        {"balance": "cap", "train_per_class": 4, "world_size": 3},
    ],
)
def test_shards_with_a_class_are_as_if_there_were_no_others(inputs, tmp_path, params):
    both, alone = tmp_path / "both", tmp_path / "alone"
    options = shard_params(rows_per_shard=20, **params)
    write_shards(*inputs.tables, both, options, seed=1, workers=1)
    faces, selected, labels, split = inputs.tables
    fewer = part_of(split, tmp_path / "split", [row for row in inputs.rows.values() if row["label"] is not None])
    write_shards(faces, selected, labels, fewer, alone, options, seed=1, workers=1)
    files = sorted(path.name for path in (alone / "parquet").iterdir())
    assert not any(name.startswith("unclassed") for name in files)
    for name in files:
        assert rows_of(both / "parquet" / name) == rows_of(alone / "parquet" / name)
    others = [path for path in (both / "parquet").iterdir() if path.name not in files]
    assert others
    assert all(path.name.startswith("unclassed-") for path in others)


def part_of(split, folder, rows):
    """Write the split of these rows alone."""
    folder.mkdir()
    table = pq.read_table(split / "split.parquet")
    keep = {row["sample_id"] for row in rows}
    mask = [key in keep for key in table["sample_id"].to_pylist()]
    pq.write_table(table.filter(mask), folder / "split.parquet")
    (folder / "snapshot.json").write_bytes((split / "snapshot.json").read_bytes())
    return folder


def test_who_asks_for_them_gets_them_with_their_affect(inputs, tmp_path):
    summary = write_shards(*inputs.tables, tmp_path / "out", shard_params(), seed=1, workers=1)
    wanted = {key: row for key, row in inputs.rows.items() if row["label"] is None and row["n"] % 25 != 7}
    assert len(wanted) == UNCLASSED - 1
    by_set = {split: sum(row["split"] == split for row in wanted.values()) for split in ("train", "val", "test")}
    assert summary["unclassed"] == by_set
    shards = tmp_path / "out"
    found = {}
    for split in ("train", "val", "test"):
        plain = {key for table in iter_shards(open_shards(shards), split) for key in table["sample_id"].to_pylist()}
        assert not plain & wanted.keys()
        loader = ShardLoader(shards, split, batch_size=16, shuffle=True, seed=1, unclassed=True)
        for batch in loader:
            for at, key in enumerate(batch.sample_ids):
                assert (key in plain) == (batch.labels[at] >= 0)
                if key not in plain:
                    found[key] = batch.labels[at].item(), batch.probs[at].sum().item(), batch.valence[at].item(), split
    assert found == {key: (-1, 0.0, pytest.approx(row["valence"]), row["split"]) for key, row in wanted.items()}
    frame = read_shards(shards, "test", unclassed=True)
    assert frame["label"].isna().sum() == by_set["test"]
    assert read_shards(shards, "test")["label"].notna().all()
    with tarfile.open(shards / "webdataset/unclassed-test-00000.tar") as archive:
        members = [json.loads(archive.extractfile(m).read()) for m in archive if m.name.endswith(".json")]
    assert {member["class"] for member in members} == {None}
    assert {member["sample_id"] for member in members} == {key for key, row in wanted.items() if row["split"] == "test"}


def test_where_nothing_has_a_class_nothing_is_balanced(tmp_path):
    inputs = make_inputs(tmp_path / "in", rows=60, unclassed=60)
    only = tuple({"one": folders["one"]} for folders in inputs.tables[:3])
    rows = [row for row in inputs.rows.values() if row["dataset"] == "one"]
    split = part_of(inputs.split, tmp_path / "split", rows)
    params = shard_params(balance="cap", train_per_class=2)
    summary = write_shards(*only, split, tmp_path / "out", params, seed=1, workers=1)
    with_face = [row for row in rows if row["n"] % 25 != 7]
    assert summary["rows_written"] == sum(summary["unclassed"].values()) == len(with_face)
    assert summary["rejected"] == {"no_face": len(rows) - len(with_face)}
    loader = ShardLoader(tmp_path / "out", "train", batch_size=8, shuffle=False, seed=1, unclassed=True)
    assert sum(map(len, loader)) == summary["unclassed"]["train"]
    told = json.loads((tmp_path / "out/croissant.json").read_text())
    assert told["description"].startswith(
        f"{len(with_face)} aligned faces of 48 px with valence, arousal or dominance "
    )
    assert told["rai:dataBiases"][0] == "No row has a class."


def test_what_it_is_called_counts_both_kinds(inputs, tmp_path):
    write_shards(*inputs.tables, tmp_path / "out", shard_params(), seed=1, workers=1)
    faces = sum(row["n"] % 25 != 7 for row in inputs.rows.values())
    said = (
        f"{faces} aligned faces of 48 px: {faces - UNCLASSED + 1} with one of 8 expressions, "
        f"{UNCLASSED - 1} with valence, arousal or dominance alone"
    )
    assert json.loads((tmp_path / "out/croissant.json").read_text())["description"].startswith(said)
    assert f"\n{said}. " in (tmp_path / "out/README.md").read_text()
