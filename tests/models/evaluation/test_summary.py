"""What stands where in metrics.json and details.json, of two datasets that a hand can count."""

import numpy as np
import pytest
from scipy import stats

from models.evaluation.intervals import interval
from models.evaluation.metrics import Answers, Bootstrap, answer, chance_ece, compare, log_loss, measure
from models.evaluation.summary import AnsweredRows, Training, beside, brief, brief_beside, build_views, full, list_rough
from pipeline.core.emotions import CLASSES

BOOTSTRAP = Bootstrap(draws=60, seed=3, bins=10)
HEADLINES = ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1")


def make_rows(dataset, label, predicted, *, found=None, group=None, sure=0.75):
    """Rows whose answers have the probability `sure`; the rest is shared out evenly."""
    count = len(label)
    probabilities = np.full((count, 8), (1 - sure) / 7, np.float32)
    probabilities[np.arange(count), predicted] = sure
    return AnsweredRows(
        np.array(dataset), np.array(label), np.arange(count) if group is None else np.array(group),
        np.ones(count, bool) if found is None else np.array(found, bool), probabilities,
    )  # fmt: skip


# Of dataset a: anger, anger, happy, sad; of b: happy, happy, fear. One face of each was not found.
ROWS = make_rows(
    list("aaaabbb"),
    [0, 0, 4, 6, 4, 4, 3],
    [0, 4, 4, 0, 4, 5, 3],
    found=[1, 1, 1, 0, 1, 1, 0],
    group=[0, 0, 1, 2, 3, 3, 4],
)
TRAINED = Training(frozenset({"a", "z"}), frozenset({0, 3, 4}))


@pytest.fixture(scope="module")
def views():
    return build_views(ROWS, TRAINED, BOOTSTRAP)


def test_metrics_json_by_hand(views):
    found = brief(views)
    assert found.keys() == {
        "rows", *HEADLINES, "loss", "interval", "all_rows", "per_dataset", "within", "across", "ece", "ece_chance",
        "per_class", "majority_class",
    }  # fmt: skip
    assert (found["rows"], found["all_rows"]["rows"]) == (5, 7)
    assert found["accuracy"] == 0.6
    assert found["all_rows"]["accuracy"] == pytest.approx(3 / 7, abs=1e-6)
    # Recall: anger 1 of 2, happy 2 of 3.
    assert found["balanced_accuracy"] == pytest.approx((1 / 2 + 2 / 3) / 2, abs=1e-6)
    assert found["loss"] == pytest.approx(-(3 * np.log(0.75) + 2 * np.log(0.25 / 7)) / 5, abs=1e-5)
    assert found["ece"] == pytest.approx(0.15, abs=1e-5)  # right in 0.6, sure at 0.75, all in one bin
    assert found["ece_chance"] == chance_ece(ROWS.where(ROWS.found).answers(), BOOTSTRAP) > 0
    assert found["majority_class"] == {"accuracy": 0.6}  # three of five faces are happy
    f1 = {"anger": 2 / 3, "happy": 2 * 2 / (3 + 3), "neutral": 0}
    assert {name: of["f1"] for name, of in found["per_class"].items()} == {
        name: pytest.approx(f1[name], abs=1e-6) if name in f1 else None for name in CLASSES
    }
    assert found["macro_f1"] == pytest.approx(sum(f1.values()) / 3, abs=1e-6)
    a, b = found["per_dataset"]["a"], found["per_dataset"]["b"]
    assert (a["rows"], a["all_rows"]["rows"], b["rows"], b["all_rows"]["rows"]) == (3, 4, 2, 3)
    assert (a["accuracy"], b["accuracy"]) == (pytest.approx(2 / 3, abs=1e-6), 0.5)
    assert found["within"] == a  # a was trained on, b was not
    assert found["across"] == b
    known = views["per_dataset", "a"].with_face.scores["balanced_accuracy"]
    assert a["interval"] == {"balanced_accuracy": {"low": known.low, "high": known.high}}
    assert known.low < known.high
    assert "per_class" not in a
    assert "ece" not in b


