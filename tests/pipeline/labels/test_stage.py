"""The stage: labels out, rejects with their reason, errors that name the row."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.core.emotions import CLASSES
from pipeline.core.errors import DataError, TableError
from pipeline.core.lineage.snapshot import read_snapshot
from pipeline.core.params import HarmonizeParams
from pipeline.core.schema import DECIDED_HARMONIZE, LABELS, SAMPLES
from pipeline.core.stage_output import stage_output
from pipeline.core.tables import read_table, rows_to_table, write_table
from pipeline.labels.stage import run as harmonize

PARAMS = HarmonizeParams(classes=None, votes="majority", compound="dominant", multi_label="vote", affect="check")


def make_samples(folder: Path, fmt: str, rows, **extra) -> Path:
    with stage_output(folder, stage="ingest", sources=[], params={}) as output:
        samples = [
            {
                "sample_id": f"toy/{number:04d}.jpg#0",
                "dataset": "toy",
                "source_path": f"{number:04d}.jpg",
                "face_number": 0,
                "source_md5": "0" * 32,
                "subject_id": f"s{number % 3}",
                "source_split": ("train", "test")[number % 2],
                **row,
            }
            for number, row in enumerate(rows)
        ]
        output.write_table("samples.parquet", rows_to_table(samples, SAMPLES))
        output.finish(rows_in=len(samples), rows_out=len(samples), dataset="toy", format=fmt, **extra)
    return folder


def labelled(*names, **more):
    return {"source_labels": list(names), **more}


def test_rows_keep_what_they_had_and_gain_label_and_probs(tmp_path):
    rows = [
        labelled("Happiness", valence=0.5, arousal=-0.25, age="20-39", age_years=31.5),
        labelled("anger", sequence_id="q"),
        labelled("Neutral"),
    ]
    src = make_samples(tmp_path / "samples", "rafdb", rows)
    summary = harmonize(src, tmp_path / "labels", PARAMS)
    table = read_table(tmp_path / "labels" / "labels.parquet", schema=LABELS)
    assert table.schema.equals(LABELS)
    first, second, third = table.to_pylist()
    assert first == {
        "sample_id": "toy/0000.jpg#0", "dataset": "toy", "source_path": "0000.jpg", "subject_id": "s0",
        "sequence_id": None, "source_split": "train", "valence": 0.5, "arousal": -0.25, "dominance": None,
        "gender": None, "age": "20-39", "age_years": 31.5, "race": None, "label": 4,
        "label_probs": [0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0], "unclassed": None,
    }  # fmt: skip
    assert (second["label"], second["sequence_id"], third["label"]) == (0, "q", 5)
    assert summary["classes"] == dict.fromkeys(CLASSES, 0) | {"happy": 1, "anger": 1, "neutral": 1}
    assert summary["splits"]["test"]["anger"] == 1
    contract = read_snapshot(tmp_path / "labels").contract
    assert contract["classes"] == list(CLASSES)
    assert (contract["taxonomy"]["name"], contract["taxonomy"]["version"]) == ("rafdb", 2)


def test_every_row_is_a_label_or_a_reject(tmp_path):
    names = ["none", "happy", "uncertain", "no-face", "contempt"]
    src = make_samples(tmp_path / "samples", "affectnet", [labelled(name) for name in names * 10])
    summary = harmonize(src, tmp_path / "labels", PARAMS)
    assert (summary["rows_in"], summary["rows_out"], summary["rejected"]) == (50, 20, {"not_an_emotion": 30})
    rejects = pq.read_table(tmp_path / "labels" / "rejects.parquet").to_pylist()
    ids = {row["sample_id"] for row in rejects}
    assert len(ids) == 30
    assert not ids & set(read_table(tmp_path / "labels" / "labels.parquet")["sample_id"].to_pylist())
    assert {row["stage"] for row in rejects} == {"harmonize"}
    assert all(row["detail"] and row["source_path"] for row in rejects)


def test_rows_without_a_class_stay_with_their_affect_and_the_reason(tmp_path):
    rows = [
        labelled("Engagement", valence=-0.5, arousal=0.25), labelled("Engagement"), labelled(dominance=0.0), labelled(),
        labelled("Happiness", valence=-0.8, arousal=0.1), labelled("Happiness", valence=0.8, arousal=0.1),
    ]  # fmt: skip
    src = make_samples(tmp_path / "samples", "emotic", rows)
    summary = harmonize(src, tmp_path / "labels", PARAMS)
    table = read_table(tmp_path / "labels" / "labels.parquet", schema=LABELS).to_pylist()
    found = {row["sample_id"][4:8]: (row["label"], row["unclassed"], row["label_probs"] is None) for row in table}
    assert found == {
        "0000": (None, "not_an_emotion", True), "0002": (None, "unlabelled", True),
        "0004": (None, "affect_contradicts", True), "0005": (4, None, False),
    }  # fmt: skip
    assert summary["rejected"] == {"not_an_emotion": 1, "unlabelled": 1}
    assert summary["unclassed"] == {"affect_contradicts": 1, "not_an_emotion": 1, "unlabelled": 1}
    assert sum(summary["classes"].values()) == 1


def test_a_withdrawn_sample_is_not_kept_for_its_affect_and_a_class_by_people_counts(tmp_path):
    src = make_samples(tmp_path / "samples", "affectnet", [labelled("none", valence=0.1) for _ in range(3)])
    decided = [
        {"sample_id": "toy/0000.jpg#0", "withdrawn": True, "label": None},
        {"sample_id": "toy/0001.jpg#0", "withdrawn": False, "label": 5},
    ]
    write_table(tmp_path / "decided.parquet", rows_to_table(decided, DECIDED_HARMONIZE))
    summary = harmonize(src, tmp_path / "labels", PARAMS, decided=tmp_path / "decided.parquet")
    table = read_table(tmp_path / "labels" / "labels.parquet", schema=LABELS)
    assert table["label"].to_pylist() == [5, None]
    assert summary["rejected"] == {"withdrawn": 1}
    assert summary["relabelled"] == {"not_an_emotion": {"neutral": 1}}


def test_probs_add_up_to_one_whatever_the_policy(tmp_path):
    names = ["neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF"]
    rng = np.random.default_rng(0)
    rows = [labelled(*names, source_votes=rng.multinomial(10, rng.dirichlet(np.full(10, 0.4)))) for _ in range(200)]
    src = make_samples(tmp_path / "samples", "ferplus", rows)
    for policy in ("majority", "distribution"):
        harmonize(src, tmp_path / policy, PARAMS.model_copy(update={"votes": policy}))
        table = read_table(tmp_path / policy / "labels.parquet")
        probs = np.array(table["label_probs"].to_pylist())
        np.testing.assert_allclose(probs.sum(axis=1), 1, atol=1e-6)
        assert (probs[np.arange(len(probs)), table["label"].to_numpy()] == probs.max(axis=1)).all()
    assert (probs.max(axis=1) < 1).any()


def test_no_row_left_is_an_error_that_says_why(tmp_path):
    src = make_samples(tmp_path / "samples", "affectnet", [labelled("none")])
    with pytest.raises(DataError, match=r"none of 1 rows is left; 1 of them not_an_emotion: toy/0000.jpg#0: none"):
        harmonize(src, tmp_path / "labels", PARAMS)
    assert not (tmp_path / "labels").exists()


def test_an_unknown_label_names_dataset_row_and_what_is_known(tmp_path):
    src = make_samples(tmp_path / "samples", "rafdb", [labelled("anger"), labelled("contempt")])
    with pytest.raises(DataError) as caught:
        harmonize(src, tmp_path / "labels", PARAMS)
    said = str(caught.value)
    assert "dataset toy, row toy/0001.jpg#0: label 'contempt' is unknown to taxonomy rafdb version 2" in said
    assert "surprise, fear, disgust, happiness, sadness, anger, neutral" in said
    assert len(said.splitlines()) == 1
    assert caught.value.exit_code == 1
    assert not (tmp_path / "labels").exists()


@pytest.mark.parametrize("value", [-2.0, 1.5, float("nan"), float("inf")])
def test_affect_beyond_its_range_is_an_error_that_names_the_row(tmp_path, value):
    src = make_samples(tmp_path / "samples", "rafdb", [labelled("anger", valence=value)])
    with pytest.raises(DataError, match=r"row toy/0000\.jpg#0: valence .* is not in \[-1, 1\]"):
        harmonize(src, tmp_path / "labels", PARAMS)


def test_a_format_without_taxonomy_and_a_folder_without_samples_are_refused(tmp_path):
    src = make_samples(tmp_path / "samples", "imagenet", [labelled("anger")])
    with pytest.raises(DataError, match="no taxonomy for format 'imagenet'"):
        harmonize(src, tmp_path / "labels", PARAMS)
    with pytest.raises(TableError, match="no table here"):
        harmonize(tmp_path / "nothing", tmp_path / "labels", PARAMS)
    summary = src / "summary.json"
    summary.write_text(json.dumps({"rows_in": 1}))
    with pytest.raises(TableError, match=r"summary\.json: no key 'format'"):
        harmonize(src, tmp_path / "labels", PARAMS)
    summary.unlink()
    with pytest.raises(TableError, match="run ingest first"):
        harmonize(src, tmp_path / "labels", PARAMS)


def test_twice_is_the_same_bytes(tmp_path):
    rows = [labelled("Happiness", "Engagement"), labelled("Anger", "Happiness"), labelled("Sadness", valence=-0.5)]
    src = make_samples(tmp_path / "samples", "emotic", rows)
    for name in ("a", "b"):
        harmonize(src, tmp_path / name, PARAMS)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_the_policies_for_several_categories_keep_different_rows(tmp_path):
    rows = [
        labelled("Happiness", "Pleasure"),
        labelled("Anger", "Annoyance", "Sadness"),
        labelled("Happiness", "Surprise"),
        labelled("Engagement"),
    ]
    src = make_samples(tmp_path / "samples", "emotic", rows)
    kept = {}
    for policy in ("reject", "vote", "priority"):
        params = PARAMS.model_copy(update={"multi_label": policy})
        kept[policy] = harmonize(src, tmp_path / policy, params)["rows_out"]
    assert kept == {"reject": 1, "vote": 2, "priority": 3}


def test_rows_of_other_classes_are_left_out_with_the_reason_or_kept_for_their_affect(tmp_path):
    rows = [
        labelled("Happiness"),
        labelled("Disgust"),
        labelled("Disgust", valence=-0.5),
        labelled("anger"),
    ]
    src = make_samples(tmp_path / "samples", "rafdb", rows)
    params = PARAMS.model_copy(update={"classes": ["anger", "happy"]})
    summary = harmonize(src, tmp_path / "labels", params)
    table = read_table(tmp_path / "labels/labels.parquet", schema=LABELS).to_pylist()
    assert [(row["sample_id"][4:8], row["label"], row["unclassed"]) for row in table] == [
        ("0000", 4, None), ("0002", None, "outside_classes"), ("0003", 0, None)
    ]  # fmt: skip
    assert summary["rejected"] == {"outside_classes": 1}
    (reject,) = read_table(tmp_path / "labels/rejects.parquet").to_pylist()
    assert reject["detail"] == "disgust is not in harmonize.classes"
    assert read_snapshot(tmp_path / "labels").contract["classes"] == ["anger", "happy"]


def test_a_distribution_is_over_the_classes_that_there_are(tmp_path):
    src = make_samples(tmp_path / "samples", "rafdb_compound", [labelled("Happily Surprised"), labelled("Sadly Angry")])
    params = {"classes": ["happy", "anger"], "votes": "majority", "compound": "distribution", "multi_label": "vote"}
    harmonize(src, tmp_path / "labels", HarmonizeParams(**params, affect="check"))
    for row in read_table(tmp_path / "labels/labels.parquet", schema=LABELS).to_pylist():
        assert np.isclose(sum(row["label_probs"]), 1)
        assert {CLASSES[n] for n, share in enumerate(row["label_probs"]) if share} == {CLASSES[row["label"]]}
