"""Which face goes into which shard. All of it is planned from tables, before any picture is read.

Training rows are sorted by a digest of seed, sample_id and copy. So every shard is a random draw from all classes and
datasets, and a reader with a small shuffle buffer, or none, still gets mixed batches. Adding samples does not change
the relative order of the others. Validation and test rows stay sorted by sample_id.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.core.emotions import CLASSES, NO_CLASS
from pipeline.core.errors import DataError
from pipeline.core.names import (
    DETECTIONS_NAME,
    LABELS_NAME,
    REJECTS_NAME,
    SELECTED_NAME,
    SOFTENED_NAME,
    SPLIT_NAME,
    SPLITS,
    TRAIN,
    UNCLASSED_PREFIX,
)
from pipeline.core.schema import ATTRIBUTES, DETECTIONS, INDEX, LABELS, REJECTS, SELECTED, SPLIT, Reason
from pipeline.core.tables import read_part, read_table, table_files

_MISSING: Final = ["sample_id", "dataset", "subject_id", *ATTRIBUTES, "label", "split", "group_id", "reason"]


@dataclass(frozen=True, slots=True)
class Joined:
    """The rows of the split with their labels, sorted by sample_id.

    Attributes:
        files: the Parquet files with faces, of all datasets.
        found: the rows with a selected face: the columns of the labels, `split`, `group_id`, `file` (an index into
            `files`) and `row` (an index into that file).
        missing: the rows without one: sample_id, dataset, subject_id, gender, age, race, label, split, group_id, and
            the `reason`.
    """

    files: tuple[Path, ...]
    found: pa.Table
    missing: pa.Table


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard: its name, its split, and its rows in the order in which they are written.

    Its name is ``train-00000``; of rows without a class, ``unclassed-train-00000``.
    """

    name: str
    split: str
    rows: pa.Table

    @property
    def classed(self) -> bool:
        """Whether its rows have a class."""
        return not self.name.startswith(UNCLASSED_PREFIX)


def read_joined(
    faces: Mapping[str, Path], selected: Mapping[str, Path], labels: Mapping[str, Path], split: Path
) -> Joined:
    """Join the faces, labels and split of all datasets; pictures are not read.

    Args:
        faces: the folder of faces of each dataset.
        selected: the folder that select wrote for each dataset.
        labels: the folder of labels of each dataset.
        split: the folder with split.parquet.

    Raises:
        TableError: a table is missing or damaged.
        DataError: a sample of the split has no label, two rows have the same sample_id, a group is in two splits, or
            a selected face does not exist.
    """
    rows = read_table(split / SPLIT_NAME, schema=SPLIT).sort_by("sample_id")
    labelled = pa.concat_tables([read_table(folder / LABELS_NAME, LABELS.names, LABELS) for folder in labels.values()])
    files, places = _read_places(faces)
    _check_unique(rows, split / SPLIT_NAME)
    _check_groups(rows, split / SPLIT_NAME)
    at_label = pc.index_in(rows["sample_id"], value_set=labelled["sample_id"])
    if at_label.null_count:
        unlabelled = rows.filter(pc.is_null(at_label))["sample_id"][0].as_py()
        raise DataError(f"{split / 'split.parquet'}: {unlabelled!r} has no label; run harmonize, then split again")
    known = _softened(labelled.take(at_label.combine_chunks()), split / SOFTENED_NAME)
    for name in ("split", "group_id"):
        known = known.append_column(name, rows[name].combine_chunks())
    places = _counting(places, selected)
    at_face = pc.index_in(rows["sample_id"], value_set=places["sample_id"]).combine_chunks()
    has_face = pc.is_valid(at_face)
    found = known.filter(has_face)
    where = places.take(at_face.filter(has_face))
    for name in ("file", "row"):
        found = found.append_column(name, where[name])
    missing = known.filter(pc.invert(has_face))
    missing = missing.append_column("reason", _reasons(missing["sample_id"], faces, selected)).select(_MISSING)
    return Joined(files, found.combine_chunks(), missing.combine_chunks())


def _counting(places: pa.Table, selected: Mapping[str, Path]) -> pa.Table:
    """Return the rows of `places` whose face is selected.

    Raises:
        DataError: a selected face does not exist.
    """
    chosen = []
    for folder in selected.values():
        chosen.append(read_table(folder / SELECTED_NAME, ["sample_id"], SELECTED)["sample_id"])
        gone = chosen[-1].filter(pc.invert(pc.is_in(chosen[-1], value_set=places["sample_id"])))
        if len(gone):
            raise DataError(f"{folder}: {gone[0].as_py()!r} is selected, but there is no such face; run select again")
    ids = pa.chunked_array([chunk for column in chosen for chunk in column.chunks], pa.string())
    return places.filter(pc.is_in(places["sample_id"], value_set=ids))


