"""A personal model: learns its person, measured on faces it has not seen, and says who there is."""

import csv

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from scipy import stats

from models.core.inputs import InputSpec
from models.personal.stage import Person, fine_tune, read_person, shot_counts, summarize
from models.personal.stage import run as personalize
from pipeline.core.errors import UsageError
from pipeline.core.params import PersonalizeParams
from pipeline.core.schema import SPLIT
from pipeline.core.tables import write_table
from pipeline.shards.read import open_shards
from pipeline.shards.stage import run as write_shards
from tests.run_inputs import make_run
from tests.shard_inputs import make_inputs, shard_params

SPEC = InputSpec(32, (0.5,) * 3, (0.25,) * 3)
PARAMS = PersonalizeParams(draws=2, steps=3, learning_rate=0.001, unfreeze_blocks=1)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Shards whose test set holds all five faces of one person."""
    root = tmp_path_factory.mktemp("personal")
    inputs = make_inputs(root, rows=60, hostile=False)
    table = pq.read_table(inputs.split / "split.parquet")
    mine = [inputs.rows[key]["subject_id"] == "s2" for key in table["sample_id"].to_pylist()]
    splits = ["test" if one else old for one, old in zip(mine, table["split"].to_pylist(), strict=True)]
    write_table(inputs.split / "split.parquet", table.set_column(1, "split", pa.array(splits)).cast(SPLIT))
    write_shards(*inputs.tables, root / "shards", shard_params(), seed=1, workers=1)
    return root / "shards"


@pytest.fixture(scope="module")
def run(shards, tmp_path_factory):
    return make_run(shards, tmp_path_factory.mktemp("run") / "run")


@pytest.fixture
def subject():
    return "s2"


def test_an_unknown_person_is_answered_with_who_there_is(shards):
    with pytest.raises(UsageError, match=r"^--subject: nobody in the test set is called 'nobody'; .* have s2 \(\d\), "):
        read_person(shards, open_shards(shards), "nobody", SPEC)


def test_one_name_in_two_datasets_is_two_people(tmp_path):
    """Datasets number their subjects from 1; faces of two people are no personal model."""
    inputs = make_inputs(tmp_path, rows=60, hostile=False)
    part = inputs.labels["two"] / "labels.parquet"
    table = pq.read_table(part)
    place = table.schema.get_field_index("subject_id")
    write_table(part, table.set_column(place, table.schema.field(place), pa.array(["s2"] * len(table))))
    write_shards(
        *inputs.tables,
        tmp_path / "shards",
        shard_params(),
        seed=1,
        workers=1,
    )
    folder = open_shards(tmp_path / "shards")
    with pytest.raises(UsageError, match=r"^--subject: 2 people .* called 's2'; give one of one/s2, two/s2$"):
        read_person(tmp_path / "shards", folder, "s2", SPEC)
    tested = [row for row in inputs.rows.values() if row["split"] == "test" and row["n"] % 25 != 7]
    for dataset, expected in (
        ("one", [row for row in tested if row["dataset"] == "one" and row["subject_id"] == "s2"]),
        ("two", [row for row in tested if row["dataset"] == "two"]),
    ):
        labels = read_person(tmp_path / "shards", folder, f"{dataset}/s2", SPEC).labels
        assert sorted(labels.tolist()) == sorted(row["label"] for row in expected)


def test_the_curve_is_written_the_same_twice(shards, run, subject, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    faces = len(read_person(shards, open_shards(shards), subject, SPEC).labels)
    for name in ("one", "two"):
        summary = personalize(shards, run, tmp_path / name, PARAMS, subject=subject, shots=2, seed=1)
    assert summary["rows_in"] == summary["rows_out"] == faces
    with (tmp_path / "one/curve.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["shots"], row["draw"]) for row in rows] == [("1", "0"), ("2", "0"), ("1", "1"), ("2", "1")]
    assert {int(row["faces"]) for row in rows} == {faces - 2}
    for name in ("curve.csv", "curve.png", "summary.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_it_learns_the_faces_it_is_shown_and_leaves_the_general_network_alone(run, shards):
    from models.checkpoint import load_checkpoint

    general = load_checkpoint(run)
    before = {name: value.clone() for name, value in general.module.state_dict().items()}
    generator = torch.Generator().manual_seed(1)
    person = Person("p", torch.randint(0, 256, (4, 3, 48, 48), dtype=torch.uint8, generator=generator), torch.arange(4))
    params = PersonalizeParams(draws=1, steps=200, learning_rate=0.003, unfreeze_blocks=None)
    personal = fine_tune(general, person.images, person.labels, params, seed=1)
    assert (personal.predict(person.images).argmax(1) == np.arange(4)).all()
    assert all(torch.equal(before[name], value) for name, value in general.module.state_dict().items())
    norms = [name for name in before if "running_" in name]
    assert all(torch.equal(before[name], personal.module.state_dict()[name]) for name in norms)


def test_too_many_shots_say_how_many_there_are(shards, run, subject, tmp_path):
    with pytest.raises(UsageError, match=r"--shots: .* has \d+ faces in the test set; expected 1 to \d+, not 500"):
        personalize(shards, run, tmp_path / "out", PARAMS, subject=subject, shots=500, seed=1)


def test_shots_double_and_end_with_what_was_asked():
    assert shot_counts(1) == [1]
    assert shot_counts(8) == [1, 2, 4, 8]
    assert shot_counts(11) == [1, 2, 4, 8, 11]


def test_the_summary_is_the_mean_over_draws():
    rows = [
        {"shots": 1, "general_accuracy": 0.5, "personal_accuracy": 0.6},
        {"shots": 1, "general_accuracy": 0.4, "personal_accuracy": 0.7},
    ]
    found = summarize(rows)["1"]
    assert found == found | {"general": 0.45, "personal": 0.65, "gain": 0.2, "gain_std": 0.1}
    # Student's t of one degree of freedom is 12.7: 0.2 +- 1.27, and no gain is beyond -1..1.
    assert (found["gain_low"], found["gain_high"]) == (-1, 1)


def test_the_gain_has_the_paired_interval_of_its_draws():
    """Beside Student's interval of the mean; one draw says nothing of others."""
    gains = np.random.default_rng(3).normal(0.1, 0.05, 40)
    rows = [
        {"shots": 4, "draw": n, "faces": 9, "general_accuracy": 0.5, "personal_accuracy": 0.5 + gain}
        for n, gain in enumerate(gains)
    ]
    found = summarize(rows)["4"]
    low, high = stats.t.interval(0.95, 39, gains.mean(), stats.sem(gains))
    assert found["gain"] == pytest.approx(gains.mean(), abs=1e-6)
    assert [found["gain_low"], found["gain_high"]] == pytest.approx([low, high], abs=0.003)
    assert summarize(rows[:1])["4"]["gain_low"] is None
