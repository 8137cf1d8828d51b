"""The rows of a dataset that were left out: how many for each reason, and some of them with pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core.names import REJECTS_NAME, SAMPLES_NAME
from pipeline.core.schema import REJECTS, Reason, shown_in
from pipeline.core.tables import read_table
from pipeline.report.faces import Dataset, attach, may_be_shown
from pipeline.report.tiles import RawPictures, face_tiles, raw_tiles

# In the order in which a row meets them.
_STAGES: Final = ("ingest", "align", "select", "harmonize", "split", "shard")
# Of these there is nothing to be seen, or nothing that another decoder should be given.
_UNSEEN: Final = frozenset(
    {
        Reason.missing_file,
        Reason.outside_root,
        Reason.truncated,
        Reason.corrupt,
        Reason.not_an_image,
        Reason.unsupported_format,
        Reason.too_large,
        Reason.crashed,
        Reason.too_slow,
    }
)


@dataclass(frozen=True, slots=True)
class Rejected:
    """One row that was left out.

    Attributes:
        facts: sample_id, stage, reason, detail, and `rows`, how many of its dataset had the same reason.
        tile: a JPEG; None where nothing can or may be shown.
    """

    facts: Mapping[str, Any]
    tile: bytes | None


def read_rejects(folders: Mapping[str, Path], dataset: str) -> dict[str, pa.Table]:
    """Return stage -> the rows of a dataset that it left out; those that shard misses because others did are not its.

    Raises:
        TableError: a table is torn.
    """
    found: dict[str, pa.Table] = {}
    before = pa.array([], pa.string())
    for stage in _STAGES:
        if stage not in folders or not (folders[stage] / REJECTS_NAME).is_file():
            continue
        rows = read_table(folders[stage] / REJECTS_NAME, REJECTS.names, REJECTS)
        rows = rows.filter(pc.equal(rows["dataset"], dataset))
        if stage == _STAGES[-1]:
            rows = rows.filter(pc.invert(pc.is_in(rows["sample_id"], value_set=before)))
        before = pa.concat_arrays([before, *rows["sample_id"].chunks])
        if len(rows):
            found[stage] = rows.combine_chunks()
    return found


def build_rejects(dataset: Dataset, raw: str | None, fmt: str, crops: pa.Table, count: int) -> list[Rejected]:
    """Return up to `count` evenly spaced rows of each stage and reason.

    Args:
        dataset: its folders, those of split and shard among them.
        raw: where its raw tree is; None if it is not there any more.
        fmt: the format of the raw tree.
        crops: the result of `faces.read_crops`, which have a picture of most rows.
        count: the largest number for a reason.

    Raises:
        TableError: a table is missing or torn.
    """
    chosen = []
    for rows in read_rejects(dataset.folders, dataset.name).values():
        for reason in sorted(set(rows["reason"].to_pylist())):
            of_reason = rows.filter(pc.equal(rows["reason"], reason))
            few = min(count, len(of_reason))
            some = of_reason.take(pa.array(np.arange(few) * len(of_reason) // few))
            chosen.append(some.append_column("rows", pa.array([len(of_reason)] * few)))
    if not chosen:
        return []
    picked = pa.concat_tables(chosen).combine_chunks()
    tiles = _tiles(dataset, raw, fmt, crops, picked)
    names = ["sample_id", "stage", "reason", "detail", "rows"]
    return [Rejected(row, tile) for row, tile in zip(picked.select(names).to_pylist(), tiles, strict=True)]


def _tiles(dataset: Dataset, raw: str | None, fmt: str, crops: pa.Table, rows: pa.Table) -> list[bytes | None]:
    """Return the crop of each row, or the picture as it came; None where there is none, or terms forbid to show it."""
    place = pc.index_in(rows["sample_id"], value_set=crops["sample_id"])
    samples = read_table(dataset.folders["ingest"] / SAMPLES_NAME, ["sample_id", "subject_id"])
    shown = may_be_shown(_chunked(attach(rows, samples, "subject_id")), dataset.bound)
    withdrawn = _withdrawn(dataset)
    shown = pc.and_(
        shown, pc.invert(pc.is_in(rows["sample_id"].combine_chunks(), value_set=pa.array(withdrawn, pa.string())))
    )
    has_crop = pc.and_(shown, pc.is_valid(place))
    tiles: list[bytes | None] = [None] * len(rows)
    cropped = np.flatnonzero(has_crop.to_numpy(zero_copy_only=False)).tolist()
    with_crop = crops.take(place.take(pa.array(cropped, pa.int64()))).select(["part", "row"])
    for number, tile in zip(cropped, face_tiles(dataset.folders["equalize"], with_crop), strict=True):
        tiles[number] = tile
    bare = [number for number in np.flatnonzero(shown.to_numpy(zero_copy_only=False)).tolist() if not tiles[number]]
    entries = rows.to_pylist()
    hidden = {shown_in(sample_id) for sample_id in withdrawn}
    asked = [
        number
        for number in bare
        if entries[number]["source_path"]
        and entries[number]["reason"] not in _UNSEEN
        and shown_in(entries[number]["sample_id"]) not in hidden
    ]
    if raw is not None:
        wanted = tuple((entries[number]["source_path"], _face_number(entries[number]["sample_id"])) for number in asked)
        for number, found in zip(asked, raw_tiles(RawPictures(raw, fmt, wanted)), strict=True):
            tiles[number] = found
    return tiles


def _withdrawn(dataset: Dataset) -> list[str]:
    """Return the samples of people who withdrew, by whatever stage they were left out."""
    left = read_rejects(dataset.folders, dataset.name).values()
    gone = [rows.filter(pc.equal(rows["reason"], Reason.withdrawn))["sample_id"].to_pylist() for rows in left]
    return [sample_id for some in gone for sample_id in some]


def _chunked(column: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray:
    return column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])


def _face_number(sample_id: str) -> int:
    """Return the number at the end of a sample's id: of the face in its picture, or of the row in its table."""
    number = sample_id.rpartition("#")[2]
    return int(number) if number.isdecimal() else 0
