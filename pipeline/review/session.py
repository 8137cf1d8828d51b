"""What one person does with a queue: decide, take back, and see how far they are. Others' decisions stay hidden."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from pipeline.core.errors import UsageError
from pipeline.decisions.book import change_book, read_book, replace_own
from pipeline.decisions.decision import LINKS, VERDICTS, Decision, Kind, fault, parse_kind
from pipeline.review.queue import Doubtful


class Session:
    """The decisions of one person about the samples of a queue, each on the disk before the call returns."""

    def __init__(self, queue: Sequence[Doubtful], books: Mapping[str, Path], by: str) -> None:
        """Take the queue, the file of decisions of each dataset, and the alias of the person.

        Raises:
            BookError: a file of decisions cannot be taken as it is.
        """
        self.queue = queue
        self.by = by
        self._books = books
        self._undo: list[tuple[Path, Decision, Decision | None]] = []
        self._lock = Lock()
        own = [one for book in books.values() for one in read_book(book) if one.by == by]
        self._own = {one.place: one for one in own}

    def decide(self, number: int, kind: str, value: str = "", neighbour: int | None = None) -> Decision:
        """Write a decision about a sample of the queue.

        Args:
            number: of the sample in the queue.
            kind: a name of `Kind`, but not withdrawn, which is no matter of taste.
            value: of the decision; see `Kind`.
            neighbour: of a link, the number of the other sample among the neighbours.

        Raises:
            UsageError: there is no such sample, or the decision says nothing possible.
            BookError: the file was damaged meanwhile; nothing was written.
        """
        item = self._item(number)
        try:
            asked = parse_kind(kind)
        except ValueError as error:
            raise UsageError(str(error)) from None
        if asked is Kind.withdrawn:
            raise UsageError("withdrawn is for prep forget, which says what else has to be done")
        if asked in LINKS:
            if neighbour is None or not 0 <= neighbour < len(item.neighbours):
                raise UsageError(f"{asked} needs one of the neighbours")
            value = item.neighbours[neighbour]
        decision = Decision(item.sample_id, asked, value, self.by)
        if (wrong := fault(decision)) is not None:
            raise UsageError(wrong)
        with self._lock:
            book = self._books[item.sample_id.partition("/")[0]]
            before = self._own.get(decision.place)
            change_book(book, lambda lines: replace_own(lines, decision))
            self._own[decision.place] = decision
            self._undo.append((book, decision, before))
        return decision

    def undo(self) -> int | None:
        """Take the last decision of this session back and return its place in the queue; None if there is none."""
        with self._lock:
            if not self._undo:
                return None
            book, decision, before = self._undo[-1]
            change_book(book, lambda lines: _without(lines, decision, before))
            self._undo.pop()
            del self._own[decision.place]
            if before is not None:
                self._own[before.place] = before
        return next(place for place, item in enumerate(self.queue) if item.sample_id == decision.sample_id)

    def verdict(self, number: int) -> Decision | None:
        """Return what this person said of a sample, or None."""
        return self._own.get((self._item(number).sample_id, self.by, "verdict"))

    def progress(self) -> dict[str, Any]:
        """Return how many of the queue are decided, the first that is not, and whether undo is possible."""
        said = {one.sample_id for one in self._own.values() if one.kind in VERDICTS}
        open_ones = [number for number, item in enumerate(self.queue) if item.sample_id not in said]
        decided = len(self.queue) - len(open_ones)
        return {
            "decided": decided,
            "all": len(self.queue),
            "next": next(iter(open_ones), None),
            "undo": bool(self._undo),
        }

    def everyone(self) -> list[Decision]:
        """Return the decisions of all people about all datasets of the queue, as the disk has them now."""
        return [one for book in self._books.values() for one in read_book(book)]

    def _item(self, number: int) -> Doubtful:
        if not 0 <= number < len(self.queue):
            raise UsageError(f"the queue has no sample {number}")
        return self.queue[number]


def _without(lines: Sequence[Decision], decision: Decision, before: Decision | None) -> list[Decision]:
    kept = [one for one in lines if one.place != decision.place]
    return kept if before is None else [*kept, before]