def _reasons(ids: pa.ChunkedArray, faces: Mapping[str, Path], selected: Mapping[str, Path]) -> pa.ChunkedArray:
    """Return for each sample the gate that its face does not pass, or why no face was found."""
    columns = ["sample_id", "reason"]
    tables = [read_table(folder / REJECTS_NAME, columns, REJECTS) for folder in selected.values()]
    seen = [path for folder in faces.values() if (path := folder / DETECTIONS_NAME).is_file()]
    # The rejects of select come first: `index_in` takes the first entry, and a rejected face is in the detections, too.
    tables += [read_table(path, ["sample_id", "status"], DETECTIONS).rename_columns(columns) for path in seen]
    known = pa.concat_tables(tables)
    at = pc.index_in(ids, value_set=known["sample_id"])
    return pc.fill_null(known["reason"].take(at), Reason.no_face.value)


def _softened(known: pa.Table, path: Path) -> pa.Table:
    """Give contradictory copies of one picture the mean of their label probabilities.

    `split` writes such copies to softened.parquet under `contradictions: soften`; without that file nothing changes.
    """
    if not path.is_file():
        return known
    named = read_table(path, ["sample_id", "picture"])
    at = pc.index_in(named["sample_id"], value_set=known["sample_id"]).combine_chunks()
    used = np.asarray(pc.is_valid(at))
    rows = np.asarray(at.filter(pa.array(used)), np.int64)
    pictures = np.unique(named["picture"].to_numpy()[used], return_inverse=True)[1]
    probabilities = known["label_probs"].to_pylist()  # softened rows have a class, others may have none
    of_rows = np.array([probabilities[row] for row in rows.tolist()], np.float64).reshape(len(rows), len(CLASSES))
    sums = np.zeros_like(of_rows)
    np.add.at(sums, pictures, of_rows)
    for row, mean in zip(rows.tolist(), sums[pictures] / np.bincount(pictures)[pictures][:, None], strict=True):
        probabilities[row] = mean.tolist()
    field = known.schema.field("label_probs")
    column = pa.array(probabilities, field.type)
    return known.set_column(known.schema.get_field_index("label_probs"), field, column)


def _read_places(faces: Mapping[str, Path]) -> tuple[tuple[Path, ...], pa.Table]:
    files = tuple(file for folder in faces.values() for file in table_files(folder))
    tables = []
    for number, file in enumerate(files):
        ids = read_part(file, ["sample_id"])
        tables.append(
            ids.append_column("file", pa.array(np.full(len(ids), number, np.int32))).append_column(
                "row", pa.array(np.arange(len(ids), dtype=np.int32))
            )
        )
    return files, pa.concat_tables(tables)


def _check_unique(rows: pa.Table, path: Path) -> None:
    ids = rows["sample_id"]
    if pc.count_distinct(ids).as_py() != len(ids):
        twice = next(entry["values"] for entry in pc.value_counts(ids).to_pylist() if entry["counts"] > 1)
        raise DataError(f"{path}: {twice!r} is there twice; a sample has one row")


def _check_groups(rows: pa.Table, path: Path) -> None:
    """Refuse a split in which a group is in two sets.

    `split` never writes such a file, but it may have been edited since.
    """
    pairs = rows.group_by(["group_id", "split"], use_threads=False).aggregate([])
    if pc.count_distinct(pairs["group_id"]).as_py() != len(pairs):
        both = next(entry["values"] for entry in pc.value_counts(pairs["group_id"]).to_pylist() if entry["counts"] > 1)
        raise DataError(f"{path}: the group {both!r} is in more than one split; run split again")


def class_indices(labels: pa.ChunkedArray) -> NDArray[np.int64]:
    """Return (N,) class indices, NO_CLASS for null."""
    return np.asarray(pc.fill_null(labels, NO_CLASS).to_numpy(), np.int64)


def even(rows: pa.Table, *, seed: int, rows_per_shard: int, world_size: int) -> tuple[pa.Table, pa.Table]:
    """Leave out as few training rows as it takes to make all training shards equally large.

    Processes that train together must take the same number of steps, or some would wait for the others for ever. Fewer
    rows than there are shards are left out.

    Args:
        rows: `Joined.found` with `copy`; the split names are `SPLITS`.
        seed: seed of the order of the training rows.
        rows_per_shard: the most rows in a shard.
        world_size: the number of training processes. For a single one, nothing is left out.

    Returns:
        The rows that stay, and those left out.

    Raises:
        DataError: there are fewer training rows than processes; of rows without a class, all are left out instead.
    """
    trained = pc.equal(rows["split"], TRAIN)
    part = rows.filter(trained)
    if world_size == 1 or not len(part):
        return rows, rows.slice(0, 0)
    if len(part) < world_size and part["label"].null_count:  # who learns classes needs none of them
        return rows.filter(pc.invert(trained)), part
    if len(part) < world_size:
        raise DataError(f"train: {len(part)} rows cannot be shared by shard.world_size = {world_size}")
    part = part.take(_order(part, TRAIN, seed))
    dropped = _excess(part, len(part) % _shard_count(len(part), rows_per_shard, world_size))
    stay = pa.concat_tables([part.filter(pc.invert(dropped)), rows.filter(pc.invert(trained))])
    return stay.combine_chunks(), part.filter(dropped)


