"""Some of the eight classes, from the table of labels to the network, its answers and its scores."""

import json

import numpy as np
import onnxruntime
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import accuracy_score, recall_score

from models.checkpoint import CHECKPOINT_NAME, load_checkpoint
from models.core.classes import find_outputs, widen
from models.evaluation.stage import run as evaluate
from models.inference.export import export_onnx
from models.training.stage import run as train
from pipeline.core.emotions import CLASSES, NO_CLASS
from pipeline.core.errors import ModelError
from pipeline.report.network import build_network
from pipeline.shards.read import open_shards
from tests.models.training_inputs import train_params
from tests.run_inputs import evaluate_params, make_run, make_shards

SOME = ("anger", "fear", "happy", "neutral", "surprise")


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_shards(tmp_path_factory.mktemp("some"), rows=100, classes=SOME)


@pytest.fixture(scope="module")
def run(shards, tmp_path_factory):
    return make_run(shards, tmp_path_factory.mktemp("run") / "run", classes=SOME)


def test_an_output_stands_for_its_class_and_none_for_the_others():
    labels = np.array([0, 1, 3, 7, NO_CLASS, 4])
    assert find_outputs(labels, SOME).tolist() == [0, NO_CLASS, 1, 4, NO_CLASS, 2]
    assert find_outputs(labels, CLASSES).tolist() == labels.tolist()
    wide = widen(np.array([[0.1, 0.2, 0.3, 0.4, 0.0]], np.float32), SOME)
    assert wide.round(6).tolist() == [np.array([0.1, 0, 0, 0.2, 0.3, 0.4, 0, 0.0], np.float32).round(6).tolist()]


@pytest.mark.parametrize(
    "settings", [{}, {"model": "hog-svm"}, {"soft_labels": True, "class_weights": 1.0}, {"task": "all"}]
)
def test_a_network_learns_the_classes_that_there_are(shards, tmp_path, settings):
    given = {"epochs": 1, "label_smoothing": 0.1, **settings}
    train(shards, tmp_path / "run", train_params(**given), seed=1)
    checkpoint = load_checkpoint(tmp_path / "run" / CHECKPOINT_NAME, "cpu")
    heads = checkpoint.info.heads
    assert heads.classes == tuple(checkpoint.contract["classes"]) == SOME == open_shards(shards).classes
    assert heads.values == (("valence", "arousal") if "task" in settings else ())
    pixels = np.zeros((2, 48, 48, 3), np.uint8)
    answers = checkpoint.predict(pixels)
    assert answers.shape == (2, 5)
    assert np.allclose(answers.sum(axis=1), 1)
    history = (tmp_path / "run/losses.csv").read_text().splitlines()
    assert "nan" not in "".join(history)


def test_answers_and_scores_are_of_these_classes(shards, run, tmp_path):
    evaluate(shards, run, tmp_path / "out", evaluate_params(), seed=3)
    rows = pq.read_table(tmp_path / "out/predictions.parquet").to_pylist()
    true, said = np.array([row["label"] for row in rows]), np.array([row["predicted"] for row in rows])
    numbers = {CLASSES.index(name) for name in SOME}
    assert set(true) == numbers
    assert set(said) <= numbers
    shares = np.array([row["probabilities"] for row in rows])
    absent = [number for number in range(8) if number not in numbers]
    assert shares.shape[1] == 8
    assert (shares[:, absent] == 0).all()
    assert (shares.argmax(axis=1) == said).all()
    metrics, details = (json.loads((tmp_path / "out" / name).read_text()) for name in ("metrics.json", "details.json"))
    assert metrics["accuracy"] == pytest.approx(accuracy_score(true, said), abs=1e-6)
    recall = recall_score(true, said, labels=sorted(numbers), average="macro")
    assert metrics["balanced_accuracy"] == pytest.approx(recall, abs=1e-6)
    assert tuple(details["per_class"]) == tuple(metrics["per_class"]) == SOME
    assert tuple(details["confusion"]) == tuple(details["confusion"]["anger"]) == SOME
    counts = build_network(tmp_path / "out")["confusion"]
    assert tuple(counts) == tuple(counts["anger"]) == SOME
    assert sum(counts["fear"].values()) == (true == CLASSES.index("fear")).sum()


def test_a_network_of_all_classes_is_refused_on_shards_of_some(shards, tmp_path):
    with pytest.raises(
        ModelError, match=r"its outputs are anger, contempt, .*; they must be anger, fear, happy, neutral"
    ):
        evaluate(shards, make_run(shards, tmp_path / "run"), tmp_path / "out", evaluate_params(), seed=3)


def test_what_is_exported_answers_these_classes(run, tmp_path):
    export_onnx(load_checkpoint(run / CHECKPOINT_NAME, "cpu"), tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    assert json.loads(session.get_modelmeta().custom_metadata_map["prep"])["classes"] == list(SOME)
    shape = session.get_inputs()[0].shape
    pixels = np.zeros((3, *shape[1:]), np.uint8)
    (answers,) = session.run(None, {session.get_inputs()[0].name: pixels})
    assert answers.shape == (3, 5)
