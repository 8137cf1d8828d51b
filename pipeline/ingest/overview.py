"""What is in a raw tree, without writing anything: what `ingest` would make of it, and what to type for that."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from pipeline.core.errors import SourceError
from pipeline.core.params import IngestParams
from pipeline.core.schema import Reason
from pipeline.ingest.clues import read_clues, suffix_of, unread_archives
from pipeline.ingest.dataset_options import DatasetOptions, SettingError
from pipeline.ingest.raw_dataset import NO_SPLIT, Annotation, RawDataset, RejectedRow, Row, is_picture, name_of
from pipeline.ingest.registry import Reader, Tree, locate, open_tree
from pipeline.ingest.releases.fingerprints import compare
from pipeline.ingest.samples import Listed, face_key, printable, same_labels
from pipeline.ingest.trees.tree import DamagedError, is_junk

_SHOWN: Final = 5  # examples of anything


@dataclass(slots=True)
class _Rows:
    """What the rows of a tree say."""

    rows: int = 0
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)  # by split and label
    rejected: Counter[str] = field(default_factory=Counter)
    named: set[str] = field(default_factory=set)
    first: dict[bytes, Annotation | None] = field(default_factory=dict)  # by face; None once another contradicted it
    listed: Listed = field(default_factory=Listed)

    def add(self, row: Row, *, multi_label: bool) -> None:
        """Count one row, as `Samples` would."""
        self.rows += 1
        self.named.add(row.path if isinstance(row, RejectedRow) else name_of(row.path))
        if isinstance(row, RejectedRow):
            self.rejected[row.reason] += 1
            return
        if row.labels:
            self.listed.add(row)
        if isinstance(row.path, RejectedRow):
            self.rejected[row.path.reason] += 1
        elif not row.labels:
            self.rejected[Reason.unlabelled] += 1
        else:
            self._count(row, row.path, multi_label=multi_label)

    def _count(self, row: Annotation, path: str, *, multi_label: bool) -> None:
        key = face_key(row, path)
        if key not in self.first:
            self.first[key] = row
            self.counts.update(_counted(row, multi_label=multi_label))
            return
        first = self.first[key]
        if first is not None and same_labels(first.labels, row.labels):
            self.rejected[Reason.duplicate_row] += 1
            return
        if first is not None:
            self.counts.subtract(_counted(first, multi_label=multi_label))
            self.rejected[Reason.conflicting_labels] += 1
        self.first[key] = None
        self.rejected[Reason.conflicting_labels] += 1

    def plain(self) -> dict[str, dict[str, int]]:
        """Return the number of rows by split and label."""
        counts = sorted((+self.counts).items())
        splits = sorted({split for (split, _), _ in counts})
        return {split: {label: n for (of, label), n in counts if of == split} for split in splits}


def _counted(row: Annotation, *, multi_label: bool) -> list[tuple[str, str]]:
    labels = row.labels if row.votes is None or multi_label else (row.labels[row.votes.index(max(row.votes))],)
    return [(row.split or NO_SPLIT, label) for label in labels]


def inspect_tree(src: str, params: IngestParams, *, dataset: str, fmt: str, options: DatasetOptions) -> dict[str, Any]:
    """Look at a raw tree; nothing is written.

    Args:
        src: a folder, an archive or a folder of archives.
        params: what readers use when a raw dataset can be read in more than one way.
        dataset: the name that it has or would have.
        fmt: a name of `pipeline.ingest.registry.READERS`, or "auto".
        options: the dataset's options in params.yaml.

    Returns:
        What was recognised and why or, under `problem`, why nothing can be read; rows by split and class; files and
        bytes by suffix; files with the same bytes; odd entries; clues to what else is there; and `entry`, the dataset's
        entry in params.yaml. In place of what only a person can say, it has "…".

    Raises:
        SourceError: there is nothing that can be opened.
    """
    tree = open_tree(src)
    found: dict[str, Any] = {"src": src, "dataset": dataset, **_sizes(tree)}
    rows = _Rows()
    entry: dict[str, Any] = {"src": src, "format": fmt, "role": "both"}
    raw = None
    try:
        reader, root, why = locate(tree, fmt, options.classes)
        found |= {"format": reader.name, "recognised": why, "root": root}
        entry["format"] = reader.name
        raw = RawDataset(tree, root, params, options)
        found |= _read(reader, raw, rows, dataset)
    except SourceError as error:
        # Where the layout is known, or known to be one of several, the error says all.
        unknown = read_clues(tree) if raw is None and not isinstance(error, SettingError) else ()
        clues = [clue for clue in map(str, unknown) if clue not in str(error)]
        found |= {"problem": str(error), "clues": clues}
        entry |= next((clue.entry for clue in unknown if clue.entry), {})
        if isinstance(error, SettingError):
            entry |= {key: of if isinstance(of, str) else dict(of) for key, of in error.entry.items()}
            found["filled_in"] = True
    found |= {"duplicates": _duplicates(tree), "odd": list(_odd(tree, rows, read=raw is not None))}
    return found | {"entry": entry}


def _read(reader: Reader, raw: RawDataset, rows: _Rows, dataset: str) -> dict[str, Any]:
    for row in reader.read(raw):
        rows.add(row, multi_label=reader.multi_label)
    verdict = compare(reader.name, rows.listed, raw, name=dataset, accepted=True)
    refused = {}
    if verdict.accepted is not None and dataset not in raw.params.accept_mismatch:
        refused = {"refused": verdict.accepted}
    notes = [*raw.said(), *(() if refused else verdict.notes)]
    said = {"rows": rows.rows, "counts": rows.plain(), "rejected": dict(sorted(rows.rejected.items()))}
    return said | {"release": dict(verdict.plain()), "notes": notes} | refused


def _sizes(tree: Tree) -> dict[str, Any]:
    """Return files and bytes, in total and by suffix, most files first."""
    files, sizes = Counter[str](), Counter[str]()
    for name in tree.names():
        files[suffix_of(name)] += 1
        sizes[suffix_of(name)] += tree.size(name)
    suffixes = {suffix: {"files": count, "bytes": sizes[suffix]} for suffix, count in files.most_common()}
    return {"files": files.total(), "bytes": sizes.total(), "suffixes": suffixes}


def _duplicates(tree: Tree) -> dict[str, Any]:
    """Return how many files have the bytes of another one. Only files of one size are read."""
    by_size: defaultdict[int, list[str]] = defaultdict(list)
    for name in tree.names():
        if tree.size(name):
            by_size[tree.size(name)].append(name)
    by_md5: defaultdict[str, list[str]] = defaultdict(list)
    for names in by_size.values():
        for name in names if len(names) > 1 else ():
            try:
                by_md5[tree.md5(name)].append(name)
            except DamagedError:
                continue
    sets = sorted(names for names in by_md5.values() if len(names) > 1)
    return {"files": sum(len(names) - 1 for names in sets), "examples": [names[:2] for names in sets[:_SHOWN]]}


def _odd(tree: Tree, rows: _Rows, *, read: bool) -> Iterator[dict[str, Any]]:
    """Yield what a person may want to look at: what it is, how many, and some of them."""
    names = tree.names()
    kinds: dict[str, list[str]] = {
        "empty files": [name for name in names if not tree.size(name)],
        "names that are no UTF-8": [name for name in names if printable(name) != name],
        "files left behind by operating systems": [name for name in names if is_junk(name)],
        "archives that are not read in place": unread_archives(tree),
        "links that are not followed": list(tree.unfollowed()),
        "names that differ in case only": _alike(names),
    }
    if read and rows.rows:
        kinds["pictures in no row"] = [name for name in names if is_picture(name) and name not in rows.named]
    for what, found in kinds.items():
        if found:
            yield {"what": what, "count": len(found), "such_as": [printable(name) for name in found[:_SHOWN]]}


def _alike(names: list[str]) -> list[str]:
    first: dict[str, str] = {}
    return [name for name in names if first.setdefault(name.casefold(), name) != name]
