"""The learning curve as a picture: the mean over people of each network, and what each person gains."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from models.personal.networks import GENERAL, PERSONAL
from models.personal.scores import Row, mean_over_draws

_LINES: Final = {
    GENERAL: ("general network", "0.35", "--", ""),
    PERSONAL: ("general network, fine-tuned on this person", "tab:blue", "-", "o"),
    "alone": ("this person's faces alone, on its features", "tab:orange", "-", "s"),
    "scratch": ("this person's faces alone, from scratch", "tab:red", "-", "^"),
}
# Which scores are drawn, where there are such: name, what the axis says, and its limits.
_PANELS: Final = (
    ("accuracy", "accuracy on the person's other faces", (0.0, 1.0)),
    ("ccc", "CCC on the person's other faces", None),
    ("rmse", "RMSE on the person's other faces", None),
)


def draw_curve(path: Path, curve: Mapping[str, Any], rows: Sequence[Row]) -> None:
    """Draw each network's score by the number of shots, with 95% intervals, and the gain of each person.

    Args:
        path: the PNG to write.
        curve: what `scores.summarize` returned.
        rows: what it was given.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    first = next(iter(curve.values()))
    panels = [panel for panel in _PANELS if panel[0] in first]
    figure = Figure(figsize=(5.2 * (len(panels) + 1), 4.3), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(panels) + 1)
    for axis, (name, said, limits) in zip(axes, panels, strict=False):
        _draw_score(axis, curve, name)
        axis.set(xlabel="labelled faces of the person", ylabel=said)
        if limits:
            axis.set_ylim(*limits)
    axes[0].legend(loc="best", fontsize=8)
    people = sorted({row["person"] for row in rows})
    who = (
        f"mean of {len(people)} people, 95% intervals" if len(people) > 1 else f"{people[0]}, 95% intervals over draws"
    )
    axes[0].set_title(who, fontsize=10)
    _draw_gains(axes[-1], rows, panels[0][0])
    figure.savefig(path, metadata={"Software": None})


def _draw_score(axis: Any, curve: Mapping[str, Any], name: str) -> None:
    shots = [int(count) for count in curve]
    for network, (said, colour, line, mark) in _LINES.items():
        cells = [curve[str(count)][name].get(network) or {} for count in shots]
        value, low, high = (np.array([cell.get(key) for cell in cells], float) for key in ("value", "low", "high"))
        axis.plot(shots, value, line, color=colour, marker=mark, markersize=4, label=said)
        axis.fill_between(shots, low, high, color=colour, alpha=0.12, linewidth=0)
    axis.set_xscale("log", base=2)
    axis.set_xticks(shots, [str(count) for count in shots])
    axis.minorticks_off()
    axis.grid(alpha=0.3)


def _draw_gains(axis: Any, rows: Sequence[Row], name: str) -> None:
    """Draw, for the largest number of shots, what each person's own network is better by than the general one."""
    means, shots = mean_over_draws(rows, name), max(row["shots"] for row in rows)
    people = sorted({row["person"] for row in rows})
    gains = np.array([means[who, shots, PERSONAL] - means[who, shots, GENERAL] for who in people])
    order = np.argsort(gains, kind="stable")
    axis.barh(np.arange(len(people)), gains[order], color=np.where(gains[order] < 0, "tab:red", "tab:blue"))
    axis.axvline(0, color="0.35", linewidth=1)
    axis.set_yticks([])  # the picture may be shown to others; people.csv has the names
    axis.set_ylabel("one bar a person")
    axis.set_xlabel(f"gain in {name} with {shots} labelled faces")
    axis.set_title("person by person", fontsize=10)
    axis.grid(alpha=0.3, axis="x")
