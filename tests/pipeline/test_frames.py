"""DataFrames beside what pyarrow reads of the same files, and rows counted by hand."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from pipeline.core.emotions import CLASSES
from pipeline.core.errors import DataError, TableError
from pipeline.core.params import read_params
from pipeline.frames import read_dataset, read_frame, read_shards
from tests.imports import ROOT
from tests.pictures import encoded
from tests.run_inputs import make_shards


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_shards(tmp_path_factory.mktemp("frames"))


def test_a_folder_of_classes_is_a_table_with_classes_and_rejects(tmp_path, monkeypatch):
    names = ("angry/a.png", "angry/b.png", "Happy/c.png", "uncertain/d.png")
    for number, name in enumerate(names):
        (tmp_path / "raw" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "raw" / name).write_bytes(encoded(np.full((8, 8), 50 * number, np.uint8)))
    params = read_params(ROOT / "params.yaml")
    monkeypatch.chdir(tmp_path)
    frames = read_dataset("raw", params=params)
    labels = dict(zip(frames.rows["source_path"], frames.rows["label"], strict=True))
    assert {path: label for path, label in labels.items() if isinstance(label, str)} == {
        "angry/a.png": "anger",
        "angry/b.png": "anger",
        "Happy/c.png": "happy",
    }
    assert frames.rows["label"].cat.categories.tolist() == list(CLASSES)
    assert set(names) - {path for path, label in labels.items() if isinstance(label, str)} == set(
        frames.rejects["source_path"]
    )
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]  # nothing was written


def test_a_csv_is_read_by_the_columns_and_codes_that_are_said(tmp_path, monkeypatch):
    (tmp_path / "raw").mkdir()
    for name in "abc":
        (tmp_path / "raw" / f"{name}.png").write_bytes(encoded(np.full((8, 8), ord(name), np.uint8)))
    (tmp_path / "raw" / "mine.csv").write_text("photo,code,who\na.png,0,P1\nb.png,1,P2\nc.png,1,P2\n")
    monkeypatch.chdir(tmp_path)
    rows, rejects = read_dataset(
        tmp_path / "raw",
        "csv",
        columns={"path": "photo", "label": "code", "subject": "who"},
        classes={"0": "neutral", "1": "happy"},
        params=read_params(ROOT / "params.yaml"),
    )
    assert rows[["source_path", "subject_id", "label"]].to_numpy().tolist() == [
        ["a.png", "P1", "neutral"],
        ["b.png", "P2", "happy"],
        ["c.png", "P2", "happy"],
    ]
    assert rows["label_probs"].map(sum).tolist() == [1, 1, 1]
    assert rejects.empty


def test_one_split_of_shards_is_a_table_without_pictures(shards):
    frame = read_shards(shards, "test")
    expected = pq.read_table(sorted((shards / "parquet").glob("test-*.parquet"))).to_pandas()
    pd.testing.assert_frame_equal(frame.drop(columns="label"), expected.drop(columns=["label", "image"]))
    assert frame["label"].tolist() == [CLASSES[code] for code in expected["label"]]
    pictures = read_shards(shards, "test", ["image"])
    assert [row["bytes"] for row in pictures["image"]] == [row["bytes"] for row in expected["image"]]
    with pytest.raises(DataError, match="no split 'tset'; it has test, train, val"):
        read_shards(shards, "tset")


def test_what_a_stage_wrote_is_a_table(shards):
    frame = read_frame(shards / "index.parquet")
    index = pq.read_table(shards / "index.parquet").to_pandas()
    assert frame["label"].value_counts().to_dict() == {
        name: int((index["label"] == code).sum()) for code, name in enumerate(CLASSES)
    }
    assert list(read_frame(shards / "index.parquet", ["split", "label"]).columns) == ["split", "label"]
    with pytest.raises(TableError, match="no table here"):
        read_frame(shards / "nowhere")
