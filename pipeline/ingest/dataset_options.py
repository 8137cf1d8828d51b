"""What params.yaml says of one dataset, as readers get it: they do not know params.yaml."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pipeline.core.errors import ParamsError
from pipeline.ingest.parsing.delimited import number
from pipeline.ingest.parsing.label_names import native_label

Scale = tuple[float, float]
# What samples hold, and what most tables do.
OWN_SCALE: Final[Scale] = (-1.0, 1.0)


@dataclass(frozen=True, slots=True)
class DatasetOptions:
    """Of a csv the columns by their roles and the scales of affect; of any codes what they mean.

    `align` are the dataset's own settings for that stage. They are in the samples' snapshot, so that DVC runs the stage
    again for this dataset alone where they change. `terms` is the name in the catalog whose terms bind it; None: as
    `catalog.terms_of` finds it.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    scales: Mapping[str, Scale] = field(default_factory=dict)
    classes: Mapping[str, str] = field(default_factory=dict)
    align: Mapping[str, Any] = field(default_factory=dict)
    terms: str | None = None

    def plain(self) -> dict[str, Any]:
        """Return it as snapshots keep it."""
        scales = {what: list(scale) for what, scale in self.scales.items()}
        said: dict[str, Any] = {"align": dict(self.align)} if self.align else {}
        said |= {"terms": self.terms} if self.terms else {}
        return {"columns": dict(self.columns), "scales": scales, "classes": dict(self.classes), **said}

    def meanings(self) -> dict[str, str]:
        """Return code -> label as params.yaml has them, keyed as `code_key` has it."""
        return {code_key(code): meaning for code, meaning in self.classes.items()}

    def native(self, labels: tuple[str, ...]) -> dict[str, str]:
        """Return code -> label, in a dataset's own labels.

        Raises:
            ParamsError: a meaning is none of these labels.
        """
        found = {}
        for code, meaning in self.classes.items():
            label = native_label(meaning, labels)
            if label is None:
                raise ParamsError(f"params.yaml: classes.{code}: expected {', '.join(labels)}, not {meaning!r}")
            found[code_key(code)] = label
        return found


def code_of(text: str) -> int | None:
    """Return a cell as a whole number, written as 3 or 3.0; None for anything else."""
    value = number(text)
    return int(value) if value is not None and value == int(value) else None


def code_key(text: str) -> str:
    """Return what two spellings of one code or name share: 3 and 3.0 are one code."""
    code = code_of(text)
    return text.strip().casefold() if code is None else str(code)


def classes_line(codes: Sequence[str], labels: Sequence[str] = ()) -> str:
    """Return the key `classes` to type, with the labels that are known and … for the others."""
    meanings = [*labels[: len(codes)], *["…"] * (len(codes) - len(labels))]
    return f"classes: {{{', '.join(f'{json.dumps(c)}: {m}' for c, m in zip(codes, meanings, strict=True))}}}"
