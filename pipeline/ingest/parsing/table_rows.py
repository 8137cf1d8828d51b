"""The rows of a table whose columns are known: each becomes an annotation or a rejected row."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from pipeline.core.schema import Reason
from pipeline.ingest.parsing.attributes import are_age_codes
from pipeline.ingest.parsing.delimited import Record, TextTable, number, squash
from pipeline.ingest.parsing.label_names import class_word, is_split
from pipeline.ingest.parsing.literals import read_literal
from pipeline.ingest.parsing.table_columns import BOX
from pipeline.ingest.raw_dataset import Annotation, Box, RawDataset, RejectedRow, Row, is_medium, name_of, stem
from pipeline.ingest.trees.tree import Tree

# The picture of a row, and its number where the table holds it.
Place = tuple[str | RejectedRow, int | None]
_AFFECT: Final = ("valence", "arousal", "dominance")
_MOST: Final = 0.98
# Of the only comma of a number, as tables with semicolons have it.
_DECIMAL_COMMA: Final = re.compile(r"(?<=^\d),(?=\d+$)|(?<=^[-+]\d),(?=\d+$)")


@dataclass(frozen=True, slots=True)
class TableRows:
    """How the rows of one table are read.

    Attributes:
        columns: role -> index of the column.
        place: finds the picture of a row.
        label: returns the label of a cell that is not empty, or the reason why the row is rejected.
        split: of rows that say none themselves.
    """

    raw: RawDataset
    columns: Mapping[str, int]
    place: Callable[[Record], Place]
    label: Callable[[str, str], str | RejectedRow]
    split: str | None = None

    def read(self, table: TextTable) -> Iterator[Row]:
        """Yield every row of a table; adds a note if labels contradict the names of folders."""
        if self._has_age_codes(table):
            known = {role: place for role, place in self.columns.items() if role != "age"}
            yield from replace(self, columns=known).read(table)
            return
        against: list[str] = []
        for record in table.records():
            row = self._row(record)
            if isinstance(row, Annotation):
                for what in self._unusable(row, record):
                    self.raw.drop(what, record.row)
                against.extend(_contradiction(self.raw, row))
            yield row
        if against:
            raw = self.raw
            raw.notes.append(f"{against[0]}; the folder says another class in {len(against)} of {raw.compared} rows")

    def _has_age_codes(self, table: TextTable) -> bool:
        """Return whether a column of ages has codes alone; adds a note if so."""
        place = self.columns.get("age")
        name = table.header[place] if table.header and place is not None else ""
        if place is None or "year" in squash(name) or not are_age_codes(row.at(place) for row in table.records()):
            return False
        self.raw.notes.append(
            f"{table.name}: all ages in the column {name or place + 1} are whole numbers below 10, as codes of groups "
            "are; they are left empty. If they are years, call the column age_years"
        )
        return True

    def _row(self, record: Record) -> Row:
        path, n = self.place(record)
        if (surplus := record.surplus()) is not None:
            return RejectedRow(name_of(path), Reason.bad_row, surplus)
        if isinstance(path, RejectedRow) and path.reason is Reason.bad_row and not path.path:
            return path
        cell, given_split = self._text(record, "label"), self._text(record, "split")
        label = _label(cell, record.row, self.label) if cell else None
        if isinstance(label, RejectedRow):
            return RejectedRow(name_of(path), label.reason, label.detail)
        values = {role: number(self._text(record, role) or "") for role in BOX}
        affect = {role: number(_DECIMAL_COMMA.sub(".", self._text(record, role) or "")) for role in _AFFECT}
        box = _box(values)
        return Annotation(
            path,
            (label,) if label else (),
            record.row,
            n=n,
            box=box,
            box_kind="face" if box else None,
            subject=self._text(record, "subject"),
            sequence=self._text(record, "sequence"),
            split=given_split if given_split and is_split(given_split) else self.split,
            valence=affect["valence"],
            arousal=affect["arousal"],
            dominance=affect["dominance"],
            attributes=self.raw.attributes(
                record.row, **{role: self._text(record, role) or "" for role in ("gender", "age", "race")}
            ),
        )

    def _text(self, record: Record, role: str) -> str | None:
        return record.at(self.columns[role]) or None if role in self.columns else None

    def _unusable(self, row: Annotation, record: Record) -> Iterator[str]:
        """Yield the impossible values of a row: affect that is no number, a box without area, text for a number."""
        for role, value in zip(_AFFECT, (row.valence, row.arousal, row.dominance), strict=True):
            if value is None and self._text(record, role):
                yield f"{role} (expected a number)"
        if (given := self._text(record, "split")) and not is_split(given):
            yield "split (expected train, val or test)"
        sides = [record.at(self.columns[side]) for side in BOX if side in self.columns]
        if row.box is None and len(sides) >= 4 and any(sides):
            yield "box (expected numbers, x1 > x0 and y1 > y0)"


def _label(cell: str, row: str, read: Callable[[str, str], str | RejectedRow]) -> str | RejectedRow | None:
    """Return the label of a cell, which may be a list of one."""
    listed = read_literal(cell) if cell.startswith("[") else None
    if not isinstance(listed, list):
        return read(cell, row)
    if len(listed) > 1:
        return RejectedRow("", Reason.conflicting_labels, f"{row}: {len(listed)} labels: {cell[:80]}")
    return read(str(listed[0]), row) if listed else None


def find_named(
    raw: RawDataset, record: Record, columns: Mapping[str, int], bases: list[str], split: str | None = None
) -> Place:
    """Return the picture that a row names; see `RawDataset.find_ending`.

    A column of splits may say others than the folders, after a new draw, so it only chooses among pictures of one name.

    Args:
        raw: the dataset.
        record: the row.
        columns: role -> index of the column; with a path.
        bases: folders of the tree that the path may be relative to, the most likely first.
        split: of rows that say none themselves.
    """
    index, own = columns["path"], record.at(columns["split"]) if "split" in columns else ""
    given = record.cells[index] if index < len(record.cells) else ""
    if not given.strip():
        return RejectedRow("", Reason.bad_row, f"{record.row}: no path"), None
    found = raw.find_ending(given, bases, record.row, None if "split" in columns else split)
    if "split" in columns and isinstance(found, RejectedRow) and found.reason is Reason.bad_row:
        found = raw.find_ending(given, bases, record.row, own if is_split(own) else split)
    return found, None


def cover(tree: Tree, root: str, cells: Iterable[str]) -> bool:
    """Return whether cells name all pictures and videos below a folder, but for a few that a copy lost.

    They are compared by their names without folder and suffix, which lists often lack, and by their number.
    """
    given = set(filter(None, map(str.strip, cells)))
    stems = {stem(cell.replace("\\", "/")).casefold() for cell in given}
    files = [name for name in tree.below(root) if is_medium(name)]
    return min(len(given), sum(stem(name).casefold() in stems for name in files)) >= _MOST * len(files)


def _contradiction(raw: RawDataset, row: Annotation) -> Iterator[str]:
    """Compare the label of a row with the name of its folder, if both name one of the eight classes."""
    path = name_of(row.path)
    folder, label = class_word(path.rpartition("/")[0].rpartition("/")[2]), class_word("".join(row.labels))
    if folder is None or label is None:
        return
    raw.compared += 1
    if folder != label:
        raw.contradicted += 1
        yield f"{row.row}: {label}, but in the folder {folder}"


def _box(values: Mapping[str, float | None]) -> Box | None:
    x0, y0, x1, y1 = (values[side] for side in ("x0", "y0", "x1", "y1"))
    width, height = values["width"], values["height"]
    if x0 is None or y0 is None:
        return None
    x1 = x0 + width if x1 is None and width is not None else x1
    y1 = y0 + height if y1 is None and height is not None else y1
    return (x0, y0, x1, y1) if x1 is not None and y1 is not None and x1 > x0 and y1 > y0 else None
