"""Scores by gender, age and race, counted by hand, and that the columns reach details.json from the table of labels."""

import json

import numpy as np
import pytest

from models.evaluation.metrics import Bootstrap
from models.evaluation.people_groups import POSE, add_groups, brief_groups, describe_groups, name_poses
from models.evaluation.stage import run as evaluate
from pipeline.geometry.similarity import frontality
from pipeline.shards.landmarks import crop_landmarks
from tests.models.evaluation.test_summary import make_rows
from tests.run_inputs import evaluate_params, make_run, make_shards
from tests.shard_inputs import ALIGN

BOOTSTRAP = Bootstrap(draws=60, seed=3, bins=10)


def test_each_value_is_scored_on_its_own_rows():
    rows = make_rows(
        list("aaaabbb"), [0, 0, 4, 6, 4, 4, 3], [0, 4, 4, 0, 4, 5, 3], found=[1, 1, 1, 0, 1, 1, 0],
        group=[0, 0, 1, 2, 3, 3, 4],
    )  # fmt: skip
    said = {
        "gender": ["female", "female", "male", "male", None, "male", "unsure"],
        "age": ["4-19", "20-39", "20-39", "4-19", "100+", None, None],
        "race": [None] * 7,
    }
    found = describe_groups(rows, said, BOOTSTRAP)
    assert list(found) == ["gender", "age"]  # nobody says a race
    female, male, unsure = found["gender"]
    assert (female["value"], female["rows"], female["people"], female["accuracy"]) == ("female", 2, 1, 0.5)
    assert (female["low"], female["high"], female["missed"], female["few"]) == (None, None, 0, True)  # one person
    assert (male["rows"], male["people"], male["accuracy"], male["missed"]) == (2, 2, 0.5, 1)
    assert male["low"] <= 0.5 <= male["high"]
    assert male["balanced_accuracy"]["value"] == 0.5  # two happy faces, one of them right
    assert unsure == {
        "value": "unsure", "rows": 0, "missed": 1, "people": 0, "accuracy": None, "low": None, "high": None, "few": True
    }  # fmt: skip
    assert [entry["value"] for entry in found["age"]] == ["4-19", "20-39", "100+"]
    details = {"per_dataset": {"a": {}, "b": {}}}
    add_groups(details, rows, said, BOOTSTRAP)
    assert details["groups"] == found
    assert [entry["rows"] for entry in details["per_dataset"]["b"]["groups"]["gender"]] == [1, 0]
    assert describe_groups(rows, {"gender": [None] * 7}, BOOTSTRAP) == {}


@pytest.mark.parametrize(
    ("said", "charts"),
    [
        # EMOTIC's words beside RAF-DB's spans; c has the same spans and d some of the same words.
        (
            {"a": ["4-19", "70+"], "b": ["Adult", "Kid"], "c": ["20-39"], "d": ["Kid"]},
            {"age of a, c": ["4-19", "20-39", "70+"], "age of b, d": ["Adult", "Kid"]},
        ),
        # FairFace's and RAF-DB's spans overlap.
        ({"a": ["3-9", "10-19"], "b": ["4-19"]}, {"age of a": ["3-9", "10-19"], "age of b": ["4-19"]}),
        # Two sets of words that have one in common.
        ({"a": ["Baby", "Child"], "b": ["Baby", "Kid"]}, {"age of a": ["Baby", "Child"], "age of b": ["Baby", "Kid"]}),
        # One dataset with years of some people and words of others.
        ({"a": ["20-39", "Adult"]}, {"age of a": ["20-39"], "age of a, in words": ["Adult"]}),
        ({"a": ["0-3"], "b": ["4-19"]}, {"age": ["0-3", "4-19"]}),
        ({"a": ["Adult"], "b": ["Adult", "Kid"]}, {"age": ["Adult", "Kid"]}),
    ],
)  # fmt: skip
def test_groups_that_may_overlap_are_not_in_one_chart(said, charts):
    of = [(dataset, value) for dataset, values in said.items() for value in (*values, None)]
    rows = make_rows([dataset for dataset, _ in of], [0] * len(of), [0] * len(of))
    found = describe_groups(rows, {"age": [value for _, value in of]}, BOOTSTRAP)
    assert {title: [entry["value"] for entry in entries] for title, entries in found.items()} == charts
    assert sum(entry["rows"] for entries in found.values() for entry in entries) == sum(map(len, said.values()))


def test_genders_are_the_same_words_everywhere():
    rows = make_rows(["a", "b"], [0, 0], [0, 0])
    assert list(describe_groups(rows, {"gender": ["female", "male"]}, BOOTSTRAP)) == ["gender"]


