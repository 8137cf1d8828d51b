"""Comparing a dataset with its release: known counts per class and split show whether it is what it claims to be.

Four questions are asked. Are these the counts of another release? Are they right, but with the classes in another
order? Is there more of anything than the release has? Do valence and arousal fit the labels?
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from pipeline.core.catalog import GENERIC
from pipeline.core.errors import SourceError
from pipeline.core.split_names import split_name
from pipeline.ingest.parsing.label_names import common_name
from pipeline.ingest.raw_dataset import NO_SPLIT, RawDataset
from pipeline.ingest.releases.counts import HELD_OUT, RELEASES, Release, split_key
from pipeline.ingest.releases.orders import affect_order, count_order
from pipeline.ingest.samples import Listed

# Copies of a release differ by a handful of broken files.
_TOLERANCE: Final = 1.02
_SPARE_ROWS: Final = 5
# With fewer rows, the counts may equal those of another release by chance.
_MIN_ROWS: Final = 200
_MAX_CONTRADICTED: Final = 0.5
_ACCEPT: Final = "--accept-mismatch, or ingest.accept_mismatch in params.yaml, reads it all the same"
# Formats of which no counts are known, though their names begin like a release's.
_WITHOUT_COUNTS: Final = ("rafdbcompound",)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result: `kind` is exact, subset, mismatch or unknown; `accepted` describes an accepted mismatch."""

    kind: str
    release: str | None = None
    share: float | None = None
    notes: tuple[str, ...] = ()
    accepted: str | None = None

    def plain(self) -> Mapping[str, Any]:
        """Return the result as summary.json records it."""
        kept = {"verdict": self.kind, "release": self.release, "share": self.share}
        return kept if self.accepted is None else {**kept, "accepted": self.accepted}


class Tally:
    """Rows by class, in total and by split, under common names, by which two datasets are compared."""

    def __init__(self, labels: Mapping[tuple[str, str], int], rows: Mapping[str, int]) -> None:
        self.total: Counter[str] = Counter()
        self.by_split: dict[str, Counter[str]] = {}
        self.rows: Counter[str] = Counter()
        for (split, label), count in labels.items():
            self.total[common_name(label)] += count
            self.by_split.setdefault(split_key(split), Counter())[common_name(label)] += count
        for split, count in rows.items():
            self.rows[split_key(split)] += count

    def folded(self, into: str) -> "Tally":
        """Return the same rows with validation and test merged into one split of this name."""
        labels, rows = Counter[tuple[str, str]](), Counter[str]()
        for split, counts in self.by_split.items():
            for label, count in counts.items():
                labels[into if split in HELD_OUT else split, label] += count
        for split, count in self.rows.items():
            rows[into if split in HELD_OUT else split] += count
        return Tally(labels, rows)

    def merged(self) -> "Tally":
        """Return the same rows without splits."""
        return Tally({(NO_SPLIT, label): n for label, n in self.total.items()}, {NO_SPLIT: self.rows.total()})

    def parts(self, other: "Tally") -> Iterator[tuple[str, Counter[str], Counter[str]]]:
        """Yield (name, own, other's) for each split that both have, or for all rows if one of them has no splits."""
        shared = sorted(self.by_split.keys() & other.by_split.keys())
        for split in shared:
            yield "" if split == NO_SPLIT else f" in {split}", self.by_split[split], other.by_split[split]
        if not shared and (NO_SPLIT in self.by_split or NO_SPLIT in other.by_split):
            yield "", self.total, other.total


def compare(fmt: str, listed: Listed, raw: RawDataset, *, name: str, accepted: bool) -> Comparison:
    """Compare the counts of a dataset with those of its release.

    Args:
        fmt: the format it was read as.
        listed: the counts of what the dataset lists, whether or not the pictures exist.
        raw: the dataset, for the notes of its reader.
        name: the user's name for the dataset.
        accepted: whether a mismatch is a note and not an error.

    Raises:
        SourceError: the counts are not those of the release, and the mismatch was not accepted.
    """
    release = expected_release(fmt, name)
    found = _tally(listed, release)
    problem = next(_problems(release, found, listed, raw), None)
    if problem is None:
        return _agreed(release, found, redrawn=release is not None and _is_redrawn(release, found, listed))
    if not accepted:
        raise SourceError(f"{raw.tree.src}: {problem}; {_ACCEPT}")
    return Comparison("mismatch", release.name if release else None, None, (f"accepted: {problem}",), problem)


def expected_release(fmt: str, name: str) -> Release | None:
    """Return the release of a format or, for a generic layout, the release that the dataset is named after."""
    found = next((release for release in RELEASES if fmt in release.formats), None)
    if found is not None or fmt not in GENERIC:
        return found
    said = _runs(name)
    known = [(_plain(alias), release) for release in RELEASES for alias in (release.name, *release.formats)]
    named = [one for one in [*known, *((alias, None) for alias in _WITHOUT_COUNTS)] if one[0] in said]
    return max(named, key=lambda one: (len(one[0]), len(one[1].name) if one[1] else 0), default=("", None))[1]


def _runs(name: str) -> set[str]:
    """Return all texts that consecutive words of a name spell; parts of words do not count ("check" is not CK)."""
    words = re.findall(r"[^\W_]+", name.casefold().replace("+", "plus"))
    return {"".join(words[start:end]) for start in range(len(words)) for end in range(start + 1, len(words) + 1)}


