"""The margin of the crops in a folder, from the contract in its snapshot."""

from functools import cache
from pathlib import Path

from pipeline.core.errors import LineageError
from pipeline.core.lineage.snapshot import read_snapshot


@cache
def read_margin(folder: Path) -> float:
    """Return the margin that the faces of a folder were aligned with, as a share of the crop's side.

    Raises:
        LineageError: the folder does not say.
    """
    align = read_snapshot(folder).contract.get("align", {})
    if "margin" not in align:
        raise LineageError(f"{folder}: its snapshot does not say with what margin faces were aligned; run align again")
    return float(align["margin"])
