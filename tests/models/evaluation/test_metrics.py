import warnings

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as oracle
from torchmetrics.functional.classification import multiclass_calibration_error

from benchmarks.intervals import simulate
from models.evaluation.intervals import FEW_GROUPS, tail
from models.evaluation.metrics import (
    NO_ANSWER,
    Answers,
    Bootstrap,
    answer,
    compare,
    count_groups,
    draw_sums,
    log_loss,
    measure,
)
from models.evaluation.summary import AnsweredRows, Training, beside, build_views
from pipeline.core.emotions import CLASSES

BOOTSTRAP = Bootstrap(draws=200, seed=5, bins=15)


def _answers(rows=400, seed=0, groups=None):
    generator = np.random.default_rng(seed)
    label = generator.integers(0, 8, rows)
    predicted = np.where(generator.random(rows) < 0.5, label, generator.integers(0, 8, rows))
    group = np.arange(rows) if groups is None else generator.integers(0, groups, rows)
    return Answers(label, predicted, generator.uniform(0.125, 1, rows), group)


def test_scores_are_those_of_scikit_learn():
    answers = _answers()
    scores = measure(answers, BOOTSTRAP).scores
    true, predicted = answers.label, answers.predicted
    assert scores["accuracy"].value == pytest.approx(oracle.accuracy_score(true, predicted), abs=1e-6)
    assert scores["balanced_accuracy"].value == pytest.approx(oracle.balanced_accuracy_score(true, predicted), abs=1e-6)
    for name in ("macro", "weighted"):
        expected = oracle.f1_score(true, predicted, average=name, labels=range(8), zero_division=0)
        assert scores[f"{name}_f1"].value == pytest.approx(expected, abs=1e-6)


def test_per_class_scores_are_those_of_scikit_learn():
    answers = _answers(seed=3)
    measured = measure(answers, BOOTSTRAP)
    expected = oracle.precision_recall_fscore_support(
        answers.label, answers.predicted, labels=range(8), zero_division=0
    )
    for position, name in enumerate(("precision", "recall", "f1")):
        found = [measured.per_class[c][name].value for c in CLASSES]
        np.testing.assert_allclose(found, expected[position], atol=1e-6)
    assert list(measured.support.values()) == expected[3].tolist()


def test_confusion_is_the_share_of_each_true_class():
    answers = _answers(seed=4)
    measured = measure(answers, BOOTSTRAP)
    expected = oracle.confusion_matrix(answers.label, answers.predicted, labels=range(8), normalize="true")
    found = [[measured.confusion[a][p].value for p in CLASSES] for a in CLASSES]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_calibration_error_is_that_of_torchmetrics():
    generator = np.random.default_rng(2)
    probabilities = generator.dirichlet(np.ones(8), 500).astype(np.float32)
    label = generator.integers(0, 8, 500)
    predicted, confidence = answer(probabilities, range(8))
    found = measure(Answers(label, predicted, confidence, np.arange(500)), BOOTSTRAP).scores["ece"].value
    expected = multiclass_calibration_error(torch.from_numpy(probabilities), torch.from_numpy(label), 8, n_bins=15)
    assert found == pytest.approx(float(expected), abs=2e-5)


def test_scores_by_hand():
    # anger: 2 of 3 right; happy: 1 of 1, and one anger called happy.
    answers = Answers(np.array([0, 0, 0, 4]), np.array([0, 0, 4, 4]), np.full(4, 0.75), np.arange(4))
    measured = measure(answers, BOOTSTRAP, classes=(0, 4))
    assert measured.scores["accuracy"].value == 0.75
    assert measured.scores["balanced_accuracy"].value == pytest.approx((2 / 3 + 1) / 2, abs=1e-6)
    assert measured.scores["macro_f1"].value == pytest.approx((0.8 + 2 / 3) / 2, abs=1e-6)
    assert measured.scores["ece"].value == 0  # confident at 0.75 and right in three of four
    assert set(measured.per_class) == {"anger", "happy"}


