"""What a reader yields for each row of a dump: an annotation, or why the row is left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pipeline.params import IngestParams
from pipeline.schema import Reason
from pipeline.sources.tree import Tree

# Under this name are counted the rows of a dump without splits.
NO_SPLIT: Final = "all"
Box = tuple[float, float, float, float]

PICTURE_SUFFIXES: Final = frozenset(
    # Those that are read.
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".pgm", ".ppm", ".pnm"}
    # And those that align refuses by name: no picture of a class folder is passed over in silence.
    | {".jp2", ".j2k", ".heic", ".heif", ".avif", ".jxl", ".tga", ".pbm"}
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """One row that is left out, and why. `path` is as the row gives it."""

    path: str
    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Annotation:
    """One annotated face, as the dump has it.

    `path` is the picture's name in the tree, or why there is none (see `Dump.find`); such a row still counts in the
    release's counts. Geometry is in pixels of the picture; `valence`, `arousal`, `dominance` are on [-1, 1]; `row` says
    where it stands.
    """

    path: str | Refusal
    labels: tuple[str, ...]
    row: str
    n: int | None = None  # the face's number in its picture, where the dump numbers them; else counted
    distinct: bool = False  # rows of one picture are different faces, whatever their boxes
    box: Box | None = None
    box_kind: str | None = None
    landmarks: Sequence[float] | None = None
    subject: str | None = None
    sequence: str | None = None
    split: str | None = None
    votes: tuple[float, ...] | None = None
    valence: float | None = None
    arousal: float | None = None
    dominance: float | None = None


Row = Annotation | Refusal


@dataclass(slots=True)
class Dump:
    """A tree of which is known what it is. `root` is the folder inside it where the layout begins, "" for itself."""

    tree: Tree
    root: str
    params: IngestParams
    columns: Mapping[str, str]
    compared: int = 0  # rows whose folder names a class too
    contradicted: int = 0  # and those where it is another
    notes: list[str] = field(default_factory=list)
    dropped: dict[str, tuple[str, int]] = field(default_factory=dict)  # what was left empty -> the first row, how many

    def drop(self, what: str, row: str) -> None:
        """Remember that a row gives a value that cannot be meant, so that it is left empty; `said` counts them."""
        first, count = self.dropped.get(what, (row, 0))
        self.dropped[what] = first, count + 1

    def said(self) -> list[str]:
        """Return the notes of the reader, and one for each kind of value that was left empty."""
        return self.notes + [
            f"{first}: an unusable {what} is left empty, as in {count} rows in all"
            for what, (first, count) in self.dropped.items()
        ]

    def at(self, name: str) -> str:
        """Return the name in the tree of a name in the layout."""
        return join(self.root, name)

    def find(self, given: str, bases: Sequence[str], row: str) -> str | Refusal:
        """Return the name in the tree of the picture that a row gives.

        Args:
            given: the path as it stands in the row.
            bases: the folders of the tree it may be relative to, the likeliest first.
            row: where the row stands, for the refusal.
        """
        for base in bases:
            # As it stands first: a name may well begin with a space or hold a backslash.
            if (as_it_stands := join(base, given)) in self.tree:
                return as_it_stands
        inside = [name for base in bases if (name := normal(base, given)) is not None]
        for name in inside:
            if name in self.tree:
                return name
        for name in inside:
            if target := self.tree.outside(name):
                return Refusal(given, Reason.outside_root, f"{row}: a link out of the tree, to {target}")
        if not inside:
            return Refusal(given, Reason.outside_root, f"{row}: leads out of the tree")
        for name in inside:
            if len(alike := self.tree.match(name)) == 1:
                return alike[0]
        return Refusal(given, Reason.missing_file, f"{row}: no such file: {inside[0]}")

    def find_ending(self, given: str, bases: Sequence[str], row: str) -> str | Refusal:
        """Return the picture as `find` does; where it is in none of the folders, the one file whose path ends so."""
        found = self.find(given, bases, row)
        if isinstance(found, str) or found.reason is not Reason.missing_file:
            return found
        name = normal("", given)
        alike = self.tree.ending(name) if name else []
        if len(alike) > 1:
            return Refusal(given, Reason.bad_row, f"{row}: {given} may be {alike[0]} or {alike[1]}; give its folder")
        return alike[0] if alike else found


def name_of(path: str | Refusal) -> str:
    """Return the name of a picture that was found, or as its row gives it."""
    return path if isinstance(path, str) else path.path


def join(folder: str, name: str) -> str:
    """Join two POSIX names; "" is the root."""
    return f"{folder}/{name}" if folder and name else folder or name


def normal(base: str, given: str) -> str | None:
    """Return `given`, relative to `base`, without dots; None where it is absolute or leads out of the tree."""
    text = given.strip().replace("\\", "/")
    if not text or text.startswith(("/", "~/")) or (len(text) > 1 and text[1] == ":"):
        return None
    parts: list[str] = []
    for part in join(base, text).split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in {"", "."}:
            parts.append(part)
    return "/".join(parts) or None


def is_picture(name: str) -> bool:
    """Say whether a name ends like a picture's."""
    base, dot, suffix = name.rpartition("/")[2].rpartition(".")
    return bool(base) and dot + suffix.lower() in PICTURE_SUFFIXES


def stem(name: str) -> str:
    """Return the base name without its last suffix."""
    base = name.rpartition("/")[2]
    return base.rpartition(".")[0] or base