def _tally(listed: Listed, release: Release | None) -> Tally:
    if release is None or not release.sequences:
        return Tally(listed.labels, listed.rows)
    known = {label for labels in release.labels.values() for label in labels}
    counts = Counter((split, label) for split, label, _ in listed.sequences if label in known)
    return Tally(counts, {split: sum(n for (of, _), n in counts.items() if of == split) for split, _ in counts})


def _known(release: Release, found: Tally) -> Tally:
    """Return the counts of a release, split like this copy: many mirrors have FER2013's two test sets in one."""
    known = _of_release(release)
    held_out = found.rows.keys() & HELD_OUT
    return known.folded(held_out.pop()) if len(held_out) == 1 and known.rows.keys() >= HELD_OUT else known


def _of_release(release: Release) -> Tally:
    labels = {(split, label): count for split, of in release.labels.items() for label, count in of.items()}
    return Tally(labels, release.rows)


def _problems(release: Release | None, found: Tally, listed: Listed, raw: RawDataset) -> Iterator[str]:
    if raw.contradicted > _MAX_CONTRADICTED * raw.compared:
        yield f"the table contradicts the folders in {raw.contradicted} of {raw.compared} rows"
    if release is not None:
        known = _known(release, found)
        excess = next(_excess(release, found, known), None)
        other = _with_these_counts(found) if excess or not known.total else None
        if other is not None and other is not release:
            yield f"these are the counts of {other.name}, not of {release.name}"
        for part, own, of_release in found.parts(known):
            if (order := count_order(own, of_release)) is not None:
                yield f"the counts{part} are those of {release.name} with its labels in another order: {order}"
        if excess is not None and not _is_redrawn(release, found, listed):
            yield excess
    affect = {common_name(label): np.reshape(values, (-1, 2)) for label, values in listed.affect.items()}
    # EMOTIC's labels are words, which nobody numbers, and its people's arousal is judged from the scene.
    if (release is None or release.name != "EMOTIC") and (order := affect_order(affect)) is not None:
        yield f"valence and arousal contradict the labels, as with codes of another order: {order}"


def _is_redrawn(release: Release, found: Tally, listed: Listed) -> bool:
    """Return whether somebody drew the splits again: one has more rows than the release's, but all together do not.

    If the pictures' names contain their official split, nobody did.
    """
    said = [split_name(word) is not None and split_name(word) == split_name(split) for split, word in listed.words]
    if said and all(said):
        return False
    known = _known(release, found)
    if next(_excess(release, found, known), None) is None:
        return False
    return next(_excess(release, found.merged(), known.merged()), None) is None


def _excess(release: Release, found: Tally, known: Tally) -> Iterator[str]:
    for part, own, of_release in found.parts(known):
        for label, count in sorted(own.items()):
            if label in of_release and count > of_release[label] * _TOLERANCE + _SPARE_ROWS:
                yield f"{count} rows of {label}{part}, where {release.name} has {of_release[label]}"
    if known.total:
        return
    rows = {NO_SPLIT: found.rows.total()} if NO_SPLIT in known.rows else found.rows
    for split in sorted(rows.keys() & known.rows.keys()):
        if rows[split] > known.rows[split] * _TOLERANCE + _SPARE_ROWS:
            within = "" if split == NO_SPLIT else f" in {split}"
            yield f"{rows[split]} rows{within}, where {release.name} has {known.rows[split]}"


def _with_these_counts(found: Tally) -> Release | None:
    """Return the release with exactly these counts, over all its splits or in one of them."""
    if found.total.total() < _MIN_ROWS:
        return None
    for release in RELEASES:
        known = _of_release(release)
        if not release.sequences and found.total in [known.total, *known.by_split.values()]:
            return release
    return None


def _agreed(release: Release | None, found: Tally, *, redrawn: bool) -> Comparison:
    if release is None:
        named = _with_these_counts(found)
        told = f"these are the counts of {named.name}" if named else ""
        return Comparison("unknown", named.name if named else None, None, (told,) if told else ())
    own, known, others = _comparable(found.merged() if redrawn else found, _known(release, found))
    notes = tuple(
        f"{count} rows of {split} are not compared: {release.name} has no such split" for split, count in others.items()
    )
    if redrawn:
        notes = (f"splits redrawn: the rows are within those of {release.name}, their splits are not its own",)
    size = own.rows.total()
    if not size:
        return Comparison("unknown", release.name, None, notes)
    if not redrawn and (own.by_split == known.by_split if known.total else own.rows == known.rows):
        return Comparison("exact", release.name, 1.0, notes)
    # A copy may have a few rows too many; what is more than that was a problem.
    share = min(1.0, round(size / release.size(), 4))
    return Comparison(
        "subset", release.name, share, (*notes, f"{size} of the {release.size()} of {release.name}, {share:.1%}")
    )


def _comparable(found: Tally, known: Tally) -> tuple[Tally, Tally, Counter[str]]:
    """Return the part for which the release has counts, these counts, and the surplus rows of each split.

    If one of the two has no splits, both are compared as a whole.
    """
    if NO_SPLIT in known.rows or NO_SPLIT in found.rows:
        return found.merged(), known.merged(), Counter()
    labels = {(split, name): n for split, of in found.by_split.items() if split in known.rows for name, n in of.items()}
    rows = {split: count for split, count in found.rows.items() if split in known.rows}
    return Tally(labels, rows), known, Counter({split: n for split, n in found.rows.items() if split not in known.rows})


def _plain(name: str) -> str:
    return "".join(char for char in name.casefold().replace("+", "plus") if char.isalnum())
