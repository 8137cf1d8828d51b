import hashlib
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.draws import keyed_order
from pipeline.core.params import ShardParams
from pipeline.shards.balance import cap_tested, count_cells, even_shares, missing_classes, select, weigh


@pytest.fixture
def params():
    values = {
        "balance": "cap",
        "train_per_class": 15,
        "balance_over": "class",
        "max_copies": 4,
        "weighting": "inverse",
        "effective_beta": 0.9,
        "containers": ["parquet", "webdataset"],
        "rows_per_shard": 8,
    }
    known = {name: value for name, value in values.items() if name in ShardParams.model_fields}
    others = {name: 1 for name in ShardParams.model_fields if name not in known}
    return ShardParams.model_construct(**known, **others)


def with_policy(params, **values):
    return params.model_copy(update=values)


class Rows:
    """Class 0: 40 rows of a and 4 of b; class 4: 20 of a; class 7: 3 of a. The same in every split."""

    def __init__(self):
        sizes = [(0, "a", 40), (0, "b", 4), (4, "a", 20), (7, "a", 3)]
        rows = [
            (split, dataset, label, f"{dataset}/{split}/{label}/{n}.png#0")
            for split in ("train", "val", "test")
            for label, dataset, count in sizes
            for n in range(count)
        ]
        self.splits, self.datasets, labels, self.ids = zip(*rows, strict=True)
        self.labels = np.array(labels, np.int8)

    def select(self, params, seed=3):
        return select(self.labels, self.splits, self.ids, self.datasets, params, seed)

    def weigh(self, params, kept):
        return weigh(*self.chosen(kept), params)

    def chosen(self, kept):
        return self.labels[kept], [self.splits[row] for row in kept], [self.datasets[row] for row in kept]

    def count(self, selection, split):
        counts = np.zeros(8, int)
        for row, copies in zip(selection.rows, selection.copies, strict=True):
            if self.splits[row] == split:
                counts[self.labels[row]] += copies
        return counts.tolist()


@pytest.fixture
def rows():
    return Rows()


def test_none_keeps_every_row_once(rows, params):
    selection = rows.select(with_policy(params, balance="none"))
    assert selection.rows.tolist() == list(range(len(rows.ids)))
    assert set(selection.copies) == {1}
    assert len(selection.left_out) == 0


def test_cap_keeps_at_most_so_many_of_a_class(rows, params):
    selection = rows.select(params)
    assert rows.count(selection, "train") == [15, 0, 0, 0, 15, 0, 0, 3]
    assert rows.count(selection, "val") == [44, 0, 0, 0, 20, 0, 0, 3]
    assert rows.count(selection, "test") == [44, 0, 0, 0, 20, 0, 0, 3]
    assert sorted([*selection.rows, *selection.left_out]) == list(range(len(rows.ids)))


def test_cap_is_shared_by_the_datasets_as_evenly_as_they_can(rows, params):
    selection = rows.select(params)
    of_b = [row for row in selection.rows if rows.datasets[row] == "b" and rows.splits[row] == "train"]
    assert len(of_b) == 4  # b has 4 rows; a, with 40, takes the 11 that b cannot fill


def test_cap_of_each_dataset(rows, params):
    selection = rows.select(with_policy(params, balance_over="dataset_and_class"))
    assert rows.count(selection, "train") == [19, 0, 0, 0, 15, 0, 0, 3]
    by_dataset = with_policy(params, balance_over="dataset_and_class")
    counts = count_cells(*rows.chosen(selection.rows), by_dataset)
    assert counts["train"] == {"a/anger": 15, "b/anger": 4, "a/happy": 15, "a/surprise": 3}


def test_undersample_brings_training_to_the_smallest_class(rows, params):
    selection = rows.select(with_policy(params, balance="undersample"))
    assert rows.count(selection, "train") == [3, 0, 0, 0, 3, 0, 0, 3]
    assert rows.count(selection, "test") == [44, 0, 0, 0, 20, 0, 0, 3]


def test_undersample_goes_below_the_cap_and_not_above_it(rows, params):
    selection = rows.select(with_policy(params, balance="undersample", train_per_class=2))
    assert rows.count(selection, "train") == [2, 0, 0, 0, 2, 0, 0, 2]


