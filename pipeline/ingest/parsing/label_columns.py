"""Choosing the label column of a csv with several candidates: words before codes, and an error if two disagree."""

from collections.abc import Mapping, Sequence
from typing import Final

from pipeline.ingest.dataset_options import SettingError, code_key
from pipeline.ingest.parsing.delimited import TextTable, number, squash
from pipeline.ingest.parsing.label_names import class_word, common_name

_NAMES: Final = (
    "label", "emotion", "expression", "class", "emotionlabel", "labels", "emotions", "category", "target",
)  # fmt: skip
# Suffixes of a column with words next to one with codes: `label_name`, `emotion_text`.
_WORDED: Final = ("name", "names", "text", "word", "str", "string")
# Usual names of a label column, squashed, the most specific first.
LABEL_NAMES: Final = (*_NAMES, *(f"{name}{word}" for name in _NAMES for word in _WORDED))


def choose_label(
    table: TextTable, names: Sequence[str], columns: Mapping[str, int], meanings: Mapping[str, str]
) -> int:
    """Return the index of the label column among those with a usual name.

    It is the first column that spells emotions or, if none does, the first candidate. A column of codes with a meaning
    in params.yaml precedes both. Columns of words and such codes must agree in every row.

    Args:
        table: the table.
        names: usual names of label columns, squashed, the most specific first.
        columns: role -> column, as far as names tell.
        meanings: code -> label as in params.yaml, with keys made by `code_key`.

    Raises:
        SourceError: two columns disagree; names the row and the setting to add.
    """
    places = {squash(cell): index for index, cell in reversed(list(enumerate(table.header or ())))}
    taken = {index for role, index in columns.items() if role != "label"}
    indices = [places[name] for name in names if name in places and places[name] not in taken]
    if len(indices) < 2:
        return columns["label"]
    wordy = [index for index in indices if _spells(table, index)]
    told = [index for index in indices if index not in wordy and _is_told(table, index, meanings)]
    kept = [*told, *wordy] or [index for index in indices if _is_given(table, index)] or list(indices)
    for record in table.records():
        said = {_plain(text, meanings): (index, text) for index in reversed(kept) if (text := record.at(index))}
        if len(said) > 1:
            (one, text), (other, another) = list(said.values())[:2][::-1]
            header = table.header or ()
            raise SettingError(
                f"{table.where}: {record.row}: {header[one]} says {text!r}, {header[other]} {another!r}; say in "
                f"params.yaml which is the label: columns: {{label: {header[one]}}}",
                {"columns": {"label": header[one]}},
            )
    return kept[0]


def _spells(table: TextTable, index: int) -> bool:
    return any(class_word(record.at(index)) for record in table.records())


def _is_given(table: TextTable, index: int) -> bool:
    return any(record.at(index) for record in table.records())


def _is_told(table: TextTable, index: int, meanings: Mapping[str, str]) -> bool:
    return any(code_key(record.at(index)) in meanings for record in table.records()) if meanings else False


def _plain(text: str, meanings: Mapping[str, str]) -> str:
    meaning = meanings.get(code_key(text), text)
    return code_key(meaning) if number(meaning) is not None else common_name(meaning)
