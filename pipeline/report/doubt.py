"""What the page says of doubtful faces: how many for each reason, the score of each, and the map of those alike."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core.emotions import CLASSES, UNCLASSED
from pipeline.core.lineage.walk import walk
from pipeline.core.names import DOUBT_NAME, EMBEDDING_NAME
from pipeline.core.schema import DOUBT, EMBEDDING
from pipeline.core.tables import count_rows, read_table

# From this score on, doubt is likelier than not.
DOUBTFUL: Final = 0.5
_PLACES: Final = 6
Points = list[tuple[float, float]]


def read_doubts(folder: Path) -> pa.Table:
    """Return sample_id, doubt, reason and suggested of every labelled face.

    Raises:
        LineageError: what the doubts rest on was made again after them.
        TableError: the table is missing or torn.
    """
    walk(folder)
    table = read_table(folder / DOUBT_NAME, ["sample_id", "score", "reason", "suggested"], DOUBT)
    return table.rename_columns(["sample_id", "doubt", "reason", "suggested"])


def count_doubts(doubts: pa.Table) -> dict[str, Any]:
    """Return the number of faces, and of those that are more doubtful than not, by reason."""
    doubtful = doubts.filter(pc.greater_equal(doubts["doubt"], DOUBTFUL))
    return {"rows": len(doubts), "reasons": dict(sorted(Counter(doubtful["reason"].to_pylist()).items()))}


def read_map(folder: Path, evaluation: Path | None) -> pa.Table:
    """Return sample_id, map_x and map_y of the faces on the map, in the map's own units.

    Args:
        folder: the doubts, with a map of labelled faces that look alike.
        evaluation: the evaluation, whose map of test faces that the network finds alike counts if it has one.

    Raises:
        TableError: a table is missing or torn.
    """
    drawn = folder if evaluation is None or not has_map(evaluation) else evaluation
    marks = read_table(drawn / EMBEDDING_NAME, schema=EMBEDDING).combine_chunks()
    return marks.rename_columns({"x": "map_x", "y": "map_y"})


def has_map(evaluation: Path) -> bool:
    """Whether an evaluation has a map of its network; a classical baseline gives none."""
    file = evaluation / EMBEDDING_NAME
    return file.is_file() and count_rows(file) > 0


def fill_map(faces: Iterable[dict[str, Any]]) -> int:
    """Move the faces on the map, in place, so that they fill it: map_x and map_y in 0..1 from the top left.

    Returns:
        How many there are. Those that the map has and the page does not show take no room.
    """
    drawn = [face for face in faces if "map_x" in face]
    for axis in ("map_x", "map_y") if drawn else ():
        values = np.array([face[axis] for face in drawn])
        span = max(float(np.ptp(values)), 1e-9)
        for face, share in zip(drawn, ((values - values.min()) / span).round(_PLACES).tolist(), strict=True):
            face[axis] = share
    return len(drawn)


def mark_classes(faces: Iterable[Mapping[str, Any]]) -> dict[str, Points]:
    """Return class -> x and y of its faces on the map, and of the doubtful ones of all classes under "doubtful".

    Args:
        faces: what is known of each face that the page shows, see `faces.describe_faces`. No other is drawn, because a
            click takes the nearest one that it can open.
    """
    drawn = [face for face in faces if "map_x" in face]
    found: dict[str, Points] = {
        name: [_place(face) for face in drawn if face.get("label") == label] for label, name in enumerate(CLASSES)
    }
    found[UNCLASSED] = [_place(face) for face in drawn if "label" not in face]
    found["doubtful"] = [_place(face) for face in drawn if face.get("doubt", 0) >= DOUBTFUL]
    return {name: some for name, some in found.items() if some}


def _place(face: Mapping[str, Any]) -> tuple[float, float]:
    return face["map_x"], face["map_y"]
