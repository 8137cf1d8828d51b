"""The cascade at work: attempts in turn, each on the pictures whose face the earlier ones have not found.

No crop is to be upside down. MTCNN reads one in eight faces that stand on their heads as an upright one, eyes for
mouth, and loses most others; so whoever was found with less than certainty is looked at in all four turns (`upright`),
and where no attempt has an answer, or none that holds, the attempts are made once more on the picture turned, the
better score counting. Upright faces pay for that with a look at the few that are less than certain.

What no face can be is no answer: the next attempt is asked, and what was refused comes back only where none has one.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from pipeline.align.cascade import Attempt, Found
from pipeline.align.choice import choose
from pipeline.align.detectors.detector import Faces, View
from pipeline.align.turn import QUARTERS, turn_back, turn_view
from pipeline.align.upright import CONFIRMED_SCORE, LEAST_TURNED_SCORE, set_upright

# What a face found on a turned picture must beat is the score of the upright answer, or this where there is none.
_NOTHING: Final = LEAST_TURNED_SCORE

# Says whether an answer can be a face of a picture of this shape (height, width, ...).
Possible = Callable[[Found, tuple[int, ...]], bool]


def _anything(_: Found, __: tuple[int, ...]) -> bool:
    """Take every answer for a face."""
    return True


def find_faces(
    attempts: Sequence[Attempt], views: Sequence[View], at: Callable[[int], None], possible: Possible = _anything
) -> list[Found | None]:
    """Return the face of each view, or None where every attempt missed it.

    Args:
        attempts: the cascade.
        views: pictures with what is known about their faces.
        at: told the index of the view that is being searched, where one is searched alone.
        possible: what is asked of an answer, or the next attempt follows; in the end the first one that was refused
            stands where there is no other.
    """
    results: list[Found | None] = [None for _ in views]
    refused: dict[int, Found] = {}
    for attempt in attempts:
        if not attempt.last:
            _attempt(attempt, views, results, refused, at, possible)
    unsure = _check(results, views, possible)
    open_cases = [index for index, found in enumerate(results) if found is None or index in unsure]
    turned = find_turned(
        attempts,
        [views[index] for index in open_cases],
        lambda place: at(open_cases[place]),
        [results[index] for index in open_cases],
        possible,
    )
    for index, other in zip(open_cases, turned, strict=True):
        known = results[index]
        if other is not None and (known is None or other.score > known.score):
            results[index] = other
    for attempt in attempts:
        if attempt.last:
            _attempt(attempt, views, results, refused, at, possible)
    return [refused.get(index) if found is None else found for index, found in enumerate(results)]


def _attempt(
    attempt: Attempt,
    views: Sequence[View],
    results: list[Found | None],
    refused: dict[int, Found],
    at: Callable[[int], None],
    possible: Possible,
) -> None:
    """Fill in what is missing, by one attempt; of what cannot be a face the first of each view is kept."""
    pending = [index for index, result in enumerate(results) if result is None]
    for index, faces in zip(pending, detect(attempt, views, pending, at), strict=True):
        found = _choose(attempt, faces, views[index])
        if found is not None and not possible(found, views[index].pixels.shape):
            refused.setdefault(index, found)
        else:
            results[index] = found


def _no_one(_: int) -> None:
    """Nobody wants to know which view is searched."""


def find_turned(
    attempts: Sequence[Attempt],
    views: Sequence[View],
    at: Callable[[int], None] = _no_one,
    known: Sequence[Found | None] | None = None,
    possible: Possible = _anything,
) -> list[Found | None]:
    """Return the face of each view as an attempt sees it on the picture turned; of several turns, the best score.

    Args:
        attempts: the cascade.
        views: pictures with what is known about their faces.
        at: told the index of the view that is being searched, where one is searched alone.
        known: what was found on the picture as it lies, with less than certainty. A face that lies on its side was read
            wrongly at the size that it has, so no more thorough attempt than that one is made for it.
        possible: what is asked of an answer.
    """
    results: list[Found | None] = [None for _ in views]
    last = [None if one is None else one.attempt.name for one in known or results]
    ended: set[int] = set()
    shown: dict[tuple[int, int], View] = {}
    for attempt in attempts:
        pending = [index for index, result in enumerate(results) if result is None and index not in ended]
        ended |= {index for index in pending if last[index] == attempt.name}
        if attempt.turns:
            shown = {
                (index, turn_deg): shown.get((index, turn_deg)) or turn_view(views[index], turn_deg)
                for turn_deg in QUARTERS
                for index in pending
            }
            _attempt_turned(attempt, views, shown, results, at, possible)
    unsure = _check(results, views, possible)
    for index in unsure:
        found = results[index]
        # Of upright faces that no upright attempt sees well one in a thousand seems to lie on its side.
        if found is not None and found.turn_deg % 180 and found.score < CONFIRMED_SCORE:
            results[index] = None
    return results


def _attempt_turned(
    attempt: Attempt,
    views: Sequence[View],
    shown: Mapping[tuple[int, int], View],
    results: list[Found | None],
    at: Callable[[int], None],
    possible: Possible,
) -> None:
    """Fill in what one attempt sees on the pictures turned, by their number and turn."""
    turns = list(shown)
    answers = detect(attempt, list(shown.values()), range(len(shown)), lambda place: at(turns[place][0]))
    for ((index, turn_deg), view), faces in zip(shown.items(), answers, strict=True):
        found, best = _choose(attempt, faces, view), results[index]
        least = _NOTHING if best is None else best.score
        if found is not None and found.score > least and possible(found, view.pixels.shape):
            back = turn_back(found.faces, views[index].pixels.shape, turn_deg)
            results[index] = Found(attempt, back, found.choice, turn_deg)


def detect(attempt: Attempt, views: Sequence[View], pending: Sequence[int], at: Callable[[int], None]) -> list[Faces]:
    """Return what an attempt sees on the views of these numbers."""
    if not attempt.one_at_a_time:
        return attempt.detector.detect([views[index] for index in pending])
    faces = []
    for index in pending:
        at(index)
        faces += attempt.detector.detect([views[index]])
    return faces


def _choose(attempt: Attempt, faces: Faces, view: View) -> Found | None:
    choice = choose(faces, view.hint)
    return None if choice is None else Found(attempt, faces, choice)


def _check(results: list[Found | None], views: Sequence[View], possible: Possible) -> set[int]:
    """Set upright what was found, in place; return which views have an answer that is not sure."""
    known = [(index, found) for index, found in enumerate(results) if found is not None]
    verdicts = set_upright([(views[index], found) for index, found in known])
    for (index, found), verdict in zip(known, verdicts, strict=True):
        same = verdict.found is found
        results[index] = verdict.found if same or possible(verdict.found, views[index].pixels.shape) else None
    return {index for (index, _), verdict in zip(known, verdicts, strict=True) if not verdict.sure}
