"""Contact sheets of a dataset's selected faces: some of all, and those that the detector was least sure of."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.core.catalog import CATALOG, may_show
from pipeline.core.emotions import CLASSES
from pipeline.core.errors import TableError
from pipeline.core.names import LABELS_NAME, SELECTED_NAME
from pipeline.core.schema import SELECTED
from pipeline.core.tables import read_part, read_table, table_files
from pipeline.images import decode_face
from pipeline.report.sheet import Pixels, Tile, build_sheet

_COLUMNS: Final = 12
_SIDE_PX: Final = 112


def build_contact_sheets(faces: Path, selected: Path, labels: Path, count: int, bound: str = "") -> dict[str, Pixels]:
    """Draw the contact sheets of one dataset.

    Args:
        faces: the dataset's folder of faces.
        selected: its folder of select.
        labels: its folder of labels.
        count: the largest number of faces on a sheet.
        bound: the result of `catalog.terms_of`, whose terms say who may be shown.

    Returns:
        "typical", with evenly spaced rows, and "doubtful", with the lowest face scores, lowest first. Below each face
        are its class, score and sample_id. None if nobody may be shown.

    Raises:
        TableError: a table is missing or torn.
    """
    counting = read_table(selected / SELECTED_NAME, ["sample_id"], SELECTED)["sample_id"]
    whole = _index(faces)
    whole = whole.filter(pc.is_in(whole["sample_id"], value_set=counting)).combine_chunks()
    allowed = [may_show(bound, subject) for subject in whole["subject_id"].to_pylist()]
    index = whole.filter(pa.array(allowed, pa.bool_())).combine_chunks()
    if not len(index):
        return {}
    names = read_table(labels / LABELS_NAME, ["sample_id", "label"])
    classes = dict(zip(names["sample_id"].to_pylist(), names["label"].to_pylist(), strict=True))
    shown = min(count, len(index))
    evenly = (np.arange(shown) * len(index) // shown).tolist()
    least = pc.sort_indices(index, sort_keys=[("face_score", "ascending"), ("sample_id", "ascending")])[:shown]
    chosen = {"typical": evenly, "doubtful": least.to_pylist()}
    credit = f", {CATALOG[bound].credit}" if bound in CATALOG and CATALOG[bound].credit else ""
    titles = {
        "typical": f"{shown} of {len(whole)} aligned faces{credit}",
        "doubtful": f"the lowest face scores, lowest first{credit}",
    }
    return {
        name: build_sheet(_tiles(faces, index, rows, classes), columns=_COLUMNS, side_px=_SIDE_PX, title=titles[name])
        for name, rows in chosen.items()
    }


def _index(faces: Path) -> pa.Table:
    """Return sample_id, subject_id, face_score, part number and row of every face, without pixels."""
    parts = []
    for number, file in enumerate(table_files(faces)):
        part = read_part(file, ["sample_id", "subject_id", "face_score"])
        part = part.append_column("part", pa.array(np.full(len(part), number)))
        parts.append(part.append_column("row", pa.array(np.arange(len(part)))))
    return pa.concat_tables(parts).combine_chunks()


def _tiles(faces: Path, index: pa.Table, rows: Sequence[int], classes: dict[str, int]) -> list[Tile]:
    entries = index.take(pa.array(rows)).to_pylist()
    wanted = defaultdict(list)
    for entry in entries:
        wanted[entry["part"]].append(entry["row"])
    files = table_files(faces)
    pictures = {part: _read_pictures(files[part], some) for part, some in wanted.items()}
    return [
        Tile(
            decode_face(pictures[entry["part"]][entry["row"]]),
            (_caption(classes.get(entry["sample_id"]), entry["face_score"]), entry["sample_id"]),
        )
        for entry in entries
    ]


def _caption(label: int | None, score: float) -> str:
    return f"{'no class' if label is None else CLASSES[label]}  {score:.3f}"


def _read_pictures(file: Path, rows: Sequence[int]) -> dict[int, bytes]:
    """Return the encoded pictures of some rows; row groups without such a row are not read."""
    found: dict[int, bytes] = {}
    try:
        with pq.ParquetFile(file) as parquet:
            start = 0
            for group in range(parquet.num_row_groups):
                end = start + parquet.metadata.row_group(group).num_rows
                here = [row for row in rows if start <= row < end]
                if here:
                    images = parquet.read_row_group(group, columns=["image"], use_threads=False)["image"]
                    found |= {row: images[row - start].as_py() for row in here}
                start = end
    except (OSError, pa.ArrowException) as error:
        raise TableError(f"{file}: not a readable Parquet file: {str(error).splitlines()[0]}") from None
    return found
