"""FER+: the votes of ten people for each picture of FER2013.

Barsoum, Zhang, Canton Ferrer, Zhang: Training Deep Networks for Facial Expression Recognition with Crowd-Sourced Label
Distribution, ICMI 2016. Votes and pictures are joined by the order of rows, because names may be blank.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest
from typing import Final, NamedTuple

from pipeline.core.errors import SourceError
from pipeline.core.schema import PIXEL_TABLE_SUFFIX, Reason
from pipeline.ingest.parsing.delimited import Delimited, Record, number
from pipeline.ingest.parsing.pixels import COLUMNS, pixel_table
from pipeline.ingest.raw_dataset import Annotation, RawDataset, RejectedRow, Row, join
from pipeline.ingest.readers.fer2013 import votes_file
from pipeline.ingest.readers.fer_tables import is_ckextended, named_split, note_others, pixel_files
from pipeline.ingest.readers.reader import Reader
from pipeline.ingest.trees.tree import Tree

VOTES: Final = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
    "unknown",
    "NF",
)
_EXPECTED: Final = ("Usage", "Image name", *VOTES)
_FOLDERS: Final = {"Training": "FER2013Train", "PublicTest": "FER2013Valid", "PrivateTest": "FER2013Test"}


class _Pixels(NamedTuple):
    """The place of a row of pixels, and its split."""

    name: str
    n: int
    row: str
    usage: str


class FerPlus(Reader):
    """`fer2013new.csv` beside `fer2013.csv`, or beside the pictures that its authors' script makes of it."""

    name = "ferplus"
    cut_out = True
    labels = VOTES
    layout = (
        "fer2013new.csv with the columns Usage, Image name and ten of votes, beside fer2013.csv (or its splits, or its "
        "folder) or FER2013Train/; "
        "or FER2013Train/label.csv"
    )
    pictures_in_table = True

    def evidence(self, tree: Tree, root: str) -> str | None:
        """See `Reader.evidence`."""
        if name := votes_file(tree, root):
            return f"{name} holds votes" if Delimited(tree, name, _EXPECTED).has(*VOTES) else None
        found = next(_lists(tree, root), None)
        return f"{found[1]} lists pictures and votes" if found else None

    def read(self, raw: RawDataset) -> Iterator[Row]:
        """See `Reader.read`."""
        votes = votes_file(raw.tree, raw.root)
        if votes is None:
            raw.listed = lambda: (
                record.at(0)
                for _, listed in _lists(raw.tree, raw.root)
                for record in Delimited(raw.tree, listed).records()
            )
            for usage, listed in _lists(raw.tree, raw.root):
                for record in Delimited(raw.tree, listed).records():
                    path = raw.find_ending(record.at(0), [listed.rpartition("/")[0]], record.row)
                    # Its box is one cell in quotes, or four.
                    between = len(record.cells) - 1 - len(VOTES)
                    votes_ = record.cells[-len(VOTES) :] if between in {0, 1, 4} else ()
                    cells = tuple(number(cell) for cell in votes_)
                    yield _row(path, cells, record.row, usage=usage)
            return
        yield from self._read_table(raw, Delimited(raw.tree, votes, _EXPECTED))

    def _read_table(self, raw: RawDataset, votes: Delimited) -> Iterator[Row]:
        tables = _pixel_tables(raw)
        if not tables:
            bases = {usage: _bases(raw, folder) for usage, folder in _FOLDERS.items()}
            for n, record in enumerate(votes.records()):
                name = record.get("Image name") or f"fer{n:07d}.png"
                path = raw.find(name, bases.get(record.get("Usage"), [raw.root]), record.row)
                yield _row(path, () if record.surplus() else _votes(record), record.row, usage=record.get("Usage"))
            return
        note_others(raw, tables)
        rows = chain.from_iterable(_pixel_rows(raw.tree, name, tables) for name in tables)
        for record, found in zip_longest(votes.records(), rows):
            joined, row = _joined(record, found, f"{raw.tree.src}/{found.name if found else tables[-1]}")
            cells = () if joined.surplus() else _votes(joined)
            yield _row(row.name, cells, joined.row, usage=joined.get("Usage") or row.usage, n=row.n)

    def picture(self, tree: Tree, path: str, n: int) -> bytes:
        """See `Reader.picture`."""
        return pixel_table(tree, path).read(n) if path.casefold().endswith(PIXEL_TABLE_SUFFIX) else tree.read(path)


def _lists(tree: Tree, root: str) -> Iterator[tuple[str, str]]:
    """Yield (usage, name) of the lists that the authors' script writes next to the pictures: name, box, ten votes."""
    for usage, folder in _FOLDERS.items():
        found = (join(root, join(at, f"{folder}/label.csv")) for at in ("", "data"))
        yield from ((usage, name) for name in found if name in tree)


def _bases(raw: RawDataset, folder: str) -> list[str]:
    return [raw.at(join(at, folder)) for at in ("", "images", "data", "Images")] + [raw.at("images"), raw.root]


def _pixel_tables(raw: RawDataset) -> list[str]:
    """Return the table of all pictures, or those of the splits in the order of the votes.

    They are in the folder of the votes, in data/ or fer2013/ below it, or in a folder beside it.
    """
    around = raw.root.rpartition("/")[0]
    near = [raw.root, *(raw.at(name) for name in raw.tree.listing(raw.root).folders)]
    if raw.root:
        near += [around, *(join(around, name) for name in raw.tree.listing(around).folders)]
    found = next((names for folder in near if (names := pixel_files(raw.tree, folder))), [])
    names = [name for name in found if not is_ckextended(raw.tree, name)]
    if len(names) < 2:
        return names
    usages = {name: {row.usage for row in _pixel_rows(raw.tree, name, names)} for name in names}
    whole = next((name for name in names if len(usages[name]) > 1), None)
    parts = {usage: name for name in reversed(names) for usage in usages[name]}
    return [whole] if whole else [parts[usage] for usage in _FOLDERS if usage in parts] or names[:1]


def _pixel_rows(tree: Tree, name: str, tables: Sequence[str]) -> Iterator[_Pixels]:
    split = named_split(name, tables)
    for n, record in enumerate(Delimited(tree, name, COLUMNS).records()):
        yield _Pixels(name, n, record.row, record.get("Usage") or split or "")


def _joined(record: Record | None, found: _Pixels | None, where: str) -> tuple[Record, _Pixels]:
    """Check that two rows belong to one picture, because a table of another length or order would shift every label."""
    if record is None or found is None:
        longer = record or found
        raise SourceError(f"{where}: {longer.row if longer else ''} has no partner: the tables differ in length")
    usage = record.get("Usage")
    if usage and found.usage and usage != found.usage:
        raise SourceError(f"{where}: {record.row} is of {usage}, {found.row} of {found.usage}: not in the same order")
    return record, found


def _votes(record: Record) -> tuple[float | None, ...]:
    return tuple(record.number(name) for name in VOTES)


def _row(
    path: str | RejectedRow, votes: tuple[float | None, ...], row: str, *, usage: str, n: int | None = None
) -> Row:
    given = tuple(vote for vote in votes if vote is not None and vote >= 0)
    if len(given) != len(VOTES) or not sum(given):
        name = path if isinstance(path, str) else path.path
        return RejectedRow(name, Reason.bad_row, f"{row}: expected ten numbers of votes, at least one above 0")
    return Annotation(path, VOTES, row, n=n, votes=given, split=usage or None)
