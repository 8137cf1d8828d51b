"""The page about the mutants: how many were killed in each area, and why the others were not."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import yaml

PAGE: Final = Path(__file__).parents[1] / "docs" / "mutants.md"
_HEAD: Final = """# Mutants

A mutant is the code with one small fault (`<` for `<=`, a number one larger, an argument left out ...), made by mutmut;
it is killed when a test fails. `make mutants` makes them in every function of nine areas and writes this page.
Where an area has more than are tried, they are drawn at random with the seed that the table names.
A reason that begins with "since this run" names the test that was written for that mutant and has not met it yet.

| area | mutants | tried | killed | share | seed |
|---|--:|--:|--:|--:|--:|
"""


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
        """Module and function, as `models.augment.blur` or `pipeline.taxonomy.Lookup.find`."""
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

    def dumped(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1)

    @classmethod
    def read(cls, path: Path) -> "Result":
        """Return what `dumped` wrote."""
        content = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**content, "survivors": tuple(Survivor(**one) for one in content["survivors"])})


def build_page(results: Sequence[Result], missing: Collection[str]) -> str:
    """Return the page as Markdown, with the reasons of docs/mutants.yaml; `missing` are the areas that did not run."""
    known = yaml.safe_load(PAGE.with_suffix(".yaml").read_text(encoding="utf-8"))
    rows = [
        f"| {one.area} | {one.made} | {one.decided} | {one.killed} | {one.share:.1%} | {_seed(one)} |"
        for one in results
    ]
    rows += [f"| {area} | not run | | | | |" for area in sorted(missing)]
    parts = [_HEAD + "\n".join(rows)]
    parts += [
        f"## {one.area}: survivors\n\n" + "\n".join(_line(each, known) for each in one.survivors)
        for one in results
        if one.survivors
    ]
    return "\n\n".join(parts) + "\n"


def _seed(result: Result) -> str:
    return "all" if result.decided == result.made else str(result.seed)


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
