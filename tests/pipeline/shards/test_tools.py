"""Everyone else's libraries open the shards, with no code of ours between."""

import gc
import io
import json

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest
import webdataset
from PIL import Image

from pipeline.core.emotions import CLASSES
from pipeline.images import decode_face
from pipeline.shards.stage import run as write_shards
from tests.shard_inputs import shard_params


@pytest.fixture
def hugging_face(tmp_path, monkeypatch):
    """The library without network and without a cache outside of the test."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()
    return datasets


def patterns(shards):
    return {split: str(shards / f"parquet/{split}-*.parquet") for split in ("train", "val", "test")}


def check_row(inputs, row):
    truth = inputs.rows[row["sample_id"]]
    assert row["label"] == truth["label"]
    assert list(row["label_probs"]) == truth["label_probs"]
    assert row["dataset"] == truth["dataset"]
    assert row["has_valence"] == (truth["valence"] is not None)


@pytest.mark.parametrize("streaming", [False, True])
def test_hugging_face_datasets(hugging_face, inputs, shards, streaming, tmp_path):
    loaded = hugging_face.load_dataset(
        "parquet", data_files=patterns(shards), streaming=streaming, cache_dir=str(tmp_path / "cache")
    )
    features = loaded["train"].features
    assert features["label"].names == list(CLASSES)
    assert isinstance(features["image"], hugging_face.Image)
    rows = {split: list(loaded[split]) for split in loaded}
    assert {split: len(found) for split, found in rows.items()} == {"train": 168, "val": 60, "test": 60}
    for row in rows["train"]:
        check_row(inputs, row)
        assert row["valence"] == inputs.rows[row["sample_id"]]["valence"]
        assert isinstance(row["image"], Image.Image)
        ours = decode_face(inputs.pictures[row["sample_id"]])
        assert np.abs(np.asarray(row["image"]).astype(int) - ours).max() <= 4


def test_hugging_face_streams_equal_shares_of_whole_shards(hugging_face, inputs, tmp_path):
    out = tmp_path / "out"
    params = shard_params(world_size=4)
    write_shards(*inputs.tables, out, params, seed=1, workers=1)
    stream = hugging_face.load_dataset(
        "parquet", data_files=patterns(out), split="train", streaming=True, cache_dir=str(tmp_path / "cache")
    )
    from datasets.distributed import split_dataset_by_node

    shares = [list(split_dataset_by_node(stream, rank, 4)) for rank in range(4)]
    assert len({len(share) for share in shares}) == 1
    assert len({row["sample_id"] for share in shares for row in share}) == 4 * len(shares[0])


# The library leaves the last tar to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_webdataset(inputs, shards):
    urls = [str(path) for path in sorted((shards / "webdataset").glob("train-*.tar"))]
    source = webdataset.WebDataset(urls, shardshuffle=False, empty_check=True).decode("pil")
    samples = list(source)
    del source
    gc.collect()
    assert len(samples) == 168
    assert len({sample["__key__"] for sample in samples}) == 168
    for sample in samples:
        row = sample["json"]
        check_row(inputs, row)
        assert row["class"] == CLASSES[row["label"]]
        assert sample["jpg"].size == (48, 48)
        assert row["contract"]["classes"] == list(CLASSES)


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_webdataset_gives_every_process_the_same_number_of_samples(inputs, tmp_path, monkeypatch):
    params = shard_params(world_size=3)
    write_shards(*inputs.tables, tmp_path / "out", params, seed=1, workers=1)
    urls = [str(path) for path in sorted((tmp_path / "out/webdataset").glob("train-*.tar"))]
    shares = []
    monkeypatch.setenv("WORLD_SIZE", "3")
    for rank in range(3):
        monkeypatch.setenv("RANK", str(rank))
        source = webdataset.WebDataset(urls, shardshuffle=False, nodesplitter=webdataset.split_by_node)
        shares.append([sample["__key__"] for sample in source])
        del source
        gc.collect()
    assert len({len(share) for share in shares}) == 1
    assert len({key for share in shares for key in share}) == 168


def test_duckdb(inputs, shards):
    with duckdb.connect() as connection:
        rows = connection.execute(
            "SELECT dataset, label, count(*), avg(valence), sum(octet_length(image.bytes)) "
            "FROM read_parquet(?) GROUP BY ALL",
            [f"{shards}/parquet/train-*.parquet"],
        ).fetchall()
        first = connection.execute(
            "SELECT image.bytes, sample_id, label_probs, landmarks FROM read_parquet(?) LIMIT 1",
            [f"{shards}/parquet/train-00000.parquet"],
        ).fetchone()
    assert sum(row[2] for row in rows) == 168
    for dataset, label, count, _, size in rows:
        chosen = [
            key
            for key, row in inputs.rows.items()
            if (row["dataset"], row["label"], row["split"]) == (dataset, label, "train") and row["n"] % 25 != 7
        ]
        assert count == len(chosen)
        assert size == sum(len(inputs.pictures[key]) for key in chosen)
    assert bytes(first[0]) == inputs.pictures[first[1]]
    assert len(first[2]) == 8
    assert len(first[3]) == 10


def test_polars(inputs, shards):
    table = pl.scan_parquet(f"{shards}/parquet/test-*.parquet").collect()
    assert table.height == 60
    for row in table.to_dicts():
        check_row(inputs, row)
        assert row["image"]["bytes"] == inputs.pictures[row["sample_id"]]


def test_pandas(inputs, shards):
    table = pd.read_parquet(shards / "parquet/val-00000.parquet")
    for row in table.to_dict("records"):
        check_row(inputs, row)
        assert Image.open(io.BytesIO(row["image"]["bytes"])).size == (48, 48)
    index = pd.read_parquet(shards / "index.parquet")
    assert index["split"].value_counts().to_dict() == {"train": 168, "val": 60, "test": 60}


def test_jsons_are_plain(shards):
    for file in shards.glob("*.json"):
        assert json.loads(file.read_text())
        assert str(shards) not in file.read_text()
