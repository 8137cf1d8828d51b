"""What counts about each sample, where several people decided, or one withdrew.

Verdicts are votes. `unsure` abstains. With `majority` the verdict that most people gave counts, with `unanimous` only
one that all gave; where none counts, the sample is disputed and stays what its dataset says, or is left out. Links add
up. A withdrawal stands above all, and no vote is taken on it.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from pipeline.core.params import DecideParams
from pipeline.decisions.decision import LINKS, VERDICTS, Decision, Kind


@dataclass(frozen=True, slots=True)
class Settled:
    """What counts: one verdict by sample, who is disputed, unsure or withdrawn, and all links."""

    verdicts: dict[str, Decision] = field(default_factory=dict)
    disputed: list[str] = field(default_factory=list)
    unsure: list[str] = field(default_factory=list)
    links: list[Decision] = field(default_factory=list)
    withdrawn: frozenset[str] = frozenset()


def settle(decisions: Iterable[Decision], params: DecideParams, of_withdrawn: Iterable[str] = ()) -> Settled:
    """Return what counts of all decisions about a dataset, some of its samples being `of_withdrawn` people.

    It does not depend on their order.
    """
    given = sorted(decisions)
    withdrawn = frozenset(one.sample_id for one in given if one.kind is Kind.withdrawn).union(of_withdrawn)
    settled = Settled(withdrawn=withdrawn)
    votes: dict[str, list[Decision]] = defaultdict(list)
    for one in given:
        if one.sample_id in withdrawn:
            continue
        if one.kind in VERDICTS:
            votes[one.sample_id].append(one)
        elif one.kind in LINKS and one.value not in withdrawn:
            settled.links.append(one)
    for sample_id, cast in votes.items():
        said = [one for one in cast if one.kind is not Kind.unsure]
        if not said:
            settled.unsure.append(sample_id)
        elif (chosen := _choose(said, params)) is None:
            settled.disputed.append(sample_id)
        else:
            settled.verdicts[sample_id] = chosen
    return settled


def _choose(said: list[Decision], params: DecideParams) -> Decision | None:
    groups: dict[tuple[str, ...], list[Decision]] = defaultdict(list)
    for one in said:
        groups[meaning(one)].append(one)
    ranked = sorted(groups.values(), key=len, reverse=True)
    if len(ranked) > 1 and (params.conflicts == "unanimous" or len(ranked[0]) == len(ranked[1])):
        return None
    return ranked[0][0]


def meaning(verdict: Decision) -> tuple[str, ...]:
    """Return what a verdict says, so that two people agree where theirs are equal."""
    if verdict.kind is Kind.wrong_face and verdict.value:
        # Two people who point at a face never hit the same pixel, but whoever sees none contradicts both.
        return verdict.kind, "place"
    return verdict.kind, verdict.value
