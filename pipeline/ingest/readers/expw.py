"""ExpW: pictures found on the web by queries, with several labelled faces each.

Zhang, Luo, Loy, Tang: From Facial Expression Recognition to Interpersonal Relation Prediction, IJCV 2018.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from pipeline.core.schema import Reason
from pipeline.ingest.parsing.codes import Codes
from pipeline.ingest.parsing.delimited import numbers, read_lines
from pipeline.ingest.raw_dataset import Annotation, RawDataset, RejectedRow, Row, is_picture, join, name_of
from pipeline.ingest.readers.reader import Reader
from pipeline.ingest.trees.tree import Tree

_SAMPLE_ROWS: Final = 20  # some of them may be broken
_LISTS: Final = ("label.lst", "label/label.lst", "Label/label.lst")
_PICTURES: Final = ("Images", "images", "image/origin", "Image/origin", "origin", "")
# After the name: number of the face, top, left, right, bottom, confidence, label.
_NUMBERS: Final = 7


class ExpW(Reader):
    """`label.lst`; boxes are top, left, right, bottom. The query in a picture's name is not a label."""

    name = "expw"
    labels = ("anger", "disgust", "fear", "happy", "sad", "surprise", "neutral")
    layout = "label.lst with rows of a name and seven numbers, beside Images/ or image/origin/"

    def evidence(self, tree: Tree, root: str) -> str | None:
        """See `Reader.evidence`."""
        name = _list_name(tree, root)
        rows = islice(read_lines(tree, name), _SAMPLE_ROWS) if name else ()
        return f"{name} lists faces with their boxes" if any(_parse(text) for _, text in rows) else None

    def read(self, raw: RawDataset) -> Iterator[Row]:
        """See `Reader.read`."""
        bases = [raw.at(folder) for folder in _PICTURES]
        codes = Codes(raw, self.labels)
        raw.listed = lambda: _given(raw)
        for row, text in read_lines(raw.tree, _list_name(raw.tree, raw.root) or ""):
            yield self._row(raw, bases, row, text, codes)
        codes.check()

    def _row(self, raw: RawDataset, bases: list[str], row: str, text: str, codes: Codes) -> Row:
        parsed = _parse(text)
        path = raw.find_ending(parsed[0] if parsed else text.partition(" ")[0], bases, row)
        label = codes.label(text.rsplit(maxsplit=1)[1], row) if parsed else None
        if parsed is None or label is None:
            detail = f"{row}: expected a name, seven numbers and the last one {codes.expected}, not {text[:80]!r}"
            return RejectedRow(name_of(path), Reason.bad_row, detail)
        face, top, left, right, bottom, _, _ = parsed[1]
        box = (left, top, right, bottom) if right > left and bottom > top else None
        if box is None:
            raw.drop("box (expected top, left, right, bottom)", row)
        return Annotation(path, (label,), row, box=box, box_kind="face" if box else None, n=int(face))


def _list_name(tree: Tree, root: str) -> str | None:
    return next((found for name in _LISTS if (found := join(root, name)) in tree), None)


def _given(raw: RawDataset) -> Iterator[str]:
    for _, text in read_lines(raw.tree, _list_name(raw.tree, raw.root) or ""):
        if parsed := _parse(text):
            yield parsed[0]


def _parse(text: str) -> tuple[str, list[float]] | None:
    words = text.rsplit(maxsplit=_NUMBERS)
    values = numbers(" ".join(words[1:]))
    # A name may contain blanks. With an eighth number in the row, it would end with the first number.
    fits = values is not None and len(values) == _NUMBERS and is_picture(words[0])
    return (words[0], values) if fits and values is not None else None
