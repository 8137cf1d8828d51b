"""The cascade: attempts in turn, each on the pictures whose face the earlier ones have not found."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from pipeline.errors import ParamsError
from pipeline.faces.choice import Choice, choose
from pipeline.faces.detector import Detector, Faces, View
from pipeline.params import AlignParams


@dataclass(frozen=True, slots=True)
class Attempt:
    """One step of the cascade. `one_at_a_time` is for detectors in C++ that a picture could bring down."""

    name: str
    detector: Detector
    one_at_a_time: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """The face of a sample: which attempt found it, all that attempt saw, and which of these it is."""

    attempt: Attempt
    faces: Faces
    choice: Choice


@dataclass(frozen=True, slots=True)
class Missed:
    """No attempt found the face of a sample; `others_seen` faces do not fit its box."""

    others_seen: int


def _mtcnn_exact(params: AlignParams) -> list[Attempt]:
    from pipeline.faces.mtcnn_exact import MtcnnExact
    from pipeline.faces.networks import cpu_networks

    return [Attempt("mtcnn-exact", MtcnnExact(cpu_networks()))]


def _dlib_hog(params: AlignParams) -> list[Attempt]:
    from pipeline.faces.dlib_hog import DlibHog

    return [Attempt("dlib-hog", DlibHog(), one_at_a_time=True)]


# Every name that the parameter `cascade` may hold. Detectors are imported and loaded only where they are used.
BUILDERS: Final[dict[str, Callable[[AlignParams], list[Attempt]]]] = {
    "mtcnn": _mtcnn_exact,
    "mtcnn-exact": _mtcnn_exact,
    "dlib-hog": _dlib_hog,
}


def check_cascade(names: Sequence[str]) -> None:
    """Refuse a name that is no detector; nothing is loaded.

    Raises:
        ParamsError: names what may be written.
    """
    for name in names:
        if name not in BUILDERS and ":" not in name:
            raise ParamsError(
                f"params.yaml: align.cascade: expected {', '.join(BUILDERS)} or package.module:Class, not {name!r}"
            )


def build_cascade(params: AlignParams) -> list[Attempt]:
    """Return the attempts that the parameters name, their detectors loaded.

    Raises:
        ParamsError: a name is no detector.
        ModelError: the weights of one are missing.
    """
    check_cascade(params.cascade)
    return [attempt for name in params.cascade for attempt in _build(name, params)]


def _build(name: str, params: AlignParams) -> list[Attempt]:
    if name in BUILDERS:
        return BUILDERS[name](params)
    module, _, attribute = name.partition(":")
    try:
        detector: Detector = getattr(importlib.import_module(module), attribute)()
    except (ImportError, AttributeError) as error:
        raise ParamsError(f"params.yaml: align.cascade: {name}: {error}") from None
    return [Attempt(detector.name, detector, one_at_a_time=True)]


def find_faces(attempts: Sequence[Attempt], views: Sequence[View], at: Callable[[int], None]) -> list[Found | Missed]:
    """Return the face of each view, or that it was missed.

    Args:
        attempts: the cascade.
        views: pictures with what is known about their faces.
        at: told the index of the view that is being searched, where one is searched alone.
    """
    results: list[Found | Missed] = [Missed(0) for _ in views]
    pending = list(range(len(views)))
    for attempt in attempts:
        for index, faces in zip(pending, _detect(attempt, views, pending, at), strict=True):
            before = results[index]
            choice = choose(faces, views[index].hint)
            if choice is not None:
                results[index] = Found(attempt, faces, choice)
            elif isinstance(before, Missed):
                results[index] = Missed(max(before.others_seen, len(faces)))
        pending = [index for index in pending if isinstance(results[index], Missed)]
    return results


def _detect(attempt: Attempt, views: Sequence[View], pending: Sequence[int], at: Callable[[int], None]) -> list[Faces]:
    if not attempt.one_at_a_time:
        return attempt.detector.detect([views[index] for index in pending]) if pending else []
    faces = []
    for index in pending:
        at(index)
        faces += attempt.detector.detect([views[index]])
    return faces