def test_a_face_that_was_not_found_counts_as_wrong_but_not_in_the_calibration():
    found = _answers(rows=60, seed=1)
    missing = Answers(
        np.r_[found.label, np.zeros(20, int)],
        np.r_[found.predicted, np.full(20, NO_ANSWER)],
        np.r_[found.confidence, np.zeros(20)],
        np.arange(80),
    )
    with_face, all_rows = measure(found, BOOTSTRAP), measure(missing, BOOTSTRAP)
    assert all_rows.scores["accuracy"].value == pytest.approx(with_face.scores["accuracy"].value * 60 / 80, abs=1e-6)
    assert all_rows.scores["ece"].value == with_face.scores["ece"].value
    assert all_rows.support["anger"] == with_face.support["anger"] + 20
    assert "ece" not in measure(missing.where(missing.predicted == NO_ANSWER), BOOTSTRAP).scores


def test_the_interval_is_that_of_a_loop_which_draws_rows():
    answers = _answers(rows=150, seed=8)
    generator = np.random.default_rng(11)
    drawn = []
    for _ in range(2000):
        picks = generator.integers(0, 150, 150)
        drawn.append(oracle.balanced_accuracy_score(answers.label[picks], answers.predicted[picks]))
    interval = measure(answers, Bootstrap(2000, 3, 15)).scores["balanced_accuracy"]
    np.testing.assert_allclose([interval.low, interval.high], np.percentile(drawn, [2.5, 97.5]), atol=0.01)


def test_the_interval_of_a_mean_is_that_of_its_formula():
    right = np.arange(1000) % 10 < 7
    answers = Answers(np.zeros(1000, int), np.where(right, 0, 1), np.ones(1000), np.arange(1000))
    interval = measure(answers, Bootstrap(4000, 3, 15)).scores["accuracy"]
    half = 1.96 * (0.7 * 0.3 / 1000) ** 0.5
    assert interval.low == pytest.approx(0.7 - half, abs=0.003)
    assert interval.high == pytest.approx(0.7 + half, abs=0.003)


def test_rows_of_one_person_make_the_interval_wider():
    single = _answers(rows=300, seed=6)
    people = Answers(*(np.repeat(getattr(single, name), 4) for name in ("label", "predicted", "confidence", "group")))
    as_rows = Answers(people.label, people.predicted, people.confidence, np.arange(1200))
    by_person, by_row = (measure(each, BOOTSTRAP).scores["accuracy"] for each in (people, as_rows))
    assert by_person.high - by_person.low == pytest.approx(2 * (by_row.high - by_row.low), rel=0.25)
    assert by_person == measure(single, BOOTSTRAP).scores["accuracy"]


def test_draws_are_the_same_in_one_go_and_in_many(monkeypatch):
    per_group = np.random.default_rng(1).integers(0, 9, (50, 4)).astype(float)
    whole = draw_sums(per_group, BOOTSTRAP)
    monkeypatch.setattr("models.evaluation.metrics._DRAWN_AT_ONCE", 128)
    np.testing.assert_array_equal(draw_sums(per_group, BOOTSTRAP), whole)
    assert whole.mean(axis=0) == pytest.approx(per_group.sum(axis=0), rel=0.05)


def test_group_names_do_not_matter():
    answers = _answers(groups=30)
    renamed = Answers(answers.label, answers.predicted, answers.confidence, answers.group * 7 + 3)
    np.testing.assert_array_equal(count_groups(answers, 15)[0], count_groups(renamed, 15)[0])
    assert measure(answers, BOOTSTRAP).scores == measure(renamed, BOOTSTRAP).scores


def test_two_networks_are_compared_on_the_same_people():
    first = _answers(seed=9, groups=40)
    second = Answers(first.label, np.where(np.arange(400) % 20 == 0, 0, first.predicted), first.confidence, first.group)
    one, two = measure(first, BOOTSTRAP), measure(second, BOOTSTRAP)
    difference = compare(one, two)["accuracy"]
    assert difference.value == pytest.approx(one.scores["accuracy"].value - two.scores["accuracy"].value, abs=1e-6)
    assert difference.low > 0  # far narrower than the interval of either
    assert compare(one, one)["accuracy"].plain() == {"value": 0, "low": 0, "high": 0}


