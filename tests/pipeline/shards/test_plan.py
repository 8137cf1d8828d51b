"""Which rows stay out when training processes must have the same number."""

from collections import Counter

import pyarrow as pa

from pipeline.shards.plan import place


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
    shards, over = place(table, seed=1, rows_per_shard=100, processes=3)
    assert Counter(zip(over["label"].to_pylist(), [copy > 0 for copy in over["copy"].to_pylist()], strict=True)) == {
        (0, True): 1
    }
    assert [len(shard.rows) for shard in shards] == [5, 5, 5]
    assert {key for shard in shards for key in shard.rows["sample_id"].to_pylist()} == {row[0] for row in rows}
