"""Align one part of a table of samples, from raw bytes to the written files: the unit of work of a process."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

import cv2
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.align.cascade import Attempt, Found, build_cascade
from pipeline.align.clips import Clips, Follower, is_frame
from pipeline.align.crop import Crop, cut_faces, is_possible
from pipeline.align.cut import digest_samples
from pipeline.align.decided import Decided
from pipeline.align.detectors.detector import Hint
from pipeline.align.mtcnn.networks import network_device
from pipeline.align.scale import hint_of, search_side_px, view_of
from pipeline.align.search import find_faces
from pipeline.core.device import CPU
from pipeline.core.errors import ImageError, LineageError
from pipeline.core.names import DETECTIONS_NAME
from pipeline.core.parallel.units import NO_UNIT, Lost, Units
from pipeline.core.params import AlignParams
from pipeline.core.parts import Task, digest_of
from pipeline.core.schema import ALIGNED, DETECTIONS, FACES, SAMPLES, Reason
from pipeline.core.tables import rows_to_table, write_table
from pipeline.images import Opened, Scaled, open_picture
from pipeline.ingest.registry import Pictures, open_pictures

FACES_NAME: Final = "faces.parquet"
# The detections of a part, with the text for the rejects.
TOLD: Final = DETECTIONS.append(pa.field("detail", pa.string(), nullable=False))
# Pictures that are decoded and searched together, on the CPU and on a GPU, which gains more from large batches. A batch
# ends earlier when its pixels exceed `_BATCH_BYTES`, so that large pictures do not fill the memory.
_BATCH: Final = 32
_BATCH_GPU: Final = 256
_BATCH_BYTES: Final = 64 << 20

_LOST: Final[Mapping[Lost, tuple[Reason, str]]] = {
    "died": (Reason.crashed, "the process died, or ran out of memory, on this picture twice, the second time alone"),
    "hung": (Reason.too_slow, "took longer than align.deadline_s twice, the second time alone"),
}


@dataclass(frozen=True, slots=True)
class Part:
    """The rows to align and where to find them; sent to a worker process.

    The rows are those from `first` to `first + rows` of the table `samples`; their pictures are in `src`, a folder or
    an archive in the layout `format`. Whatever else the result depends on must be in the recipe that `stage` gives.
    `decided` is what people decided about some of them.
    """

    first: int
    samples: Path
    rows: int
    src: str
    format: str
    params: AlignParams
    decided: Decided = field(default_factory=dict)


@dataclass(slots=True)
class _Sample:
    """One row, with what is known about it so far; `reason` is set as soon as it is rejected."""

    unit: int
    row: dict[str, Any]
    hint: Hint | None
    content: bytes = b""
    picture: Scaled | None = None
    reason: Reason | None = None
    detail: str = ""
    crop: Crop | None = None


def count_units(task: Task[Part]) -> int:
    """Return how many units a part has, each of which could crash a worker: one per row."""
    return task.job.rows


def key_of(digest: str, decided: Decided) -> str:
    """Return the key of a part, which changes with its rows and with the decisions about them alone."""
    return digest_of([digest, dict(decided)])


def part_key(part: Part) -> str:
    """Return the key of a part whose rows are read again."""
    return key_of(digest_samples(_read_rows(part)), part.decided)


def align_part(part: Part, folder: Path, units: Units) -> bool:
    """Find, warp and encode the faces of one part, and write its faces, and for every row its detection.

    Args:
        part: the rows and their pictures.
        folder: where to write `FACES_NAME` and `DETECTIONS_NAME`; the latter with the column `detail`, which says more
            of a rejected row.
        units: which rows to work on, and where to report the current one.

    Returns:
        Whether another run may take the part over: not if a picture was left out because it ended its process or took
        too long, which may be otherwise the next time.

    Raises:
        LineageError: a picture is not the one that was ingested.
    """
    # There is one worker per core already; more threads would only compete with each other.
    cv2.setNumThreads(1)
    attempts = _attempts(part.params)
    samples = [
        _sample(unit, row, part.decided)
        for unit, row in enumerate(_read_rows(part).to_pylist())
        if units.only is None or unit == units.only
    ]
    raw = _Raw(part.src, part.format, [sample.row for sample in samples], units)
    follower = Follower(attempts, partial(is_possible, params=part.params))
    for batch in _batches(samples, raw, part, units):
        _align_batch(batch, attempts, follower, part, units)
    _write(samples, folder)
    return not units.lost


def _sample(unit: int, row: dict[str, Any], decided: Decided) -> _Sample:
    place = decided.get(row["sample_id"], ())
    if place is None:
        return _Sample(unit, row, None, reason=Reason.withdrawn, detail="its person withdrew")
    return _Sample(unit, row, hint_of(row, place))


def _find(
    samples: list[_Sample], attempts: list[Attempt], follower: Follower, part: Part, units: Units
) -> list[Found | None]:
    views = [view_of(sample.picture, sample.hint) for sample in samples if sample.picture is not None]
    if any(is_frame(sample.row) for sample in samples):
        found = []
        for sample, view in zip(samples, views, strict=True):
            units.at(sample.unit)
            found.append(follower.find(sample.row["source_path"], view))
        return found
    # The batch is searched as a whole: if the process dies in here, no picture is named, and each is tried alone.
    units.at(NO_UNIT)
    return find_faces(
        attempts, views, lambda index: units.at(samples[index].unit), partial(is_possible, params=part.params)
    )


def _align_batch(samples: list[_Sample], attempts: list[Attempt], follower: Follower, part: Part, units: Units) -> None:
    found = _find(samples, attempts, follower, part, units)
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
    # Only the crops are needed from here on; the pictures of all batches together would fill the memory.
    for sample in samples:
        sample.picture, sample.content = None, b""
    units.finish(len(samples))


def _batches(samples: list[_Sample], raw: "_Raw", part: Part, units: Units) -> Iterator[list[_Sample]]:
    """Decode the samples and yield them in batches; a sample that cannot be decoded gets its reason and is left out."""
    size = _BATCH if network_device().name == CPU else _BATCH_GPU
    batch, pixels, ended = [], 0, None
    for sample in samples:
        if sample.reason is not None:
            units.finish(1)
            continue
        if (lost := units.lost.get(sample.unit)) is not None:
            sample.reason, sample.detail = _LOST[lost]
            # A decoder cannot get past the packet at which it died.
            ended = sample.row["source_path"] if is_frame(sample.row) else ended
            continue
        if is_frame(sample.row) and sample.row["source_path"] == ended:
            sample.reason, sample.detail = Reason.crashed, "after a frame of this video at which decoding ended"
            continue
        # Decoders are C code that reads untrusted bytes, so each picture is named before it is decoded.
        units.at(sample.unit)
        try:
            sample.content, sample.picture = raw.decode(sample, part.params)
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


def _read_rows(part: Part) -> pa.Table:
    """Read the rows of one part, and only the row groups that contain them."""
    first, last = part.first, part.first + part.rows
    found, start = [], 0
    with pq.ParquetFile(part.samples) as parquet:
        for group in range(parquet.metadata.num_row_groups):
            end = start + parquet.metadata.row_group(group).num_rows
            if start < last and end > first:
                table = parquet.read_row_group(group, use_threads=False)
                found.append(table.slice(max(0, first - start), min(end, last) - max(start, first)))
            start = end
    return pa.concat_tables(found).select(SAMPLES.names)


def _write(samples: list[_Sample], folder: Path) -> None:
    aligned = [(sample.row, sample.crop) for sample in samples if sample.crop is not None and sample.reason is None]
    faces = [{**row, **crop.columns, "image": crop.image} for row, crop in aligned]
    write_table(folder / FACES_NAME, rows_to_table(faces, FACES))
    write_table(folder / DETECTIONS_NAME, rows_to_table([_detection_row(sample) for sample in samples], TOLD))


def _detection_row(sample: _Sample) -> dict[str, Any]:
    return {
        **{name: sample.row[name] for name in ("sample_id", "dataset", "source_path", "source_labels")},
        "status": sample.reason.value if sample.reason else ALIGNED,
        "detail": sample.detail,
        **(sample.crop.detections if sample.crop else {}),
    }


@cache
def _pictures(src: str, fmt: str) -> Pictures:
    return open_pictures(src, fmt)


# The cascade of this process by the text of its parameters, which contain a list and so cannot be a key of `cache`.
_loaded: dict[str, list[Attempt]] = {}


def _attempts(params: AlignParams) -> list[Attempt]:
    key = params.model_dump_json()
    if key not in _loaded:
        _loaded[key] = build_cascade(params)
    return _loaded[key]


class _Raw:
    """The pictures of a raw tree, each checked against the hash that ingest recorded.

    The rows of one picture follow each other, so the last picture is kept and is read and decoded once for all of them.
    """

    def __init__(self, src: str, fmt: str, rows: list[dict[str, Any]], units: Units) -> None:
        self._pictures = _pictures(src, fmt)
        self._clips = Clips(self._pictures, src, rows)
        self._units = units
        self._src = src
        self._key: tuple[str, int] | None = None
        self._content = b""
        self._opened: Opened | None = None
        self._decoded: tuple[int, Scaled] | None = None

    def decode(self, sample: _Sample, params: AlignParams) -> tuple[bytes, Scaled]:
        """Return the bytes of a sample's picture, and its pixels at a scale that is fine enough for the crop.

        Raises:
            ImageError: the picture cannot be decoded, or takes more memory than `max_decode_mb`.
            LineageError: it has changed since it was ingested.
        """
        row = sample.row
        if is_frame(row):
            return b"", self._clips.picture(row, params, lambda: self._units.at(sample.unit))
        key = row["source_path"], row["face_number"]
        if key != self._key:
            self._content = self._pictures.read(*key)
            if self._pictures.source_md5(key[0], self._content) != row["source_md5"]:
                raise LineageError(f"{self._src}: {key[0]}: changed since it was ingested; run ingest again")
            self._key, self._opened, self._decoded = key, None, None
        if self._opened is None:
            self._opened = open_picture(self._content)
        least_px = search_side_px(self._opened.header, sample.hint, params)
        # Faces of one picture may need different scales: a finer one serves the coarser demands, too.
        if self._decoded is None or self._decoded[0] < least_px:
            self._decoded = least_px, self._opened.decode_scaled(least_px, max_bytes=params.max_decode_mb * 10**6)
        return self._content, self._decoded[1]