def test_oversample_copies_training_rows_up_to_the_bound(rows, params):
    selection = rows.select(with_policy(params, balance="oversample"))
    assert rows.count(selection, "train") == [15, 0, 0, 0, 15, 0, 0, 12]  # 3 rows, at most 4 times each
    exact = rows.select(with_policy(params, balance="oversample", max_copies=100, train_per_class=20))
    assert rows.count(exact, "train") == [20, 0, 0, 0, 20, 0, 0, 20]
    assert sorted(exact.copies[exact.copies > 1]) == [6, 7, 7]


@pytest.mark.parametrize("policy", ["none", "cap", "undersample", "oversample", "weights"])
@pytest.mark.parametrize("over", ["class", "dataset_and_class"])
def test_validation_and_test_are_whole_under_every_policy(rows, params, policy, over):
    given = with_policy(params, balance=policy, balance_over=over, train_per_class=2)
    selection = rows.select(given)
    measured = np.array([rows.splits[row] != "train" for row in selection.rows])
    held_out = [row for row, split in enumerate(rows.splits) if split != "train"]
    assert selection.rows[measured].tolist() == held_out
    assert set(selection.copies[measured]) == {1}
    assert set(rows.weigh(given, selection.rows)[measured]) == {1.0}


def left_out(rows, caps, seed=3):
    mask = cap_tested(rows.labels, rows.splits, rows.ids, rows.datasets, caps, seed)
    return {rows.ids[row] for row in np.flatnonzero(mask)}


def test_a_protocol_caps_the_test_rows_of_its_own_dataset_alone(rows):
    gone = left_out(rows, {"a": 15})
    assert {key.rsplit("/", 2)[0] for key in gone} == {"a/test"}
    assert Counter(key.split("/")[2] for key in gone) == {"0": 25, "4": 5}  # of 40, 20 and 3 rows
    assert gone != left_out(rows, {"a": 15}, seed=4)
    assert left_out(rows, {}) == left_out(rows, {"b": 4}) == left_out(rows, {"c": 1}) == set()


def test_what_a_protocol_tests_does_not_depend_on_what_else_is_in_the_mixture(rows):
    beside = left_out(rows, {"a": 7, "b": 2})
    for name in ("splits", "datasets", "ids"):
        alone = [value for value, dataset in zip(getattr(rows, name), Rows().datasets, strict=True) if dataset == "a"]
        setattr(rows, name, tuple(alone))
    rows.labels = rows.labels[[dataset == "a" for dataset in Rows().datasets]]
    assert left_out(rows, {"a": 7}) == {key for key in beside if key.startswith("a/")}


def test_inverse_weights_by_hand(rows, params):
    weighted = with_policy(params, balance="weights")
    selection = rows.select(weighted)
    weights = rows.weigh(weighted, selection.rows)
    train = np.array([rows.splits[row] == "train" for row in selection.rows])
    labels = rows.labels[selection.rows]
    assert weights[train].mean() == pytest.approx(1)
    # 15, 15 and 3 rows: each class weighs 11 of 33 in all.
    assert weights[train & (labels == 7)] == pytest.approx([11 / 3] * 3)
    assert weights[train & (labels == 0)] == pytest.approx([11 / 15] * 15)


def test_effective_number_weights_by_hand(rows, params):
    weighted = with_policy(params, balance="weights", weighting="effective")
    selection = rows.select(weighted)
    weights = rows.weigh(weighted, selection.rows)
    train = np.array([rows.splits[row] == "train" for row in selection.rows])
    labels = rows.labels[selection.rows]
    ratio = weights[train & (labels == 7)][0] / weights[train & (labels == 0)][0]
    assert ratio == pytest.approx((1 - 0.9**15) / (1 - 0.9**3), rel=1e-6)


@pytest.mark.parametrize("policy", ["none", "weights"])
def test_weights_are_float32_as_the_column_is(rows, params, policy):
    weights = rows.weigh(with_policy(params, balance=policy), np.arange(len(rows.ids)))
    assert weights.dtype == np.float32
    assert rows.weigh(with_policy(params, balance=policy), np.flatnonzero(rows.labels < 0)).dtype == np.float32
    tested = [row for row, split in enumerate(rows.splits) if split == "test"]
    assert set(rows.weigh(with_policy(params, balance=policy), tested)) == {1.0}


