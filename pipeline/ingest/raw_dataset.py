"""What a reader yields for each row of a raw dataset: an annotation, or the reason why the row is rejected."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pipeline.core.errors import SourceError
from pipeline.core.params import IngestParams
from pipeline.core.schema import Reason
from pipeline.core.split_names import split_name
from pipeline.ingest.dataset_options import NOT_GIVEN, OWN_SCALE, DatasetOptions, Scale, code_key, code_of
from pipeline.ingest.parsing.attributes import NO_ATTRIBUTES, Attributes, read_attributes
from pipeline.ingest.parsing.moved_paths import Moved
from pipeline.ingest.trees.tree import Tree
from pipeline.video.container import is_video

# The name under which rows without a split are counted.
NO_SPLIT: Final = "all"
Box = tuple[float, float, float, float]

PICTURE_SUFFIXES: Final = frozenset(
    # Formats that align reads.
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".pgm", ".ppm", ".pnm"}
    # Formats that align refuses by name. They count as pictures, so that no file of a class folder is silently ignored.
    | {".jp2", ".j2k", ".heic", ".heif", ".avif", ".jxl", ".tga", ".pbm"}
)


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """One rejected row and the reason. `path` is as the row gives it; `subject` whom its picture shows, if known."""

    path: str
    reason: Reason
    detail: str
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Annotation:
    """One annotated face, as the raw dataset has it.

    `path` is the picture's name in the tree, or why there is none (see `RawDataset.find`); such a row still counts in
    the
    release's counts. Geometry is in pixels of the picture; `valence`, `arousal`, `dominance` are on [-1, 1]; `row` says
    where it stands.
    """

    path: str | RejectedRow
    labels: tuple[str, ...]
    row: str
    n: int | None = None  # the face's number in its picture, where the raw dataset numbers them; else counted
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
    attributes: Attributes = NO_ATTRIBUTES
    time_s: float | None = None  # of a frame of the video `path`; `n` is then the same in milliseconds


Row = Annotation | RejectedRow


@dataclass(slots=True)
class RawDataset:
    """A tree whose format is known. `root` is the folder inside it where the layout begins; "" is the tree itself."""

    tree: Tree
    root: str
    params: IngestParams
    options: DatasetOptions = field(default_factory=DatasetOptions)
    # Yields all paths in the dataset's lists, if it has any; from these, folders of another machine are mapped to ours.
    listed: Callable[[], Iterator[str]] | None = None
    scales: Mapping[str, Scale] = field(default_factory=dict)  # of the affect that rows hold; as samples have it if not
    compared: int = 0  # rows whose folder names a class too
    contradicted: int = 0  # and those where it is another
    notes: list[str] = field(default_factory=list)
    dropped: dict[str, tuple[str, int]] = field(default_factory=dict)  # what was left empty -> the first row, how many
    moved: dict[str, tuple[str, int]] = field(default_factory=dict)  # which foreign folder is which -> the same
    meant: int = 0  # cells and folders that were read as `DatasetOptions.classes` says
    _moved: Moved | None = None
    _splits: frozenset[str] | None = None

    @property
    def columns(self) -> Mapping[str, str]:
        """Return role -> column of a csv, as in params.yaml."""
        return self.options.columns

    def scale(self, what: str) -> Scale:
        """Return the scale of valence, arousal or dominance in the rows."""
        return self.scales.get(what, OWN_SCALE)

    def meaning(self, text: str, row: str, classes: Mapping[str, str] | None = None) -> str:
        """Return the label of a cell or of a folder's name: its meaning in params.yaml, otherwise itself.

        That of -1 is "", which is no label, unless params.yaml has one.

        Args:
            text: a code or a name.
            row: file and line, for errors.
            classes: what codes mean, if not `DatasetOptions.meanings`.

        Raises:
            SourceError: params.yaml says what codes mean, but not this one.
        """
        known = self.options.meanings() if classes is None else classes
        meaning = known.get(code_key(text))
        if meaning is None and code_key(text) == NOT_GIVEN:
            return ""
        if meaning is None and known and code_of(text) is not None:
            raise SourceError(
                f"{self.tree.src}: {row}: code {code_key(text)} has no meaning; add it to classes in params.yaml"
            )
        self.meant += meaning is not None
        return text if meaning is None else meaning

    def drop(self, what: str, row: str) -> None:
        """Count an impossible value of a row, which is left empty; `said` reports the counts."""
        first, count = self.dropped.get(what, (row, 0))
        self.dropped[what] = first, count + 1

    def attributes(self, row: str, *, gender: str = "", age: str = "", race: str = "") -> Attributes:
        """Return what three cells say about a person (`read_attributes`); unusable ones are dropped."""
        found, unusable = read_attributes(gender, age, race)
        for what in unusable:
            self.drop(what, row)
        return found

    def said(self) -> list[str]:
        """Return the notes of the reader, and one for each kind of value that was left empty or path that was moved."""
        return (
            self.notes
            + [
                f"{first}: an unusable {what} is left empty, as in {count} rows in all"
                for what, (first, count) in self.dropped.items()
            ]
            + [
                f"{first}: a path of another machine, where {what}; {count} rows in all are read so"
                for what, (first, count) in self.moved.items()
            ]
        )

    def at(self, name: str) -> str:
        """Return the path in the tree of a path in the layout."""
        return join(self.root, name)

    def find(self, given: str, bases: Sequence[str], row: str) -> str | RejectedRow:
        """Return the path in the tree of the picture that a row refers to, or a rejected row.

        Args:
            given: the path as the row gives it.
            bases: folders of the tree that it may be relative to, the most likely first.
            row: file and line, for the reject.
        """
        for base in bases:
            # The unchanged path is tried first, because a name may begin with a space or contain a backslash.
            if (as_it_stands := join(base, given)) in self.tree:
                return as_it_stands
        inside = [name for base in bases if (name := normal(base, given)) is not None]
        for name in inside:
            if name in self.tree:
                return name
        for name in inside:
            if target := self.tree.outside(name):
                return RejectedRow(given, Reason.outside_root, f"{row}: a link out of the tree, to {target}")
        if not inside:
            return RejectedRow(given, Reason.outside_root, f"{row}: leads out of the tree")
        for name in inside:
            alike = self.tree.match(name) or with_suffix(self.tree, name)
            if len(alike) == 1:
                return alike[0]
        return RejectedRow(given, Reason.missing_file, f"{row}: no such file: {inside[0]}")

    def find_ending(self, given: str, bases: Sequence[str], row: str, split: str | None = None) -> str | RejectedRow:
        """Return the picture like `find`; if it is in none of the folders, the only file whose path ends the same way.

        The path may come from another machine or start in a folder above the tree (`moved`), or lack the suffix.

        Args:
            given: the path as the row gives it.
            bases: as of `find`.
            row: file and line, for the reject.
            split: of the row; pictures in the folder of another split are not meant if this one has a folder, too.
        """
        found = self.find(given, bases, row)
        if isinstance(found, str):
            return found
        name = normal("", given)
        alike = self._ending(name) if name and found.reason is Reason.missing_file else []
        alike = self._of_split(alike, split)
        if not alike and (alike := self._of_split(self._elsewhere(given), split)) and len(alike) == 1:
            what = self._learned().described(given)
            first, count = self.moved.get(what, (row, 0))
            self.moved[what] = first, count + 1
        if len(alike) > 1:
            return RejectedRow(
                given, Reason.bad_row, f"{row}: {given} may be {alike[0]} or {alike[1]}; give its folder or suffix"
            )
        return alike[0] if alike else found

    def _ending(self, name: str) -> list[str]:
        """Return the files whose path ends like `name`, or those pictures that do so without their suffix."""
        return self.tree.ending(name) or ([] if is_picture(name) else without_suffix(self.tree, name))

    def _of_split(self, alike: list[str], split: str | None) -> list[str]:
        if split is None or not alike:
            return alike
        if self._splits is None:
            folders = {name.rpartition("/")[0] for name in self.tree.names() if is_picture(name)}
            self._splits = frozenset(found for folder in folders if (found := _split_in(folder)))
        wanted = split_name(split)
        theirs = [_split_in(name.rpartition("/")[0]) for name in alike]
        same = [name for name, of in zip(alike, theirs, strict=True) if of == wanted]
        others = [name for name, of in zip(alike, theirs, strict=True) if of is None or wanted not in self._splits]
        return same or others

    def _elsewhere(self, given: str) -> list[str]:
        return [] if self.listed is None else self._learned().find(given)

    def _learned(self) -> Moved:
        if self._moved is None:
            self._moved = Moved(self.tree, self.listed() if self.listed else ())
        return self._moved


def _split_in(folder: str) -> str | None:
    return next((found for part in reversed(folder.split("/")) if (found := split_name(part))), None)


def name_of(path: str | RejectedRow) -> str:
    """Return the path of a picture that was found, or as its row gives it."""
    return path if isinstance(path, str) else path.path


def join(folder: str, name: str) -> str:
    """Join two POSIX names; "" is the root."""
    return f"{folder}/{name}" if folder and name else folder or name


def normal(base: str, given: str) -> str | None:
    """Return `given`, relative to `base`, without dots; None if it is absolute or leads out of the tree."""
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
    """Return whether a name has the suffix of a picture."""
    base, dot, suffix = name.rpartition("/")[2].rpartition(".")
    return bool(base) and dot + suffix.lower() in PICTURE_SUFFIXES


def is_medium(name: str) -> bool:
    """Return whether a name has the suffix of a picture or of a video."""
    return is_picture(name) or is_video(name)


def with_suffix(tree: Tree, name: str) -> list[str]:
    """Return the pictures that a name without a suffix may mean."""
    if is_picture(name):
        return []
    return [found for suffix in sorted(PICTURE_SUFFIXES) for found in tree.match(name + suffix)]


def without_suffix(tree: Tree, name: str) -> list[str]:
    """Return the pictures, or else videos, whose paths end like a name without a suffix; 7.0, of a number, is 7."""
    code = code_of(name)
    names = {name, name if code is None else str(code)}
    alike = [one for name in names for one in tree.with_stem(name.rpartition("/")[2]) if is_medium(one)]
    ends = tuple(f"/{name.casefold()}" for name in names)
    found = [one for one in alike if f"/{one.rpartition('.')[0].casefold()}".endswith(ends)]
    return list(filter(is_picture, found)) or found


def stem(name: str) -> str:
    """Return the base name without its last suffix."""
    base = name.rpartition("/")[2]
    return base.rpartition(".")[0] or base
