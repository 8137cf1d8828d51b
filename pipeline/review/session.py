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
        self._undo: list[tuple[Path, Decision, list[Decision]]] = []
        self._lock = Lock()
        self._at = {item.sample_id: number for number, item in enumerate(queue)}
        self._own: dict[Path, dict[tuple[str, ...], Decision]] = {}
        for book in books.values():
            self._remember(book, read_book(book))

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
            book = self._book(item.sample_id)
            before: list[Decision] = []

            def replace(lines: list[Decision]) -> list[Decision]:
                before.extend(one for one in lines if one.place == decision.place)
                return replace_own(lines, decision)

            self._remember(book, change_book(book, replace))
            self._undo.append((book, decision, before))
        return decision

    def undo(self) -> int | None:
        """Take the last decision of this page back and return its place in the queue; None if there is none.

        What the same person decided on another page since stays.
        """
        with self._lock:
            if not self._undo:
                return None
            book, decision, before = self._undo[-1]
            self._remember(book, change_book(book, lambda lines: _without(lines, decision, before)))
            self._undo.pop()
        return self._at[decision.sample_id]

    def verdict(self, number: int) -> Decision | None:
        """Return what this person said of a sample, or None."""
        sample_id = self._item(number).sample_id
        return self._own[self._book(sample_id)].get((sample_id, self.by, "verdict"))

    def progress(self) -> dict[str, Any]:
        """Return how many of the queue are decided, the first that is not, and whether undo is possible."""
        said = {one.sample_id for own in self._own.values() for one in own.values() if one.kind in VERDICTS}
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

    def _remember(self, book: Path, lines: Sequence[Decision]) -> None:
        self._own[book] = {one.place: one for one in lines if one.by == self.by}

    def _book(self, sample_id: str) -> Path:
        return self._books[sample_id.partition("/")[0]]

    def _item(self, number: int) -> Doubtful:
        if not 0 <= number < len(self.queue):
            raise UsageError(f"the queue has no sample {number}")
        return self.queue[number]


def _without(lines: Sequence[Decision], decision: Decision, before: Sequence[Decision]) -> list[Decision]:
    return [*(one for one in lines if one != decision), *before] if decision in lines else list(lines)
