"""One part of a table of samples, start to end: the unit of work of a process."""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.crew import Units
from pipeline.errors import ImageError, LineageError
from pipeline.faces.cascade import Attempt, Found, Missed, build_cascade, find_faces
from pipeline.faces.crop import Crop, cut_face
from pipeline.faces.detector import Hint, View
from pipeline.images import Scaled, decode_scaled
from pipeline.output import Reject
from pipeline.params import AlignParams
from pipeline.schema import FACES, LEDGER, SAMPLES, Reason
from pipeline.sources import Pictures, open_pictures
from pipeline.tables import part_name, rows_to_table, write_table

# Rows a part. One row group of samples.parquet is twice as many, so that a process reads only what it works on.
PART_ROWS: Final = 512
# Pictures that are decoded and searched together.
_BATCH: Final = 32

_CRASHED: Final = "the process died on this picture twice, the second time with this picture alone"


@dataclass(frozen=True, slots=True)
class Part:
    """Which rows to work on, and where things are. Travels to a worker process."""

    number: int
    samples: Path
    rows: int
    src: str
    format: str
    folder: Path
    params: AlignParams


@dataclass(slots=True)
class PartResult:
    """What came of a part: its file is written, its ledger and rejects travel back."""

    rows_out: int = 0
    ledger: pa.Table = None
    rejects: list[Reject] = field(default_factory=list)


@dataclass(slots=True)
class _Sample:
    """One row on its way through the part."""

    unit: int
    row: dict[str, Any]
    picture: Scaled | None = None
    reason: Reason | None = None
    detail: str = ""
    crop: Crop | None = None


def count_units(part: Part) -> int:
    """Return how many pictures could bring a worker down: one a row."""
    return part.rows


def align_part(part: Part, units: Units) -> PartResult:
    """Find, warp and encode the faces of one part, and write its file.

    Raises:
        LineageError: a picture is not the one that was ingested.
    """
    cv2.setNumThreads(1)
    attempts = _attempts(part.params)
    pictures = _Opened(part.src, part.format)
    rows = _read_rows(part)
    samples = [_Sample(unit, row) for unit, row in enumerate(rows) if units.only is None or unit == units.only]
    for start in range(0, len(samples), _BATCH):
        _align_batch(samples[start : start + _BATCH], attempts, pictures, part, units)
    return _result(samples, part, write=units.only is None)


def _align_batch(
    samples: list[_Sample], attempts: list[Attempt], pictures: "_Opened", part: Part, units: Units
) -> None:
    for sample in samples:
        if sample.unit in units.crashed:
            sample.reason, sample.detail = Reason.crashed, _CRASHED
            continue
        units.at(sample.unit)
        try:
            sample.picture = pictures.decode(sample.row, part.params)
        except ImageError as error:
            sample.reason, sample.detail = Reason(error.status), error.detail
    usable = [sample for sample in samples if sample.picture is not None]
    units.at(-1)
    views = [_view(sample) for sample in usable]
    found = find_faces(attempts, views, lambda index: units.at(usable[index].unit))
    for sample, result in zip(usable, found, strict=True):
        units.at(sample.unit)
        _finish(sample, result, part.params)


def _view(sample: _Sample) -> View:
    assert sample.picture is not None
    box = sample.row["source_box"]
    if box is None:
        return View(sample.picture.pixels)
    picture = sample.picture
    scale = np.array([picture.scale_x, picture.scale_y] * 2)
    offset = np.array([picture.offset_x, picture.offset_y] * 2)
    return View(picture.pixels, Hint(np.asarray(box, float) * scale + offset, sample.row["source_box_kind"] or "face"))


def _finish(sample: _Sample, result: Found | Missed, params: AlignParams) -> None:
    picture, sample.picture = sample.picture, None
    assert picture is not None
    if isinstance(result, Missed):
        seen = result.others_seen
        sample.reason = Reason.no_face_in_box if seen else Reason.no_face
        sample.detail = f"{seen} faces elsewhere in the picture" if seen else ""
        return
    sample.crop = cut_face(result, picture, params)
    sample.reason, sample.detail = sample.crop.reason, sample.crop.detail


def _read_rows(part: Part) -> list[dict[str, Any]]:
    """Read the rows of one part out of the row groups that hold them."""
    first, last = part.number * PART_ROWS, part.number * PART_ROWS + part.rows
    found, start = [], 0
    with pq.ParquetFile(part.samples) as parquet:
        for group in range(parquet.metadata.num_row_groups):
            end = start + parquet.metadata.row_group(group).num_rows
            if start < last and end > first:
                table = parquet.read_row_group(group, use_threads=False)
                found.append(table.slice(max(0, first - start), min(end, last) - max(start, first)))
            start = end
    rows: list[dict[str, Any]] = pa.concat_tables(found).select(SAMPLES.names).to_pylist()
    return rows


def _result(samples: list[_Sample], part: Part, *, write: bool) -> PartResult:
    result = PartResult()
    faces = []
    for sample in samples:
        if sample.reason is not None:
            result.rejects.append(_reject(sample))
        elif sample.crop is not None:
            faces.append({**sample.row, **sample.crop.columns, "image": sample.crop.image})
    if write:
        write_table(part.folder / part_name(part.number), rows_to_table(faces, FACES))
    result.rows_out = len(faces)
    result.ledger = rows_to_table([_ledger_row(sample) for sample in samples], LEDGER)
    return result


def _reject(sample: _Sample) -> Reject:
    row = sample.row
    assert sample.reason is not None
    return Reject(row["sample_id"], row["dataset"], sample.reason, sample.detail, row["source_path"])


def _ledger_row(sample: _Sample) -> dict[str, Any]:
    return {
        "sample_id": sample.row["sample_id"],
        "dataset": sample.row["dataset"],
        "status": sample.reason.value if sample.reason else "aligned",
        **(sample.crop.ledger if sample.crop else {}),
    }


@cache
def _pictures(src: str, fmt: str) -> Pictures:
    return open_pictures(src, fmt)


_loaded: dict[str, list[Attempt]] = {}


def _attempts(params: AlignParams) -> list[Attempt]:
    key = params.model_dump_json()
    if key not in _loaded:
        _loaded[key] = build_cascade(params)
    return _loaded[key]


class _Opened:
    """The pictures of a raw tree: each read once though many rows are of it, and checked against what was ingested."""

    def __init__(self, src: str, fmt: str) -> None:
        self._pictures = _pictures(src, fmt)
        self._src = src
        self._key: tuple[str, int] | None = None
        self._content = b""

    def decode(self, row: dict[str, Any], params: AlignParams) -> Scaled:
        path, number = row["source_path"], int(row["sample_id"].rpartition("#")[2])
        self._content = self._pictures.read(path, number)
        if self._pictures.source_md5(path, self._content) != row["source_md5"]:
            raise LineageError(f"{self._src}: {path}: changed since it was ingested; run ingest again")
        return decode_scaled(self._content, 1 << 30, max_pixels=params.max_pixels)
