"""The networks of a curve: the general one, the same made a person's own, and two that know this person alone."""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from models.personal.anchored import Answered, Floats, Ints, Known, answer_classes, answer_values
from models.personal.people import Person

# Each gets a person, the shots and the faces to answer.
Network = Callable[[Person, Ints, Ints], Answered]
GENERAL: Final = "general"
PERSONAL: Final = "personal"


def _general(person: Person, _shots: Ints, others: Ints) -> Answered:
    return Answered(_answers(person)[others], 1.0)


def _personal(person: Person, shots: Ints, others: Ints) -> Answered:
    return _learned(person, shots, others, person.answers, (_answers(person), person.features))


def _alone(person: Person, shots: Ints, others: Ints) -> Answered:
    return _learned(person, shots, others, _nothing(person), (person.features,))


def _scratch(person: Person, shots: Ints, others: Ints) -> Answered:
    centred = person.pixels - person.pixels[shots].mean(axis=0)
    size = np.sqrt(np.maximum((centred**2).sum(axis=1).mean(), 1e-12))
    return _learned(person, shots, others, _nothing(person), (centred / size,))


def _learned(person: Person, shots: Ints, others: Ints, general: Floats, features: tuple[Floats, ...]) -> Answered:
    parts = []
    if person.classes:
        logits, given = general[:, : person.classes], shots[person.labels[shots] >= 0]
        mine, theirs = (_known(logits, features, faces, given) for faces in (given, others))
        nothing_shown = Answered(np.exp(logits[others]), 1.0)
        parts.append(answer_classes(mine, person.labels[given], theirs) if len(given) else nothing_shown)
    # A value may be off by the same amount for all faces, which a class cannot.
    features = tuple(np.hstack([kind, np.ones((len(person), 1))]) for kind in features)
    for column in range(len(person.values)):
        given = shots[~np.isnan(person.affect[shots, column])]
        place = person.classes + column
        one = general[:, place : place + 1]
        mine, theirs = (_known(one, features, faces, given) for faces in (given, others))
        parts.append(answer_values(mine, person.affect[given, column], theirs))
    return Answered(
        np.hstack([part.answers for part in parts]), float(np.mean([part.general_weight for part in parts]))
    )


def _known(general: Floats, features: tuple[Floats, ...], faces: Ints, labelled: Ints) -> Known:
    return Known(general[faces], tuple(kind[faces] @ kind[labelled].T for kind in features))


def _answers(person: Person) -> Floats:
    """Return (N, C + A) what the general network answers: probabilities, then values."""
    return np.hstack([np.exp(person.answers[:, : person.classes]), person.answers[:, person.classes :]])


def _nothing(person: Person) -> Floats:
    """Return the answers of who knows nothing: all classes alike, and values of 0."""
    nothing = np.zeros_like(person.answers)
    nothing[:, : person.classes] = -np.log(max(person.classes, 1))
    return nothing


# `general` has seen no face of the person; `personal` is the general one, fine-tuned on the shots. `alone` learns from
# the shots only, on the general network's frozen features; `scratch` on histograms of oriented gradients, in which
# nothing of other people is.
NETWORKS: Final[Mapping[str, Network]] = {GENERAL: _general, PERSONAL: _personal, "alone": _alone, "scratch": _scratch}