def test_details_json_has_every_number_with_its_interval(views):
    found = full(views)
    assert found["rows"] == 5
    assert found["people"] == 3
    assert found["ece_chance"] == views[()].with_face.ece_chance
    assert found["accuracy"] == views[()].with_face.scores["accuracy"].plain()
    assert found["accuracy"].keys() == {"value", "low", "high"}
    assert found["per_class"]["happy"]["support"] == 3
    assert found["per_class"]["happy"]["recall"]["value"] == pytest.approx(2 / 3, abs=1e-6)
    assert found["per_class"]["happy"]["precision"]["value"] == pytest.approx(2 / 3, abs=1e-6)
    assert found["per_class"]["fear"] == {"precision": None, "recall": None, "f1": None, "support": 0}
    assert found["confusion"]["happy"]["neutral"]["value"] == pytest.approx(1 / 3, abs=1e-6)
    assert found["confusion"]["sad"]["anger"] is None
    assert found["all_rows"]["per_class"]["sad"]["support"] == 1
    assert found["all_rows"]["people"] == 5
    # Of faces, anger and happy are there; both were trained.
    shared = found["shared_classes"]
    assert shared["rows"] == 5
    assert set(shared["per_class"]) == {"anger", "happy"}
    assert found["majority_class"].keys() == set(HEADLINES)
    assert found["majority_class"]["balanced_accuracy"] == 0.5
    assert found["per_dataset"]["b"]["majority_class"]["accuracy"] == 1
    assert found["across"]["shared_classes"]["rows"] == 2
    assert full(build_views(ROWS.where(~ROWS.found), TRAINED, BOOTSTRAP))["rows"] == 0


def test_without_a_face_there_are_all_rows_alone():
    views = build_views(ROWS.where(~ROWS.found), TRAINED, BOOTSTRAP)
    found = brief(views)
    assert found["rows"] == 0
    assert found["all_rows"] == {"rows": 2, "accuracy": 0, "balanced_accuracy": 0, "macro_f1": 0, "weighted_f1": 0}
    assert not {"ece", "per_class", "majority_class"} & found.keys()
    assert (views[()].with_face, views[()].majority_class, views[()].shared_classes) == (None, None, None)
    assert beside(views, views) == {"per_dataset": {"a": {}, "b": {}}, "within": {}, "across": {}}
    assert brief_beside(views, views) == {}
    mixed = build_views(ROWS, TRAINED, BOOTSTRAP)
    assert brief_beside(mixed, views) == brief_beside(views, mixed) == {}
    assert beside(mixed, views)["within"] == beside(views, mixed)["within"] == {}
    assert list_rough(views) == {}


def test_another_network_stands_beside_with_the_difference(views):
    other = build_views(make_rows(ROWS.dataset, ROWS.label, [0, 0, 4, 6, 5, 5, 3], found=ROWS.found, group=ROWS.group),
                        TRAINED, BOOTSTRAP)  # fmt: skip
    short, long = brief_beside(views, other), beside(views, other)
    assert short["rows"] == 5
    assert short["accuracy"] == 0.6
    assert set(short) == {"rows", *HEADLINES, "better_by", "better_by_interval"}
    assert short["better_by"].keys() == short["better_by_interval"].keys() == set(HEADLINES)
    assert short["better_by"]["accuracy"] == 0
    assert short["better_by"]["balanced_accuracy"] == pytest.approx((1 / 2 + 2 / 3) / 2 - (1 + 1 / 3) / 2, abs=1e-6)
    expected = compare(views[()].with_face, other[()].with_face)
    for name in HEADLINES:
        assert short["better_by_interval"][name] == {"low": expected[name].low, "high": expected[name].high}
    assert long["better_by"]["loss"] == expected["loss"].plain()
    by_chance = views[()].with_face.ece_chance - other[()].with_face.ece_chance
    assert long["better_by"]["ece_chance"] == pytest.approx(by_chance, abs=1e-6)
    assert long["per_dataset"]["a"]["better_by"]["accuracy"]["value"] == pytest.approx(-1 / 3, abs=1e-6)
    assert long["per_dataset"]["b"]["better_by"]["accuracy"]["value"] == 0.5
    assert long["accuracy"] == other[()].with_face.scores["accuracy"].plain()