def place(rows: pa.Table, *, seed: int, rows_per_shard: int, world_size: int, before: str = "") -> list[Shard]:
    """Divide rows into shards.

    The number of shards of a split is a multiple of `world_size`, so that each process can take whole shards. The one
    exception is a split with fewer rows than processes. Shards of a split differ by at most one row; training shards
    are equally large if the rows went through `even`.

    Args:
        rows: `Joined.found` with `copy` and `weight`; the split names are `SPLITS`.
        seed: seed of the order of the training rows.
        rows_per_shard: the most rows in a shard.
        world_size: the number of training processes.
        before: what the names begin with: UNCLASSED_PREFIX for rows without a class.

    Returns:
        The shards, split by split.
    """
    shards: list[Shard] = []
    for split in SPLITS:
        part = rows.filter(pc.equal(rows["split"], split))
        count = _shard_count(len(part), rows_per_shard, world_size)
        if split == TRAIN and world_size > 1 and len(part):
            # `even` counted shards for more rows than are left now. The remaining rows might fit into fewer shards, but
            # of the multiples of `world_size`, only that earlier count is sure to divide them evenly.
            count = next((n for n in range(count, len(part) + 1, world_size) if len(part) % n == 0), count)
        part = part.take(_order(part, split, seed))
        bounds = [len(part) * number // count for number in range(count + 1)] if count else [0]
        for number, (start, end) in enumerate(pairwise(bounds)):
            shards.append(Shard(f"{before}{split}-{number:05d}", split, part.slice(start, end - start)))
    return shards


def _excess(rows: pa.Table, number: int) -> pa.Array:
    """Return a mask of `number` rows to leave out.

    Copies go before originals, so that no face is left out while another one has copies. Each row is taken from the
    class that has most rows at that point, and within it from the end of the order.
    """
    labels, copies = class_indices(rows["label"]) + 1, rows["copy"].to_numpy() > 0
    left = np.ones(len(rows), bool)
    for _ in range(number):
        spare = left & copies if (left & copies).any() else left
        most = np.bincount(labels[left])[labels[spare]].argmax()
        largest = labels[spare][most]
        left[np.flatnonzero(spare & (labels == largest))[-1]] = False
    return pa.array(~left)


def _shard_count(rows: int, rows_per_shard: int, world_size: int) -> int:
    # Rounded up to a multiple of `world_size`, but never to more shards than there are rows: none may be empty.
    whole = -(-rows // rows_per_shard)
    most = rows // world_size * world_size or rows
    return min(most, -(-whole // world_size) * world_size)


def _order(rows: pa.Table, split: str, seed: int) -> pa.Array:
    if split != TRAIN:
        return pc.sort_indices(rows, sort_keys=[("sample_id", "ascending"), ("copy", "ascending")])
    # Digests of 128 bits do not tie, so the order is the same on every machine. With surrogatepass, an id that contains
    # undecodable bytes is no error.
    keys = [
        hashlib.blake2b(f"{seed}\0{sample_id}\0{copy}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
        for sample_id, copy in zip(rows["sample_id"].to_pylist(), rows["copy"].to_pylist(), strict=True)
    ]
    return pa.array(sorted(range(len(keys)), key=keys.__getitem__), pa.int64())


def index_table(shards: list[Shard]) -> pa.Table:
    """Return the rows of all shards as `schema.INDEX`, sorted by sample_id, then by copy."""
    tables = [
        shard.rows.append_column("shard", pa.array([shard.name] * len(shard.rows), pa.string())).select(INDEX.names)
        for shard in shards
    ]
    rows = pa.concat_tables(tables).sort_by([("sample_id", "ascending"), ("copy", "ascending")])
    return rows.combine_chunks().cast(INDEX)


def class_counts(index: pa.Table, classes: tuple[str, ...]) -> dict[str, dict[str, int]]:
    """Return the number of rows of each class in each split that has any; classes without a row have 0."""
    counts: dict[str, Any] = {}
    for split in SPLITS:
        labels = index.filter(pc.equal(index["split"], split))["label"].drop_null().to_numpy()
        if len(labels):
            counts[split] = dict(zip(classes, np.bincount(labels, minlength=len(classes)).tolist(), strict=True))
    return counts
