"""Small pictures for the page: crops and, of rows that never became one, the picture as it came."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from pipeline.core.errors import ImageError, PrepError, TableError
from pipeline.core.parallel.supervised import map_parts
from pipeline.core.parallel.units import Units
from pipeline.core.tables import table_files
from pipeline.images import Pixels, decode_face, open_picture
from pipeline.ingest.registry import open_pictures

TILE_PX: Final = 112
_QUALITY: Final = 85
# A picture as it came is decoded in no more memory than this, and within this time.
_MAX_BYTES: Final = 512_000_000
_DEADLINE_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class RawPictures:
    """Pictures of a raw tree to be made tiles of; sent to a worker process.

    Attributes:
        src: the folder or archive.
        fmt: its format, as in the catalog.
        wanted: source_path and face_number of each.
    """

    src: str
    fmt: str
    wanted: tuple[tuple[str, int], ...]


def build_tile(pixels: Pixels) -> bytes:
    """Return a JPEG of at most TILE_PX by TILE_PX of a picture (H, W) or (H, W, 3)."""
    picture = Image.fromarray(pixels)
    picture.thumbnail((TILE_PX, TILE_PX), Image.Resampling.BOX)
    written = BytesIO()
    picture.save(written, format="JPEG", quality=_QUALITY, optimize=True)
    return written.getvalue()


def face_tiles(folder: Path, crops: pa.Table) -> Iterator[bytes]:
    """Yield a tile of each crop.

    Args:
        folder: the dataset's folder of faces.
        crops: `part` and `row` of each.

    Raises:
        TableError: a part is torn.
    """
    files = table_files(folder)
    wanted: dict[int, list[int]] = defaultdict(list)
    for part, row in zip(crops["part"].to_pylist(), crops["row"].to_pylist(), strict=True):
        wanted[part].append(row)
    tiles = {part: _tiles_of(files[part], rows) for part, rows in wanted.items()}
    for part, row in zip(crops["part"].to_pylist(), crops["row"].to_pylist(), strict=True):
        yield tiles[part][row]


def _tiles_of(file: Path, rows: Sequence[int]) -> Mapping[int, bytes]:
    """Return the tiles of some rows; row groups without such a row are not read."""
    found: dict[int, bytes] = {}
    try:
        with pq.ParquetFile(file) as parquet:
            start = 0
            for group in range(parquet.num_row_groups):
                end = start + parquet.metadata.row_group(group).num_rows
                here = [row for row in rows if start <= row < end]
                if here:
                    images = parquet.read_row_group(group, columns=["image"], use_threads=False)["image"]
                    found |= {row: build_tile(decode_face(images[row - start].as_py())) for row in here}
                start = end
    except (OSError, pa.ArrowException) as error:
        raise TableError(f"{file}: not a readable Parquet file: {str(error).splitlines()[0]}") from None
    return found


def raw_tiles(pictures: RawPictures) -> list[bytes | None]:
    """Return a tile of each picture; None where it is not there or cannot be decoded.

    A decoder that reads what somebody else made may crash or hang, so it does in a process of its own.
    """
    if not pictures.wanted:
        return []
    (tiles,) = map_parts(_tiles_of_raw, [pictures], 1, _count, deadline_s=_DEADLINE_S)
    return tiles


def _count(pictures: RawPictures) -> int:
    return len(pictures.wanted)


def _tiles_of_raw(pictures: RawPictures, units: Units) -> list[bytes | None]:
    try:
        opened = open_pictures(pictures.src, pictures.fmt)
    except (PrepError, OSError):
        return [None] * len(pictures.wanted)
    tiles: list[bytes | None] = []
    for unit, (path, number) in enumerate(pictures.wanted):
        tiles.append(None)
        if unit in units.lost or (units.only is not None and unit != units.only):
            continue
        units.at(unit)
        try:
            scaled = open_picture(opened.read(path, number)).decode_scaled(TILE_PX, max_bytes=_MAX_BYTES)
            tiles[-1] = build_tile(np.ascontiguousarray(scaled.pixels))
        except (ImageError, PrepError, OSError, KeyError):
            continue
    return tiles
