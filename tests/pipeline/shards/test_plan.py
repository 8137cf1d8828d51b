"""Which rows stay out when training processes must have the same number."""

from collections import Counter

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.shards.plan import even, place


def test_copies_of_the_largest_class_go_before_originals():
    rows = [
        (f"d/{label}{n}", label, copy) for label, copies in ((0, 3), (1, 1)) for n in range(4) for copy in range(copies)
    ]
    table = pa.table(
        {
            "sample_id": [row[0] for row in rows],
            "label": pa.array([row[1] for row in rows], pa.int8()),
            "copy": pa.array([row[2] for row in rows], pa.int16()),
            "split": ["train"] * len(rows),
        }
    )
    stay, over = even(table, seed=1, rows_per_shard=100, world_size=3)
    shards = place(stay, seed=1, rows_per_shard=100, world_size=3)
    assert Counter(zip(over["label"].to_pylist(), [copy > 0 for copy in over["copy"].to_pylist()], strict=True)) == {
        (0, True): 1
    }
    assert [len(shard.rows) for shard in shards] == [5, 5, 5]
    assert {key for shard in shards for key in shard.rows["sample_id"].to_pylist()} == {row[0] for row in rows}


@given(st.integers(2, 9), st.integers(1, 12), st.integers(9, 300))
@settings(max_examples=150, deadline=None)
def test_all_shards_are_equal_and_no_larger_than_asked(processes, rows_per_shard, rows):
    table = pa.table(
        {
            "sample_id": [f"d/{n}" for n in range(rows)],
            "label": pa.array([n % 8 for n in range(rows)], pa.int8()),
            "copy": pa.array([0] * rows, pa.int16()),
            "split": ["train"] * rows,
        }
    )
    stay, over = even(table, seed=1, rows_per_shard=rows_per_shard, world_size=processes)
    sizes = [len(shard.rows) for shard in place(stay, seed=1, rows_per_shard=rows_per_shard, world_size=processes)]
    assert len(set(sizes)) == 1
    assert len(sizes) % processes == 0
    assert max(sizes) <= rows_per_shard
    assert sum(sizes) + len(over) == rows
    assert len(over) < -(-rows // rows_per_shard) + processes