def test_a_cap_keeps_the_rows_whose_hash_of_id_and_seed_is_least(rows, params):
    """Another purpose, key or length of the hash would draw every dataset anew."""
    key = hashlib.blake2b(b"balance/3", digest_size=32).digest()

    def place(row):
        return int.from_bytes(hashlib.blake2b(rows.ids[row].encode(), digest_size=8, key=key).digest(), "little")

    kept = set(rows.select(params).rows.tolist())
    mask = cap_tested(rows.labels, rows.splits, rows.ids, rows.datasets, {"a": 15}, 3)
    for split, found in (("train", kept), ("test", set(np.flatnonzero(~mask).tolist()))):
        of_a = [row for row in range(len(rows.ids)) if (rows.datasets[row], rows.splits[row]) == ("a", split)]
        happy = sorted((row for row in of_a if rows.labels[row] == 4), key=place)
        assert found & set(happy) == set(happy[:15])


def test_order_of_rows_does_not_matter(rows, params):
    shuffled = Rows()
    order = np.random.default_rng(0).permutation(len(rows.ids))
    for name in ("splits", "datasets", "ids"):
        setattr(shuffled, name, tuple(getattr(rows, name)[index] for index in order))
    shuffled.labels = rows.labels[order]
    kept = {rows.ids[row] for row in rows.select(params).rows}
    assert {shuffled.ids[row] for row in shuffled.select(params).rows} == kept
    assert {rows.ids[row] for row in rows.select(params, seed=4).rows} != kept


def test_rows_added_elsewhere_change_nothing_and_rows_of_the_class_only_push_out(rows, params):
    before = {rows.ids[row] for row in rows.select(params).rows}
    rows.splits += ("train", "train")
    rows.datasets += ("a", "a")
    rows.ids += ("a/train/4/new.png#0", "a/train/2/new.png#0")
    rows.labels = np.append(rows.labels, np.array([4, 2], np.int8))
    after = {rows.ids[row] for row in rows.select(params).rows}
    assert len(before - after) <= 1
    assert all("/train/4/" in sample_id for sample_id in before - after)


def test_missing_classes_are_said_by_dataset_and_split():
    missing = missing_classes(np.array([0, 1, 2, 3, 4, 5, 6, 7, 0]), ["train"] * 8 + ["test"], ["a"] * 8 + ["b"])
    assert missing == {"test": {"b": ["contempt", "disgust", "fear", "happy", "neutral", "sad", "surprise"]}}


def test_nothing_in_nothing_out(params):
    selection = select(np.empty(0, np.int8), [], [], [], params, 1)
    assert len(selection.rows) == len(selection.left_out) == 0


def test_keyed_order_is_the_whole_number_of_64_bits_that_its_definition_gives():
    """A float of 64 bits would lose the last 11 of them, and with them the order of some rows."""
    ids = [f"d/{n}.jpg#0" for n in range(50)]
    key = hashlib.blake2b(b"split/7", digest_size=32).digest()
    wanted = [int.from_bytes(hashlib.blake2b(one.encode(), digest_size=8, key=key).digest(), "little") for one in ids]
    found = keyed_order(ids, 7, "split")
    assert found.dtype == np.uint64
    assert found.tolist() == wanted


def test_rows_whose_columns_differ_in_length_are_an_error():
    with pytest.raises(ValueError, match="shorter"):
        missing_classes(np.array([0, 1]), ["train"] * 2, ["a"])


def test_keyed_order_is_of_the_id_alone():
    whole = keyed_order(["a", "b", "c"], 1, "balance")
    assert whole[1] == keyed_order(["b"], 1, "balance")[0]
    assert whole[1] != keyed_order(["b"], 2, "balance")[0]
    assert whole[1] != keyed_order(["b"], 1, "split")[0]


@given(st.lists(st.integers(0, 50), min_size=1, max_size=8), st.integers(0, 200))
@settings(max_examples=100, deadline=None)
def test_even_shares_give_all_away_and_never_more_than_there_is(sizes, quota):
    shares = even_shares(sizes, quota)
    assert sum(shares) == min(quota, sum(sizes))
    assert all(share <= size for share, size in zip(shares, sizes, strict=True))
    unfilled = [share for share, size in zip(shares, sizes, strict=True) if share < size]
    if unfilled:
        assert max(shares) - min(unfilled) <= 1
