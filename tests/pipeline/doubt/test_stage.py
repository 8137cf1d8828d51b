"""What `doubt` writes: planted faults first, each with its reason; nobody is answered by what has seen their group."""

import filecmp

import numpy as np
import pytest

from pipeline.core.schema import DOUBT, EMBEDDING, Doubt
from pipeline.core.tables import read_table
from pipeline.doubt.rows import read_labelled
from tests.pipeline.doubt.conftest import BLURRED, COPIES, FACELESS, WRONG


@pytest.fixture(scope="module")
def ranked(made):
    _, out, _ = made
    return read_table(out / "doubt.parquet", schema=DOUBT).to_pylist()


def row_of(ranked, sample_id):
    return next(row for row in ranked if row["sample_id"] == sample_id)


def test_every_labelled_face_is_ranked_and_the_faceless_is_rejected(made, ranked):
    world, _, summary = made
    assert {row["sample_id"] for row in ranked} == world.rows.keys() - {FACELESS}
    assert (summary["rows_in"], summary["rows_out"], summary["rejected"]) == (72, 71, {"no_face": 1})
    assert [row["rank"] for row in ranked] == list(range(1, 72))
    assert [row["score"] for row in ranked] == sorted((row["score"] for row in ranked), reverse=True)
    for label in (0, 1, 2):
        ranks = [row["rank_in_class"] for row in ranked if row["label"] == label]
        assert ranks == list(range(1, len(ranks) + 1))


def test_the_score_is_the_highest_of_the_four_and_the_reason_is_its_name(ranked):
    for row in ranked:
        scores = {str(reason): row[f"{reason}_score"] for reason in Doubt}
        assert row["score"] == max(scores.values()) == scores[row["reason"]]
        assert all(0 <= score <= 1 for score in scores.values())


def test_planted_wrong_labels_come_first_with_the_right_class(ranked):
    worst = sorted(ranked, key=lambda row: -row["label_score"])[:3]
    assert {row["sample_id"] for row in worst} == {*WRONG, COPIES[1]}
    assert {row["sample_id"]: row["suggested"] for row in worst} == {WRONG[0]: 1, WRONG[1]: 0, COPIES[1]: 2}
    assert all(row["suggested"] is None for row in ranked[20:])


def test_copies_with_two_labels_name_each_other(ranked):
    right, wrong = (row_of(ranked, sample_id) for sample_id in COPIES)
    assert wrong["duplicate_score"] + right["duplicate_score"] == pytest.approx(1, abs=1e-3)
    assert wrong["duplicate_score"] > 0.9
    assert wrong["neighbours"][0] == COPIES[0]
    assert right["neighbours"][0] == COPIES[1]
    assert all(row["duplicate_score"] == 0 for row in ranked if row["sample_id"] not in COPIES)


def test_a_blurred_crop_is_the_worst_of_the_crops(ranked):
    blurred = row_of(ranked, BLURRED)
    assert blurred["crop_score"] == max(row["crop_score"] for row in ranked)
    assert blurred["crop_score"] > 0.5


def test_people_and_copies_are_in_one_fold_though_split_left_some_out(made):
    """The two copies have no row in split.parquet, and the second is of another person here."""
    world, _, _ = made
    folders = [{name: world.root / kind / name for name in ("one", "two")} for kind in ("aligned", "labels")]
    found, faceless = read_labelled(*folders, world.root / "split", folds=4, copy=0.97, seed=1)
    folds: dict[str, set[int]] = {}
    for sample_id, fold in zip(found.ids, found.fold.tolist(), strict=True):
        folds.setdefault(sample_id.partition("_")[0], set()).add(fold)
    assert [len(of_person) for of_person in folds.values()] == [1] * 8
    assert folds["one/p3"] == folds["one/p0"]
    assert set().union(*folds.values()) == {0, 1, 2, 3}
    assert faceless == {FACELESS: "one"}
    first, second = (found.pictures[found.ids.index(sample_id)] for sample_id in COPIES)
    assert first == second


def test_the_bytes_do_not_depend_on_the_workers(made, tmp_path):
    world, out, _ = made
    world.run(tmp_path / "out", workers=2)
    names = ["doubt.parquet", "embedding.parquet", "summary.json", "rejects.parquet"]
    assert filecmp.cmpfiles(out, tmp_path / "out", names, shallow=False) == (names, [], [])


def test_the_map_has_as_many_faces_as_asked_for(made):
    _, out, _ = made
    drawn = read_table(out / "embedding.parquet", schema=EMBEDDING)
    assert len(drawn) == len(set(drawn["sample_id"].to_pylist())) == 40
    assert np.isfinite(drawn["x"].to_numpy()).all()
    assert np.ptp(drawn["y"].to_numpy()) > 0