def test_answers_among_some_classes_share_the_probability_out_anew():
    probabilities = np.array([[0.1, 0.5, 0, 0, 0.3, 0.1, 0, 0], [0, 1, 0, 0, 0, 0, 0, 0]], np.float32)
    predicted, confidence = answer(probabilities, (0, 4, 5))
    assert predicted.tolist() == [4, 0]
    np.testing.assert_allclose(confidence, [0.6, 1 / 3], rtol=1e-6)


def random_answers(seed: int, classes: int, people: int) -> tuple[Answers, np.ndarray]:
    """Answers of a random network about some of the classes, of people with unlike many rows, and probabilities."""
    generator = np.random.default_rng(seed)
    known = generator.choice(8, classes, replace=False)
    rows = int(generator.integers(people, 6 * people + 1))
    group = np.r_[np.arange(people), generator.integers(0, people, rows - people)]
    probabilities = np.zeros((rows, 8), np.float32)
    probabilities[:, known] = generator.dirichlet(np.full(classes, 0.7), rows).astype(np.float32)
    label = np.where(generator.random(rows) < 0.4, probabilities.argmax(1), generator.choice(known, rows))
    predicted, confidence = answer(probabilities, range(8))
    return Answers(label, predicted, confidence, group, log_loss(probabilities, label, range(8))), probabilities


def by_scikit_learn(answers: Answers, probabilities: np.ndarray) -> dict[str, float]:
    true, predicted = answers.label, answers.predicted
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that are answered and not there, and of one class alone
        return {
            "accuracy": oracle.accuracy_score(true, predicted),
            "balanced_accuracy": oracle.balanced_accuracy_score(true, predicted),
            "macro_f1": oracle.f1_score(true, predicted, average="macro", zero_division=0),
            "weighted_f1": oracle.f1_score(true, predicted, average="weighted", zero_division=0),
            "loss": oracle.log_loss(true, probabilities / probabilities.sum(1, keepdims=True), labels=range(8)),
        }


@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.integers(1, 100))
@settings(max_examples=40, deadline=None)
def test_every_score_is_that_of_scikit_learn_on_any_classes_and_people(seed, classes, people):
    answers, probabilities = random_answers(seed, classes, people)
    measured = measure(answers, Bootstrap(100, 1, 15))
    expected = by_scikit_learn(answers, probabilities)
    assert {name: measured.scores[name].value for name in expected} == pytest.approx(expected, abs=2e-6)
    there = sorted({*answers.label, *answers.predicted})
    per_class = oracle.precision_recall_fscore_support(answers.label, answers.predicted, labels=there, zero_division=0)
    for position, name in enumerate(("precision", "recall", "f1")):
        found = [measured.per_class[CLASSES[c]][name].value for c in there]
        np.testing.assert_allclose(found, per_class[position], atol=1e-6)
    for c in set(range(8)) - set(there):
        assert set(measured.per_class[CLASSES[c]].values()) == {None}
        assert set(measured.confusion[CLASSES[c]].values()) == {None}


