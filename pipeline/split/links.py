"""All links between samples, collected once: for the groups, for the certificate and for its check."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.core.graph import Links, components
from pipeline.core.parallel.pool import Progress, no_progress
from pipeline.core.params import SplitParams
from pipeline.core.parts import PartStore
from pipeline.core.schema import DECIDED_SPLIT
from pipeline.core.tables import read_table, table_files
from pipeline.split.duplicates import DUPLICATES, find_duplicates
from pipeline.split.groups import build_groups
from pipeline.split.identities import find_identities
from pipeline.split.people import SplitRows

# What must not be in two sets -> its name in the certificate.
KINDS: Final = {
    "subject": "subjects",
    "sequence": "sequences",
    "file": "files",
    "picture": "pictures",
    "duplicate": "duplicates",
    "identity": "identities",
    "decided": "decided",
}


def _no_links() -> Links:
    return np.empty((0, 2), np.int64)


@dataclass(frozen=True, slots=True)
class Linked:
    """Pairs of rows (K, 2) that belong together.

    Attributes:
        duplicates, identities: found by pixels; `table` are these duplicates.
        decided: those of which people said that they are one person or one picture.
        copies: of these, the pictures.
    """

    duplicates: Links
    identities: Links
    table: pa.Table
    decided: Links = field(default_factory=_no_links)
    copies: Links = field(default_factory=_no_links)

    def at_least(self, similarity: float) -> "Linked":
        """Return the same, with only the duplicates of at least this similarity, 0..1."""
        kept = self.table["similarity"].to_numpy() >= np.float32(similarity)
        return replace(self, duplicates=self.duplicates[kept], table=self.table.filter(pa.array(kept)))

    def arrays(self) -> list[Links]:
        """Return the links of all kinds."""
        return [self.duplicates, self.identities, self.decided]


def build_links(
    rows: SplitRows,
    aligned: Mapping[str, Path],
    decided: Sequence[Path],
    params: SplitParams,
    *,
    workers: int,
    store: PartStore | None = None,
    progress: Progress = no_progress,
) -> Linked:
    """Find pictures that are the same and people who are the same by their pixels, as the parameters ask.

    `decided` are tables of `schema.DECIDED_SPLIT`; a sample without label and face links nothing.

    Raises:
        TableError: a part is torn, or holds a face that cannot be decoded.
    """
    at = {sample_id: row for row, sample_id in enumerate(rows.sample_ids)}
    parts = [part for folder in aligned.values() for part in table_files(folder)]
    duplicates, identities, table = _no_links(), _no_links(), DUPLICATES.empty_table()
    if params.duplicates != "none":
        group = build_groups(rows, []).of_row.tolist()
        found = find_duplicates(
            parts,
            near=params.duplicates == "near",
            threshold=params.duplicate_similarity,
            together=dict(zip(rows.sample_ids, group, strict=True)),
            workers=workers,
            store=store,
            progress=progress,
        )
        duplicates, table = found.pairs(at), found.table
    if params.identities == "dlib":
        pairs = find_identities(
            parts, threshold=params.identity_distance, workers=workers, store=store, progress=progress
        )
        identities = np.array([(at[first], at[second]) for first, second in pairs], np.int64).reshape(-1, 2)
    return Linked(duplicates, identities, table, *_read_decided(decided, at))


def _read_decided(tables: Sequence[Path], at: Mapping[str, int]) -> tuple[Links, Links]:
    """Return the pairs of rows that people linked, and of these the pairs that are one picture."""
    rows = [row for table in tables for row in read_table(table, schema=DECIDED_SPLIT).to_pylist()]
    there = [row for row in rows if row["first"] in at and row["second"] in at]
    links = np.array([(at[row["first"]], at[row["second"]]) for row in there], np.int64).reshape(-1, 2)
    return links, links[np.array([row["kind"] == "same_picture" for row in there], np.bool_)]


def links_table(rows: SplitRows, linked: Linked, used: NDArray[np.int64]) -> pa.Table:
    """Return one row per used sample: its subject, sequence, file, picture, duplicate and identity cluster, or null."""
    values = link_values(rows, linked)
    columns = {"sample_id": [rows.sample_ids[row] for row in used]}
    columns |= {kind: [values[kind][row] for row in used] for kind in KINDS}
    return pa.table(columns, schema=pa.schema([pa.field(name, pa.string()) for name in columns]))


def link_values(rows: SplitRows, linked: Linked) -> dict[str, Sequence[str | None]]:
    """Return for each of `KINDS` (N,) names; rows with the same name belong together, None belongs to nothing."""
    return {
        "subject": _known_subjects(rows),
        "sequence": rows.sequences,
        "file": rows.paths,
        "picture": rows.pictures,
        "duplicate": _clusters(rows, linked.duplicates),
        "identity": _clusters(rows, linked.identities),
        "decided": _clusters(rows, linked.decided),
    }


def _known_subjects(rows: SplitRows) -> list[str | None]:
    """Return the subjects; None in a dataset with as many as pictures, whose names distinguish pictures, not people."""
    people: dict[str, set[str]] = {}
    pictures: dict[str, set[str]] = {}
    datasets = rows.datasets.tolist()
    for dataset, subject, path in zip(datasets, rows.subjects, rows.paths, strict=True):
        if subject is not None:
            people.setdefault(dataset, set()).add(subject)
            pictures.setdefault(dataset, set()).add(path)
    known = {dataset for dataset, names in people.items() if len(names) < len(pictures[dataset])}
    return [subject if dataset in known else None for dataset, subject in zip(datasets, rows.subjects, strict=True)]


def _clusters(rows: SplitRows, links: Links) -> list[str | None]:
    """Name each cluster after its first sample; None for a row without a link."""
    of_row = components(len(rows.sample_ids), [links])
    first: dict[int, str] = {}
    names: list[str | None] = [None] * len(rows.sample_ids)
    for row in np.unique(links).tolist():
        names[row] = first.setdefault(int(of_row[row]), rows.sample_ids[row])
    return names
