"""The parts of `doubt` by hand: fences, copies, neighbours."""

import shutil

import numpy as np
import pytest

from pipeline.core.tables import read_table, write_table
from pipeline.doubt.answers import answer, has_learned
from pipeline.doubt.copies import doubt_copies
from pipeline.doubt.crops import tukey
from pipeline.doubt.features import join, read_descriptors
from pipeline.doubt.labels import doubt_labels
from pipeline.doubt.likeness import nearest
from pipeline.images import decode_face
from pipeline.split.identities import describe
from tests.pipeline.doubt.conftest import MARGIN


def test_far_out_is_half():
    values = np.array([0.0, 1, 2, 3, 4, 3 + 3 * 2, np.nan])  # of the known, the quartiles are 1.25 and 3.75
    doubt = tukey(values, 0.1)
    assert doubt[:4].tolist() == [0, 0, 0, 0]
    assert doubt[4] == pytest.approx(0.1 / 3.1)
    assert doubt[5] == pytest.approx(2.1 / 5.1)
    assert doubt[6] == 0
    assert tukey(np.array([1.0, 1, 1, 1, 4]), 1.0)[4] == 0.5
    assert tukey(np.full(3, np.nan), 1.0).tolist() == [0, 0, 0]


def test_votes_and_answers_decide_between_copies():
    probs = np.zeros((6, 8))
    probs[:, 0], probs[:, 1] = 0.8, 0.2
    scores, likeliest, others = doubt_copies(np.array([5, 5, 7, 7, 7, 9]), np.array([0, 1, 1, 1, 0, 3]), probs)
    # 4 : 1 by the answers alone; 4 : 2 where two of three copies say 1.
    assert scores == pytest.approx([0.2, 0.8, 2 / 3, 2 / 3, 1 / 3, 0], abs=1e-4)
    assert likeliest.tolist() == [0, 0, 0, 0, 0, 3]
    assert others == [[1], [0], [3, 4], [2, 4], [2, 3], []]


def test_a_label_is_more_doubtful_than_not_where_another_is_likelier():
    random = np.random.default_rng(2)
    labels = np.repeat([2, 5, 7], 40)
    probs = np.full((120, 8), 0.01)
    probs[np.arange(120), labels] = random.uniform(0.6, 0.9, 120)
    labels[[3, 50]] = 7
    scores, other, issues = doubt_labels(labels, probs / probs.sum(axis=1, keepdims=True))
    assert np.flatnonzero(scores > 0.5).tolist() == [3, 50]
    assert set(np.flatnonzero(issues)) <= {3, 50}
    assert other[[3, 50]].tolist() == [2, 5]


def test_neighbours_are_those_of_a_whole_search():
    points = np.random.default_rng(3).normal(size=(40, 3)).astype(np.float32)
    points[7] = points[30]  # a twin is a neighbour like any other
    rows, distances = nearest(points, [str(number) for number in range(40)], seed=1)
    whole = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(whole, np.inf)
    assert rows[7, 0] == 30
    assert rows[30, 0] == 7
    assert not (rows == np.arange(40)[:, None]).any()
    assert np.take_along_axis(whole, rows, axis=1) == pytest.approx(np.sort(whole, axis=1)[:, :5], abs=1e-3)
    assert distances == pytest.approx(np.sort(whole, axis=1)[:, :5].mean(axis=1), rel=1e-3)


def test_a_fold_is_answered_by_the_others_alone():
    random = np.random.default_rng(4)
    labels = np.tile([1, 4, 6], 20)
    features = (random.normal(size=(60, 2, 5)) + labels[:, None, None]).astype(np.float32)
    fold = np.repeat([0, 1, 2], 20)
    before = answer(features, labels, fold)
    assert before.sum(axis=2) == pytest.approx(1, abs=1e-4)
    assert (before[:, :, [0, 2, 3, 5, 7]] == 0).all()
    assert (before.mean(axis=1).argmax(axis=1) == labels).mean() > 0.8
    changed = np.where(fold == 1, 7, labels)
    after = answer(features, changed, fold)
    assert (after[fold == 1] == before[fold == 1]).all()
    assert (after[fold != 1] != before[fold != 1]).any()


def test_spaces_side_by_side_have_one_deviation():
    random = np.random.default_rng(5)
    spaces = [random.normal(0, 9, (30, 2, 4)).astype(np.float32), random.normal(0, 0.1, (30, 1, 3)).astype(np.float32)]
    joined = join(spaces)
    assert joined.shape == (30, 2, 7)
    assert joined[:, :, :4].std() == pytest.approx(1)
    assert joined[:, :, 4:].std() == pytest.approx(1)
    assert (joined[:, 0, 4:] == joined[:, 1, 4:]).all()  # a descriptor is of the face alone


def test_descriptors_are_those_of_the_faces_in_order(made, tmp_path):
    world, _, _ = made
    folder = world.root / "aligned/one"
    few = read_table(folder).slice(3, 2)
    write_table(tmp_path / "part-00000.parquet", few)
    shutil.copy(folder / "snapshot.json", tmp_path)
    ids, found = read_descriptors([tmp_path / "part-00000.parquet"], workers=1)
    assert ids == few["sample_id"].to_pylist()
    assert found.shape == (2, 1, 128)
    for number, image in enumerate(few["image"].to_pylist()):
        assert found[number, 0] == pytest.approx(describe([decode_face(image)], MARGIN)[0], abs=1e-5)


def test_a_class_of_one_fold_alone_is_not_called_wrong():
    labels, fold = np.array([0, 0, 1, 1, 3, 3]), np.array([0, 1, 0, 1, 2, 2])
    assert has_learned(labels, fold).tolist() == [True, True, True, True, False, False]
    features = np.arange(60, dtype=np.float32).reshape(6, 2, 5)
    # Without fold 0 of two, class 6 alone is left.
    probs = answer(features, np.array([1, 1, 1, 6, 6, 6]), np.array([0, 0, 0, 1, 1, 1]))
    assert (probs[:3, :, 6] == 1).all()
    assert (probs[3:, :, 1] == 1).all()
    assert (probs.sum(axis=2) == 1).all()