@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.integers(1, 100))
@example(0, 1, 2)  # no draw differs from another
@settings(max_examples=12, deadline=None)
def test_every_interval_is_that_of_a_plain_bootstrap(seed, classes, people):
    """A loop over the very people that were drawn, scored by scikit-learn: equal to the last digit."""
    answers, probabilities = random_answers(seed, classes, people)
    draws = 50
    measured = measure(answers, Bootstrap(draws, seed, 15))
    if people == 1:
        assert {(found.low, found.high) for found in measured.scores.values()} == {(None, None)}
        return
    expected = by_scikit_learn(answers, probabilities)
    picks = np.random.default_rng(seed).integers(0, people, (draws, people))
    members = [np.flatnonzero(answers.group == person) for person in range(people)]
    drawn = []
    for pick in picks:
        rows = np.concatenate([members[person] for person in pick])
        drawn.append(by_scikit_learn(answers.where(rows), probabilities[rows]))
    # The expanded percentile interval, written out anew.
    level = stats.norm.cdf(-np.sqrt(people / (people - 1)) * stats.t.ppf(0.975, people - 1))
    for name in drawn[0]:
        values = np.array([draw[name] for draw in drawn])
        ends = np.quantile(values, [level, 1 - level])
        if people < 5:  # Student's interval of the mean, from the people's own scatter as the draws show it
            half = stats.t.ppf(0.975, people - 1) * values.std() * np.sqrt(people / (people - 1))
            high = expected[name] + half
            ends = [max(expected[name] - half, 0), high if name == "loss" else min(high, 1)]
        found = measured.scores[name]
        np.testing.assert_allclose([found.low, found.high], ends, atol=5e-6, err_msg=name)


def test_intervals_hold_the_truth_of_people_with_unlike_many_faces():
    """The whole table is docs/intervals.md; here, of 60 test sets of ten people."""
    held = np.array(list(simulate(7, 10, equal=False, runs=60).values()))
    assert held[:, 0].min() >= 0.87  # 0.95 less three standard errors
    assert (held[:, 0] >= held[:, 1]).all()
    assert held[:, 0].mean() > held[:, 1].mean() + 0.02


@pytest.mark.parametrize("people", [2, 3])
def test_intervals_of_two_or_three_people_hold_the_truth_too(people):
    held = np.array(list(simulate(7, people, equal=False, runs=60).values()))
    assert held[:, 0].min() >= 0.83
    assert held[:, 1].max() <= 0.8


@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.integers(1, 30))
@settings(max_examples=6, deadline=None)
def test_each_of_several_datasets_has_the_scores_of_its_own_rows(seed, classes, people):
    """In all three ways: of faces, of all rows, and among the classes that both sides have."""
    answers, probabilities = random_answers(seed, classes, people)
    generator = np.random.default_rng(seed)
    dataset, found = generator.choice(list("abc"), len(answers)), generator.random(len(answers)) < 0.8
    trained = set(generator.choice(8, 5, replace=False).tolist())
    rows = AnsweredRows(dataset, answers.label, answers.group, found, probabilities)
    views = build_views(rows, Training(frozenset("ab"), frozenset(trained)), Bootstrap(2, 1, 15))
    places = {("per_dataset", name): dataset == name for name in sorted(set(dataset))}
    places |= {(): np.ones(len(answers), bool), ("within",): dataset != "c", ("across",): dataset == "c"}
    assert set(views) == {place for place, mask in places.items() if mask.any()}
    for place, view in views.items():
        mine = places[place]
        faces, kept = mine & found, mine & found & np.isin(answers.label, sorted(trained))
        assert view.all_rows.scores["accuracy"].value == pytest.approx(
            ((answers.label == answers.predicted) & found)[mine].mean(), abs=1e-6
        )
        assert (view.with_face is None) == (not faces.any())
        if view.with_face is not None:
            expected = by_scikit_learn(answers.where(faces), probabilities[faces])
            scores = {name: view.with_face.scores[name].value for name in expected}
            assert scores == pytest.approx(expected, abs=2e-6)
        if view.shared_classes is not None:
            shared = sorted(trained & set(answers.label[faces].tolist()))
            among = np.array(shared)[probabilities[kept][:, shared].argmax(1)]
            accuracy = view.shared_classes.scores["accuracy"].value
            assert accuracy == pytest.approx((among == answers.label[kept]).mean(), abs=1e-6)


