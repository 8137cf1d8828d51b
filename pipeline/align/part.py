"""One part of a table of samples, start to end: the unit of work of a process."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

import cv2
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.align.cascade import Attempt, Found, build_cascade
from pipeline.align.crop import Crop, cut_faces, is_possible
from pipeline.align.detectors.detector import Hint
from pipeline.align.mtcnn.networks import network_device
from pipeline.align.scale import hint_of, search_side_px, view_of
from pipeline.align.search import find_faces
from pipeline.core.device import CPU
from pipeline.core.errors import ImageError, LineageError
from pipeline.core.parallel.units import NO_UNIT, Lost, Units
from pipeline.core.params import AlignParams
from pipeline.core.schema import ALIGNED, DETECTIONS, FACES, SAMPLES, Reason
from pipeline.core.stage_output import Reject
from pipeline.core.tables import part_name, rows_to_table, write_table
from pipeline.images import Opened, Scaled, open_picture
from pipeline.ingest.registry import Pictures, open_pictures

# Rows a part. One row group of samples.parquet is twice as many, so that a process reads only what it works on.
PART_ROWS: Final = 512
# Pictures that are decoded and searched together: this many, or fewer when they are large.
_BATCH: Final = 32
_BATCH_GPU: Final = 256
_BATCH_BYTES: Final = 64 << 20

_LOST: Final[Mapping[Lost, tuple[Reason, str]]] = {
    "died": (Reason.crashed, "the process died on this picture twice, the second time with this picture alone"),
    "hung": (Reason.too_slow, "took longer than align.deadline_s twice, the second time alone"),
}


@dataclass(frozen=True, slots=True)
class Part:
    """Which rows to work on, and where things are. Travels to a worker process."""

    number: int
    first: int
    samples: Path
    rows: int
    src: str
    format: str
    folder: Path
    params: AlignParams


@dataclass(slots=True)
class PartResult:
    """What came of a part: its file is written, its detections and rejects travel back."""

    rows_out: int = 0
    detections: pa.Table = None
    rejects: list[Reject] = field(default_factory=list)


@dataclass(slots=True)
class _Sample:
    """One row on its way through the part."""

    unit: int
    row: dict[str, Any]
    hint: Hint | None
    content: bytes = b""
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
    samples = [
        _Sample(unit, row, hint_of(row))
        for unit, row in enumerate(_read_rows(part))
        if units.only is None or unit == units.only
    ]
    for batch in _batches(samples, _Raw(part.src, part.format), part, units):
        _align_batch(batch, attempts, part, units)
    return _result(samples, part, write=units.only is None)


def _align_batch(samples: list[_Sample], attempts: list[Attempt], part: Part, units: Units) -> None:
    views = [view_of(sample.picture, sample.hint) for sample in samples if sample.picture is not None]
    units.at(NO_UNIT)
    found = find_faces(
        attempts, views, lambda index: units.at(samples[index].unit), partial(is_possible, params=part.params)
    )
    seen: list[tuple[_Sample, Found, Scaled]] = []
    for sample, result in zip(samples, found, strict=True):
        if result is None or sample.picture is None:
            sample.reason = Reason.no_face_in_box if sample.hint else Reason.no_face
        else:
            seen.append((sample, result, sample.picture))
    crops = cut_faces(
        [result for _, result, _ in seen],
        [picture for _, _, picture in seen],
        [sample.content for sample, _, _ in seen],
        part.params,
        lambda index: units.at(seen[index][0].unit),
    )
    for (sample, _, _), crop in zip(seen, crops, strict=True):
        sample.crop, sample.reason, sample.detail = crop, crop.reason, crop.detail
    for sample in samples:
        sample.picture, sample.content = None, b""
    units.finish(len(samples))


def _batches(samples: list[_Sample], raw: "_Raw", part: Part, units: Units) -> Iterator[list[_Sample]]:
    """Decode the samples; yield those that can be, as many at once as make a batch and fit the memory."""
    size = _BATCH if network_device().name == CPU else _BATCH_GPU
    batch, pixels = [], 0
    for sample in samples:
        if sample.unit in units.lost:
            sample.reason, sample.detail = _LOST[units.lost[sample.unit]]
            continue
        units.at(sample.unit)
        try:
            sample.content, sample.picture = raw.decode(sample.row, sample.hint, part.params)
        except ImageError as error:
            sample.reason, sample.detail = Reason(error.status), error.detail
            units.finish(1)
            continue
        batch.append(sample)
        pixels += sample.picture.pixels.size
        if len(batch) == size or pixels > _BATCH_BYTES:
            yield batch
            batch, pixels = [], 0
    if batch:
        yield batch


def _read_rows(part: Part) -> list[dict[str, Any]]:
    """Read the rows of one part out of the row groups that hold them."""
    first, last = part.first, part.first + part.rows
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
            result.rejects.append(_reject(sample, sample.reason))
        elif sample.crop is not None:
            faces.append({**sample.row, **sample.crop.columns, "image": sample.crop.image})
    if write:
        write_table(part.folder / part_name(part.number), rows_to_table(faces, FACES))
    result.rows_out = len(faces)
    result.detections = rows_to_table([_detection_row(sample) for sample in samples], DETECTIONS)
    return result


def _reject(sample: _Sample, reason: Reason) -> Reject:
    row = sample.row
    return Reject(row["sample_id"], row["dataset"], reason, sample.detail, row["source_path"])


def _detection_row(sample: _Sample) -> dict[str, Any]:
    return {
        **{name: sample.row[name] for name in ("sample_id", "dataset", "source_path", "source_labels")},
        "status": sample.reason.value if sample.reason else ALIGNED,
        **(sample.crop.detections if sample.crop else {}),
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


class _Raw:
    """The pictures of a raw tree: checked against what was ingested, and read once though many rows are of one."""

    def __init__(self, src: str, fmt: str) -> None:
        self._pictures = _pictures(src, fmt)
        self._src = src
        self._key: tuple[str, int] | None = None
        self._content = b""
        self._opened: Opened | None = None
        self._decoded: tuple[int, Scaled] | None = None

    def decode(self, row: dict[str, Any], hint: Hint | None, params: AlignParams) -> tuple[bytes, Scaled]:
        """Return the bytes of a sample's picture and its pixels, at a scale that leaves enough for the crop.

        Raises:
            ImageError: the picture cannot be used.
            LineageError: it is not the one that was ingested.
        """
        key = row["source_path"], row["face_number"]
        if key != self._key:
            self._content = self._pictures.read(*key)
            if self._pictures.source_md5(key[0], self._content) != row["source_md5"]:
                raise LineageError(f"{self._src}: {key[0]}: changed since it was ingested; run ingest again")
            self._key, self._opened, self._decoded = key, None, None
        if self._opened is None:
            self._opened = open_picture(self._content)
        least_px = search_side_px(self._opened.header, hint, params)
        if self._decoded is None or self._decoded[0] < least_px:
            self._decoded = least_px, self._opened.decode_scaled(least_px, max_pixels=params.max_pixels)
        return self._content, self._decoded[1]
