"""The learning curve as lines of text."""

from collections.abc import Iterator, Mapping
from typing import Any

from models.personal.networks import NETWORKS


def said_lines(summary: Mapping[str, Any], *, draws: int, seed: int) -> Iterator[str]:
    """Yield the table of a summary of `models.personal.stage.run`: a line for each number of shots."""
    people, curve = summary["people"], summary["curve"]
    who = people[0] if len(people) == 1 else f"{len(people)} people"
    left = "; ".join(f"{count} left out: {why}" for why, count in summary["left_out"].items())
    over = "draws" if len(people) == 1 else "people"
    yield f"{who}, {draws} draws, seed {seed}, 95% intervals over {over}" + (f"; {left}" if left else "")
    for name in ("accuracy", "ccc"):
        if name not in next(iter(curve.values())):
            continue
        yield "  ".join(["shots", *(f"{network:>8}" for network in NETWORKS), f"gain in {name} of personal on general"])
        for shots, scores in curve.items():
            cells = [_number(scores[name][network]) for network in NETWORKS]
            yield "  ".join([f"{shots:>5}", *(f"{cell:>8}" for cell in cells), _gain(scores[name]["gain"])])
    never = summary["never_shown"]
    if never:
        listed = [f"{person.partition('/')[2]}: {', '.join(names)}" for person, names in sorted(never.items())]
        more = f" and {len(listed) - 5} more (summary.json)" if len(listed) > 5 else ""
        yield f"classes never shown: {'; '.join(listed[:5])}{more}"


def _number(cell: Mapping[str, Any] | None) -> str:
    return "-" if cell is None else f"{cell['value']:.3f}"


def _gain(cell: Mapping[str, Any] | None) -> str:
    if cell is None:
        return "-"
    ends = "" if cell["low"] is None else f" ({cell['low']:+.3f} to {cell['high']:+.3f})"
    return f"{cell['value']:+.3f}{ends}"
