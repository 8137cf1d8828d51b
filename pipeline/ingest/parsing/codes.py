"""Reading a column of codes as a whole: one code outside the dataset's range suggests that all codes are shifted.

If a list has the codes 0 to 6 and its dataset 1 to 7, reading it row by row would reject the 0 and put every other row
into the wrong class.
"""

from collections import Counter
from collections.abc import Collection, Set
from typing import Final

from pipeline.ingest.dataset_options import UNSAID, SettingError, classes_line, code_of
from pipeline.ingest.raw_dataset import RawDataset

# A single code outside the range, or fewer than one row in so many, count as slips and are rejected one by one, unless
# all codes fit the range shifted by one.
_SLIPS: Final = 1000
# Some lists write -1 for a missing label; it says nothing about the range.
_NOT_GIVEN: Final = -1


class Codes:
    """The meaning of the codes in one column: the dataset's labels from `first` on, or those in params.yaml.

    Call `label` for every row, then `check` once.
    """

    def __init__(
        self, raw: RawDataset, labels: tuple[str, ...], *, first: int = 0, never: Collection[Set[int]] = ()
    ) -> None:
        """Prepare an empty column.

        Args:
            raw: the dataset; its `DatasetOptions.classes` replace the codes of the release.
            labels: the dataset's labels in the order of its codes.
            first: the code of the first label.
            never: sets of codes that are within the range but that no copy of the dataset has; they mean a shift, too.

        Raises:
            ParamsError: a meaning in params.yaml is not a label of the dataset.
        """
        self._raw = raw
        self._meanings = raw.options.native(labels)
        self._labels = labels
        self._first = first
        self._never = never
        self._counts = Counter[int]()
        self._at: dict[int, str] = {}  # where each code stands first
        self.expected = f"a code {first} to {first + len(labels) - 1}"

    @property
    def told(self) -> bool:
        """Whether params.yaml says what the codes mean."""
        return bool(self._meanings)

    def label(self, text: str, row: str) -> str | None:
        """Return the label of a cell; None if it is not a code of the dataset.

        Raises:
            SourceError: params.yaml says what codes mean, but not this one.
        """
        if self._meanings:
            return self._raw.meaning(text, row, self._meanings) or None
        code = code_of(text)
        if code is None:
            return None
        self._counts[code] += 1
        self._at.setdefault(code, row)
        place = code - self._first
        return self._labels[place] if 0 <= place < len(self._labels) else None

    def check(self) -> None:
        """Check the column after all of it was read.

        Raises:
            SourceError: its codes start at another number or are in another order.
        """
        known = range(self._first, self._first + len(self._labels))
        beyond = sorted(code for code in self._given() if code not in known)
        rows = sum(self._counts[code] for code in beyond)
        several = 0 in beyond or rows > 1  # nobody's pen slips to a 0 where codes begin at 1
        if beyond and (self._shifted() is not None or (several and rows * _SLIPS >= self._counts.total())):
            raise self._refusal(beyond[0])
        if self._given() in self._never:
            raise self._refusal(min(self._counts))

    def _given(self) -> set[int]:
        return {code for code in self._counts if code != _NOT_GIVEN}

    def _shifted(self) -> int | None:
        """Return the first code of the column if all codes, more than half of the range, fit it shifted by one."""
        codes, size = self._given(), len(self._labels)
        fitting = (first for first in (self._first - 1, self._first + 1) if codes <= {*range(first, first + size)})
        return next(fitting, None) if 2 * len(codes) > size else None

    def _refusal(self, code: int) -> SettingError:
        codes, first = sorted(self._given()), None if self._given() in self._never else self._shifted()
        if first is None:
            why, named = "counts otherwise", [str(one) for one in codes]
        else:
            why, named = f"seems to count from {first}", [str(first + place) for place in range(len(self._labels))]
        labels = () if first is None else self._labels
        message = (
            f"{self._raw.tree.src}: {self._at[code]}: code {code} in a column of the codes {codes[0]} to {codes[-1]}, "
            f"where {self.expected} is known: the whole column {why}; say in params.yaml, in the entry of the dataset, "
            f"what its codes mean: {classes_line(named, labels)}"
        )
        return SettingError(message, {"classes": dict(zip(named, labels or [UNSAID] * len(named), strict=True))})