def test_twenty_people_are_no_longer_few():
    rows = make_rows(["a"] * 20, [0, 4] * 10, [0] * 20)
    assert describe_groups(rows, {"gender": ["male"] * 20}, BOOTSTRAP)["gender"][0]["few"] is False
    few = describe_groups(rows, {"gender": ["male"] * 19 + [None]}, BOOTSTRAP)["gender"][0]
    assert (few["people"], few["few"]) == (19, True)


def test_a_column_of_free_text_is_not_scored_a_row_at_a_time():
    rows = make_rows(["a"] * 64, [0] * 64, [0] * 64)
    entries = describe_groups(rows, {"race": ["r00", "r01"] * 2 + [f"r{n:02d}" for n in range(60)]}, BOOTSTRAP)["race"]
    assert len(entries) == 31
    assert {entry["value"]: entry["rows"] for entry in entries}["all others"] == 30
    assert sum(entry["rows"] for entry in entries) == 64


def test_groups_of_the_labels_reach_details_json(tmp_path):
    shards = make_shards(tmp_path)
    evaluate(shards, make_run(shards, tmp_path / "run"), tmp_path / "out", evaluate_params(), seed=3)
    details = json.loads((tmp_path / "out/details.json").read_text())
    assert [entry["value"] for entry in details["groups"]["gender"]] == ["female", "male"]
    assert {title: [entry["value"] for entry in entries] for title, entries in details["groups"].items()} == {
        "pose": ["frontal", "half-profile", "profile"],
        "gender": ["female", "male"], "age of one, two": ["20-39"], "age of one, two, in words": ["Kid"]
    }  # fmt: skip
    one, two = (details["per_dataset"][name] for name in ("one", "two"))
    assert one["groups"]["gender"] == details["groups"]["gender"]
    assert set(two["groups"]) == {"pose", "age of two", "age of two, in words"}
    parts = [entries for title, entries in details["groups"].items() if title.startswith("age")]
    ages = np.array([[entry["rows"], entry["accuracy"]] for entries in parts for entry in entries])
    assert ages[:, 0].sum() == details["rows"]
    mean = (ages[:, 0] * ages[:, 1]).sum() / ages[:, 0].sum()
    assert mean == pytest.approx(details["accuracy"]["value"], abs=1e-5)
    poses = json.loads((tmp_path / "out/metrics.json").read_text())["groups"]["pose"]
    assert sum(pose["rows"] for pose in poses.values()) == details["rows"]
    for entry in details["groups"]["pose"]:
        assert poses[entry["value"]]["balanced_accuracy"] == entry["balanced_accuracy"]["value"]


def test_poses_are_cut_at_the_stated_values():
    assert name_poses(np.array([0.0, 0.49, 0.5, 0.79, 0.8, 1.0]), (0.5, 0.8)) == [
        "profile", "profile", "half-profile", "half-profile", "frontal", "frontal"
    ]  # fmt: skip


def test_the_landmarks_of_a_crop_have_the_frontality_of_the_picture():
    """Of faces that are turned, large and rolled, as align records it from the points in the picture."""
    random = np.random.default_rng(2)
    points = np.array([[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]]) + random.normal(0, 6, (50, 5, 2))
    turn = np.exp(1j * random.uniform(-3, 3, (50, 1))) * random.uniform(0.3, 9, (50, 1))
    turned = (points[..., 0] + 1j * points[..., 1]) * turn + 200j
    source = np.stack([turned.real, turned.imag], axis=2)
    crop = crop_landmarks(source.reshape(50, 10).astype(np.float32), ALIGN).reshape(50, 5, 2).astype(float)
    np.testing.assert_allclose(frontality(crop), frontality(source), atol=1e-4)


def test_metrics_have_the_groups_with_their_intervals():
    rows = make_rows(["a"] * 4, [0, 0, 4, 4], [0, 4, 4, 4], found=[1, 1, 1, 0], group=[0, 1, 2, 3])
    said = {POSE: ["frontal", "profile", "frontal", None], "race": ["A.", "A.", "B", None]}
    details = {"per_dataset": {"a": {}}}
    add_groups(details, rows, said, BOOTSTRAP)
    brief = brief_groups(details)
    assert list(brief) == ["pose", "race"]
    assert list(brief["pose"]) == ["frontal", "profile"]
    frontal = brief["pose"]["frontal"]
    assert (frontal["rows"], frontal["people"], frontal["balanced_accuracy"]) == (2, 2, 1.0)
    assert frontal["interval"]["balanced_accuracy"] == {"low": 1.0, "high": 1.0}
    assert brief["pose"]["profile"]["interval"]["balanced_accuracy"] == {"low": None, "high": None}  # one person
    assert list(brief["race"]) == ["A,", "B"]
    unseen = {"groups": describe_groups(rows, {"gender": [None] * 3 + ["male"]}, BOOTSTRAP)}
    assert brief_groups(unseen) == {"gender": {}}
