"""Histogram equalization of stored faces: none, over the whole face, or CLAHE; on luma or on each channel.

Luma is the Y of YCrCb (ITU-R BT.601, full range) and not the L of CIELAB. JPEG stores this plane anyway, so chroma
stays unchanged except for rounding, and grey pixels stay exactly grey (Cr = Cb = 128), which a conversion to OpenCV's
8-bit CIELAB and back does not guarantee. It also takes an eighth of the time.

Source of CLAHE: K. Zuiderveld, "Contrast Limited Adaptive Histogram Equalization", Graphics Gems IV, 1994, as OpenCV
implements it.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.core.errors import ImageError, TableError
from pipeline.core.lineage.identity import file_md5
from pipeline.core.lineage.snapshot import read_snapshot
from pipeline.core.names import DETECTIONS_NAME
from pipeline.core.parallel.pool import Progress, finish_units, no_progress
from pipeline.core.parallel.units import Units
from pipeline.core.params import EqualizeParams
from pipeline.core.parts import TAKE_OVER, Resume, Task, digest_of, map_kept, recipe_of
from pipeline.core.schema import FACES
from pipeline.core.stage_output import stage_output
from pipeline.core.tables import count_rows, read_part, table_files, write_table
from pipeline.images import decode_face, encode_face

_TOOLS: Final = ("numpy", "opencv-python-headless", "simplejpeg")
_GREY_DIMENSIONS: Final = 2
_FACES_NAME: Final = "faces.parquet"  # of a part

Pixels: TypeAlias = NDArray[np.uint8]
_Plane: TypeAlias = Callable[[Pixels], Pixels]


def equalize_pixels(pixels: Pixels, params: EqualizeParams) -> Pixels:
    """Equalize one picture.

    Args:
        pixels: uint8, (H, W, 3) RGB or (H, W) grey.
        params: method, space, and for CLAHE `clip_limit` (in multiples of a flat histogram's bin, as in OpenCV) and
            `tiles` (a grid of tiles x tiles).

    Returns:
        A picture of the same shape; the very same array for method `none`.
    """
    if params.method == "none":
        return pixels
    with _one_thread():
        return _apply(pixels, _plane_function(params), params)


def run(
    src: Path,
    out: Path,
    params: EqualizeParams,
    *,
    workers: int,
    resume: Resume = TAKE_OVER,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Equalize every face of a folder. Only the column `image` changes; with method `none`, parts are copied unchanged.

    Args:
        src: a folder of faces, as `align` writes it.
        out: the folder to write, with the same files.
        params: method and settings.
        workers: processes; each works on one part at a time. The result does not depend on it.
        resume: whether parts of a killed run are taken over.
        progress: called with the faces done so far.

    Returns:
        The summary.

    Raises:
        TableError: no faces here, or a stored face that cannot be decoded.
        OutputError: the result cannot be written.
    """
    parts = table_files(src)
    before = read_snapshot(src)
    with stage_output(out, stage="equalize", sources=[src], params=params.plain(), tools=_TOOLS) as output:
        recipe = recipe_of([_equalize_part], params.plain(), _TOOLS)
        store = output.part_store(recipe, resume, lasting=False)
        tasks = [Task(digest_of(store.md5(part)), _Part(part, params)) for part in parts]
        rows = sum(map(count_rows, parts))
        made = map_kept(
            store,
            _equalize_part,
            _part_key,
            tasks,
            workers,
            lambda job: count_rows(job.src),
            lambda done: progress(done, rows, "faces"),
        )
        for part, kept in zip(parts, made, strict=True):
            output.add_part(kept, {_FACES_NAME: part.name})
        if not rows:
            raise TableError(f"{src}: holds no face; run align again and see its rejects")
        if (src / DETECTIONS_NAME).is_file():
            shutil.copyfile(src / DETECTIONS_NAME, output.path(DETECTIONS_NAME))
        contract = {**before.contract, "equalize": params.plain()}
        return output.finish(rows_in=rows, rows_out=rows, contract=contract, method=params.method)


@dataclass(frozen=True, slots=True)
class _Part:
    src: Path
    params: EqualizeParams


def _part_key(part: _Part) -> str:
    return digest_of(file_md5(part.src))


def _equalize_part(part: _Part, folder: Path, _: Units) -> bool:
    table = read_part(part.src, schema=FACES)
    if part.params.method == "none":
        shutil.copyfile(part.src, folder / _FACES_NAME)
        finish_units(table.num_rows)
        return True
    function = _plane_function(part.params)
    with _one_thread():
        images = [
            _equalize_face(part, sample_id.as_py(), image.as_py(), function)
            for sample_id, image in zip(table.column("sample_id"), table.column("image"), strict=True)
        ]
    place = table.schema.get_field_index("image")
    equalized = table.set_column(place, table.schema.field(place), pa.array(images, pa.binary()))
    write_table(folder / _FACES_NAME, equalized, row_group_rows=_row_group_rows(part.src))
    return True


def _equalize_face(part: _Part, sample_id: str, image: bytes, function: _Plane) -> bytes:
    try:
        equalized = encode_face(_apply(decode_face(image), function, part.params))
    except ImageError as error:
        raise TableError(f"{part.src}: {sample_id}: {error}; run align again") from None
    finish_units(1)
    return equalized


def _apply(pixels: Pixels, function: _Plane, params: EqualizeParams) -> Pixels:
    if pixels.ndim == _GREY_DIMENSIONS:
        return function(np.ascontiguousarray(pixels))
    if params.space == "channels":
        return np.dstack([function(np.ascontiguousarray(pixels[:, :, channel])) for channel in range(3)])
    planes = cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb)
    planes[:, :, 0] = function(np.ascontiguousarray(planes[:, :, 0]))
    return np.asarray(cv2.cvtColor(planes, cv2.COLOR_YCrCb2RGB), dtype=np.uint8)


def _plane_function(params: EqualizeParams) -> _Plane:
    if params.method == "hist":
        return lambda plane: np.asarray(cv2.equalizeHist(plane), dtype=np.uint8)
    clahe = cv2.createCLAHE(clipLimit=params.clip_limit, tileGridSize=(params.tiles, params.tiles))
    return lambda plane: np.asarray(clahe.apply(plane), dtype=np.uint8)


def _row_group_rows(file: Path) -> int:
    metadata = pq.read_metadata(file)
    return max(1, metadata.row_group(0).num_rows) if metadata.num_row_groups else 1


@contextmanager
def _one_thread() -> Iterator[None]:
    # Processes are the unit of parallel work; OpenCV's own threads would only compete with them.
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
