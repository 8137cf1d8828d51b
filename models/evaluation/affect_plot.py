"""Plots of answered affect: the circle of valence and arousal with the errors in it, and each value over its truth."""

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.evaluation.affect_report import AffectRows
from pipeline.report.network import error_cells

AFFECT_FOLDER: Final = "affect"  # in the output of evaluate
PLOT_NAME: Final = "circumplex.png"
# Cells along each side of a value's own panel.
_BINS: Final = 20
_CIRCLE: Final = ("valence", "arousal")


def draw_affect(path: Path, rows: AffectRows) -> None:
    """Draw the circle, if both of its values are answered and annotated, and a panel for each value.

    An arrow leads from the mean annotation of the rows of a cell to their mean answer; its dot grows with the rows.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    found = {name: (true, answers) for name, true, answers in rows.columns() if not np.isnan(true).all()}
    circle = error_cells(*(np.stack([found[name][kind] for name in _CIRCLE], 1) for kind in (0, 1))) if (
        set(_CIRCLE) <= found.keys()
    ) else np.empty((0, 5))  # fmt: skip
    panels = [*(["circle"] if len(circle) else []), *found]
    figure = Figure(figsize=(4.4 * max(len(panels), 1), 4.4), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    if not panels:
        figure.text(0.5, 0.5, "no row has an annotation", ha="center", va="center")
    for place, name in enumerate(panels, start=1):
        axis = figure.add_subplot(1, len(panels), place)
        axis.set(xlim=(-1.05, 1.05), ylim=(-1.05, 1.05), aspect="equal")
        if name == "circle":
            _draw_circle(axis, circle)
        else:
            _draw_value(axis, name, *found[name])
    figure.savefig(path, metadata={"Software": None})


def _draw_circle(axis: Any, cells: NDArray[np.floating]) -> None:
    angles = np.linspace(0, 2 * np.pi, 200)
    axis.plot(np.cos(angles), np.sin(angles), color="0.6", linewidth=1)
    axis.axhline(0, color="0.85", linewidth=0.8, zorder=0)
    axis.axvline(0, color="0.85", linewidth=0.8, zorder=0)
    x, y, to_x, to_y, rows = cells.T
    axis.quiver(
        x, y, to_x - x, to_y - y, np.hypot(to_x - x, to_y - y), angles="xy", scale_units="xy", scale=1, width=0.005,
        cmap="viridis_r", clim=(0, 1),
    )  # fmt: skip
    axis.scatter(x, y, s=4 + 60 * rows / rows.max(), color="0.25", zorder=3)
    axis.set(xlabel="valence", ylabel="arousal")
    axis.set_title(f"annotated (dot) to answered (arrow), {int(rows.sum())} rows", fontsize=9)


def _draw_value(axis: Any, name: str, true: NDArray[np.float32], answers: NDArray[np.float32]) -> None:
    given = ~np.isnan(true)
    axis.hist2d(true[given], answers[given], bins=_BINS, range=((-1, 1), (-1, 1)), cmap="Blues", cmin=1)
    axis.plot((-1, 1), (-1, 1), color="0.5", linewidth=0.8)
    axis.set(xlabel=f"annotated {name}", ylabel=f"answered {name}")
    axis.set_title(f"{name}, {int(given.sum())} rows", fontsize=9)
