"""A baseline beside the network, against scikit-learn on the same faces; the map of what the network finds alike."""

import json

import numpy as np
import pytest
from sklearn.manifold import TSNE
from sklearn.metrics import balanced_accuracy_score
from sklearn.svm import SVC

from models.checkpoint import load_checkpoint
from models.core.inputs import InputSpec
from models.data.loader import ShardLoader
from models.evaluation.baseline import answer_baseline
from models.evaluation.stage import run as evaluate
from models.features import frozen_features
from models.registry import find_model
from pipeline.core.errors import UsageError
from pipeline.core.schema import EMBEDDING
from pipeline.core.tables import read_table
from pipeline.shards.read import open_shards
from tests.run_inputs import evaluate_params, make_run, make_shards


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_shards(tmp_path_factory.mktemp("baseline"))


@pytest.fixture(scope="module")
def network(shards):
    return make_run(shards, shards.parent / "run")


def read_split(shards, split, spec):
    batches = list(ShardLoader(shards, split, batch_size=16, shuffle=False, seed=0))
    pixels = np.concatenate([spec.resize(batch.images).numpy()[:, 0] for batch in batches])
    return pixels, np.concatenate([batch.labels.numpy() for batch in batches])


def test_it_is_scikit_learns_on_the_first_training_faces(shards, network):
    checkpoint = load_checkpoint(network)
    params = evaluate_params(baseline="hog-svm", baseline_faces=48)
    found = answer_baseline(shards, open_shards(shards), checkpoint, params)
    spec = InputSpec(112, (0.0,), (1.0,), checkpoint.spec.zoom)
    extract = find_model("hog-svm").build(8, 112, None).feature.extract
    (known, labels), (asked, truth) = (read_split(shards, split, spec) for split in ("train", "test"))
    known, labels = extract(known[:48]), labels[:48]
    centre, scale = known.mean(0), np.maximum(known.std(0), 1e-9)
    oracle = SVC(C=1.0, gamma=1 / known.shape[1], class_weight="balanced", break_ties=True)
    oracle.fit((known - centre) / scale, labels)
    answers = oracle.predict((extract(asked) - centre) / scale)
    np.testing.assert_array_equal(found.argmax(1), answers)
    evaluate(shards, network, shards.parent / "with", params, seed=3)
    beside = json.loads((shards.parent / "with/metrics.json").read_text())["beside"]["hog-svm"]
    assert beside["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, answers), abs=1e-6)


def test_none_is_none_and_a_network_is_refused(shards, network):
    checkpoint, folder = load_checkpoint(network), open_shards(shards)
    assert answer_baseline(shards, folder, checkpoint, evaluate_params()) is None
    with pytest.raises(UsageError, match=r"^evaluate\.baseline: compact is no classical baseline"):
        answer_baseline(shards, folder, checkpoint, evaluate_params(baseline="compact"))


def test_the_map_is_of_what_the_last_layer_reads(shards, network):
    evaluate(shards, network, shards.parent / "mapped", evaluate_params(map_faces=20), seed=3)
    table = read_table(shards.parent / "mapped/embedding.parquet", schema=EMBEDDING)
    ids = table["sample_id"].to_pylist()
    assert len(set(ids)) == 20
    checkpoint = load_checkpoint(network)
    batches = list(ShardLoader(shards, "test", batch_size=16, shuffle=False, seed=0, spec=checkpoint.spec))
    features = {}
    for batch in batches:
        features |= zip(batch.sample_ids, frozen_features(checkpoint, batch.images)[0], strict=True)
    assert set(ids) <= set(features)
    data = np.array([features[sample] for sample in ids])
    oracle = TSNE(init="pca", perplexity=19 / 3, max_iter=500, random_state=3, n_jobs=1).fit_transform(data)
    found = np.stack([table["x"].to_numpy(), table["y"].to_numpy()], 1)
    # The order of sums may move a place a little, and t-SNE makes more of it, but not of who is near whom.
    near = [
        np.argsort(np.linalg.norm(places - places[0], axis=1), kind="stable")[:4].tolist() for places in (found, oracle)
    ]
    assert set(near[0]) == set(near[1])


def test_no_face_is_on_a_map_that_nobody_asked_for(shards, network):
    evaluate(shards, network, shards.parent / "bare", evaluate_params(map_faces=0), seed=3)
    assert len(read_table(shards.parent / "bare/embedding.parquet", schema=EMBEDDING)) == 0
