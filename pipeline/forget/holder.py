"""A place that shows withdrawn samples."""

from dataclasses import dataclass
from typing import Final

UNPROVEN: Final = "unproven"  # the kind of a place that nobody could look into
RAW: Final = "raw"
TABLE: Final = "table"


@dataclass(frozen=True, slots=True, order=True)
class Holder:
    """A place that shows a withdrawn sample, or of which nobody can say that it does not.

    Attributes:
        kind: raw, table (a raw one, with a picture in a row), result, drawn, parts, cache, experiment, remote, or
            unproven: a place that nobody could look into.
        place: a path from the project's root, the name of an experiment, or the name of a remote.
        samples: whose bytes it holds; empty if that cannot be seen.
        detail: what it is, in words.
        member: the name in the archive `place`, as it is stored there; "" if `place` is no archive.
    """

    kind: str
    place: str
    samples: tuple[str, ...]
    detail: str
    member: str = ""

    @property
    def where(self) -> str:
        """Return the place for people, with the member of an archive after a colon."""
        return f"{self.place}:{self.member}" if self.member else self.place
