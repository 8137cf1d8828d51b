"""A personal network as a stage: who there is, what is written, of classes and of valence and arousal."""

import csv

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.checkpoint import CHECKPOINT_NAME, load_checkpoint
from models.core.heads import heads_of
from models.personal.networks import NETWORKS
from models.personal.people import list_people, pick_person, read_people
from models.personal.scores import summarize
from models.personal.stage import PAIRS
from models.personal.stage import run as personalize
from pipeline.core.emotions import CLASSES
from pipeline.core.errors import UsageError
from pipeline.core.params import PersonalizeParams
from pipeline.core.schema import SPLIT
from pipeline.core.tables import write_table
from pipeline.shards.read import iter_shards, open_shards
from pipeline.shards.stage import run as write_shards
from tests.run_inputs import make_run
from tests.shard_inputs import make_inputs, shard_params

PARAMS = PersonalizeParams(draws=2, min_test=2, one_moment=1.0)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_person(tmp_path_factory.mktemp("personal"))


def make_person(root, classes=CLASSES):
    """Write shards whose test set holds all five faces of one person."""
    inputs = make_inputs(root, rows=60, hostile=False, classes=classes)
    table = pq.read_table(inputs.split / "split.parquet")
    mine = [inputs.rows[key]["subject_id"] == "s2" for key in table["sample_id"].to_pylist()]
    splits = ["test" if one else old for one, old in zip(mine, table["split"].to_pylist(), strict=True)]
    write_table(inputs.split / "split.parquet", table.set_column(1, "split", pa.array(splits)).cast(SPLIT))
    write_shards(*inputs.tables, root / "shards", shard_params(), seed=1, workers=1)
    return root / "shards"


@pytest.fixture(scope="module")
def run(shards, tmp_path_factory):
    return make_run(shards, tmp_path_factory.mktemp("run") / "run")


def test_an_unknown_person_is_answered_with_who_there_is(shards):
    people = list_people(open_shards(shards), shards, heads_of("emotion"))
    with pytest.raises(UsageError, match=r"^--subject: nobody in the test set is called 'nobody'; .* have s2 \(\d\), "):
        pick_person(people, "nobody")


def test_one_name_in_two_datasets_is_two_people():
    people = {"one/s2": np.arange(3), "two/s2": np.arange(3, 9)}
    with pytest.raises(UsageError, match=r"^--subject: 2 people .* called 's2'; give one of one/s2, two/s2$"):
        pick_person(people, "s2")
    assert pick_person(people, "two/s2") == "two/s2"


@pytest.mark.parametrize("task", ["emotion", "affect", "valence", "all"])
def test_the_curve_is_written_the_same_twice(shards, tmp_path, monkeypatch, task):
    monkeypatch.chdir(tmp_path)
    outputs = heads_of(task, ("valence", "arousal")).outputs
    run = make_run(shards, tmp_path / "run", task=task, classes=outputs)
    for name in ("one", "two"):
        summary = personalize(shards, run, tmp_path / name, PARAMS, subject="s2", shots=2, seed=1)
    assert summary["people"] == ["one/s2"]
    with (tmp_path / "one/curve.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["draw"], row["shots"], row["network"]) for row in rows] == [
        (draw, shots, network) for draw in "01" for shots in "12" for network in NETWORKS
    ]
    assert {int(row["tested"]) for row in rows} == {summary["rows_in"] - 2}
    asked = {"accuracy": task in ("emotion", "all"), "ccc": task != "emotion", "arousal_ccc": task in ("affect", "all")}
    assert {name: name in rows[0] for name in asked} == asked
    for name in ("curve.csv", "people.csv", "curve.png", "summary.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_everybody_with_enough_faces_is_measured(shards, run, tmp_path):
    summary = personalize(shards, run, tmp_path / "out", PARAMS, subject=None, shots=2, seed=1)
    people = list_people(open_shards(shards), shards, heads_of("emotion"))
    assert summary["people"] == [name for name, rows in people.items() if len(rows) >= 4]
    assert summary["left_out"]["too few faces"] == len(people) - len(summary["people"])


def test_a_network_of_some_classes_is_made_personal_in_these(tmp_path):
    some = ("anger", "happy", "surprise")
    shards = make_person(tmp_path, some)
    run = make_run(shards, tmp_path / "run", classes=some)
    summary = personalize(shards, run, tmp_path / "out", PARAMS, subject="s2", shots=2, seed=1)
    assert {name for names in summary["never_shown"].values() for name in names} <= set(some)
    general = load_checkpoint(run / CHECKPOINT_NAME, "cpu")
    places = list_people(open_shards(shards), shards, general.info.heads)["one/s2"]
    (person,) = read_people(shards, general, {"one/s2": places})
    labels = pa.concat_tables(iter_shards(open_shards(shards), "test", ["label"]))["label"].to_numpy()[places]
    assert person.labels.tolist() == [some.index(CLASSES[label]) for label in labels]
    assert len(set(labels)) > 1


def test_too_many_shots_say_how_many_there_are(shards, run, tmp_path):
    with pytest.raises(
        UsageError, match=r"--shots: 500 labelled .*: 2 others are 502, and one/s2 has \d+; ask for fewer"
    ):
        personalize(shards, run, tmp_path / "out", PARAMS, subject="s2", shots=500, seed=1)


def test_frames_of_one_moment_leave_nothing_to_test(shards, run, tmp_path):
    params = PersonalizeParams(draws=2, min_test=2, one_moment=0.0)
    with pytest.raises(UsageError, match=r"^personalize.one_moment: the faces of one/s2 look so alike"):
        personalize(shards, run, tmp_path / "out", params, subject="s2", shots=2, seed=1)


def test_people_count_once_and_the_interval_is_over_them():
    """Beside the bootstrap's own bounds for two people: Student's t of one degree of freedom is 12.7."""
    rows = [
        {"person": who, "draw": draw, "shots": 1, "network": network, "accuracy": accuracy}
        for who, draw, values in (("a", 0, (0.5, 0.6)), ("a", 1, (0.5, 0.8)), ("b", 0, (0.1, 0.2)))
        for network, accuracy in zip(("general", "personal"), values, strict=True)
    ]
    found = summarize(rows, {"gain": PAIRS["gain"]})["1"]["accuracy"]
    assert found["general"]["value"] == pytest.approx(0.3)
    assert found["gain"]["value"] == pytest.approx(0.15)  # of 0.2 and 0.1, however many draws each has
    assert found["gain"]["high"] - 0.15 == pytest.approx(12.706 * 0.05, rel=0.03)
