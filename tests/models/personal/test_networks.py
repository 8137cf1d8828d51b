"""Personal networks: what is a person's own is learned, what is chance is not, and nobody is worse off than before."""

import numpy as np
import pytest
from scipy import stats
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct

from models.personal import anchored
from models.personal.anchored import Known, answer_values, laplace
from models.personal.draws import draw_faces, shot_counts
from models.personal.networks import NETWORKS
from models.personal.people import Person
from models.personal.scores import score

PEOPLE, TESTED, WIDTH = 16, 60, 64


def make_person(number: int, kind: str, *, classes: int = 8) -> Person:
    """Return someone unknown to a network that is right on three of four faces.

    The person is like everybody, has two classes exchanged, or has 30% wrong labels.
    """
    random = np.random.default_rng((number, 5))
    centres = random.normal(size=(8, WIDTH)) * 0.3
    shown = np.arange(TESTED + 40) % classes
    features = centres[shown] + random.normal(size=(len(shown), WIDTH))
    logits = features @ centres.T - 0.5 * (centres**2).sum(axis=1)
    labels = shown.copy()
    if kind == "exchanged":
        labels[shown == 0], labels[shown == 1] = 1, 0
    if kind == "careless":
        labels = np.where(random.random(len(shown)) < 0.3, random.integers(0, classes, len(shown)), shown)
    answers = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    features = (features - features.mean(axis=0)) / (features.std(axis=0) * np.sqrt(WIDTH))
    return Person(str(number), labels, np.empty((len(shown), 0)), features, features, answers, np.eye(len(shown)))


def make_feeling_person(number: int, offset: float, slope: float, error: float = 0.2) -> Person:
    """Return someone whose valence and arousal a network answers with an error, an offset and a slope."""
    random = np.random.default_rng((number, 6))
    true = random.uniform(-0.6, 0.6, (TESTED + 40, 2))
    answers = np.clip(slope * true - offset + random.normal(0, error, true.shape), -1, 1)
    features = random.normal(size=(len(true), WIDTH)) / np.sqrt(WIDTH)
    labels = np.zeros(len(true), np.int64)
    return Person(str(number), labels, true, features, features, answers, np.eye(len(true)), ("valence", "arousal"))


def gains(people, shots: int, name: str, sign: int = 1) -> np.ndarray:
    """Return (P,) by how much each person's own network is better."""
    found = []
    for number, person in enumerate(people):
        draw = draw_faces(person, 16, 1.0, np.random.default_rng(number))
        values = [
            score(person, draw.tested, NETWORKS[network](person, draw.shots[:shots], draw.tested).answers)[name]
            for network in ("personal", "general")
        ]
        found.append(sign * (values[0] - values[1]))
    return np.array(found)


def interval(values: np.ndarray) -> tuple[float, float]:
    if not values.std():
        return float(values.mean()), float(values.mean())
    return stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))


@pytest.mark.parametrize("kind", ["like everybody", "careless"])
def test_nobody_is_worse_off_at_any_number_of_shots(kind):
    people = [make_person(number, kind) for number in range(PEOPLE)]
    for shots in shot_counts(16):
        assert interval(gains(people, shots, "accuracy"))[1] >= 0, shots


@pytest.mark.parametrize(("shots", "classes"), [(8, 3), (16, 3), (16, 8)])
def test_who_smiles_when_angry_is_understood(shots, classes):
    """Two classes exchanged: a habit, which two or more faces of each show."""
    people = [make_person(number, "exchanged", classes=classes) for number in range(PEOPLE)]
    low, _ = interval(gains(people, shots, "accuracy"))
    assert low > 0


def test_a_habit_is_learned_nearly_whole():
    """The general network is wrong on two of three classes, the one that saw 16 shots on few faces of them."""
    people = [make_person(number, "exchanged", classes=3) for number in range(PEOPLE)]
    assert gains(people, 16, "accuracy").mean() > 0.35


@pytest.mark.parametrize(("offset", "slope", "error"), [(0.0, 1.0, 0.2), (0.3, 1.0, 0.2), (0.0, 0.4, 0.05)])
def test_values_that_are_off_are_set_right_and_others_left(offset, slope, error):
    """Someone like everybody, someone who looks sadder than they say they are, and someone who shows little."""
    people = [make_feeling_person(number, offset, slope, error) for number in range(PEOPLE)]
    for shots in shot_counts(16):
        assert interval(gains(people, shots, "rmse", -1))[1] >= 0, shots
    if offset or slope < 1:
        assert interval(gains(people, 16, "rmse", -1))[0] > 0.02


