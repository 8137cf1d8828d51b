"""Where the marks of a chart are. The templates draw them as SVG, so that they follow the page's colours and size."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor, log10
from typing import Any, Final

import numpy as np

from pipeline.report.network import CELL_SIDE

# Of a drawing, in its own units. It is as wide as a telephone, so that letters stay as large as the text around.
WIDTH: Final = 340
HEIGHT: Final = 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 8, 8, 34
_TICKS: Final = 5
# The circle of valence and arousal lies in the square from -1 to 1.
CIRCLE: Final = 240
_LEAST_DOT: Final = 1.2
MARGIN: Final = 5  # of the map
_ROOM: Final = 1.12  # half the side of the drawing over the circle's radius


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark of an axis: where it is, and what it says."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """A named line: the points of an SVG polyline, and its last point, beside which its name may stand."""

    name: str
    points: str
    last: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Plot:
    """Lines between two axes, in the units of the drawing."""

    x_title: str
    y_title: str
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    lines: Sequence[Line]
    rule: Tick | None = None  # a vertical line, and what begins there
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = HEIGHT - _BOTTOM


def build_plot(
    lines: Mapping[str, Sequence[tuple[float, float]]],
    x_title: str,
    y_title: str,
    *,
    unit: bool = False,
    rule: tuple[float, str] | None = None,
) -> Plot | None:
    """Lay out lines; None if there is no point.

    Args:
        lines: name -> x and y of its points, finite.
        x_title: what x is.
        y_title: what y is.
        unit: both axes go from 0 to 1.
        rule: where on the x axis a vertical line stands, and what begins there.
    """
    points = np.array([point for line in lines.values() for point in line], np.float64).reshape(-1, 2)
    if not len(points):
        return None
    ends = [(0.0, 1.0)] * 2 if unit else [(float(column.min()), float(column.max())) for column in points.T]
    ticks = [_tick_values(low, high) for low, high in ends]
    spans = [(min(low, marks[0]), max(high, marks[-1])) for (low, high), marks in zip(ends, ticks, strict=True)]

    def x(value: float) -> float:
        return _between(value, spans[0], _LEFT, WIDTH - _RIGHT)

    def y(value: float) -> float:
        return _between(value, spans[1], HEIGHT - _BOTTOM, _TOP)

    drawn = [
        Line(name, " ".join(f"{x(a):g},{y(b):g}" for a, b in line), (x(line[-1][0]), y(line[-1][1])))
        for name, line in lines.items()
        if line
    ]
    x_ticks, y_ticks = (
        [Tick(place(value), f"{value:g}") for value in values] for place, values in ((x, ticks[0]), (y, ticks[1]))
    )
    return Plot(x_title, y_title, x_ticks, y_ticks, drawn, Tick(x(rule[0]), rule[1]) if rule else None)


def _between(value: float, span: tuple[float, float], first: float, last: float) -> float:
    width = span[1] - span[0]
    return round(first + (last - first) * ((value - span[0]) / width if width else 0.5), 1)


def _tick_values(low: float, high: float) -> list[float]:
    """Return round numbers, 1, 2 or 5 times a power of ten apart, that cover a range."""
    rough = (high - low or abs(high) or 1.0) / _TICKS
    power = 10.0 ** floor(log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    return [round(number * step, 10) for number in range(floor(low / step + 1e-9), ceil(high / step - 1e-9) + 1)]


@dataclass(frozen=True, slots=True)
class Dot:
    """A disc of a drawing, and how many rows it stands for."""

    x: float
    y: float
    radius: float
    rows: int


@dataclass(frozen=True, slots=True)
class Circle:
    """Valence and arousal in the circle, in a square drawing of this side, with errors: x, y, to x, to y."""

    title: str
    rows: int
    dots: Sequence[Dot]
    errors: Sequence[tuple[float, float, float, float]] = ()
    side: int = CIRCLE
    radius: float = CIRCLE / 2 / _ROOM


def build_circle(title: str, cells: Sequence[Sequence[float]]) -> Circle:
    """Draw a dot for each cell, valence to the right and arousal upwards; its area is in proportion to the rows.

    Args:
        title: what the values are.
        cells: the result of `network.affect_cells`.
    """
    radius = CIRCLE / 2 / _ROOM
    most = max((rows for _, _, rows in cells), default=1)
    dots = [
        Dot(
            round(CIRCLE / 2 + valence * radius, 1),
            round(CIRCLE / 2 - arousal * radius, 1),
            round(max(_LEAST_DOT, CELL_SIDE * radius * 0.6 * (rows / most) ** 0.5), 1),
            int(rows),
        )
        for valence, arousal, rows in cells
    ]
    return Circle(title, sum(dot.rows for dot in dots), dots)


def build_errors(title: str, cells: Sequence[Sequence[float]]) -> Circle:
    """Draw a dot at the mean annotation of each cell, and a line from it to the mean answer.

    Args:
        title: what it is.
        cells: the result of `network.error_cells`.
    """
    radius, middle = CIRCLE / 2 / _ROOM, CIRCLE / 2
    circle = build_circle(title, [(valence, arousal, int(rows)) for valence, arousal, _, _, rows in cells])
    lines = [
        tuple(round(middle + sign * radius * at, 1) for sign, at in zip((1, -1, 1, -1), cell[:4], strict=True))
        for cell in cells
    ]
    return replace(circle, errors=[(x, y, to_x, to_y) for x, y, to_x, to_y in lines])


@dataclass(frozen=True, slots=True)
class Cloud:
    """Points of one kind: the path of an SVG that draws a round dot at each."""

    name: str
    path: str


def build_map(marks: Mapping[str, Sequence[tuple[float, float]]]) -> list[Cloud]:
    """Lay out points in a square of the side CIRCLE, with MARGIN around them.

    Args:
        marks: name -> x and y of its points, in 0..1 from the top left.
    """

    def at(share: float) -> float:
        return MARGIN + share * (CIRCLE - 2 * MARGIN)

    return [Cloud(name, "".join(f"M{at(x):.1f} {at(y):.1f}h0" for x, y in some)) for name, some in marks.items()]


def losses_plots(losses: Mapping[str, Any]) -> list[Plot]:
    """Return the loss, by its name, and the accuracy by epoch, of training and of validation.

    Args:
        losses: see `network.build_losses`.
    """
    epochs, start = losses.get("epoch", []), losses.get("fine_tuned_from")
    rule = None if start is None else (start - 0.5, "fine-tuning")  # between two epochs
    plots = []
    for what, title in (("loss", losses.get("name", "loss")), ("accuracy", "accuracy")):
        lines = {
            split: _points(epochs, losses.get(f"{name}_{what}", ()))
            for name, split in (("train", "training"), ("val", "validation"))
        }
        plots.append(build_plot({name: line for name, line in lines.items() if line}, "epoch", title, rule=rule))
    return [plot for plot in plots if plot is not None]


def _points(xs: Iterable[float | None], ys: Iterable[float | None]) -> list[tuple[float, float]]:
    pairs = zip(xs, ys, strict=False)
    return [(x, y) for x, y in pairs if x is not None and y is not None and np.isfinite([x, y]).all()]


def calibration_plot(bins: Sequence[Mapping[str, Any]]) -> Plot | None:
    """Return the share of right answers over the confidence, beside the line where both are equal."""
    line = [(entry["confidence"], entry["accuracy"]) for entry in bins]
    lines = {"this network": line, "perfect": [(0, 0), (1, 1)]}
    return build_plot(lines if line else {}, "confidence", "share right", unit=True)
