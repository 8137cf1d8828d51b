"""CCC, RMSE and sign agreement against torchmetrics, numpy and a hand-computed case."""

import numpy as np
import pytest
import torch

from models.core.affect import affect_loss, concordance, score_affect
from models.evaluation.affect_report import AffectRows, describe_affects


@pytest.fixture
def pairs():
    generator = np.random.default_rng(2)
    true = generator.uniform(-1, 1, 200)
    return np.clip(true + generator.normal(0, 0.3, 200), -1, 1), true


def test_ccc_by_hand():
    # means 2 and 3, variances 2/3 each, covariance 2/3: 2 * 2/3 / (2/3 + 2/3 + 1) = 4/7
    assert concordance(np.array([1.0, 2, 3]), np.array([2.0, 3, 4])) == pytest.approx(4 / 7)
    assert concordance(np.array([1.0, 1, 1]), np.array([1.0, 1, 1])) == 0.0


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
    assert score_affect(answers, spoiled, np.zeros(200, bool)) is None


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


def test_scores_of_two_datasets_by_hand():
    true = np.array([[0.2, np.nan], [0.4, np.nan], [0.6, np.nan], [-0.5, 0.5]], np.float32)
    answers = np.array([[0.4, np.nan], [0.6, np.nan], [0.8, np.nan], [0.5, np.nan]], np.float32)
    found = describe_affects(AffectRows("valence", list("abcd"), np.array(["x", "x", "x", "y"]), true, answers))
    # means 0.4 and 0.6, variances and covariance 0.08 / 3: 2 * v / (2 * v + 0.04) = 4 / 7; errors of 0.2 each
    x = {"rows": 3, "ccc": pytest.approx(4 / 7, abs=1e-5), "rmse": pytest.approx(0.2), "sign_agreement": 1.0}
    assert found["per_dataset"]["x"] == {"rows": 3, "valence": x}
    y = {"rows": 1, "ccc": 0.0, "rmse": pytest.approx(1.0), "sign_agreement": 0.0}
    assert found["per_dataset"]["y"] == {"rows": 1, "valence": y}
    # errors 0.2, 0.2, 0.2 and 1: the root of 1.12 / 4
    assert found["valence"]["rmse"] == pytest.approx(np.sqrt(0.28), abs=1e-6)
    assert found["valence"]["sign_agreement"] == 0.75
