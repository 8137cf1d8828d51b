"""The classical baselines answer from their tensors as scikit-learn does from its objects."""

import numpy as np
import pytest
import torch

from models.classical.baselines import Classical
from models.classical.classifiers import Linear
from models.data.faces import FaceBatch
from models.registry import find_model, list_models
from pipeline.core.errors import DataError, UsageError


def make_faces(classes, rows=60, side=112, channels=1, seed=0):
    """Stripes whose direction is the class, with noise."""
    generator = np.random.default_rng(seed)
    labels = generator.choice(classes, rows)
    y, x = np.mgrid[:side, :side]
    angles = labels * np.pi / 8 + generator.normal(0, 0.15, rows)
    waves = np.sin((x * np.cos(angles)[:, None, None] + y * np.sin(angles)[:, None, None]) / 3)
    pixels = np.clip(128 + 50 * waves + generator.normal(0, 40, waves.shape), 0, 255).astype(np.uint8)
    stacked = torch.from_numpy(pixels)[:, None].expand(-1, channels, -1, -1).contiguous()
    rest = torch.zeros(rows, 8), torch.ones(rows), torch.zeros(rows, 2), torch.zeros(rows, 2, dtype=torch.bool)
    return FaceBatch(stacked, torch.from_numpy(labels), *rest)


def make_model(name="hog-svm"):
    return find_model(name).build(8, 112, None)


def reload(model):
    fresh = Classical(model.classes, type(model.feature)(), type(model.classifier)())
    fresh.load_state_dict(model.state_dict())
    return fresh


@pytest.mark.parametrize("classes", [[0, 2, 4, 7], [1, 5]])
def test_the_svm_is_scikit_learns(classes):
    from sklearn.svm import SVC

    model = make_model()
    model.fit(make_faces(classes), None)
    asked = make_faces(classes, rows=40, seed=1)
    known = model.standardized(make_faces(classes).pixels[:, 0].numpy()).numpy()
    features = model.standardized(asked.pixels[:, 0].numpy()).numpy()
    oracle = SVC(C=1.0, gamma=1 / known.shape[1], class_weight="balanced", break_ties=len(classes) > 2)
    oracle.fit(known, make_faces(classes).labels.numpy())
    answers = reload(model)(asked.pixels).argmax(1).numpy()
    np.testing.assert_array_equal(answers, oracle.predict(features))
    if len(classes) > 2:
        expected = oracle.decision_function(features)
        np.testing.assert_allclose(model.classifier.decide(torch.from_numpy(features)).numpy(), expected, atol=1e-6)


def test_it_learns_the_stripes_and_keeps_absent_classes_out():
    model = make_model()
    model.fit(make_faces([0, 2, 4, 6], rows=120), make_faces([0, 2, 4, 6], rows=40, seed=3))
    asked = make_faces([0, 2, 4, 6], rows=60, seed=4)
    probabilities = model(asked.pixels).softmax(1)
    assert (probabilities.argmax(1) == asked.labels).float().mean() > 0.8
    assert probabilities[:, [1, 3, 5, 7]].max() < 1e-6


def test_float_images_are_the_same_faces():
    model = make_model()
    faces = make_faces([0, 4])
    model.fit(faces, None)
    torch.testing.assert_close(model(faces.pixels.float() / 255), model(faces.pixels))


def test_it_stays_on_the_cpu_in_its_own_numbers_whoever_moves_it():
    model = make_model()
    model.fit(make_faces([0, 2, 6]), None)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    asked = make_faces([0, 2, 6], rows=8, seed=1)
    answers = model(asked.pixels)
    for moved in (model.to("meta"), model.cuda(), model.half(), torch.nn.Sequential(model).to("meta")[0]):
        assert all(torch.equal(value, before[name]) for name, value in moved.state_dict().items())
        assert torch.equal(moved(asked.pixels), answers)


@pytest.mark.parametrize("classes", [[0, 2, 6], [1, 5]])
def test_the_linear_classifier_is_scikit_learns(classes):
    from sklearn.linear_model import LogisticRegression

    generator = np.random.default_rng(0)
    features = generator.normal(size=(90, 128))
    labels = generator.integers(0, len(classes), 90)
    model = Linear()
    model.solve(features, labels, 100.0)
    oracle = LogisticRegression(C=1.0, class_weight="balanced", max_iter=2000).fit(features, labels)
    found = model.decide(torch.from_numpy(features)).softmax(1).numpy()
    np.testing.assert_allclose(found, oracle.predict_proba(features), atol=1e-7)


def test_one_class_alone_is_an_error():
    with pytest.raises(DataError, match="a classifier needs two"):
        make_model().fit(make_faces([3]), None)


def test_every_pair_is_known_and_those_of_papers_are_listed():
    listed = {entry.name for entry in list_models() if entry.kind == "classical"}
    assert listed >= {"lbp-svm", "sift-svm", "ldp-svm", "gabor-svm", "landmark-svm", "fusion-svm", "hog-svm"}
    entry = find_model("LBP_KNN")
    assert (entry.name, entry.kind) == ("lbp-knn", "classical")
    assert entry.what == "uniform local binary patterns on a grid with the nearest neighbours"
    with pytest.raises(UsageError, match=r"no network 'lbp-forest'.* <feature>-<classifier>, such as lbp-knn"):
        find_model("lbp-forest")


@pytest.mark.parametrize("name", ["sift-knn", "fusion-linear", "gabor-bayes"])
def test_what_was_learned_is_in_the_file_and_only_of_training_faces(name):
    entry, classes = find_model(name), [0, 3, 6]
    faces, held, other, asked = (
        make_faces(classes, rows, entry.input(None).size_px, seed=seed)
        for rows, seed in ((20, 0), (6, 1), (6, 2), (6, 3))
    )
    model, again = make_model(name), make_model(name)
    model.fit(faces, held)
    assert torch.equal(reload(model)(asked.pixels), model(asked.pixels))
    again.fit(faces, other)  # validation chooses the classifier's strength and nothing else
    for part, value in model.feature.state_dict().items():
        assert torch.equal(value, again.feature.state_dict()[part])
    assert torch.equal(model.mean, again.mean)
