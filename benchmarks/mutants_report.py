"""The page about the mutants: how many were killed in each area, and why the others were not."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

PAGE: Final = Path(__file__).parents[1] / "docs" / "mutants.md"
_HEAD: Final = """# Mutants

A mutant is the code with one small fault (`<` for `<=`, a number one larger, an argument left out ...), made by mutmut;
it is killed when a test fails. `make mutants` makes them in every function of nine areas and writes this page.
Where an area has more than are tried, they are drawn at random with the seed that the table names. Tests were written
after the draw with seed 1 was seen; another seed tells whether they were written for that draw alone. That of the
readers was drawn anew after an earlier one, 86 of whose 110 were killed, had given them their tests. A mutant of theirs
meets six seconds of tests, which killed 83, and if it survives the others: in this run those that mirror its module.
A reason that begins with "since this run" names the test that was written for that mutant and has not met it yet.

| area | mutants | tried | killed | share | seed |
|---|--:|--:|--:|--:|--:|
"""
_ROW: Final = re.compile(r"^\| (\w+) \| \d+ \| .* \| (\w+) \|$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Survivor:
    """A mutant that no test noticed.

    Attributes:
        name: mutmut's.
        change: the lines as they were (-) and as they are (+).
    """

    name: str
    change: str

    @property
    def place(self) -> str:
        """Module and function, as `models.training.augment.blur` or `pipeline.labels.taxonomy.Lookup.find`."""
        module, _, function = self.name.partition(".x")
        return f"{module}.{function.rpartition('__mutmut_')[0].removeprefix('_').removeprefix('ǁ').replace('ǁ', '.')}"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of the mutants of one area.

    Attributes:
        area: its name.
        made: mutants in all.
        decided: those that were tried.
        seed: of their draw.
        survivors: those that no test noticed, or that no test runs.
    """

    area: str
    made: int
    decided: int
    seed: int
    survivors: tuple[Survivor, ...]

    @property
    def killed(self) -> int:
        """How many were noticed."""
        return self.decided - len(self.survivors)

    @property
    def share(self) -> float:
        """Of those that were tried."""
        return self.killed / max(1, self.decided)


def build_page(results: Sequence[Result], areas: Sequence[str], before: str) -> str:
    """Return the page as Markdown, with the reasons of docs/mutants.yaml.

    Args:
        results: of this run.
        areas: all of them, in the order of the page.
        before: the page as it is: what it says of other areas and of draws with other seeds stays.
    """
    known = yaml.safe_load(PAGE.with_suffix(".yaml").read_text(encoding="utf-8"))
    rows, parts = _read_page(before)
    for one in results:
        key = (one.area, "all" if one.decided == one.made else str(one.seed))
        rows[key] = f"| {one.area} | {one.made} | {one.decided} | {one.killed} | {one.share:.1%} | {key[1]} |"
        parts[key] = "\n".join(_line(each, known) for each in one.survivors)
    order = sorted((key for key in rows if key[0] in areas), key=lambda key: (areas.index(key[0]), key[1]))
    table = [rows[key] for key in order]
    table += [f"| {area} | not run | | | | |" for area in areas if area not in {of for of, _ in order}]
    sections = [f"## {area}, seed {seed}: survivors\n\n{text}" for area, seed in order if (text := parts[area, seed])]
    return "\n\n".join([_HEAD + "\n".join(table), *sections]) + "\n"


def _read_page(page: str) -> tuple[dict[tuple[str, str], str], dict[tuple[str, str], str]]:
    """Return by area and seed the rows of a page's table and the lines of its survivors."""
    rows = {(found[1], found[2]): found[0] for found in _ROW.finditer(page)}
    parts = dict.fromkeys(rows, "")
    for part in page.split("\n## ")[1:]:
        title, _, text = part.partition("\n")
        area, _, seed = title.removesuffix(": survivors").partition(", seed ")
        parts[area, seed] = text.strip()
    return rows, parts


def _line(survivor: Survivor, known: Sequence[Mapping[str, Any]]) -> str:
    """Return what was changed where, and the first reason of whose words the change took away or added some."""
    before, after = (
        " ".join(line[1:].strip() for line in survivor.change.splitlines() if line.startswith(sign)) for sign in "-+"
    )
    reason = "**open**"
    for entry in known:
        words = str(entry["words"])
        if entry.get("place", "") in survivor.place and before.count(words) != after.count(words):
            reason = str(entry["reason"])
            break
    return f"- `{survivor.place}`: `{before}` → `{after}`: {reason}"
