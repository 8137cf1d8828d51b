"""BAUM-1: clips of 31 people, spontaneous (BAUM-1s) and acted (BAUM-1a), with a sheet of labels for each of the two.

Zhalehpour et al.: BAUM-1: A Spontaneous Audio-Visual Face Database of Affective and Mental States, IEEE Transactions on
Affective Computing 2017. The sheets are Excel's, which is not read; what is in their rows is known from code that reads
them.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from pipeline.core.errors import SourceError
from pipeline.core.schema import Reason
from pipeline.ingest.dataset_options import code_of
from pipeline.ingest.parsing.attributes import FEMALE, MALE, NO_ATTRIBUTES, Attributes, read_attributes
from pipeline.ingest.parsing.clips import video_rows
from pipeline.ingest.parsing.delimited import Delimited, Record
from pipeline.ingest.parsing.label_names import native_label
from pipeline.ingest.raw_dataset import Annotation, RawDataset, RejectedRow, Row, stem
from pipeline.ingest.readers.reader import Reader
from pipeline.ingest.trees.tree import Tree
from pipeline.video.container import is_video

_SHEET: Final = re.compile(r"(?:.*/)?annotations_baum1([as])\.(csv|xlsx?)", re.IGNORECASE)
_CLIP: Final = re.compile(r"(S\d{3})_\d{3}", re.IGNORECASE | re.ASCII)
# The labels of each set in the order of their codes, which begin at 1.
_CODES: Final = {
    "s": ("anger", "boredom", "bothered", "concentrating", "contempt", "disgust", "fear", "happiness", "neutral",
          "sadness", "surprise", "thinking", "unsure"),
    "a": ("anger", "boredom", "disgust", "fear", "happiness", "interest", "sadness", "surprise", "unsure"),
}  # fmt: skip


class Baum1(Reader):
    """`BAUM1s_MP4 - All/s001/S001_001.mp4`, and `Annotations_BAUM1s.xlsx` saved as csv."""

    name = "baum1"
    labels = (*_CODES["s"], "interest")
    layout = "Annotations_BAUM1s.csv (the sheet, saved as csv) and videos named as S001_001.mp4"

    def evidence(self, tree: Tree, root: str) -> str | None:
        """See `Reader.evidence`."""
        if root:
            return None
        name = next((name for name in tree.names() if _SHEET.fullmatch(name)), None)
        return name and f"{name} is a sheet of BAUM-1"

    def read(self, raw: RawDataset) -> Iterator[Row]:
        """See `Reader.read`."""
        sheets = {found[0]: found for name in raw.tree.names() if (found := _SHEET.fullmatch(name))}
        tables = {found[1].casefold(): name for name, found in sheets.items() if found[2].casefold() == "csv"}
        for name, found in sheets.items():
            if found[1].casefold() not in tables:
                raise SourceError(f"{raw.tree.src}/{name}: Excel's files are not read; save it as {stem(name)}.csv")
        videos = _videos(raw)
        for kind, name in sorted(tables.items()):
            for record in Delimited(raw.tree, name).records():
                yield from _rows(raw, record, kind, videos)


def _videos(raw: RawDataset) -> dict[tuple[str, str], str]:
    """Return (set, clip) -> video; both sets have clips of the same names, in folders called BAUM1a… and BAUM1s…."""
    found: dict[tuple[str, str], str] = {}
    for name in filter(is_video, raw.tree.names()):
        kind = re.search(r"baum1([as])", name.rpartition("/")[0], re.IGNORECASE)
        found.setdefault((kind[1].casefold() if kind else "", stem(name).casefold()), name)
    return found


def _rows(raw: RawDataset, record: Record, kind: str, videos: dict[tuple[str, str], str]) -> Iterator[Row]:
    cells = [cell.strip() for cell in record.cells]
    clip = next((found for cell in cells if (found := _CLIP.fullmatch(stem(cell)))), None)
    if clip is None:  # the header, or a line of remarks
        return
    key = clip[0].casefold()
    path = videos.get((kind, key)) or videos.get(("", key))
    # The code follows the word.
    said = [(label, *cells[place + 1 : place + 2]) for place, cell in enumerate(cells)
            if (label := native_label(cell, _CODES[kind]))]  # fmt: skip
    code = code_of(said[0][1]) if said and len(said[0]) > 1 else None
    if not said:
        yield RejectedRow(clip[0], Reason.bad_row, f"{record.row}: expected one of {', '.join(_CODES[kind])}")
    elif code is not None and said[0][0] != dict(enumerate(_CODES[kind], 1)).get(code):
        yield RejectedRow(clip[0], Reason.conflicting_labels, f"{record.row}: {said[0][0]}, but the code is {code}")
    elif path is None:
        yield RejectedRow(clip[0], Reason.missing_file, f"{record.row}: no video {clip[0]}")
    else:
        row = Annotation(path, (said[0][0],), record.row, subject=clip[1].upper())
        yield from video_rows(raw, replace(row, attributes=_who(cells)))


def _who(cells: list[str]) -> Attributes:
    """Return the gender, which is a word of its own in a row; unsure is a label there."""
    found = (read_attributes(cell)[0] for cell in cells)
    return next((who for who in found if who.gender in {FEMALE, MALE}), NO_ATTRIBUTES)
