"""What is written down of an epoch, which one is kept, and the scores that decide, against scikit-learn and NumPy."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score

from models.core.heads import heads_of
from models.training.history import NO_SUMS, History, score_classes, score_values

TRAIN = (6.0, 4.0, 9.0, 12.0)


def recorded(select, epochs):
    """Record epochs of (val_loss, scores) and return what was said of each."""
    history = History(select)
    said = [history.record("train", (TRAIN, (loss * 5, 5.0, 3.0, 10.0)), scores) for loss, scores in epochs]
    return history, said


def test_a_row_has_the_means_of_its_sums():
    history, said = recorded("loss", [(0.5, {"balanced_accuracy": 0.25})])
    assert said == [True]
    assert history.rows == [
        {"epoch": 1, "phase": "train", "train_loss": 1.5, "val_loss": 0.5, "train_accuracy": 0.75, "val_accuracy": 0.3}
    ]
    assert history.scores == [{"balanced_accuracy": 0.25}]
    history.record("finetune", (TRAIN, NO_SUMS), {})
    assert (history.rows[1]["epoch"], history.rows[1]["phase"]) == (2, "finetune")
    assert math.isnan(history.rows[1]["val_loss"])
    assert math.isnan(history.rows[1]["val_accuracy"])


def score(value):
    return {"balanced_accuracy": value}


@pytest.mark.parametrize(
    ("select", "epochs", "said"),
    [
        # The lowest loss, whatever the accuracy; an equal one is no better.
        ("loss", [(0.9, score(0.9)), (0.8, score(0.1)), (0.8, score(0.99)), (0.85, score(1.0))], [1, 1, 0, 0]),
        ("loss", [(9.0, score(0.5)), (3.0, score(0.5)), (2.5, score(0.5))], [1, 1, 1]),
        # The highest accuracy; of equal ones the lower loss.
        ("balanced_accuracy", [(0.5, score(0.5)), (0.9, score(0.6)), (0.8, score(0.6)), (0.1, score(0.5))],
         [1, 1, 1, 0]),
        # The mean concordance, of what there is.
        ("balanced_accuracy", [(0.5, {"valence_ccc": 0.2, "arousal_ccc": 0.6}),
                               (0.4, {"valence_ccc": 0.5, "arousal_ccc": 0.2}),
                               (0.9, {"valence_ccc": 0.5, "arousal_ccc": 0.4, "arousal_rmse": 9.0})], [1, 0, 1]),
        ("balanced_accuracy", [(0.5, {"rows": 3.0}), (0.6, {"rows": 9.0}), (0.4, {"rows": 1.0})], [1, 0, 1]),
        ("last", [(0.1, score(0.9)), (0.5, score(0.1))], [1, 1]),
        # What is no number, as when fp16 overflows, is beaten by any, and beats none.
        ("loss", [(math.nan, score(0.5)), (9.0, score(0.1)), (math.nan, score(0.9)), (8.0, score(0.1))], [1, 1, 0, 1]),
        ("balanced_accuracy", [(math.nan, score(0.5)), (9.0, score(0.5)), (math.nan, score(0.5))], [1, 1, 0]),
        ("balanced_accuracy", [(1.0, {"valence_ccc": math.nan}), (2.0, {"valence_ccc": -0.5})], [1, 1]),
        # Without a validation set it is the last.
        ("loss", [(0.1, {}), (0.9, {})], [1, 1]),
    ],
)  # fmt: skip
def test_the_epoch_that_is_kept(select, epochs, said):
    history, found = recorded(select, epochs)
    assert found == [bool(better) for better in said]
    assert history.best == max(number for number, better in enumerate(said) if better)


def test_it_goes_on_from_what_it_was():
    history, _ = recorded("loss", [(0.9, score(0.5)), (0.8, score(0.5)), (0.95, score(0.5))])
    history.best_state = {"weight": torch.arange(3.0)}
    again = History("loss")
    again.restore(history.plain())
    assert (again.best, again.rows, again.scores) == (1, history.rows, history.scores)
    assert not again.best_state  # they have a file of their own
    assert not again.record("train", (TRAIN, (4.25, 5.0, 0.0, 5.0)), score(0.5))


def test_balanced_accuracy_is_scikit_learns():
    generator = torch.Generator().manual_seed(4)
    labels = torch.randint(0, 6, (50,), generator=generator) + 1
    outputs = torch.randn(50, 8, generator=generator) + torch.nn.functional.one_hot(labels, 8)
    found = score_classes(outputs, labels)
    kept = np.isin(outputs.argmax(1).numpy(), labels.numpy())  # scikit-learn warns of answers that no row has
    assert found.keys() == {"balanced_accuracy"}
    assert kept.sum() < 50
    recalls = [(outputs.argmax(1)[labels == label] == label).float().mean().item() for label in labels.unique()]
    assert found["balanced_accuracy"] == pytest.approx(sum(recalls) / len(recalls))
    answers = outputs[:, 1:7].argmax(1) + 1
    short = torch.cat([torch.full((50, 1), -9.0), outputs[:, 1:7], torch.full((50, 1), -9.0)], 1)
    expected = balanced_accuracy_score(labels.numpy(), answers.numpy())
    assert score_classes(short, labels)["balanced_accuracy"] == pytest.approx(expected)


def test_scores_of_affect_are_of_the_column_that_is_answered_where_it_is_given():
    generator = torch.Generator().manual_seed(5)
    outputs, affect = torch.randn(40, 2, generator=generator), torch.rand(40, 3, generator=generator) * 2 - 1
    given = torch.rand(40, 3, generator=generator) < torch.tensor([0.5, 0.9, 0.5])
    both = score_values(heads_of("affect"), outputs, affect, given)
    for column, name in enumerate(("valence", "arousal")):
        rows = given[:, column]
        answers, true = np.tanh(outputs[rows, column].numpy()), affect[rows, column].numpy()
        assert both[f"{name}_rows"] == rows.sum()
        assert both[f"{name}_rmse"] == pytest.approx(np.sqrt(((answers - true) ** 2).mean()), rel=1e-6)
        assert both[f"{name}_sign_agreement"] == pytest.approx(((answers > 0) == (true > 0)).mean())
        pooled = answers.var() + true.var() + (answers.mean() - true.mean()) ** 2
        assert both[f"{name}_ccc"] == pytest.approx(2 * np.cov(answers, true, bias=True)[0, 1] / pooled, rel=1e-5)
    alone = score_values(heads_of("arousal"), outputs[:, 1:], affect, given)
    assert alone == {name: value for name, value in both.items() if name.startswith("arousal")}
    none = score_values(heads_of("affect"), outputs, affect, given & torch.tensor([True, False, True]))
    assert none == {name: value for name, value in both.items() if name.startswith("valence")}
