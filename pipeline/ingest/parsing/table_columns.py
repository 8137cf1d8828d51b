"""The columns of a table by their roles: as params.yaml names them, otherwise by their usual names."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Final

from pipeline.core.errors import SourceError
from pipeline.ingest.parsing.boxes import box_columns
from pipeline.ingest.parsing.delimited import TextTable, number, squash
from pipeline.ingest.parsing.label_columns import LABEL_NAMES
from pipeline.ingest.raw_dataset import is_medium

_SAMPLE_ROWS: Final = 64
BOX: Final = ("x0", "y0", "x1", "y1", "width", "height")
# Usual names of columns, squashed (letters and digits in lower case), the most specific first.
KNOWN: Final[Mapping[str, tuple[str, ...]]] = {
    "path": (
        "path", "imagepath", "imgpath", "filepath", "pth", "subdirectoryfilepath", "image", "images", "imagename",
        "img", "imgname", "file", "filename", "name", "picture", "photo",
    ),
    "label": LABEL_NAMES,
    "subject": ("subject", "subjectid", "person", "personid", "identity", "actor", "actorid", "participant"),
    "sequence": ("sequence", "sequenceid", "video", "videoid", "clip", "clipid"),
    "split": ("split", "usage", "subset", "partition"),
    "valence": ("valence",),
    "arousal": ("arousal",),
    "dominance": ("dominance",),
    "gender": ("gender", "sex"),
    "age": ("age", "ageyears", "agegroup"),
    "race": ("race", "ethnicity"),
}  # fmt: skip


def columns_of(table: TextTable, given: Mapping[str, str]) -> dict[str, int]:
    """Return role -> index of the column, as named in params.yaml or by its usual names.

    Raises:
        SourceError: a named column is not in the table.
    """
    if table.header is None:
        return _columns_by_content(table) | _numbered(table, given)
    places = {squash(cell): index for index, cell in reversed(list(enumerate(table.header)))}
    found: dict[str, int] = {}
    for role in (*KNOWN, *BOX):
        if role not in given:
            continue
        if squash(given[role]) not in places:
            raise SourceError(f"{table.where}: no column {given[role]!r}; it has {', '.join(table.header)}")
        found[role] = places[squash(given[role])]
    for role, names in KNOWN.items():
        index = next((places[known] for known in names if known in places), None)
        if role not in found and index is not None and index not in found.values():
            found[role] = index
    # A person who names one side names all of them.
    return found if given.keys() & set(BOX) else found | box_columns(places)


def _numbered(table: TextTable, given: Mapping[str, str]) -> dict[str, int]:
    """Return role -> index of the columns that params.yaml names by their numbers from 1 on."""
    width = max((len(record.cells) for record in islice(table.records(), _SAMPLE_ROWS)), default=0)
    found = {role: int(given[role]) - 1 for role in (*KNOWN, *BOX) if given.get(role, "").isdecimal()}
    for place in found.values():
        if not 0 <= place < width:
            raise SourceError(f"{table.where}: no column {place + 1}; without a header, they are 1 to {width}")
    return found


def need_columns(table: TextTable, columns: Mapping[str, int], *roles: str) -> None:
    """Check that columns were found for these roles.

    Raises:
        SourceError: one was not; says what to type.
    """
    for role in roles:
        if role not in columns:
            raise SourceError(f"{table.where}: no column for the {role}; name it in params.yaml: columns.{role}")


def _columns_by_content(table: TextTable) -> dict[str, int]:
    """Find the columns of a table without a header: that of pictures by its suffixes, that of labels by its words."""
    records = list(islice(table.records(), _SAMPLE_ROWS))
    width = min((len(record.cells) for record in records), default=0)
    columns = [[record.at(index) for record in records] for index in range(width)]
    paths = [index for index, cells in enumerate(columns) if sum(map(is_medium, cells)) > len(cells) / 2]
    words = [index for index, cells in enumerate(columns) if index not in paths and _are_words(cells)]
    rest = words or [index for index in range(width) if index not in paths]
    return {"path": paths[0], "label": rest[0]} if len(paths) == 1 and len(rest) == 1 else {}


def _are_words(cells: Sequence[str]) -> bool:
    return any(cell and number(cell) is None for cell in cells) and len(set(cells)) <= max(2, len(cells) // 2)