def test_perfect_answers_on_seven_classes_are_perfect():
    label = np.repeat([0, 2, 3, 4, 5, 6, 7], 5)
    measured = measure(Answers(label, label, np.ones(35), np.arange(35)), BOOTSTRAP)
    assert measured.scores["macro_f1"].plain() == {"value": 1, "low": 1, "high": 1}
    assert measured.per_class["contempt"] == {"precision": None, "recall": None, "f1": None}
    assert measured.confusion["contempt"]["anger"] is None


def test_a_class_of_one_person_has_no_interval_of_its_recall():
    label = np.r_[np.zeros(30, int), np.ones(4, int)]
    group = np.r_[np.arange(30), np.full(4, 30)]
    predicted = np.where(np.arange(34) % 3 == 0, 1, label)
    recall = {
        name: scores["recall"]
        for name, scores in measure(Answers(label, predicted, np.ones(34), group), BOOTSTRAP).per_class.items()
    }
    assert recall["contempt"].plain() == {"value": 1, "low": None, "high": None}
    assert recall["anger"].low < recall["anger"].value < recall["anger"].high


def test_the_calibration_error_of_a_perfect_network_is_that_of_chance():
    generator = np.random.default_rng(4)
    probabilities = generator.dirichlet(np.full(8, 0.4), 300).astype(np.float32)
    label = (probabilities.cumsum(1) > generator.random((300, 1))).argmax(1)
    measured = measure(Answers(label, *answer(probabilities, range(8)), np.arange(300)), BOOTSTRAP)
    found = measured.scores["ece"].value
    assert found > 0.03
    assert found == pytest.approx(measured.ece_chance, abs=0.02)
    assert measured.ece_chance == pytest.approx(error_by_chance(probabilities, generator), abs=0.003)


def error_by_chance(probabilities, generator) -> float:
    """The mean calibration error by torchmetrics, over labels that are drawn from the probabilities themselves."""
    drawn = []
    for _ in range(100):
        labels = torch.from_numpy((probabilities.cumsum(1) > generator.random((len(probabilities), 1))).argmax(1))
        drawn.append(float(multiclass_calibration_error(torch.from_numpy(probabilities), labels, 8, n_bins=15)))
    return float(np.mean(drawn))


def test_a_difference_of_calibration_errors_stands_beside_the_one_that_chance_makes():
    """Two networks whose claims hold differ, as the surer one has less to be wrong about."""
    generator = np.random.default_rng(6)
    unsure, sure = (generator.dirichlet(np.full(8, a), 300).astype(np.float32) for a in (0.4, 0.02))
    label = generator.integers(0, 8, 300)
    rows = [AnsweredRows(np.full(300, "one"), label, np.arange(300), np.ones(300, bool), p) for p in (unsure, sure)]
    views = [build_views(of, Training(frozenset({"one"}), frozenset(range(8))), BOOTSTRAP) for of in rows]
    expected = error_by_chance(unsure, generator) - error_by_chance(sure, generator)
    assert expected > 0.02
    found = beside(*views)["per_dataset"]["one"]["better_by"]
    assert found["ece_chance"] == pytest.approx(expected, abs=0.004)
    assert found["ece"]["low"] < found["ece"]["high"]


def coverage(groups: int, share, runs: int = 400) -> float:
    """How often the interval of a mean over people holds the truth, for a tail at each end."""
    generator = np.random.default_rng(7)
    right, truth = 0, 0.5
    for run in range(runs):
        ability = generator.beta(2, 2, groups)
        hits = generator.binomial(8, ability)
        sums = draw_sums(np.stack([hits, np.full(groups, 8)], 1).astype(float), Bootstrap(500, run, 1))
        low, high = np.quantile(sums[:, 0] / sums[:, 1], [share, 1 - share])
        right += low <= truth <= high
    return right / runs


def test_intervals_of_few_people_hold_the_truth_more_often_than_percentiles_do():
    assert coverage(10, 0.025) < 0.92
    assert coverage(10, tail(10)) > 0.93
    assert tail(10) == pytest.approx(0.0086, abs=1e-4)
    assert tail(10_000) == pytest.approx(0.025, abs=1e-4)
    assert FEW_GROUPS == 20
