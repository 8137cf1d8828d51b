"""Label permutations on label orders that are known to be wrong, and on networks that are only weak."""

import itertools

import numpy as np
import pytest

from models.evaluation.label_permutation import find_label_permutation
from pipeline.core.emotions import CLASSES

COUNT = len(CLASSES)


def predictions(labels, accuracy, seed=0):
    """Answers that are right with this probability and else any class."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(labels.size) < accuracy, labels, rng.integers(0, COUNT, labels.size))


def balanced_labels(rows=800):
    return np.arange(rows) % COUNT


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(range(COUNT), 2)))
def test_each_pair_of_swapped_classes_is_named(first, second):
    labels = balanced_labels()
    predicted = predictions(labels, 0.6)
    order = np.arange(COUNT)
    order[[first, second]] = second, first
    found = find_label_permutation(labels, order[predicted], CLASSES)
    assert found is not None
    assert found.swapped == (CLASSES[first], CLASSES[second])
    assert found.reads_as == {CLASSES[first]: CLASSES[second], CLASSES[second]: CLASSES[first]}
    right = [np.mean(predicted[labels == label] == label) for label in range(COUNT)]
    assert found.best_score == pytest.approx(np.mean(right))
    assert "look swapped" in str(found)


def test_right_order_is_left_alone_however_good_the_network():
    labels = balanced_labels()
    for accuracy in (0.0, 0.1, 0.3, 0.6, 1.0):
        assert find_label_permutation(labels, predictions(labels, accuracy), CLASSES) is None


def test_chance_is_not_taken_for_a_swap():
    rng = np.random.default_rng(1)
    for _ in range(300):
        rows = int(rng.choice([8, 40, 200]))
        labels, predicted = rng.integers(0, COUNT, rows), rng.integers(0, COUNT, rows)
        assert find_label_permutation(labels, predicted, CLASSES) is None


def test_a_network_that_says_one_class_is_only_bad():
    labels = balanced_labels()
    assert find_label_permutation(labels, np.full_like(labels, 4), CLASSES) is None


def test_fear_taken_for_surprise_is_a_confusion_not_a_swap():
    labels = balanced_labels()
    predicted = np.where(labels == 3, 7, labels)
    assert find_label_permutation(labels, predicted, CLASSES) is None


def test_a_whole_other_order_is_read_out():
    # RAF-DB in alphabetical order: its readers take 1..7 for anger, disgust, fear, happy, neutral, sad, surprise.
    native = ["surprise", "fear", "disgust", "happy", "sad", "anger", "neutral"]
    alphabetical = sorted(native)
    labels = np.array([CLASSES.index(native[row % 7]) for row in range(700)])
    wrong = {CLASSES.index(right): CLASSES.index(taken) for right, taken in zip(native, alphabetical, strict=True)}
    predicted = np.array([wrong[label] for label in labels])
    found = find_label_permutation(labels, predicted, CLASSES)
    assert found is not None
    assert found.best_score == 1.0
    assert found.reads_as == {taken: right for right, taken in zip(native, alphabetical, strict=True) if right != taken}
    assert "in an order that takes" in str(found)


def test_absent_classes_stay_where_they_are():
    labels = np.repeat([0, 4], 100)
    found = find_label_permutation(labels, np.repeat([4, 0], 100), CLASSES)
    assert found is not None
    assert (found.swapped, found.given_score, found.best_score) == (("anger", "happy"), 0.0, 1.0)
    # Nothing is known of contempt: that all anger comes out as contempt is still a wrong order.
    found = find_label_permutation(np.repeat([0, 4], 100), np.repeat([1, 4], 100), CLASSES)
    assert found is not None
    assert found.reads_as["contempt"] == "anger"
    # That some of it does is only a weakness.
    some = np.concatenate([np.repeat([1, 0, 6], [40, 15, 45]), np.repeat(4, 100)])
    assert find_label_permutation(np.repeat([0, 4], 100), some, CLASSES) is None


def test_probabilities_count_by_their_largest():
    labels = balanced_labels()
    swapped = np.where(labels == 0, 2, np.where(labels == 2, 0, labels))
    by_class = find_label_permutation(labels, swapped, CLASSES)
    assert by_class is not None
    assert find_label_permutation(labels, np.eye(COUNT)[swapped] * 0.5 + 0.05, CLASSES) == by_class
    assert by_class.plain()["swapped"] == {"first": "anger", "second": "disgust"}


def test_a_rare_class_proves_nothing():
    labels = np.array([0] * 400 + [1, 2])
    assert find_label_permutation(labels, np.array([0] * 400 + [2, 1]), CLASSES) is None


@pytest.mark.parametrize(
    ("labels", "predicted"),
    [([0, 1], [0]), ([8], [0]), ([-1], [0]), ([0], [0.5]), ([0], np.zeros((1, 7))), ([[0]], [0])],
)
def test_what_does_not_fit_is_refused(labels, predicted):
    with pytest.raises(ValueError, match=r"expected one class index|probabilities a row|predictions"):
        find_label_permutation(labels, predicted, CLASSES)


def test_no_rows_say_nothing():
    assert find_label_permutation(np.array([], int), np.array([], int), CLASSES) is None
