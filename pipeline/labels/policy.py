"""The label policy: from the native names of a row to one of the eight classes, or to a reject reason.

The names of a row are looked up in the dataset's taxonomy, which gives a tally of classes. If the tally has one class,
that is the label. If it has more, a key of the section `harmonize` decides, depending on the kind of row:

- votes of annotators who chose one name each (``source_votes``): `votes`. ``majority`` and ``probability`` follow
  FER+'s authors (`pipeline.labels.votes`); ``distribution`` takes the shares of all votes for one of the eight.
- one compound name (weights): `compound`. ``dominant`` takes the class with more than half of the weight or, if there
  is none, the compound's head; ``distribution`` keeps the weights, with the same class as the hard label; ``reject``
  rejects the row.
- several names at once: `multi_label`. ``vote`` takes the class with the most votes, if it is the only one (a name has
  as many votes as annotators chose it; names without a class have none); ``priority`` takes the first class in the
  taxonomy's order, however many chose it; ``reject`` rejects the row.

With `affect`: ``check``, a class that contradicts the row's own valence and arousal is rejected; the taxonomy has the
bounds.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pipeline.core.emotions import CLASSES, Emotion
from pipeline.core.params import HarmonizeParams
from pipeline.core.schema import Reason
from pipeline.labels.taxonomy import Lookup, Taxonomy, TaxonomyEntry
from pipeline.labels.votes import majority, probability

_HALF: Final = 0.5


@dataclass(frozen=True, slots=True)
class ClassLabel:
    """The class of a row, and its distribution over the eight classes, which sums to 1."""

    label: Emotion
    probs: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class RejectedLabel:
    """Why a row has no class."""

    reason: Reason
    detail: str


class UnknownLabelError(Exception):
    """A label that the taxonomy does not list. The caller, who knows the row, names it in the message."""


class Harmonizer:
    """Chooses the class of rows by one taxonomy and one label policy."""

    def __init__(self, taxonomy: Taxonomy, params: HarmonizeParams) -> None:
        self.taxonomy = taxonomy
        self._params = params
        self._lookup = Lookup(taxonomy)
        self._known: dict[tuple[object, ...], ClassLabel | RejectedLabel] = {}

    def choose(
        self, labels: Sequence[str], votes: Sequence[float] | None, affect: Mapping[str, float | None]
    ) -> ClassLabel | RejectedLabel:
        """Return the class of one row, or why it has none.

        Args:
            labels: the dataset's own names.
            votes: how many annotators chose each name, or None.
            affect: `valence` and `arousal`, each in [-1, 1] or None.

        Raises:
            UnknownLabelError: a name that the taxonomy does not list, or votes that do not fit the names.
        """
        # Few distinct combinations occur, and harmonize runs over hundreds of thousands of rows. None separates the
        # labels from the votes, so that no two combinations give the same key.
        key = (*labels, None, *(votes or ()))
        if key not in self._known:
            self._known[key] = self._choose_by_names(labels, votes)
        chosen = self._known[key]
        if isinstance(chosen, ClassLabel) and self._params.affect == "check":
            return self._check_affect(chosen, affect)
        return chosen

    def _choose_by_names(self, labels: Sequence[str], votes: Sequence[float] | None) -> ClassLabel | RejectedLabel:
        found = [self._find(label) for label in labels]
        if not found:
            return RejectedLabel(Reason.unlabelled, "no label")
        if votes is not None:
            _check_votes(labels, votes)
            if self.taxonomy.votes == "one":
                return self._choose_by_votes(found, votes)
        if len(found) == 1:
            return self._choose_one(*found[0])
        return self._choose_multi_label(found, votes or [1.0] * len(found))

    def _find(self, label: str) -> tuple[str, TaxonomyEntry]:
        found = self._lookup.find(label)
        if found is not None:
            return found
        known = ", ".join(self.taxonomy.labels)
        is_code = label.strip().lstrip("+-").isdecimal()
        number = "; classes are named, never numbered: `classes` in params.yaml says what codes mean" if is_code else ""
        raise UnknownLabelError(
            f"label {label!r} is unknown to taxonomy {self.taxonomy.name} version {self.taxonomy.version}{number}; "
            f"it knows {known}; `classes` in params.yaml or "
            f"pipeline/labels/taxonomies/{self.taxonomy.name}.yaml takes more"
        )

    def _choose_one(self, name: str, entry: TaxonomyEntry) -> ClassLabel | RejectedLabel:
        if entry.reject is not None:
            return RejectedLabel(Reason.not_an_emotion, f"{name}: {entry.reject}")
        shares = entry.shares()
        if len(shares) > 1 and self._params.compound == "reject":
            return RejectedLabel(Reason.mixed_emotions, f"{name}: {_tally_text(shares)}")
        top = max(shares, key=lambda share: shares[share])
        label = top if shares[top] > _HALF else entry.head or top
        return ClassLabel(Emotion[label], _probs(shares)) if self._params.compound == "distribution" else _hard(label)

    def _choose_by_votes(
        self, found: Sequence[tuple[str, TaxonomyEntry]], votes: Sequence[float]
    ) -> ClassLabel | RejectedLabel:
        if self._params.votes == "majority":
            best = majority(votes)
            if best is None:
                return RejectedLabel(Reason.no_majority, f"{_votes_text(found, votes)}: none has more than half")
            return self._choose_one(*found[best])
        none = [entry.reject is not None for _, entry in found]
        counted = probability(votes, none) if self._params.votes == "probability" else votes
        if counted is None:
            return RejectedLabel(Reason.no_majority, f"{_votes_text(found, votes)}: no three names have more than half")
        tally = _tally(found, counted)
        rejected = max((vote for vote, is_none in zip(counted, none, strict=True) if is_none), default=0.0)
        if not tally or rejected > max(tally.values()):
            return RejectedLabel(
                Reason.not_an_emotion, f"{_votes_text(found, votes)}: most votes are for none of the eight"
            )
        # If votes are tied, the first in the dataset's own order wins, as with argmax over its columns.
        return ClassLabel(Emotion[max(tally, key=lambda name: tally[name])], _probs(tally))

    def _choose_multi_label(
        self, found: Sequence[tuple[str, TaxonomyEntry]], votes: Sequence[float]
    ) -> ClassLabel | RejectedLabel:
        tally = _tally(found, votes)
        names = ", ".join(name for name, _ in found)
        if not tally:
            return RejectedLabel(Reason.not_an_emotion, f"{names}: none of them stands for one of the eight")
        if len(tally) == 1:
            return _hard(next(iter(tally)))
        if self._params.multi_label == "vote":
            first, second, *_ = sorted(tally.values(), reverse=True)
            if first > second:
                return _hard(max(tally, key=lambda name: tally[name]))
        elif self._params.multi_label == "priority":
            ranked = [name for name in self.taxonomy.priority if name in tally]
            if ranked:
                return _hard(ranked[0])
        return RejectedLabel(Reason.mixed_emotions, f"{names}: {_tally_text(tally)}")

    def _check_affect(self, chosen: ClassLabel, affect: Mapping[str, float | None]) -> ClassLabel | RejectedLabel:
        allowed = self.taxonomy.affect.get(chosen.label.name)
        if allowed is None:
            return chosen
        for name, (low, high) in (("valence", allowed.valence), ("arousal", allowed.arousal)):
            value = affect.get(name)
            if value is not None and not low <= value <= high:
                detail = f"{chosen.label.name} with {name} {value:.2f}, outside {low} to {high}"
                return RejectedLabel(Reason.affect_contradicts, detail)
        return chosen


def _check_votes(labels: Sequence[str], votes: Sequence[float]) -> None:
    if len(votes) != len(labels):
        raise UnknownLabelError(f"{len(votes)} votes for {len(labels)} names; there is one vote a name")
    if not all(math.isfinite(vote) and vote >= 0 for vote in votes):
        raise UnknownLabelError(f"votes {list(votes)}; a vote is a number of at least 0")


def _tally(found: Sequence[tuple[str, TaxonomyEntry]], votes: Sequence[float]) -> dict[str, float]:
    tally: dict[str, float] = {}
    for (_, entry), vote in zip(found, votes, strict=True):
        for name, weight in entry.shares().items():
            if vote > 0:
                tally[name] = tally.get(name, 0.0) + vote * weight
    return tally


def _hard(name: str) -> ClassLabel:
    return ClassLabel(Emotion[name], _probs({name: 1.0}))


def _probs(shares: Mapping[str, float]) -> tuple[float, ...]:
    total = sum(shares.values())
    return tuple(shares.get(name, 0.0) / total for name in CLASSES)


def _tally_text(tally: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {share:g}" for name, share in tally.items())


def _votes_text(found: Sequence[tuple[str, TaxonomyEntry]], votes: Sequence[float]) -> str:
    return ", ".join(f"{name} {vote:g}" for (name, _), vote in zip(found, votes, strict=True) if vote)
