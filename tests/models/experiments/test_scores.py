"""What the matrix and the folds say of answers, beside scikit-learn on the same rows."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, recall_score

from models.evaluation.metrics import Bootstrap
from models.evaluation.summary import AnsweredRows, Training, build_views, full
from models.experiments.folds import FoldAnswers, build_page, score_folds
from models.experiments.matrix import Cell, _entry, say_cell
from models.experiments.runs import Done
from pipeline.core.emotions import CLASSES

BOOTSTRAP = Bootstrap(50, 1, 15)


def answers_of(fold, *, people=6, pictures=5):
    """Return a fold whose people are its own, of two datasets, with one face of each person not found."""
    random = np.random.default_rng(fold)
    rows = [
        {
            "sample_id": f"{'ab'[person % 2]}/{fold}-{person}-{picture}",
            "dataset": "ab"[person % 2],
            "label": int(random.integers(0, 8)),
            "probabilities": random.dirichlet(np.ones(8)).astype(np.float32).tolist(),
        }
        for person in range(people)
        for picture in range(pictures)
    ]
    for row in rows:
        row["predicted"] = int(np.argmax(row["probabilities"]))
    lost = [row for row in rows if row["sample_id"].endswith("-0")]
    kept = [row for row in rows if row not in lost]
    group = {row["sample_id"]: row["sample_id"].rpartition("-")[0] for row in rows}
    found, missing = pa.Table.from_pylist(kept), pa.Table.from_pylist(lost).select(["sample_id", "dataset", "label"])
    return FoldAnswers(found, missing, group, 7, 3), kept, lost


def test_pooled_scores_are_those_of_all_answers_together():
    folds = [answers_of(fold, people=2 + 3 * fold) for fold in range(3)]
    scored = score_folds([one[0] for one in folds], BOOTSTRAP)
    rows = [row for one in folds for row in one[1]]
    for block, chosen in (
        (scored["pooled"], rows),
        (scored["per_dataset"]["a"], [row for row in rows if row["dataset"] == "a"]),
        (scored["per_fold"][1], folds[1][1]),
    ):
        true, said = [row["label"] for row in chosen], [row["predicted"] for row in chosen]
        assert block["rows"] == len(chosen)
        assert block["accuracy"]["value"] == pytest.approx(accuracy_score(true, said), abs=1e-6)
        recall = recall_score(true, said, labels=sorted(set(true)), average="macro")
        assert block["balanced_accuracy"]["value"] == pytest.approx(recall, abs=1e-6)
        assert block["macro_f1"]["value"] == pytest.approx(f1_score(true, said, average="macro"), abs=1e-6)
    assert scored["pooled"]["people"] == 2 + 5 + 8
    assert scored["pooled"]["accuracy"]["low"] < scored["pooled"]["accuracy"]["value"]
    lost = [row for one in folds for row in one[2]]
    wrong = accuracy_score([row["label"] for row in rows + lost], [row["predicted"] for row in rows] + [-1] * len(lost))
    assert scored["pooled"]["all_rows"]["accuracy"]["value"] == pytest.approx(wrong, abs=1e-6)
    assert scored["pooled"]["missed"] == len(lost) == 15
    each = [accuracy_score([row["label"] for row in one], [row["predicted"] for row in one]) for _, one, _ in folds]
    assert scored["over_folds"]["accuracy"]["mean"] == pytest.approx(np.mean(each), abs=1e-6)
    assert scored["over_folds"]["accuracy"]["standard_deviation"] == pytest.approx(np.std(each, ddof=1), abs=1e-6)
    assert scored["tested_in_every_fold"] == 7
    page = build_page({"folds": 3, **scored}).splitlines()
    assert [line.split(" | ")[0] for line in page[2:]] == [
        "| **3 folds together**", "| a", "| b", "| fold 0", "| fold 1", "| fold 2",
        "| mean over folds", "| standard deviation over folds",
    ]  # fmt: skip


def details_of(trained, labels):
    """Return details.json of a network that learned some classes, tested on one dataset; and its probabilities."""
    random = np.random.default_rng(3)
    probabilities = random.dirichlet(np.ones(8), len(labels)).astype(np.float32)
    found = np.arange(len(labels)) % 10 > 0
    rows = AnsweredRows(np.full(len(labels), "ck"), labels, np.arange(len(labels)) // 4, found, probabilities)
    return full(build_views(rows, Training(frozenset({"rafdb"}), frozenset(trained)), BOOTSTRAP)), probabilities, found


def test_a_cell_is_scored_on_the_classes_that_both_sides_have():
    trained = (0, 3, 4, 5, 7)
    labels = np.random.default_rng(1).choice([0, 1, 4, 7], 200)
    details, probabilities, found = details_of(trained, labels)
    cell = _entry(Cell("rafdb", "ck", ("rafdb",)), Done("matrix-rafdb-0", "c0ffee", {}), details)
    both = [0, 4, 7]
    assert cell["classes"] == [CLASSES[number] for number in both]
    mine = found & np.isin(labels, both)
    said = np.array(both)[probabilities[:, both].argmax(axis=1)]
    assert cell["rows"] == mine.sum()
    assert cell["other_classes"] == (found & (labels == 1)).sum() > 0
    assert cell["missed"] == (~found).sum() == 20
    for name, score in (("accuracy", accuracy_score), ("balanced_accuracy", balanced_accuracy_score)):
        assert cell[name]["value"] == pytest.approx(score(labels[mine], said[mine]), abs=1e-6)
        assert cell[name]["low"] < cell[name]["value"] < cell[name]["high"]
    assert say_cell(cell, "accuracy").endswith(f", n {mine.sum()}, 3 classes")


def test_a_cell_without_a_class_in_common_has_no_score():
    details, _, _ = details_of((5,), np.array([0, 1, 2, 3] * 5))
    cell = _entry(Cell("rafdb", "ck", ("rafdb",)), Done("matrix-rafdb-0", "c0ffee", {}), details)
    assert (cell["rows"], cell["classes"]) == (0, [])
    assert say_cell(cell, "accuracy") == "no class in common"
    assert say_cell(_entry(Cell("rafdb", "ck", ("rafdb",)), None, None), "accuracy") == "-"


def test_a_fold_in_which_no_face_was_found_is_scored_as_wrong():
    one, kept, _ = answers_of(1)
    other, _, _ = answers_of(2)
    lost = pa.concat_tables([other.answers.select(["sample_id", "dataset", "label"]), other.missing])
    unseen = replace(other, answers=other.answers.slice(0, 0), missing=lost)
    scored = score_folds([one, unseen], BOOTSTRAP)
    assert scored["pooled"]["rows"] == len(kept)
    assert scored["per_fold"][1]["rows"] == 0
    assert scored["per_fold"][1]["all_rows"]["accuracy"]["value"] == 0
    assert scored["over_folds"]["accuracy"]["standard_deviation"] is None
    assert "| fold 1 | 0 | 0 | - | - | - | - |" in build_page({"folds": 2, **scored})
