"""What people decided about faces: where the right one is, and which pictures must not be opened."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.core.schema import DECIDED_ALIGN
from pipeline.core.tables import read_table

# By sample: a point (x, y) in its face or the box (x0, y0, x1, y1) of it, in pixels of the source picture after its
# EXIF rotation; None for a sample that was withdrawn.
Decided = Mapping[str, tuple[float, ...] | None]


def read_decided(table: Path | None) -> Decided:
    """Read what `decide` wrote for `align`; nothing from None.

    Raises:
        TableError: the table is missing or torn.
    """
    rows = read_table(table, schema=DECIDED_ALIGN).to_pylist() if table else []
    return {row["sample_id"]: None if row["withdrawn"] else tuple(row["place"]) for row in rows}
