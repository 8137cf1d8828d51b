"""The pictures of the samples in a queue: the stored crop, and the whole picture with what was found in it.

Everything is looked up by the number of a sample in the queue; no name that a browser sends is ever part of a path.
"""

from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, Final

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import simplejpeg

from pipeline.core.errors import ImageError, SourceError, TableError
from pipeline.core.folders import ALIGNED
from pipeline.core.schema import shown_in
from pipeline.core.tables import table_files
from pipeline.images import Scaled, open_picture
from pipeline.ingest.registry import Pictures, open_pictures
from pipeline.video.clip import Clip

# What a screen shows of a picture; larger ones are decoded at a fraction of their size.
SHOWN_PX: Final = 900
_QUALITY: Final = 88
_MAX_BYTES: Final = 512 * 10**6  # of memory for decoding one picture
# Whole pictures and crops that are kept, those used last; some 100 kB and 20 kB each.
_WHOLES: Final = 256
_CROPS: Final = 8192


@dataclass(frozen=True, slots=True)
class Source:
    """Where the pictures of a dataset are: the raw tree and its format."""

    src: str
    format: str


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole picture as JPEG, at most `SHOWN_PX` high and wide, and the size of the original in pixels."""

    content: bytes
    width: int
    height: int


class Faces:
    """Crops and pictures of some samples, from several threads."""

    def __init__(
        self,
        sources: Mapping[str, Source],
        rows: Mapping[str, Mapping[str, Any]],
        withdrawn: Collection[str] = (),
    ) -> None:
        """Take where each dataset's pictures are, and the row of `schema.SAMPLES` of each sample.

        Pictures that show a `withdrawn` sample are not shown whole.

        Raises:
            TableError: aligned faces are torn.
        """
        self._sources = sources
        self._rows = rows
        self._hidden = {shown_in(name) for name in withdrawn}
        self._opened: dict[str, Pictures] = {}
        self._places: dict[str, tuple[Path, int]] = {}
        self._boxes: dict[str, dict[str, Any]] = {}
        self._crops: OrderedDict[str, bytes] = OrderedDict()
        self._wanted = pa.array(rows.keys(), pa.string())
        self._lock = Lock()
        self._raw = Lock()  # of the raw trees: those of archives have one place in one file
        for dataset in sources:
            self._find(dataset)
        self.whole = lru_cache(maxsize=_WHOLES)(self._whole)

    def found(self, sample_id: str) -> dict[str, Any] | None:
        """Return box and landmarks of the face that `align` took, in pixels of the whole picture; None without one."""
        return self._boxes.get(sample_id)

    def crop(self, sample_id: str) -> bytes | None:
        """Return the stored crop of a sample, or None if it has no face."""
        place = self._places.get(sample_id)
        if place is None:
            return None
        with self._lock:
            if sample_id not in self._crops:
                for row in self._read_wanted(*place, ["image"]):
                    self._crops[row["sample_id"]] = row["image"]
            if sample_id in self._crops:  # it is not if align ran again meanwhile
                self._crops.move_to_end(sample_id)
            while len(self._crops) > _CROPS:
                self._crops.popitem(last=False)
            return self._crops.get(sample_id)

    def _find(self, dataset: str) -> None:
        if not (ALIGNED / dataset).is_dir():
            return
        for part in table_files(ALIGNED / dataset):
            for group in range(_count_groups(part)):
                for row in self._read_wanted(part, group, ["face_box", "landmarks"]):
                    self._places[row["sample_id"]] = part, group
                    self._boxes[row["sample_id"]] = {"box": row["face_box"], "points": row["landmarks"]}

    def _read_wanted(self, part: Path, group: int, columns: Sequence[str]) -> list[dict[str, Any]]:
        """Return sample_id and these columns of the samples in a row group that may be asked for."""
        try:
            with pq.ParquetFile(part) as parquet:
                table = parquet.read_row_group(group, ["sample_id", *columns], use_threads=False)
        except (OSError, pa.ArrowException) as error:
            raise TableError(f"{part}: cannot be read: {error}") from None
        rows: list[dict[str, Any]] = table.filter(pc.is_in(table["sample_id"], value_set=self._wanted)).to_pylist()
        return rows

    def _whole(self, sample_id: str) -> Whole | None:
        row = self._rows[sample_id]
        if shown_in(sample_id) in self._hidden:
            return None
        try:
            with self._raw:
                shown = _decode(self._pictures(sample_id.partition("/")[0]), row)
        except (ImageError, SourceError):  # the crop is enough for most decisions
            return None
        return Whole(_encode(shown), shown.width, shown.height)

    def _pictures(self, dataset: str) -> Pictures:
        if dataset not in self._opened:
            source = self._sources[dataset]
            self._opened[dataset] = open_pictures(source.src, source.format)
        return self._opened[dataset]


def _decode(pictures: Pictures, row: Mapping[str, Any]) -> Scaled:
    """Return the picture of a sample, or the frame of the video that it is."""
    if row["time_s"] is None:
        content = pictures.read(row["source_path"], row["face_number"])
        return open_picture(content).decode_scaled(SHOWN_PX, max_bytes=_MAX_BYTES)
    at_ms = round(row["time_s"] * 1000)
    with closing(Clip(lambda: pictures.open(row["source_path"]), [at_ms], max_bytes=_MAX_BYTES)) as clip:
        pixels = clip.picture(at_ms, lambda: None)
    return Scaled(pixels, 1.0, 1.0, 0.0, 0.0, pixels.shape[1], pixels.shape[0])


def _count_groups(part: Path) -> int:
    try:
        return int(pq.read_metadata(part).num_row_groups)
    except (OSError, pa.ArrowException) as error:
        raise TableError(f"{part}: cannot be read: {error}") from None


def _encode(shown: Scaled) -> bytes:
    pixels = shown.pixels
    scale = SHOWN_PX / max(pixels.shape[:2])
    if scale < 1:
        size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    if pixels.ndim == 2:
        grey = np.ascontiguousarray(pixels[:, :, None])
        return bytes(simplejpeg.encode_jpeg(grey, _QUALITY, colorspace="GRAY", colorsubsampling="Gray"))
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), _QUALITY, colorspace="RGB"))
