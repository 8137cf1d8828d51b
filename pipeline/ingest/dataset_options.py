"""The options of one dataset in params.yaml, in the form that readers get, which do not know params.yaml."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pipeline.core.errors import ParamsError, SourceError
from pipeline.ingest.parsing.delimited import number
from pipeline.ingest.parsing.label_names import native_label

Scale = tuple[float, float]
# The code of a row that nobody labelled, unless params.yaml says more.
NOT_GIVEN: Final = "-1"
# Stands for what only a person can say, in lines that are suggested.
UNSAID: Final = "…"
# The scale of affect in the table of samples, and in most datasets.
OWN_SCALE: Final[Scale] = (-1.0, 1.0)


@dataclass(frozen=True, slots=True)
class DatasetOptions:
    """For a csv, the column of each role and the scales of affect; for any dataset, the meaning of its codes.

    `align` overrides settings of that stage. It is recorded in the samples' snapshot, so that a change makes DVC run
    the stage again for this dataset only. `terms` is the name in the catalog whose terms apply; None: as
    `catalog.terms_of` finds it.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    scales: Mapping[str, Scale] = field(default_factory=dict)
    classes: Mapping[str, str] = field(default_factory=dict)
    align: Mapping[str, Any] = field(default_factory=dict)
    terms: str | None = None

    def plain(self) -> dict[str, Any]:
        """Return the options as snapshots record them."""
        scales = {what: list(scale) for what, scale in self.scales.items()}
        said: dict[str, Any] = {"align": dict(self.align)} if self.align else {}
        said |= {"terms": self.terms} if self.terms else {}
        return {"columns": dict(self.columns), "scales": scales, "classes": dict(self.classes), **said}

    def meanings(self) -> dict[str, str]:
        """Return code -> label as in params.yaml, with keys made by `code_key`.

        Raises:
            ParamsError: a meaning is still the "…" of a line that was suggested.
        """
        for code, meaning in self.classes.items():
            if meaning.strip() == UNSAID:
                raise ParamsError(f"params.yaml: classes.{code}: write its class in place of {UNSAID}")
        return {code_key(code): meaning for code, meaning in self.classes.items()}

    def native(self, labels: tuple[str, ...]) -> dict[str, str]:
        """Return code -> label, with the dataset's native labels.

        Raises:
            ParamsError: a meaning in params.yaml is not one of these labels.
        """
        found = {}
        for code, meaning in self.classes.items():
            label = native_label(meaning, labels)
            if label is None:
                raise ParamsError(f"params.yaml: classes.{code}: expected {', '.join(labels)}, not {meaning!r}")
            found[code_key(code)] = label
        return found


class SettingError(SourceError):
    """A tree that can be read once its entry in params.yaml says more. `entry` is that, with … for what is unknown."""

    def __init__(self, message: str, entry: Mapping[str, str | Mapping[str, str]]) -> None:
        super().__init__(message)
        self.entry = entry


def code_of(text: str) -> int | None:
    """Return a cell as a whole number, whether written as 3 or 3.0; None for anything else."""
    value = number(text)
    return int(value) if value is not None and value == int(value) else None


def code_key(text: str) -> str:
    """Return a key that is the same for all spellings of a code or name: 3 and 3.0 are one code."""
    code = code_of(text)
    return text.strip().casefold() if code is None else str(code)


def classes_line(codes: Sequence[str], labels: Sequence[str] = ()) -> str:
    """Return the line with `classes` to add to params.yaml, with known labels and … for the others."""
    meanings = [*labels[: len(codes)], *["…"] * (len(codes) - len(labels))]
    quoted = [json.dumps(code, ensure_ascii=False) for code in codes]
    return f"classes: {{{', '.join(f'{code}: {of}' for code, of in zip(quoted, meanings, strict=True))}}}"
