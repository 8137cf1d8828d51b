"""Which of several columns of a csv holds the labels: words before codes, and none where two say different things."""

from collections.abc import Mapping, Sequence
from typing import Final

from pipeline.core.errors import SourceError
from pipeline.ingest.dataset_options import code_key
from pipeline.ingest.parsing.delimited import Delimited, number, squash
from pipeline.ingest.parsing.label_names import class_word, common_name

_NAMES: Final = (
    "label", "emotion", "expression", "class", "emotionlabel", "labels", "emotions", "category", "target",
)  # fmt: skip
# The words beside a column of codes: `label_name`, `emotion_text`.
_WORDED: Final = ("name", "names", "text", "word", "str", "string")
# What people call a column of labels, squashed, the most telling name first.
LABEL_NAMES: Final = (*_NAMES, *(f"{name}{word}" for name in _NAMES for word in _WORDED))


def choose_label(
    table: Delimited, names: Sequence[str], columns: Mapping[str, int], meanings: Mapping[str, str]
) -> int:
    """Return the index of the column of labels among those whose names say that they are.

    Of columns that spell emotions the first, if all of them say the same in every row; so of others where none does.
    A column of codes with a meaning in params.yaml goes before them, and says what they mean.

    Args:
        table: the table.
        names: what columns of labels are called, squashed, the most telling first.
        columns: the column of each role, as far as names tell.
        meanings: code -> label as params.yaml has them, keyed as `code_key` has it.

    Raises:
        SourceError: two columns contradict each other; names the row and what to type.
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
            raise SourceError(
                f"{table.where}: {record.row}: {header[one]} says {text!r}, {header[other]} {another!r}; say in "
                f"params.yaml which is the label: columns: {{label: {header[one]}}}"
            )
    return kept[0]


def _spells(table: Delimited, index: int) -> bool:
    return any(class_word(record.at(index)) for record in table.records())


def _is_given(table: Delimited, index: int) -> bool:
    return any(record.at(index) for record in table.records())


def _is_told(table: Delimited, index: int, meanings: Mapping[str, str]) -> bool:
    return any(code_key(record.at(index)) in meanings for record in table.records()) if meanings else False


def _plain(text: str, meanings: Mapping[str, str]) -> str:
    meaning = meanings.get(code_key(text), text)
    return code_key(meaning) if number(meaning) is not None else common_name(meaning)
