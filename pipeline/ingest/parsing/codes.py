"""A column of codes is read as a whole: one code beyond its dataset's says that all of them count otherwise.

A list with the codes 0 to 6 where a dataset has 1 to 7 would lose the 0 and have every other row one class off.
"""

from collections import Counter
from collections.abc import Collection, Set
from typing import Final

from pipeline.core.errors import SourceError
from pipeline.ingest.dataset_options import classes_line, code_of
from pipeline.ingest.raw_dataset import RawDataset

# A single code beyond the range, or fewer than one row in so many, are slips of the pen, refused row by row; unless all
# codes fit the range counted from one less or one more.
_SLIPS: Final = 1000
_NOT_GIVEN: Final = -1


class Codes:
    """What the codes of one column mean: the dataset's own labels from `first` on, or as params.yaml has them.

    `label` every row, then `check` them all.
    """

    def __init__(
        self, raw: RawDataset, labels: tuple[str, ...], *, first: int = 0, never: Collection[Set[int]] = ()
    ) -> None:
        """Prepare an empty column.

        Args:
            raw: the raw dataset; its `DatasetOptions.classes` replace the codes of the dataset.
            labels: the dataset's labels in the order of its codes.
            first: the code of the first label.
            never: sets of codes within the range that no copy of the dataset has, so that they count otherwise.

        Raises:
            ParamsError: a meaning in params.yaml is no label of the dataset.
        """
        self._raw = raw
        self._meanings = raw.options.native(labels)
        self._labels = labels
        self._first = first
        self._never = never
        self._counts = Counter[int]()
        self._at: dict[int, str] = {}  # where each code stands first
        self.expected = f"a code {first} to {first + len(labels) - 1}"

    def label(self, text: str, row: str) -> str | None:
        """Return the label of a cell; None where it is no code of the dataset.

        Raises:
            SourceError: params.yaml says what codes mean, but not this one.
        """
        if self._meanings:
            return self._raw.meaning(text, row, self._meanings)
        code = code_of(text)
        if code is None:
            return None
        self._counts[code] += 1
        self._at.setdefault(code, row)
        place = code - self._first
        return self._labels[place] if 0 <= place < len(self._labels) else None

    def check(self) -> None:
        """Judge the column when all of it was read.

        Raises:
            SourceError: it counts from another number or in another order.
        """
        known = range(self._first, self._first + len(self._labels))
        beyond = sorted(code for code in self._given() if code not in known)
        rows = sum(self._counts[code] for code in beyond)
        several = 0 in beyond or rows > 1  # nobody's pen slips to a 0 where codes begin at 1
        if beyond and (self._shifted() is not None or (several and rows * _SLIPS >= self._counts.total())):
            raise SourceError(self._refusal(beyond[0]))
        if self._given() in self._never:
            raise SourceError(self._refusal(min(self._counts)))

    def _given(self) -> set[int]:
        return {code for code in self._counts if code != _NOT_GIVEN}

    def _shifted(self) -> int | None:
        """Return where the column begins if all codes, half of the range at least, fit it from one less or one more."""
        codes, size = self._given(), len(self._labels)
        fitting = (first for first in (self._first - 1, self._first + 1) if codes <= {*range(first, first + size)})
        return next(fitting, None) if 2 * len(codes) > size else None

    def _refusal(self, code: int) -> str:
        codes, first = sorted(self._given()), None if self._given() in self._never else self._shifted()
        if first is None:
            why, typed = "counts otherwise", classes_line([str(one) for one in codes])
        else:
            named = [str(first + place) for place in range(len(self._labels))]
            why, typed = f"seems to count from {first}", classes_line(named, self._labels)
        return (
            f"{self._raw.tree.src}: {self._at[code]}: code {code} in a column of the codes {codes[0]} to {codes[-1]}, "
            f"where {self.expected} is known: the whole column {why}; say in params.yaml, in the entry of the dataset, "
            f"what its codes mean: {typed}"
        )
