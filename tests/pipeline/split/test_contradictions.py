"""One picture, two labels: each policy, on copies whose labels are known."""

import json

import numpy as np
import pyarrow as pa
import pytest

from pipeline.core.lineage.snapshot import Snapshot, write_snapshot
from pipeline.core.tables import read_table
from pipeline.images import encode_face
from pipeline.shards.plan import read_joined
from pipeline.split.contradictions import describe_contradictions, find_contradictions
from pipeline.split.duplicates import DUPLICATES
from pipeline.split.links import Linked
from pipeline.split.people import read_rows
from pipeline.split.stage import run as split

from .conftest import sample

ANGER, FEAR, HAPPY = 0, 3, 4
NONE = {"pairs": 0, "across_datasets": 0}
COUNTS = {"pictures": 1, "rows": 3, "pixels": {"pairs": 1, "across_datasets": 1}, "decided": NONE}


def face(number):
    return encode_face(np.random.default_rng(number).integers(0, 256, (8, 8), np.uint8))


@pytest.fixture
def contradicting(datasets):
    """Picture 0 is anger twice in one dataset and fear in another; picture 1 is happy in both; the rest is alone."""
    first = [sample("0.png", ANGER, image=face(0)), sample("0 again.png", ANGER, image=face(0))]
    first += [sample(f"{n}.png", HAPPY, image=face(n)) for n in range(1, 12)]
    datasets.add("d", "both", first)
    datasets.add("e", "both", [sample("0.png", FEAR, image=face(0)), sample("1.png", HAPPY, image=face(1))])
    for folder in datasets.aligned.values():
        write_snapshot(folder, Snapshot("align", "made", (), {}, {}, {}, {"align": {"margin": 0.1}}))
    return datasets


def made(datasets, params, out, **changes):
    given = params.model_copy(update={"duplicates": "identical", **changes})
    summary = split(datasets.aligned, datasets.labels, datasets.roles, out, given, seed=1, workers=1)
    certificate = json.loads((out / "certificate.json").read_text())
    rows = {row["sample_id"] for row in read_table(out / "split.parquet").to_pylist()}
    assert summary["rows_in"] == summary["rows_out"] + sum(summary["rejected"].values()) == 15
    return summary, certificate["contradictions"], rows


COPIES = {"d/0.png#0", "d/0 again.png#0", "e/0.png#0"}


def test_reject_leaves_every_copy_out_with_the_reason(contradicting, params, tmp_path):
    summary, counted, rows = made(contradicting, params, tmp_path / "out", contradictions="reject")
    assert summary["rejected"] == {"contradicted": 3}
    assert not rows & COPIES
    assert {"d/1.png#0", "e/1.png#0"} <= rows
    assert counted == {"policy": "reject", "near": {"pairs": 0, "across_datasets": 0}, **COUNTS}


def test_keep_counts_them_all_the_same(contradicting, params, tmp_path):
    summary, counted, rows = made(contradicting, params, tmp_path / "out", contradictions="keep")
    assert summary["rejected"] == {}
    assert rows >= COPIES
    assert counted == {"policy": "keep", "near": {"pairs": 0, "across_datasets": 0}, **COUNTS}


def test_soften_gives_each_copy_the_mean_of_all(datasets, contradicting, params, tmp_path):
    _, counted, rows = made(contradicting, params, tmp_path / "out", contradictions="soften")
    assert counted["policy"] == "soften"
    assert rows >= COPIES
    given = datasets.aligned, datasets.selected, datasets.labels
    found = read_joined(*given, tmp_path / "out").found.to_pylist()
    for row in found:
        two_to_one = 2 / 3 * np.eye(8)[ANGER] + 1 / 3 * np.eye(8)[FEAR]
        expected = two_to_one if row["sample_id"] in COPIES else np.eye(8)[row["label"]]
        np.testing.assert_allclose(row["label_probs"], expected, atol=1e-6)


@pytest.mark.parametrize(("alike", "contradicts"), [(0.96, False), (0.97, True), (1.0, True)])
def test_only_what_surely_is_one_picture_contradicts_itself(datasets, alike, contradicts):
    """A face a moment later is much like itself, and its other label is right."""
    datasets.add("d", "both", [sample("before.png", ANGER), sample("after.png", FEAR), sample("other.png", HAPPY)])
    rows = read_rows(datasets.aligned, datasets.labels)
    pair = {
        "first": "d/after.png#0",
        "second": "d/before.png#0",
        "kind": "near",
        "similarity": alike,
        "mirrored": False,
    }
    pairs = np.array([[rows.sample_ids.index(pair[which]) for which in ("first", "second")]])
    none = np.empty((0, 2), np.int64)
    certain = Linked(pairs, none, pa.Table.from_pylist([pair], schema=DUPLICATES)).at_least(0.97)
    found = find_contradictions(rows, certain)
    named = {key for key, hit in zip(rows.sample_ids, found.rows, strict=True) if hit}
    assert named == ({"d/after.png#0", "d/before.png#0"} if contradicts else set())
    assert describe_contradictions(rows, certain, found, "keep")["near"]["pairs"] == int(contradicts)


def test_nothing_is_counted_where_nothing_was_looked_for(contradicting, params, tmp_path):
    assert made(contradicting, params, tmp_path / "out", duplicates="none", contradictions="reject")[1] is None