def test_the_evidence_of_classes_is_scikit_learns():
    """Two classes with the covariance c each are one process with 2 c, which scikit-learn has by Laplace, too."""
    random = np.random.default_rng(3)
    features, labels = random.normal(size=(9, 4)), np.array([0, 1, 1, 0, 1, 0, 0, 1, 1])
    kernel = ConstantKernel(2.0, "fixed") * DotProduct(0.5, "fixed")
    reference = GaussianProcessClassifier(kernel, optimizer=None, max_iter_predict=1000).fit(features, labels)
    covariance = kernel(features) / 2
    evidence, alpha = laplace(covariance, np.zeros((9, 2)), labels)
    assert evidence == pytest.approx(reference.log_marginal_likelihood_value_, abs=1e-4)
    logits = covariance @ alpha
    shares = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
    assert shares == pytest.approx(reference.base_estimator_.pi_, abs=1e-4)


def test_values_are_the_mean_of_scikit_learns_regressions(monkeypatch):
    monkeypatch.setattr(anchored, "_NOISES", (0.01, 0.04))
    monkeypatch.setattr(anchored, "_VALUE_SPREADS", (0.05, 0.5))
    monkeypatch.setattr(anchored, "_GENERAL_VALUES", 0.5)
    random = np.random.default_rng(4)
    features, others = random.normal(size=(6, 3)), random.normal(size=(4, 3))
    values, general, theirs = (random.uniform(-0.5, 0.5, size) for size in (6, 6, 4))
    weights, answers = [], []
    for noise in (0.01, 0.04):
        weights.append(0.5 * np.exp(stats.norm.logpdf(values - general, scale=np.sqrt(noise)).sum()))
        answers.append(theirs)
        for spread in (0.05, 0.5):
            kernel = ConstantKernel(spread, "fixed") * DotProduct(0.0, "fixed")
            one = GaussianProcessRegressor(kernel, alpha=noise, optimizer=None).fit(features, values - general)
            weights.append(0.25 * np.exp(one.log_marginal_likelihood_value_))
            answers.append(np.clip(theirs + one.predict(others), -1, 1))
    expected = np.average(answers, axis=0, weights=weights)
    known = Known(general[:, None], (features @ features.T,))
    found = answer_values(known, values, Known(theirs[:, None], (others @ features.T,)))
    assert found.answers[:, 0] == pytest.approx(expected, abs=1e-9)
    assert found.general_weight == pytest.approx((weights[0] + weights[3]) / sum(weights))


def test_shots_go_round_the_classes_and_copies_are_not_tested():
    labels = np.array([0] * 10 + [3] * 4 + [5] * 2)
    small = np.eye(16)
    small[1] = small[0]  # a second frame of one moment
    empty = np.zeros((16, 1))
    person = Person("p", labels, np.empty((16, 0)), empty, empty, np.zeros((16, 8)), small)
    for seed in range(20):
        draw = draw_faces(person, 6, 0.97, np.random.default_rng(seed))
        for first, last in ((0, 3), (3, 6)):
            assert sorted(labels[draw.shots[first:last]]) == [0, 3, 5]
        assert not set(draw.shots) & set(draw.tested)
        assert not ({0, 1} & set(draw.shots.tolist()) and {0, 1} & set(draw.tested.tolist()))
    long = draw_faces(person, 12, 1.0, np.random.default_rng(0))
    assert np.bincount(labels[long.shots], minlength=6)[[3, 5]].tolist() == [4, 2]


def test_shots_are_spread_over_valence_and_arousal():
    person = make_feeling_person(1, 0.0, 1.0)
    middle = np.median(person.affect, axis=0)
    quarters = {tuple(side) for side in (person.affect > middle).tolist()}
    for seed in range(10):
        shots = draw_faces(person, 4, 1.0, np.random.default_rng(seed)).shots
        assert {tuple(side) for side in (person.affect[shots] > middle).tolist()} == quarters


def test_shots_double_and_end_with_what_was_asked():
    assert shot_counts(1) == [1]
    assert shot_counts(8) == [1, 2, 4, 8]
    assert shot_counts(11) == [1, 2, 4, 8, 11]
