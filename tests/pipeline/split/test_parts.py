"""The parts of a split on a few rows, each counted by hand."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from scipy.sparse import csr_array

from pipeline.split import stage as build
from pipeline.split.assign import choose, draw_lots
from pipeline.split.dropped import dropped_by_class
from pipeline.split.folds import NO_FOLD, _fill_empty, build_folds
from pipeline.split.groups import Groups, build_groups
from pipeline.split.links import link_values, links_table
from pipeline.split.official import Place
from pipeline.split.shares import missed_shares
from pipeline.split.stage import count_cells

from .hand import LINKED, ROWS, make_rows, places


def test_what_binds_rows_has_a_name_in_each_kind():
    found = link_values(ROWS, LINKED)
    # Of b, as many people are named as there are pictures: they tell pictures apart.
    assert found["subject"] == ["a/S", "a/S", "a/T", None, None, None]
    assert found["sequence"] == ["a/S/1", "a/S/1", None, None, None, None]
    assert found["file"] == ["a/0", "a/1", "a/2", "b/0", "b/1", "b/2"]
    assert found["picture"] == ["m0", "m1", "m2", "m0", None, "m2"]
    assert found["duplicate"] == [None, None, None, None, "b/1#0", "b/1#0"]
    assert found["identity"] == [None, None, "a/2#0", "a/2#0", None, None]
    decided = link_values(ROWS, replace(LINKED, decided=np.array([[1, 5]])))["decided"]
    assert decided == [None, "a/1#0", None, None, None, "a/1#0"]
    table = links_table(ROWS, LINKED, np.array([1, 4]))
    assert table.schema == pa.schema([(name, pa.string()) for name in (
        "sample_id", "subject", "sequence", "file", "picture", "duplicate", "identity", "decided"
    )])  # fmt: skip
    assert table.to_pylist()[1] == {
        "sample_id": "b/1#0", "subject": None, "sequence": None, "file": "b/1", "picture": None, "duplicate": "b/1#0",
        "identity": None, "decided": None,
    }  # fmt: skip


def test_links_join_and_the_first_kind_names_the_group():
    groups = build_groups(ROWS, [])
    # 0 and 1 by the person, 3 by the picture of 0; 2 and 5 by a picture.
    assert len({groups.of_row[row] for row in (0, 1, 3)}) == len({groups.of_row[row] for row in (2, 5)}) == 1
    assert len(groups.names) == 3
    assert groups.names[groups.of_row[2]] == "subject:a/T"
    assert groups.keys[groups.of_row[2]] == "subject:T"
    assert groups.names[groups.of_row[4]] == "subject:b/y"
    assert set(build_groups(ROWS, LINKED.arrays()).of_row.tolist()) == {0}
    rest = make_rows([
        ("c", "0", 0, None, "c//9", "m8", None), ("c", "1", 0, None, None, "m9", None),
        ("c", "d/2", 0, None, None, None, None),
    ])  # fmt: skip
    named = build_groups(rest, [])
    assert sorted(named.names) == ["picture:m9", "row:c/d/2", "sequence:c//9"]
    assert sorted(named.keys) == ["picture:m9", "row:d/2", "sequence:/9"]


def test_lots_are_of_the_key_alone_and_spread_evenly():
    keys = [f"k{n}" for n in range(2000)]
    lots = draw_lots(keys, 3, "test")
    assert (lots >= 0).all()
    assert (lots < 1).all()
    assert np.mean(lots) == pytest.approx(0.5, abs=0.03)
    assert lots[7] == draw_lots(["k7"], 3, "test")[0]
    assert len({draw_lots(["k7"], seed, purpose)[0] for seed in (3, 4) for purpose in ("test", "val")}) == 4


def test_cells_are_counted_by_group_class_and_dataset():
    groups = Groups(np.array([0, 0, 1, 1, 2, 2]), ["g", "h", "i"], ["g", "h", "i"])
    found = count_cells(ROWS, groups, np.array([1, 1, 1, 1, 1, 0], bool)).toarray()
    expected = np.zeros((3, 16), np.int64)
    expected[0, 0], expected[1, 3], expected[1, 8 + 4], expected[2, 8 + 4] = 2, 1, 1, 1
    assert np.array_equal(found, expected)


def test_validation_makes_up_for_half_of_what_test_took_too_much(params):
    counts, own = csr_array(np.array([[60, 200, 40]])), csr_array(np.array([[100, 200, 0]]))
    target, band = build._validation_rows(counts, own, params)  # train 0.75, val 0.1, a point
    # Cell 0: training should have 75 and 60 are left, 15 too few, more than two points of 100: a tenth of the rest.
    # Cell 1: 150 and 200 are left: 50 too many. Cell 2 has no rows of its own.
    assert target.tolist() == pytest.approx([6, 20, 4])
    assert band.tolist() == [0.5] * 3
    target, band = build._validation_rows(
        csr_array(np.array([[749, 752]])), csr_array(np.array([[1000, 1000]])), params
    )
    # One row too few and two too many: a tenth of 750, less half of what is over.
    assert target.tolist() == pytest.approx([75 - 0.5, 75 + 1])
    assert band.tolist() == pytest.approx([10 - 0.5, 10 - 1])
    target, band = build._validation_rows(csr_array(np.array([[730]])), csr_array(np.array([[1000]])), params)
    assert (target[0], band[0]) == (pytest.approx(75 - 10), 0.5)  # at twice the tolerance, and within it


def test_groups_of_one_cell_move_nearest_lots_first():
    counts = csr_array(np.array([[1]] * 10))
    lots = np.linspace(0.05, 0.95, 10)
    every, nobody = np.ones(10, bool), np.zeros(10, bool)

    def chosen(share, target, band=0.5, candidates=every, decided=nobody):
        return choose(
            counts, candidates, decided, lots, share, np.array([target]), np.array([band])
        ).nonzero()[0].tolist()  # fmt: skip

    assert chosen(0.3, 3.0) == [0, 1, 2]
    assert chosen(0.3, 5.0) == [0, 1, 2, 3, 4]
    assert chosen(0.3, 1.0) == [0]
    assert chosen(0.3, 4.5) == [0, 1, 2, 3]  # half a row is near enough
    assert chosen(0.3, 5.0, candidates=np.arange(10) != 3) == [0, 1, 2, 4, 5]
    assert chosen(0.3, 3.0, candidates=np.arange(10) < 5, decided=np.arange(10) == 9) == [0, 1, 9]


def test_folds_by_subject_are_every_kth_name_of_each_dataset():
    names = ["subject:d/9", "subject:d/1", "sequence:d/3/1", "picture:b", "row:a/x", "subject:e/5", "subject:d/7"]
    groups = Groups(np.arange(7), names, names)
    counts = csr_array(np.ones((7, 1), np.int64))
    folds = build_folds(counts, groups, np.arange(7) < 6, folds=2, order="subject", seed=1, tolerance=0.01)
    # Of d, sorted: sequence:d/3/1, subject:d/1, subject:d/9; of pictures and rows: picture:b, row:a/x; of e: one.
    assert folds.tolist() == [0, 1, 0, 0, 1, 0, NO_FOLD]


def test_balanced_folds_hold_equal_shares():
    names = [f"picture:{n}" for n in range(60)]
    groups = Groups(np.arange(60), names, names)
    cells = np.zeros((60, 2), np.int64)
    cells[np.arange(60), np.arange(60) // 40] = 1
    found = build_folds(csr_array(cells), groups, np.ones(60, bool), folds=4, order="balanced", seed=2, tolerance=0.0)
    assert [np.bincount(found[:40]).tolist(), np.bincount(found[40:]).tolist()] == [[10] * 4, [5] * 4]
    other = build_folds(csr_array(cells), groups, np.ones(60, bool), folds=4, order="balanced", seed=3, tolerance=0.0)
    assert found.tolist() != other.tolist()


def test_an_empty_fold_gets_the_least_lot_of_the_largest():
    fold_of = np.array([0, 0, 0, 1, 1, NO_FOLD])
    _fill_empty(fold_of, np.array([0.9, 0.1, 0.5, 0.0, 0.2, 0.0]), 3)
    assert fold_of.tolist() == [0, 2, 0, 1, 1, NO_FOLD]
    single = np.array([0, NO_FOLD])
    _fill_empty(single, np.zeros(2), 3)
    assert single.tolist() == [0, NO_FOLD]


def test_what_is_lost_is_counted_by_where_it_belonged():
    given = places(
        [Place.pool, Place.test, Place.free, Place.val, Place.train, Place.outside], [0] * 3, dropped=(0, 2, 4)
    )
    assert dropped_by_class(ROWS, given) == {
        "a": {"train": {"anger": {"dropped": 1, "of": 1, "share": 1.0}},
              "unsplit": {"fear": {"dropped": 1, "of": 1, "share": 1.0}}},
        "b": {"train": {"happy": {"dropped": 1, "of": 1, "share": 1.0}}},
    }  # fmt: skip


def test_a_share_is_missed_from_just_beyond_what_is_granted(params):
    """Of 200 rows of anger, 0.75 train less a tenth that validates: 0.675, 0.075 and 0.25 for the test."""
    rows = make_rows([("a", str(n), 0, None, None, None, None) for n in range(200)])
    free, pool = places([Place.free] * 200, [1]), places([Place.pool] * 200, [2])

    def missed(given, **counts):
        splits = np.array([name for name, count in counts.items() for _ in range(count)])
        return missed_shares(rows, given, splits, params)

    # A point of 200 is 2 rows, and half a row is granted to test and to validation, a whole one to training.
    assert missed(free, train=135, val=15, test=50) == {}
    assert missed(free, train=133, val=15, test=52) == {}
    assert missed(free, train=132, val=15, test=53) == {"a": {"anger": {"test": 0.015}}}
    assert missed(free, train=138, val=12, test=50) == {"a": {"anger": {"val": -0.015}}}
    assert missed(free, train=139, val=13, test=48) == {"a": {"anger": {"train": 0.02}}}
    # Of official training rows a tenth validates, and training is off by what that alone is off.
    assert missed(pool, train=180, val=20) == {}
    assert missed(pool, train=178, val=22) == {}
    assert missed(pool, train=177, val=23) == {"a": {"anger": {"train": -0.015, "val": 0.015}}}
    by_subject = params.model_copy(update={"folds": 4, "fold_order": "subject"})
    assert missed_shares(rows, free, np.array(["test"] * 200), by_subject) == {}
    balanced = by_subject.model_copy(update={"fold_order": "balanced"})
    off = missed_shares(rows, free, np.array(["test"] * 200), balanced)
    assert off == {"a": {"anger": {"test": 0.75, "train": -0.675, "val": -0.075}}}