def test_a_difference_of_losses_has_no_bound_and_one_of_shares_ends_at_one():
    """Three people, so that the interval is Student's, cut off at what such a difference can be."""
    label = np.array([0, 0, 0, 4, 4, 4])
    group = np.array([0, 1, 2, 0, 1, 2])

    def measured(right, loss):
        return measure(Answers(label, np.where(right, label, 1), np.ones(6), group, np.array(loss)), BOOTSTRAP)

    better = measured([1, 1, 0, 1, 1, 1], [0.1, 5, 0, 0, 1, 0])
    worse = measured([0, 0, 0, 0, 0, 0], [9.0, 1, 3, 40, 1, 2])
    found = compare(better, worse)
    assert found["accuracy"].value == pytest.approx(5 / 6, abs=1e-6)
    assert found["accuracy"].high == 1
    assert found["loss"].value == pytest.approx((6.1 - 56) / 6, abs=1e-5)
    assert found["loss"].low < -20
    assert compare(worse, better)["loss"].high > 20
    assert compare(worse, better)["accuracy"].low == -1


def test_few_people_are_told_of_each_dataset_and_of_the_whole():
    def said(*counts):
        names = [name for name, count in zip("ab", counts, strict=False) for _ in range(count)]
        label = [0] * len(names)
        return list_rough(build_views(make_rows(names, label, label), TRAINED, BOOTSTRAP))

    rough = "its intervals are of {} people or groups, and rough"
    assert said(20) == {}
    assert said(19) == {"all": rough.format(19), "a": rough.format(19)}
    assert said(30, 2) == {"b": rough.format(2)}
    assert said(19, 1) == {"a": rough.format(19), "b": "one person has no interval"}


@pytest.mark.parametrize(
    ("groups", "kind"), [(1, "none"), (2, "student"), (4, "student"), (5, "quantiles"), (9, "quantiles")]
)
def test_the_kind_of_interval_depends_on_the_number_of_groups(groups, kind):
    draws = np.r_[np.linspace(0.2, 0.7, 101), np.nan]
    found = interval(0.4, draws, groups)
    if kind == "none":
        assert (found.low, found.high) == (None, None)
        return
    width = np.sqrt(groups / (groups - 1)) * stats.t.ppf(0.975, groups - 1)
    if kind == "student":
        half = width * np.linspace(0.2, 0.7, 101).std()
        ends = [max(0, 0.4 - half), min(1, 0.4 + half)]
    else:
        ends = np.quantile(np.linspace(0.2, 0.7, 101), [stats.norm.sf(width), 1 - stats.norm.sf(width)])
    assert [found.low, found.high] == pytest.approx(ends, abs=1e-6)
    assert found.value == 0.4
    assert interval(0.4, np.full(3, np.nan), groups).plain() == {"value": 0.4, "low": None, "high": None}
    assert interval(float("nan"), draws, groups) is None


def test_confidences_are_shared_out_anew_and_never_above_one():
    probabilities = np.array([[0.5, 0.25, 0, 0, 0.25, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0, 0]], np.float32)
    predicted, confidence = answer(probabilities, (1, 4))
    assert predicted.tolist() == [1, 1]
    assert confidence.tolist() == [0.5, 1.0]
    labels = np.array([4, 4])
    least = -np.log(np.finfo(np.float32).eps)
    assert log_loss(probabilities, labels, (1, 4)).tolist() == pytest.approx([-np.log(0.5), least])
    assert log_loss(probabilities, labels, (4, 7))[1] == pytest.approx(-np.log(0.5))  # nothing is known of either


def test_the_error_of_chance_is_that_of_a_loop_over_coins():
    confidence = np.array([0.05, 0.15, 0.35, 0.349, 0.95, 1.0])
    answers = Answers(np.zeros(6, int), np.array([0, 0, 0, 0, 0, -1]), confidence, np.arange(6))
    found = chance_ece(answers, Bootstrap(1, 9, 10))
    generator, errors = np.random.default_rng([9, 200]), []
    for _ in range(200):
        right = generator.random(5) < confidence[:5]
        gaps = right - confidence[:5]
        errors.append((abs(gaps[0]) + abs(gaps[1]) + abs(gaps[2] + gaps[3]) + abs(gaps[4])) / 5)
    assert found == pytest.approx(np.mean(errors), abs=1e-6)
