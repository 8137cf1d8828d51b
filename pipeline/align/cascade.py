"""The cascade: which attempts there are, and what each of them is made of. `search` runs them."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pipeline.align.choice import Choice
from pipeline.align.detectors.detector import Detector, Faces
from pipeline.core.errors import ParamsError
from pipeline.core.params import AlignParams

if TYPE_CHECKING:
    from pipeline.align.mtcnn.networks import Networks


WHOLE: Final = "whole"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One step of the cascade.

    `one_at_a_time` is for detectors in C++ that a picture could bring down; `turns` says whether it is tried on turned
    pictures, too: not what answers whatever it is shown, or sees faces in texture. `last` is for what is tried only
    after all attempts on turned pictures.
    """

    name: str
    detector: Detector
    one_at_a_time: bool = False
    turns: bool = True
    last: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """The face of a sample: which attempt found it, all that attempt saw, and which of these it is.

    `turn_deg` is the turn of the picture, clockwise, that the attempt was shown; the faces are in pixels of the picture
    as it lies.
    """

    attempt: Attempt
    faces: Faces
    choice: Choice
    turn_deg: int = 0

    @property
    def score(self) -> float:
        """The detector's, 0..1."""
        return float(self.faces.scores[self.choice.row])


def _mtcnn(_: AlignParams) -> list[Attempt]:
    steps = (_mtcnn_box, _mtcnn_coarse, _mtcnn_medium, _mtcnn_fine, _mtcnn_padded, _mtcnn_full)
    return [attempt for step in steps for attempt in step(_)]


def _mtcnn_box(_: AlignParams) -> list[Attempt]:
    from pipeline.align.mtcnn.fast import MtcnnBox

    return [Attempt("mtcnn-box", MtcnnBox(_networks()))]


def _mtcnn_coarse(_: AlignParams) -> list[Attempt]:
    from pipeline.align.mtcnn.fast import COARSE, MtcnnFast

    return [Attempt("mtcnn-coarse", MtcnnFast(_networks(), COARSE))]


def _mtcnn_medium(_: AlignParams) -> list[Attempt]:
    from pipeline.align.mtcnn.fast import MEDIUM, MtcnnFast

    return [Attempt("mtcnn-medium", MtcnnFast(_networks(), MEDIUM))]


def _mtcnn_fine(_: AlignParams) -> list[Attempt]:
    from pipeline.align.mtcnn.fast import FINE, MtcnnFast

    return [Attempt("mtcnn-fine", MtcnnFast(_networks(), FINE))]


def _mtcnn_padded(_: AlignParams) -> list[Attempt]:
    from pipeline.align.mtcnn.fast import MtcnnPadded

    return [Attempt("mtcnn-padded", MtcnnPadded(_networks()))]


def _mtcnn_full(_: AlignParams) -> list[Attempt]:
    from pipeline.align.mtcnn.fast import FULL, MtcnnFast

    return [Attempt("mtcnn-full", MtcnnFast(_networks(), FULL), turns=False)]


def _mtcnn_exact(_: AlignParams) -> list[Attempt]:
    from pipeline.align.mtcnn.exact import MtcnnExact

    return [Attempt("mtcnn-exact", MtcnnExact(_networks()))]


def _dlib_hog(_: AlignParams) -> list[Attempt]:
    from pipeline.align.detectors.dlib_hog import DlibHog

    return [Attempt("dlib-hog", DlibHog(), one_at_a_time=True, turns=False)]


def _dlib_mmod(_: AlignParams) -> list[Attempt]:
    from pipeline.align.detectors.dlib_mmod import DlibMmod

    return [Attempt("dlib-mmod", DlibMmod(), one_at_a_time=True)]


def _yunet(params: AlignParams) -> list[Attempt]:
    from pipeline.align.detectors.yunet import YuNet

    return [Attempt("yunet", YuNet(params.yunet_file), one_at_a_time=True)]


def _given(_: AlignParams) -> list[Attempt]:
    from pipeline.align.mtcnn.fast import Given

    return [Attempt("given", Given(_networks()), turns=False)]


def _whole(_: AlignParams) -> list[Attempt]:
    from pipeline.align.detectors.whole import Whole

    return [Attempt(WHOLE, Whole(), turns=False, last=True)]


def _networks() -> "Networks":
    from pipeline.align.mtcnn.networks import load_networks

    return load_networks()


# Every name that the parameter `cascade` may hold. Detectors are imported and loaded only where they are used.
BUILDERS: Final[dict[str, Callable[[AlignParams], list[Attempt]]]] = {
    "mtcnn": _mtcnn,
    "mtcnn-box": _mtcnn_box,
    "mtcnn-coarse": _mtcnn_coarse,
    "mtcnn-medium": _mtcnn_medium,
    "mtcnn-fine": _mtcnn_fine,
    "mtcnn-padded": _mtcnn_padded,
    "mtcnn-full": _mtcnn_full,
    "mtcnn-exact": _mtcnn_exact,
    "dlib-hog": _dlib_hog,
    "dlib-mmod": _dlib_mmod,
    "yunet": _yunet,
    "given": _given,
    WHOLE: _whole,
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
        if not isinstance(detector.name, str) or not callable(detector.detect):
            raise TypeError("name is no text or detect no method")
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        why = " ".join(str(error).split())
        raise ParamsError(
            f"params.yaml: align.cascade: {name}: expected a class made without arguments, with name and detect: {why}"
        ) from None
    return [Attempt(detector.name, detector, one_at_a_time=True)]
