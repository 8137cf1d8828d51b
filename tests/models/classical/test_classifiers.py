"""Classifiers answer from their tensors as scikit-learn does from its objects."""

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier

from models.classical.classifiers import Bayes, Neighbours, Perceptron


def make_data(classes=3, rows=90, seed=0):
    generator = np.random.default_rng(seed)
    labels = np.arange(rows) % classes
    return generator.normal(size=(rows, 20)) + labels[:, None] * 0.4, labels


def test_neighbours_are_scikit_learns():
    features, labels = make_data()
    model = Neighbours()
    model.solve(features, labels, 6.0)  # 30 / 6 = 5 neighbours
    asked, _ = make_data(seed=1)
    oracle = KNeighborsClassifier(5).fit(features, labels).predict_proba(asked)
    np.testing.assert_allclose(model.decide(torch.from_numpy(asked)).exp(), np.maximum(oracle, 0.01), atol=1e-12)


def test_a_rare_class_counts_as_much_among_neighbours_as_a_common_one():
    features, labels = make_data(rows=120)
    kept = (labels > 0) | (np.cumsum(labels == 0) <= 6)
    model = Neighbours()
    model.solve(features[kept], labels[kept], 2.0)
    asked, truth = make_data(rows=300, seed=1)
    plain = KNeighborsClassifier(15).fit(features[kept], labels[kept]).predict(asked)
    found = model.decide(torch.from_numpy(asked)).argmax(1).numpy()
    assert balanced_accuracy_score(truth, found) > balanced_accuracy_score(truth, plain) + 0.05


def test_no_row_has_no_answer():
    model = Neighbours()
    model.solve(*make_data(), 6.0)
    assert model.decide(torch.zeros(0, 20).double()).shape == (0, 3)


def test_naive_bayes_is_scikit_learns():
    features, labels = make_data()
    model = Bayes()
    model.solve(features, labels, 0.1)
    oracle = GaussianNB(var_smoothing=1.0, priors=[1 / 3] * 3).fit(features, labels)
    asked, _ = make_data(seed=1)
    found = model.decide(torch.from_numpy(asked))
    np.testing.assert_array_equal(found.argmax(1), oracle.predict(asked))
    # Likelihoods of dependent features are damped by the root of their number.
    exact = oracle.predict_joint_log_proba(asked) / np.sqrt(features.shape[1])
    np.testing.assert_allclose(found - found[:, :1], exact - exact[:, :1], atol=1e-9)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("classes", [2, 3])
def test_the_perceptron_is_scikit_learns(classes):
    features, labels = make_data(classes)
    model = Perceptron()
    model.solve(features, labels, 0.1)
    order = np.argsort(labels, kind="stable")  # the classes are even, so each row counts once
    oracle = MLPClassifier((128,), alpha=10.0, max_iter=60, random_state=0, n_iter_no_change=60)
    oracle.fit(features[order], labels[order])
    asked, _ = make_data(classes, seed=1)
    found = model.decide(torch.from_numpy(asked)).softmax(1).numpy()
    np.testing.assert_allclose(found, oracle.predict_proba(asked), atol=1e-9)
