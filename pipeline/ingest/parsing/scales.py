"""Valence, arousal and dominance: a column has one scale, and one value outside it puts the whole column in doubt.

If ratings from 1 to 9 were read row by row as if on [-1, 1], only the lowest would be left, and as the highest value.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.ingest.dataset_options import OWN_SCALE
from pipeline.ingest.parsing.label_names import common_name
from pipeline.ingest.raw_dataset import Annotation, RawDataset

KINDS: Final = ("valence", "arousal", "dominance")
# What AffectNet says instead of a value, in every column at once.
NOT_GIVEN: Final = -2.0
_UNPLEASANT: Final = frozenset({"anger", "contempt", "disgust", "fear", "sad"})
# Fewer rows without a negative value may be chance.
_MIN_UNPLEASANT: Final = 5
# Fewer are enough where neutral, which is 0 from -1 to 1, lies above this and above all of dislike.
_NEUTRAL: Final = 0.25
# With fewer rows, the values say too little about the scale.
_MIN_ROWS: Final = 100
_ROUNDING: Final = 1e-6


@dataclass(slots=True)
class _Column:
    """What is known about one column so far."""

    rows: int = 0
    beyond: tuple[str, float] | None = None  # the first row with a value beyond the scale
    not_given: str | None = None  # the first row that says so by -2
    whole: bool = True  # whole numbers only
    negative: bool = False
    values: set[float] = field(default_factory=set)  # two of them: a constant says nothing of a scale
    unpleasant: int = 0  # rows with a label of dislike, and none of them negative
    highest_unpleasant: float = 0.0
    lowest_neutral: float | None = None

    def is_from_zero(self) -> bool:
        """Return whether valence seems to range from 0 to 1.

        It does if no value is negative although there are many rows with a label of dislike. Fewer such rows are enough
        if neutral is high and above all of them.
        """
        if self.negative or len(self.values) < 2:
            return False
        raised = self.lowest_neutral is not None and self.lowest_neutral > max(_NEUTRAL, self.highest_unpleasant)
        return self.unpleasant >= (1 if raised else _MIN_UNPLEASANT)


class AffectScales:
    """Checks the columns of valence, arousal and dominance: `see` every row, then ask for problems and convert."""

    def __init__(self, raw: RawDataset) -> None:
        self._raw = raw
        self._columns = {what: _Column() for what in KINDS}

    def see(self, row: Annotation) -> None:
        """Take one row, rejected ones included, because the scale is that of all rows."""
        given = {what: value for what in KINDS if (value := getattr(row, what)) is not None}
        if not given:
            return
        if all(value == NOT_GIVEN and what not in self._raw.scales for what, value in given.items()):
            for what in given:
                self._columns[what].not_given = self._columns[what].not_given or row.row
            return
        for what, value in given.items():
            low, high = self._raw.scale(what)
            column, slack = self._columns[what], _ROUNDING * (high - low)
            column.rows += 1
            if len(column.values) < 2:
                column.values.add(value)
            column.whole = column.whole and value == int(value)
            column.negative = column.negative or value < 0
            if column.beyond is None and not low - slack <= value <= high + slack:
                column.beyond = row.row, value
            self._take_label(column, common_name(row.labels[0]) if len(row.labels) == 1 else "", value)

    @staticmethod
    def _take_label(column: _Column, label: str, value: float) -> None:
        if label in _UNPLEASANT and value >= 0:
            column.unpleasant += 1
            column.highest_unpleasant = max(column.highest_unpleasant, value)
        elif label == "neutral":
            column.lowest_neutral = value if column.lowest_neutral is None else min(column.lowest_neutral, value)

    def dropped(self) -> Mapping[str, str]:
        """Return column -> problem for each column that is left empty."""
        found = {what: note for what in KINDS if (note := self._beyond(what))}
        others = ", ".join(dict.fromkeys([*found, *(what for what in KINDS if self._raw.scale(what) != OWN_SCALE)]))
        for what in KINDS:
            column = self._columns[what]
            if others and what not in found and column.rows and column.whole and what not in self._raw.scales:
                found[what] = f"whole numbers beside a column on another scale ({others})"
        valence = self._columns["valence"]
        if "valence" not in found and self._from_zero("valence") and valence.is_from_zero():
            for what in filter(self._from_zero, KINDS):
                found.setdefault(what, f"valence is never below 0, not in {valence.unpleasant} rows of dislike either")
        return found

    def notes(self) -> list[str]:
        """Return a note for each column that is left empty or may be on another scale."""
        dropped = self.dropped()
        lines = [
            f"{what} is left empty in all {self._columns[what].rows} rows: {why}"
            + f"; columns: {{{what}: {{column: …, scale: [LOWEST, HIGHEST]}}}} reads a csv on a scale of its own"
            * (what not in self._raw.scales)
            for what, why in dropped.items()
        ]
        if "valence" not in dropped and self._from_zero("valence") and self._columns["valence"].rows >= _MIN_ROWS:
            lines.append(
                f"valence is never below 0 in {self._columns['valence'].rows} rows and is read as it stands; "
                "columns: {valence: {column: …, scale: [0, 1]}} reads a csv on a scale from 0 to 1"
            )
        lines += [
            f"{column.not_given}: {what} {NOT_GIVEN:g} is read as not given"
            for what, column in self._columns.items()
            if column.not_given and what not in dropped
        ]
        return lines

    def bring(self, table: pa.Table) -> pa.Table:
        """Return samples with affect on [-1, 1]; columns on an unknown scale are left empty."""
        dropped = self.dropped()
        for what in KINDS:
            table = table.set_column(table.schema.get_field_index(what), table.schema.field(what), self._own(
                what, table[what], empty=what in dropped))  # fmt: skip
        return table

    def _own(self, what: str, values: pa.ChunkedArray, *, empty: bool) -> pa.ChunkedArray:
        if empty:
            return pa.chunked_array([pa.nulls(len(values), values.type)])
        low, high = self._raw.scale(what)
        if (low, high) == OWN_SCALE:
            inside = pc.greater(values, NOT_GIVEN)
            own = pc.if_else(inside, values, pa.scalar(None, values.type))
        else:
            own = pc.divide(pc.subtract(pc.multiply(values, 2.0), low + high), high - low)
        return pc.max_element_wise(-1.0, pc.min_element_wise(1.0, own, skip_nulls=False), skip_nulls=False).cast(
            values.type
        )

    def _from_zero(self, what: str) -> bool:
        column = self._columns[what]
        return len(column.values) > 1 and not column.negative and what not in self._raw.scales

    def _beyond(self, what: str) -> str | None:
        beyond = self._columns[what].beyond
        low, high = self._raw.scale(what)
        return f"{beyond[0]} has {beyond[1]:g}, beyond {low:g} to {high:g}" if beyond else None
