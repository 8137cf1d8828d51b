"""The policy on joined rows: what stays, what is left out and named, and the columns that are added."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from pipeline.shards.balanced_rows import balanced, keep_tested
from pipeline.shards.plan import Joined, even
from tests.shard_inputs import shard_params


def table(rows):
    names = ("sample_id", "dataset", "split", "label")
    columns = {name: [row[place] for row in rows] for place, name in enumerate(names)}
    return pa.table({**columns, "label": pa.array(columns["label"], pa.int8())})


def numbered(dataset, split, label, count, first=0):
    return [(f"{dataset}/{split}{label}-{n:02d}", dataset, split, label) for n in range(first, first + count)]


TRAINED = numbered("a", "train", 0, 6) + numbered("b", "train", 4, 2) + numbered("a", "test", 0, 3)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_protocol_draws_from_those_with_a_face_and_without(seed):
    found = numbered("a", "test", 0, 8) + numbered("b", "test", 0, 5) + numbered("a", "train", 0, 9)
    missing = numbered("a", "test", 0, 4, first=8) + numbered("a", "val", 0, 2)
    joined = Joined((), table(found), table(missing))
    stay, gone = keep_tested(joined, {"a": 7}, seed=seed)
    tested = [key for side in (stay.found, stay.missing) for key in side["sample_id"].to_pylist() if "a/test" in key]
    assert len(tested) == 7
    assert gone.column_names == ["sample_id", "dataset"]
    assert set(gone["dataset"].to_pylist()) == {"a"}
    every = {row[0] for row in found + missing}
    left = {key for side in (stay.found, stay.missing) for key in side["sample_id"].to_pylist()}
    assert left | set(gone["sample_id"].to_pylist()) == every
    assert len(left) + len(gone) == len(every)
    # A face stays on the side where it was.
    assert set(stay.found["sample_id"].to_pylist()) <= {row[0] for row in found}
    assert set(stay.missing["sample_id"].to_pylist()) <= {row[0] for row in missing}
    assert len(stay.missing) < len(missing) or len(stay.found) < len(found)


def test_copies_are_numbered_rows_and_weights_are_of_what_stays():
    params = shard_params(balance="oversample", max_copies=2, train_per_class=5)
    made = balanced(table(TRAINED), params, seed=3)
    assert made.rows.schema.field("copy").type == pa.int16()
    assert made.rows.schema.field("weight").type == pa.float32()
    counts = Counter(zip(made.rows["split"].to_pylist(), made.rows["label"].to_pylist(), strict=True))
    assert counts == {("train", 0): 5, ("train", 4): 4, ("test", 0): 3}
    of_b = sorted(
        (key, copy)
        for key, copy, label in zip(
            *(made.rows[name].to_pylist() for name in ("sample_id", "copy", "label")), strict=True
        )
        if label == 4
    )
    assert of_b == [("b/train4-00", 0), ("b/train4-00", 1), ("b/train4-01", 0), ("b/train4-01", 1)]
    assert len(made.left_out) == 1
    assert len(made.uneven) == 0
    assert made.quotas == {"train": {"anger": 5, "happy": 4}, "test": {"anger": 3}}
    assert set(made.rows["weight"].to_pylist()) == {1.0}


def test_weights_and_quotas_are_of_the_rows_that_every_process_gets():
    params = shard_params(balance="weights", world_size=3, rows_per_shard=100)
    made = balanced(table(TRAINED), params, seed=3)
    assert len(made.uneven) == 2  # of eight rows, three processes get two each
    kept = Counter(
        label for split, label in zip(made.rows["split"].to_pylist(), made.rows["label"].to_pylist(), strict=True)
        if split == "train"
    )  # fmt: skip
    assert sum(kept.values()) == 6
    assert made.quotas["train"] == {name: kept[label] for name, label in (("anger", 0), ("happy", 4)) if kept[label]}
    inverse = {label: 6 / (len(kept) * count) for label, count in kept.items()}
    for split, label, weight in zip(
        *(made.rows[name].to_pylist() for name in ("split", "label", "weight")), strict=True
    ):
        assert weight == pytest.approx(inverse[label] if split == "train" else 1.0)
    # What stays out is drawn by the seed that is given.
    plain = table(TRAINED).append_column("copy", pa.array(np.zeros(len(TRAINED), np.int16)))
    _, over = even(plain, seed=3, rows_per_shard=100, world_size=3)
    assert made.uneven["sample_id"].to_pylist() == over["sample_id"].to_pylist()


def test_rows_that_no_process_gets_are_others_with_another_seed():
    params = shard_params(balance="weights", world_size=3, rows_per_shard=100)
    plain = table(TRAINED).append_column("copy", pa.array(np.zeros(len(TRAINED), np.int16)))
    found = {}
    for seed in range(6):
        found[seed] = balanced(table(TRAINED), params, seed=seed).uneven["sample_id"].to_pylist()
        assert found[seed] == even(plain, seed=seed, rows_per_shard=100, world_size=3)[1]["sample_id"].to_pylist()
    assert len(set(map(tuple, found.values()))) > 2
