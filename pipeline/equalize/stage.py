"""The stage that changes the pixels of stored faces, part by part; `pixels` is what it does to one face."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

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
from pipeline.equalize.pixels import equalize_pixels, is_identity
from pipeline.images import decode_face, encode_face

_TOOLS: Final = ("numpy", "opencv-python-headless", "simplejpeg")
_FACES_NAME: Final = "faces.parquet"  # of a part


def run(
    src: Path,
    out: Path,
    params: EqualizeParams,
    *,
    workers: int,
    resume: Resume = TAKE_OVER,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Equalize every face of a folder. Only the column `image` changes; parts are copied if nothing is asked for.

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
    if is_identity(part.params):
        shutil.copyfile(part.src, folder / _FACES_NAME)
        finish_units(table.num_rows)
        return True
    images = [
        _equalize_face(part, sample_id.as_py(), image.as_py())
        for sample_id, image in zip(table.column("sample_id"), table.column("image"), strict=True)
    ]
    place = table.schema.get_field_index("image")
    equalized = table.set_column(place, table.schema.field(place), pa.array(images, pa.binary()))
    write_table(folder / _FACES_NAME, equalized, row_group_rows=_row_group_rows(part.src))
    return True


def _equalize_face(part: _Part, sample_id: str, image: bytes) -> bytes:
    try:
        equalized = encode_face(equalize_pixels(decode_face(image), part.params))
    except ImageError as error:
        raise TableError(f"{part.src}: {sample_id}: {error}; run align again") from None
    finish_units(1)
    return equalized


def _row_group_rows(file: Path) -> int:
    metadata = pq.read_metadata(file)
    return max(1, metadata.row_group(0).num_rows) if metadata.num_row_groups else 1
