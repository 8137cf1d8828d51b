"""CCC, Pearson, RMSE and sign agreement against torchmetrics, scipy, numpy and hand-computed cases."""

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr

from models.core.affect import affect_loss, concordance, score_affect
from models.evaluation.affect_scores import measure_affect
from models.evaluation.intervals import tail
from models.evaluation.metrics import Bootstrap


@pytest.fixture
def pairs():
    generator = np.random.default_rng(2)
    true = generator.uniform(-1, 1, 200)
    return np.clip(true + generator.normal(0, 0.3, 200), -1, 1), true


def test_ccc_by_hand():
    # means 2 and 3, variances 2/3 each, covariance 2/3: 2 * 2/3 / (2/3 + 2/3 + 1) = 4/7
    assert concordance(np.array([1.0, 2, 3]), np.array([2.0, 3, 4])) == pytest.approx(4 / 7)
    assert np.isnan(concordance(np.array([1.0, 1, 1]), np.array([1.0, 1, 1])))
    assert np.isnan(concordance(np.array([1.0]), np.array([0.5])))


def test_ccc_is_that_of_torchmetrics(pairs):
    from torchmetrics.functional.regression import concordance_corrcoef

    expected = concordance_corrcoef(*(torch.from_numpy(column) for column in pairs)).item()
    # torchmetrics takes sample moments, Lin population moments: they part by about 1 / n.
    assert concordance(*pairs) == pytest.approx(expected, abs=1 / 100)


def test_what_is_not_given_is_not_read(pairs):
    answers, true = pairs
    given = np.arange(200) % 3 > 0
    spoiled = np.where(given, true, np.nan)
    score = score_affect(answers, spoiled, given)
    kept = answers[given], true[given]
    assert score.rows == given.sum()
    assert score.ccc == pytest.approx(concordance(*kept))
    assert score.rmse == pytest.approx(np.sqrt(np.mean((kept[0] - kept[1]) ** 2)))
    assert score.sign_agreement == pytest.approx(np.mean((kept[0] > 0) == (kept[1] > 0)))
    assert score.pearson == pytest.approx(pearsonr(*kept).statistic)
    assert score_affect(answers, spoiled, np.zeros(200, bool)) is None


def test_signs_by_hand_and_null_where_no_annotation_has_one():
    answers, true = np.array([0.1, -0.2, 0.0, 0.3]), np.array([0.5, 0.5, 0.0, 0.0])
    score = score_affect(answers, true, np.ones(4, bool))
    assert (score.sign_agreement, score.sign_agreement_with_zeros) == (
        0.5,
        0.5,
    )  # right: the first; the first and third
    none = score_affect(answers[2:], true[2:], np.ones(2, bool))
    assert np.isnan(none.sign_agreement)
    assert none.sign_agreement_with_zeros == 0.5
    assert np.isnan(none.pearson)  # the annotations do not vary
    assert none.ccc == 0.0  # by the formula: no covariance, but some spread


@pytest.mark.parametrize("kind", ["mse", "ccc"])
def test_the_loss_reads_and_moves_only_what_is_given(pairs, kind):
    answers, true = (torch.from_numpy(column).view(-1, 2).clone() for column in pairs)
    given = torch.zeros(100, 2, dtype=torch.bool)
    given[:40, 0] = True
    answers.requires_grad_()
    loss = affect_loss(answers, true, given, kind, torch.ones(len(true)))
    loss.backward()
    assert (answers.grad[~given] == 0).all()
    assert (answers.grad[given] != 0).any()
    first = answers.detach()[:40, 0].numpy(), true[:40, 0].numpy()
    expected = {"mse": np.mean((first[0] - first[1]) ** 2), "ccc": (1 - concordance(*first) + 0) / 2}[kind]
    assert loss.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", ["mse", "ccc"])
def test_a_batch_that_gives_nothing_has_no_loss(kind):
    answers = torch.randn(4, 2, requires_grad=True)
    loss = affect_loss(answers, torch.zeros(4, 2), torch.zeros(4, 2, dtype=torch.bool), kind, torch.ones(4))
    loss.backward()
    assert loss.item() == 0
    assert (answers.grad == 0).all()


def test_scores_and_their_intervals_over_people():
    """Each draw against a bootstrap of whole people written out with scipy."""
    random = np.random.default_rng(3)
    group = np.repeat(np.arange(30), random.integers(1, 9, 30))
    true = np.clip(random.normal(0, 0.4, (len(group), 2)) + 0.3 * np.sin(group)[:, None], -1, 1)
    answers = np.clip(0.6 * true + random.normal(0, 0.2, true.shape), -1, 1)
    true[group % 7 == 3, 1] = np.nan
    true[:9, 0] = 0.0
    found = measure_affect(("valence", "arousal"), answers, true, group, Bootstrap(400, 5, 15))

    def by_hand(name, x, y):
        if name == "ccc":
            return concordance(x, y)
        if name == "pearson":
            return pearsonr(x, y).statistic
        if name == "rmse":
            return np.sqrt(np.mean((x - y) ** 2))
        signed = (y != 0) | (name == "sign_agreement_with_zeros")
        return np.mean(np.sign(x[signed]) == np.sign(y[signed]))

    picks = np.random.default_rng(5).integers(0, 30, size=(400, 30))
    ccc = []
    for column, name in enumerate(("valence", "arousal")):
        given = ~np.isnan(true[:, column])
        rows_of = [np.flatnonzero((group == who) & given) for who in range(30)]
        drawn = [np.concatenate([rows_of[who] for who in pick]) for pick in picks]
        measured = found.values[name]
        assert measured.rows == given.sum()
        assert measured.groups == len(set(group[given]))
        ccc.append([concordance(answers[rows, column], true[rows, column]) for rows in drawn])
        for score, interval in measured.scores.items():
            draws = [by_hand(score, answers[rows, column], true[rows, column]) for rows in drawn]
            outside = 100 * tail(measured.groups)
            low, high = np.percentile(draws, [outside, 100 - outside])
            assert interval.value == pytest.approx(
                by_hand(score, answers[given, column], true[given, column]), abs=1e-6
            )
            assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-4)
    assert found.mean_ccc.value == pytest.approx(np.mean([of.scores["ccc"].value for of in found.values.values()]))
    outside = 100 * tail(found.values["arousal"].groups)
    low, high = np.percentile(np.mean(ccc, axis=0), [outside, 100 - outside])
    assert (found.mean_ccc.low, found.mean_ccc.high) == pytest.approx((low, high), abs=1e-4)


def test_what_is_undefined_is_none():
    true, answers = np.array([[0.0, np.nan], [0.0, np.nan]]), np.array([[0.1, 0.2], [0.1, 0.3]])
    found = measure_affect(("valence", "arousal"), answers, true, np.array([0, 1]), Bootstrap(100, 1, 15))
    assert set(found.values) == {"valence"}
    scores = found.values["valence"].scores
    assert (scores["sign_agreement"], scores["pearson"], found.mean_ccc) == (None, None, None)
    assert (scores["rmse"].value, scores["sign_agreement_with_zeros"].value) == (0.1, 0.0)
    assert (
        measure_affect(("arousal",), answers[:, 1:], true[:, 1:], np.array([0, 1]), Bootstrap(100, 1, 15)).values == {}
    )
