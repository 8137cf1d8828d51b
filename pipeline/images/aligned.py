"""Faces of a part that align wrote, as pixels."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import ImageError, TableError
from pipeline.core.tables import read_part


def read_faces(file: Path, decode: Callable[[bytes], NDArray[np.uint8]]) -> tuple[list[str], list[NDArray[np.uint8]]]:
    """Return the sample ids and the faces of one Parquet file, all of them in memory.

    Args:
        file: with the columns sample_id and image.
        decode: `decode_face` or `decode_grey_face`.

    Raises:
        TableError: the file is torn, or holds a face that cannot be decoded; names it.
    """
    ids, faces = [], []
    for row in read_part(file, ["sample_id", "image"]).to_pylist():
        ids.append(row["sample_id"])
        try:
            faces.append(decode(row["image"]))
        except ImageError as error:
            raise TableError(f"{file}: {row['sample_id']}: {error.detail}; run align again") from None
    return ids, faces
