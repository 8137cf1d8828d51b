"""ExpW: faces found on the web by queries, several in a picture, each with its label.

Zhang, Luo, Loy, Tang: From Facial Expression Recognition to Interpersonal Relation Prediction, IJCV 2018.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from pipeline.schema import Reason
from pipeline.sources.delimited import numbers, read_lines
from pipeline.sources.reader import Reader
from pipeline.sources.rows import Annotation, Dump, Refusal, Row, join, name_of
from pipeline.sources.tree import Tree

_SAMPLE_ROWS: Final = 20  # some of them may be broken
_LISTS: Final = ("label.lst", "label/label.lst", "Label/label.lst")
_PICTURES: Final = ("Images", "images", "image/origin", "Image/origin", "origin", "")
# After the name: number of the face, top, left, right, bottom, confidence, label.
_NUMBERS: Final = 7


class ExpW(Reader):
    """`label.lst`; boxes are top, left, right, bottom; the query in a picture's name is no label."""

    name = "expw"
    labels = ("anger", "disgust", "fear", "happy", "sad", "surprise", "neutral")
    layout = "label.lst with rows of a name and seven numbers, beside Images/ or image/origin/"

    def evidence(self, tree: Tree, root: str) -> str | None:
        """See `Reader.evidence`."""
        name = _list_name(tree, root)
        rows = islice(read_lines(tree, name), _SAMPLE_ROWS) if name else ()
        return f"{name} lists faces with their boxes" if any(_parse(text) for _, text in rows) else None

    def read(self, dump: Dump) -> Iterator[Row]:
        """See `Reader.read`."""
        bases = [dump.at(folder) for folder in _PICTURES]
        for row, text in read_lines(dump.tree, _list_name(dump.tree, dump.root) or ""):
            yield self._row(dump, bases, row, text)

    def _row(self, dump: Dump, bases: list[str], row: str, text: str) -> Row:
        parsed = _parse(text)
        path = dump.find_ending(parsed[0] if parsed else text.partition(" ")[0], bases, row)
        if parsed is None or parsed[1][-1] not in range(len(self.labels)):
            detail = f"{row}: expected a name, seven numbers and the last one 0 to 6, not {text[:80]!r}"
            return Refusal(name_of(path), Reason.bad_row, detail)
        face, top, left, right, bottom, _, code = parsed[1]
        box = (left, top, right, bottom) if right > left and bottom > top else None
        if box is None:
            dump.drop("box (expected top, left, right, bottom)", row)
        return Annotation(path, (self.labels[int(code)],), row, box=box, box_kind="face" if box else None, n=int(face))


def _list_name(tree: Tree, root: str) -> str | None:
    return next((found for name in _LISTS if (found := join(root, name)) in tree), None)


def _parse(text: str) -> tuple[str, list[float]] | None:
    words = text.rsplit(maxsplit=_NUMBERS)
    values = numbers(" ".join(words[1:]))
    return (words[0], values) if values is not None and len(values) == _NUMBERS else None
