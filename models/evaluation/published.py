"""Published figures, each beside the same score of our experiments on a dataset of that name.

A published accuracy is compared with our accuracy and a published F1 with our macro F1, never with the balanced
accuracy of the other tables. What differs besides stands in the column `protocol`.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipeline.core.errors import UsageError

COLUMNS: Final = ("source", "system", "model", "augment", "dataset", "metric", "value", "up_to", "protocol")
# What a published metric is called in metrics.json.
_OURS: Final = {"accuracy": "accuracy", "balanced_accuracy": "balanced_accuracy", "f1": "macro_f1", "loss": "loss"}


@dataclass(frozen=True, slots=True)
class Figure:
    """One published figure.

    Attributes:
        source: `thesis`, or `survey` for the systems that it describes.
        system: what was measured, in words.
        model: its name in `prep models`; empty if there is none.
        augment: the name of its augmentation; empty if it is not known, so any of ours is compared.
        dataset: where it was tested.
        metric: accuracy, balanced_accuracy or f1 in 0..1, or loss.
        value: the figure.
        up_to: the upper end if a range was published, else None.
        protocol: how it was measured, as far as that is known.
    """

    source: str
    system: str
    model: str
    augment: str
    dataset: str
    metric: str
    value: float
    up_to: float | None
    protocol: str

    def said(self) -> str:
        """Return the value or the range."""
        return _digits(self.value) if self.up_to is None else f"{_digits(self.value)} to {_digits(self.up_to)}"


def read_published(path: Path) -> list[Figure]:
    """Read a csv of published figures with the columns `COLUMNS`.

    Raises:
        UsageError: the file cannot be read, or a row has another number of cells, no number, or an unknown metric; the
            message names the row.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    # The header is row 1, as in a spreadsheet.
    return [_figure(row, f"{path}, row {number}") for number, row in enumerate(rows, start=2)]


def _figure(row: Mapping[str | None, Any], where: str) -> Figure:
    if set(row) != set(COLUMNS) or None in row.values():
        raise UsageError(f"{where}: expected the columns {','.join(COLUMNS)}")
    if row["metric"] not in _OURS:
        raise UsageError(f"{where}: metric {row['metric']!r} is not one of {', '.join(_OURS)}")
    try:
        value, up_to = float(row["value"]), float(row["up_to"]) if row["up_to"] else None
    except ValueError:
        raise UsageError(f"{where}: value and up_to are numbers, and up_to may be empty") from None
    words = {name: row[name] for name in COLUMNS if name not in ("value", "up_to")}
    return Figure(value=value, up_to=up_to, **words)


def beside(figures: list[Figure], experiments: list[Mapping[str, Any]]) -> str:
    """Return a Markdown table of published figures and ours.

    Args:
        figures: in the order of the rows.
        experiments: the content of metrics.json, newest first. The newest experiment with the figure's network and
            augmentation that was tested on a dataset of its name counts.
    """
    lines = ["| source | system | tested on | metric | published | ours | protocol of the published figure |"]
    lines.append("|---|---|---|---|---|---|---|")
    for figure in figures:
        ours = next((found for one in experiments if (found := _score(figure, one))), "-")
        cells = (figure.source, figure.system, figure.dataset, figure.metric, figure.said(), ours, figure.protocol)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _score(figure: Figure, metrics: Mapping[str, Any]) -> str | None:
    network = metrics["network"]
    if not figure.model or network["model"] != figure.model:
        return None
    if figure.augment and (network.get("augment") or "none") != figure.augment:
        return None
    block = metrics.get("per_dataset", {}).get(figure.dataset, {})
    score = block.get(_OURS[figure.metric])
    return None if score is None else f"{_digits(score)} on {block['rows']} faces"


def _digits(value: float) -> str:
    return f"{value:.3f}"
