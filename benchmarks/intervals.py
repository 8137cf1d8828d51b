"""Coverage of the 95% intervals by the number of people: writes docs/intervals.md.

Run with `make bench-intervals`. The accuracy of a person is drawn from a beta distribution with mean 2/3. A person has
ten faces or a log-normal number of them. The true value is the score of 40,000 such people.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from models.evaluation.metrics import Answers, Bootstrap, Measured, measure

PAGE: Final = Path(__file__).parents[1] / "docs" / "intervals.md"
SCORES: Final = ("accuracy", "balanced_accuracy", "macro_f1", "loss")
PEOPLE: Final = (2, 3, 5, 10, 20, 50)
_RUNS: Final = 300
_POPULATION: Final = 40_000
_BOOTSTRAP: Final = Bootstrap(400, 1, 15)
_HEAD: Final = f"""# How far to trust an interval

This page shows how often a 95% interval contains the true value, simulated with {_RUNS} test sets for each row, so the
shares are accurate to ±0.03 (`make bench-intervals`). The first number is for the interval in metrics.json: the
expanded percentile interval, or Student's for two to four people. The number in brackets is for the plain percentile
interval. Below 20 people or groups, `evaluate` warns that its intervals are rough.

| faces per person | classes | people | {" | ".join(SCORES)} |
|---|---|---|{"---|" * len(SCORES)}
"""


def draw_people(generator: np.random.Generator, people: int, classes: int, *, equal: bool) -> Answers:
    """Return the answers to the faces of some people."""
    faces = np.full(people, 10) if equal else np.ceil(generator.lognormal(1.7, 1.0, people)).astype(int)
    skill = generator.beta(4, 2, people)
    group = np.repeat(np.arange(people), faces)
    label = generator.integers(0, classes, len(group))
    right = generator.random(len(group)) < skill[group]
    other = (label + generator.integers(1, classes, len(group))) % classes
    sure = generator.uniform(0.5, 0.95, len(group))
    loss = -np.log(np.where(right, sure, (1 - sure) / (classes - 1)))
    return Answers(label, np.where(right, label, other), sure, group, loss)


def simulate(classes: int, people: int, *, equal: bool, runs: int = _RUNS) -> dict[str, tuple[float, float]]:
    """Return for each score how often our interval and the plain percentile one held the truth."""
    generator = np.random.default_rng([classes, people, int(equal)])
    whole = draw_people(generator, _POPULATION, classes, equal=equal)
    truth = {name: found.value for name, found in measure(whole, Bootstrap(1, 1, 15)).scores.items()}
    held = {name: np.zeros(2) for name in SCORES}
    for _ in range(runs):
        measured = measure(draw_people(generator, people, classes, equal=equal), _BOOTSTRAP)
        for name in SCORES:
            held[name] += [low <= truth[name] <= high for low, high in _ends(measured, name)]
    return {name: (float(count[0] / runs), float(count[1] / runs)) for name, count in held.items()}


def _ends(measured: Measured, name: str) -> Iterator[tuple[float, float]]:
    found = measured.scores[name]
    assert found.low is not None
    assert found.high is not None
    yield found.low, found.high
    low, high = np.percentile(measured.draws[name], [2.5, 97.5])
    yield float(low), float(high)


def main() -> None:
    """Write the page."""
    lines = []
    for equal in (True, False):
        for classes in (2, 7):
            for people in PEOPLE:
                found = simulate(classes, people, equal=equal)
                cells = " | ".join(f"{ours:.2f} ({plain:.2f})" for ours, plain in found.values())
                lines.append(f"| {'ten' if equal else 'unequal'} | {classes} | {people} | {cells} |\n")
    PAGE.write_text(_HEAD + "".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
