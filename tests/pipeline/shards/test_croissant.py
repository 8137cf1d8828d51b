import json
import re
import warnings
from collections import Counter

import mlcroissant
import pyarrow as pa
import pytest

from pipeline.core.emotions import CLASSES
from pipeline.core.names import SPLITS
from pipeline.core.tables import read_table
from pipeline.shards.croissant import build_croissant
from pipeline.shards.stage import run as write_shards
from tests.shard_inputs import make_inputs, shard_params

# The library's own use of pandas.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def dataset(shards):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rdflib, about itself
        return mlcroissant.Dataset(str(shards / "croissant.json"))


def records(dataset, name):
    return [{key.split("/")[1]: plain(value) for key, value in record.items()} for record in dataset.records(name)]


def plain(value):
    return value.decode() if isinstance(value, bytes) else value


def test_is_valid_croissant(dataset):
    assert not dataset.metadata.issues.errors
    # The one recommendation that is not followed: a date would change the bytes of every run.
    assert len(dataset.metadata.issues.warnings) == 1
    assert "datePublished" in dataset.metadata.issues.report()


def test_what_is_known_of_people_and_labels_is_read_by_the_library(dataset, shards, inputs):
    told = dataset.metadata
    assert told.conforms_to == [f"http://mlcommons.org/croissant/{name}" for name in ("1.1", "RAI/1.0")]
    assert told.data_collection_type == ["Secondary Data Analysis"]
    assert "12 labelled samples" in told.data_collection_missing_data
    assert "12 no_face" in told.data_collection_missing_data
    assert "48 px, margin 0.25" in told.data_preprocessing_protocol[0]
    shares = re.findall(r"(\w+) ([0-9.]+)%", told.data_biases[0])
    index = Counter(CLASSES[label] for label in read_table(shards / "index.parquet")["label"].to_pylist())
    assert {name: float(share) for name, share in shares} == {
        name: round(100 * index[name] / 288, 1) for name in CLASSES
    }
    seen = [row for row in inputs.rows.values() if row["n"] % 25 != 7]
    for name, line in zip(("gender", "age"), told.data_biases[1:], strict=False):
        counts = Counter(row[name] or "not said" for row in seen)
        shares = ", ".join(f"{value} {count / 288:.1%}" for value, count in sorted(counts.items()))
        assert line == f"By {name}: {shares}."
    assert told.data_biases[3] == "No source dataset says the race of anybody in these rows."
    assert any("biometric" in line for line in told.personal_sensitive_information)
    assert any("2024/1689" in line for line in told.data_limitations)


@pytest.mark.parametrize("kept", ["parquet", "webdataset"])
def test_one_container_alone_is_valid_too(inputs, tmp_path, kept):
    params = shard_params(containers=[kept])
    write_shards(*inputs.tables, tmp_path / "out", params, seed=1, workers=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one = mlcroissant.Dataset(str(tmp_path / "out/croissant.json"))
    assert not one.metadata.issues.errors
    assert {fileset.id for fileset in one.metadata.distribution} == {f"{kept}-{name}" for name in SPLITS}
    assert len(records(one, "class_counts")) == 3 * 2 * 8


def test_samples_are_read_by_the_library(dataset, inputs):
    found = records(dataset, "test")
    assert len(found) == 60
    for row in found:
        truth = inputs.rows[row["sample_id"]]
        assert row["label"] == truth["label"]
        assert row["label_probs"] == truth["label_probs"]
        assert row["image"].size == (48, 48)


def test_class_counts_are_those_of_the_index(dataset, shards):
    index = read_table(shards / "index.parquet").to_pylist()
    expected = Counter((row["split"], row["dataset"], CLASSES[row["label"]]) for row in index)
    counted = {(row["split"], row["dataset"], row["class"]): row["rows"] for row in records(dataset, "class_counts")}
    assert {key: value for key, value in counted.items() if value} == expected
    assert len(counted) == 3 * 2 * 8


def test_classes_and_sources(dataset):
    assert [row["class"] for row in records(dataset, "classes")] == list(CLASSES)
    # AffectNet's own order, of its readme.
    theirs = ["neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt"]
    assert [theirs[row["affectnet"]] for row in records(dataset, "classes")] == list(CLASSES)
    sources = records(dataset, "source_datasets")
    assert [(row["dataset"], row["rows"]) for row in sources] == [("one", 144), ("two", 144)]
    assert "not known" in sources[0]["license"]


def test_the_manifest_says_affectnets_numbers(shards):
    theirs = ["neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt"]
    numbers = json.loads((shards / "shards.json").read_text())["affectnet_numbers"]
    assert numbers == {name: number for number, name in enumerate(theirs)}


def test_terms_of_known_releases_are_stated(shards):
    contract = json.loads((shards / "shards.json").read_text())["contract"]
    contract["taxonomy"]["one"] = {"name": "rafdb_compound", "version": 1}
    tables = [read_table(shards / f"{name}.parquet") for name in ("index", "missing_faces", "missing_faces")]
    made = build_croissant(*tables, "0" * 64, contract)
    assert any("RAF-DB" in line and "non-commercial" in line for line in made["license"])


def test_only_the_classes_of_the_shards_have_a_share(tmp_path):
    inputs = make_inputs(tmp_path / "in", rows=30, classes=("anger", "sad"))
    write_shards(*inputs.tables, tmp_path / "out", shard_params(), seed=1, workers=1)
    index = read_table(tmp_path / "out/index.parquet")["label"].to_pylist()
    shares = [f"{name} {index.count(CLASSES.index(name)) / len(index):.1%}" for name in ("anger", "sad")]
    told = json.loads((tmp_path / "out/croissant.json").read_text())
    assert told["rai:dataBiases"][0] == f"Of the rows with a class: {', '.join(shares)}."
    assert "with one of 2 expressions" in told["description"]


def test_of_no_rows_the_library_reads_what_is_left(shards):
    contract = json.loads((shards / "shards.json").read_text())["contract"]
    tables = [read_table(shards / f"{name}.parquet").slice(0, 0) for name in ("index", "missing_faces")]
    people = pa.table({name: pa.nulls(0, pa.string()) for name in ("gender", "age", "race")})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = mlcroissant.Dataset(build_croissant(*tables, people, "0" * 64, contract))
    assert not read.metadata.issues.errors
    assert [one.id for one in read.metadata.record_sets] == ["classes"]
