"""Where the table of samples is cut into parts: at rows that say so by themselves, not at every n-th row.

A part is taken over from an earlier run if its rows are the same (`core.parts`). If parts were so many rows each, a row
that is new at the front would move every later row into another part, and all faces would be detected again. So a part
ends before a row whose id has a certain digest, and after a new row, the cuts are soon where they were. This is
content-defined chunking (Muthitacharoen et al., "A low-bandwidth network file system", SOSP 2001), with rows for bytes.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa

from pipeline.core.schema import SAMPLES
from pipeline.core.tables import digest_table, iter_batches

# A part has so many rows, and then on average as many more until a row ends it, but never more than the limit. That is
# a row group of samples.parquet, so a worker reads at most two of them for a part.
LEAST_ROWS: Final = 256
MOST_ROWS: Final = 1024


@dataclass(frozen=True, slots=True)
class Cut:
    """The rows of a part: the number of the first one, how many there are, and a digest of all that they say."""

    first: int
    rows: int
    digest: str


def cut_parts(samples: Path) -> Iterator[Cut]:
    """Yield the cuts of a table of samples, which has at most one row group of it in memory.

    Raises:
        TableError: the table is missing or torn.
    """
    first, waiting = 0, SAMPLES.empty_table()
    for batch in iter_batches(samples, SAMPLES.names, MOST_ROWS):
        waiting = pa.concat_tables([waiting, pa.table(batch).select(SAMPLES.names)])
        while len(waiting) > MOST_ROWS:
            rows = _end(waiting["sample_id"].slice(0, MOST_ROWS + 1).to_pylist())
            yield Cut(first, rows, digest_samples(waiting.slice(0, rows)))
            first, waiting = first + rows, waiting.slice(rows)
    while len(waiting):
        rows = _end(waiting["sample_id"].to_pylist())
        yield Cut(first, rows, digest_samples(waiting.slice(0, rows)))
        first, waiting = first + rows, waiting.slice(rows)


def digest_samples(rows: pa.Table) -> str:
    """Return a digest of all that rows of samples say."""
    # Parquet renames the items of lists, which a digest of rows would notice.
    return digest_table(rows.cast(SAMPLES))


def _end(sample_ids: list[str]) -> int:
    """Return how many of the next rows make the next part."""
    last = min(len(sample_ids), MOST_ROWS)
    return next((row for row in range(LEAST_ROWS, last) if _begins_part(sample_ids[row])), last)


def _begins_part(sample_id: str) -> bool:
    digest = hashlib.blake2b(sample_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") % LEAST_ROWS == 0
