"""Samples with affect and no class: they are split by people like all others, and change nothing for those with one."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.split.stage import run as split

from .conftest import sample


def run(datasets, params, out, **changes):
    params = params.model_copy(update=changes)
    summary = split(datasets.aligned, datasets.labels, datasets.roles, out, params, seed=1, workers=1)
    rows = pq.read_table(out / "split.parquet").to_pylist()
    return summary, {row["sample_id"]: row["split"] for row in rows}


def crowd(unclassed, official=None):
    """Thirty people with ten pictures each, three of which have no class; twenty people with none at all."""
    random = np.random.default_rng(4)
    rows = [
        sample(f"p{who:02d}/{n}.png", None if n < 3 else int(random.integers(8)), subject=f"p{who:02d}",
               split=official and ("train", "test")[who % 2], valence=0.1)
        for who in range(30) for n in range(10)
    ]  # fmt: skip
    rows += [
        sample(f"q{who:02d}/{n}.png", None, subject=f"q{who:02d}", valence=-0.2) for who in range(20) for n in range(7)
    ]
    return [row for row in rows if unclassed or row["label"] is not None]


@pytest.mark.parametrize("official", [None, "given"])
@pytest.mark.parametrize("changes", [{}, {"folds": 4, "fold": 1}, {"folds": 4, "fold": 1, "fold_order": "subject"}])
def test_they_move_no_sample_with_a_class(datasets, params, tmp_path, changes, official):
    for unclassed in (False, True):
        datasets.add("d", "both", crowd(unclassed, official))
        summary, found = run(datasets, params, tmp_path / str(unclassed), **changes)
        if not unclassed:
            alone = found
    assert {key: found[key] for key in alone} == alone
    assert summary["rows_out"] == len(found) == 440
    by_person = {}
    for key, name in found.items():
        by_person.setdefault(key.split("/")[1], set()).add(name)
    assert all(len(sets) == 1 for sets in by_person.values())


def test_they_are_a_stratum_of_their_own(datasets, params, tmp_path):
    people = [f"{who:03d}" for who in range(120)]
    rows = [sample(f"{who}/{n}.png", None, subject=who, valence=0.3) for who in people for n in range(3)]
    datasets.add("d", "both", rows)
    run(datasets, params, tmp_path / "out")
    certificate = json.loads((tmp_path / "out/certificate.json").read_text())
    (shares,) = certificate["shares"]["d"].values()
    asked = {"rows": 360, "train": 0.675, "val": 0.075, "test": 0.25}
    assert shares == pytest.approx(asked, abs=0.0101)  # a point, which is the tolerance
    assert certificate["crossing"]["subjects"] == 0


def test_one_that_is_officially_tested_beside_trained_classes_is_dropped_not_they(datasets, params, tmp_path):
    rows = [sample(f"{n}.png", n % 8, split="train") for n in range(40)]
    rows += [
        sample("a.png", 3, subject="s", split="train"),
        sample("b.png", None, subject="s", split="test", valence=0.0),
    ]
    rows += [sample("c.png", None, split="test", valence=0.0), sample("d.png", 1, split="test")]
    datasets.add("d", "both", rows)
    summary, found = run(datasets, params, tmp_path / "out")
    assert found["d/a.png#0"] in {"train", "val"}
    assert "d/b.png#0" not in found
    assert found["d/c.png#0"] == found["d/d.png#0"] == "test"
    assert summary["dropped"]["d"]["test"] == {"unclassed": {"dropped": 1, "of": 2, "share": 0.5}}
