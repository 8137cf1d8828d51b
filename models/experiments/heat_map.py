"""The cross-dataset matrix as a picture."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from pipeline.core.place import replace_synced

SCORE: Final = "balanced_accuracy"
_COLOURS: Final = "viridis"
_NOT_MEASURED: Final = "0.94"
_CELL_INCHES: Final = (1.55, 0.95)
_BESIDE_INCHES: Final = (2.9, 1.9)  # for names, title and scale
_BRIGHT: Final = 0.42  # from this luminance on, letters are dark
_LUMA: Final = (0.299, 0.587, 0.114)


def draw_matrix(path: Path, result: Mapping[str, Any]) -> None:
    """Draw balanced accuracies with their intervals; a cell that is not measured has no colour.

    Args:
        path: the PNG to write.
        result: what `matrix.run` returned.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows, columns = result["rows"], result["columns"]
    cells = {(cell["row"], cell["tested"]): cell for cell in result["cells"]}
    values = np.array([[_value(cells[row, name]) for name in columns] for row in rows], float)
    size = [_BESIDE_INCHES[axis] + _CELL_INCHES[axis] * len((columns, rows)[axis]) for axis in (0, 1)]
    figure = Figure(figsize=(size[0], size[1]), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    colours = mpl.colormaps[_COLOURS].with_extremes(bad=_NOT_MEASURED)
    image = axes.imshow(np.ma.masked_invalid(values), cmap=colours, vmin=0, vmax=1, aspect="auto")
    figure.colorbar(image, ax=axes, label="balanced accuracy", fraction=0.05, pad=0.02)
    axes.set_xticks(range(len(columns)), columns, rotation=20, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(rows)), rows)
    axes.set(xlabel="tested on", ylabel="trained on")
    axes.set_xticks(np.arange(len(columns) - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(len(rows) - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="both", length=0)
    for y, row in enumerate(rows):
        for x, column in enumerate(columns):
            colour = "0.35" if np.isnan(values[y, x]) else _letters(colours(values[y, x]))
            number, rest = _words(cells[row, column])
            axes.text(x, y - 0.18, number, ha="center", va="center", color=colour, fontsize=12, fontweight="bold")
            axes.text(
                x,
                y + (0.2 if number else 0),
                rest,
                ha="center",
                va="center",
                color=colour,
                fontsize=7.5,
                linespacing=1.25,
            )
    axes.set_title("in the classes that both sides have;\n95% intervals over people", fontsize=9)
    part = path.with_name(f".{path.name}.partial")
    figure.savefig(part, format="png", metadata={"Software": None})
    replace_synced(part, path)


def _value(cell: Mapping[str, Any]) -> float:
    return float(cell[SCORE]["value"]) if cell.get(SCORE) else float("nan")


def _words(cell: Mapping[str, Any]) -> tuple[str, str]:
    found = cell.get(SCORE)
    if not found:
        return "", "no class\nin common" if cell.get("classes") == [] else "not measured"
    ends = f"{found['low']:.2f} to {found['high']:.2f}" if found["low"] is not None else "one person"
    return f"{found['value']:.2f}", f"{ends}\nn {cell['rows']:,}, {len(cell['classes'])} classes"


def _letters(colour: tuple[float, ...]) -> str:
    """Return black or white, whichever is easier to read on a colour."""
    return "black" if sum(part * of for part, of in zip(colour, _LUMA, strict=False)) > _BRIGHT else "white"
