"""Six rows of two datasets, for tests that count by hand."""

import numpy as np

from pipeline.split.duplicates import DUPLICATES
from pipeline.split.links import Linked
from pipeline.split.official import Places
from pipeline.split.people import SplitRows

NONE = np.empty((0, 2), np.int64)


def make_rows(given):
    """Rows of (dataset, name, label, subject, sequence, picture, official)."""
    columns = list(zip(*given, strict=True))
    datasets, names, labels, subjects, sequences, pictures, official = columns
    paths = [f"{dataset}/{name}" for dataset, name in zip(datasets, names, strict=True)]
    return SplitRows(
        [f"{path}#0" for path in paths], np.array(datasets), list(subjects), list(sequences), paths, list(pictures),
        list(official), np.array(labels), np.array(labels) >= 0, np.ones(len(given), bool),
    )  # fmt: skip


# Dataset a: person S has rows 0 and 1 (one sequence), person T row 2; dataset b names as many people as pictures.
ROWS = make_rows([
    ("a", "0", 0, "a/S", "a/S/1", "m0", "train"), ("a", "1", 0, "a/S", "a/S/1", "m1", "test"),
    ("a", "2", 3, "a/T", None, "m2", None), ("b", "0", 4, "b/x", None, "m0", None),
    ("b", "1", 4, "b/y", None, None, None), ("b", "2", -1, None, None, "m2", None),
])  # fmt: skip
LINKED = Linked(np.array([[4, 5]]), np.array([[2, 3]]), DUPLICATES.empty_table())


def places(rows, groups, dropped=(), kept=None):
    kept = np.zeros(len(rows), np.int64) if kept is None else np.array(kept)
    return Places(
        np.array(rows), kept, np.array(groups), np.isin(np.arange(len(rows)), list(dropped)), {"a": "both", "b": "test"}
    )
