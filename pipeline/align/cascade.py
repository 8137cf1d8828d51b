"""The cascade: the attempts that params.yaml can name, and how to build each of them. `search` runs them."""

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pipeline.align.choice import Choice
from pipeline.align.detectors.detector import Detector, Faces
from pipeline.core.errors import ParamsError
from pipeline.core.lineage.identity import file_md5
from pipeline.core.params import AlignParams

if TYPE_CHECKING:
    from pipeline.align.mtcnn.networks import Networks


_MTCNN: Final = "mtcnn"
_MTCNN_WHOLE: Final = "mtcnn-whole"
_WHOLE: Final = "whole"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One step of the cascade.

    `one_at_a_time` is set for detectors in C++ that a picture could crash, so that it is known which picture did.
    `turns` says whether the attempt is also made on the turned picture. It is not set for detectors that return a face
    for every picture or that take texture for faces: on turned pictures, they would find faces that are not there.
    `last` is set for an attempt that is made only after all attempts on turned pictures.
    """

    name: str
    detector: Detector
    one_at_a_time: bool = False
    turns: bool = True
    last: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """The face that was found for a sample.

    `faces` are all faces that the attempt detected, in pixels of the picture before it was turned; `choice` says which
    of them is the sample's. `turn_deg` is the clockwise turn (0, 90, 180 or 270) of the picture that the attempt got.
    """

    attempt: Attempt
    faces: Faces
    choice: Choice
    turn_deg: int = 0

    @property
    def score(self) -> float:
        """Return the detector's score of the chosen face, 0..1."""
        return float(self.faces.scores[self.choice.row])


def _mtcnn(_: AlignParams) -> list[Attempt]:
    # From cheap to thorough: a search runs only on the pictures in which the earlier ones found no face.
    steps = (_mtcnn_box, _mtcnn_coarse, _mtcnn_medium, _mtcnn_fine, _mtcnn_padded, _mtcnn_full)
    return [attempt for step in steps for attempt in step(_)]


def _mtcnn_box(_: AlignParams) -> list[Attempt]:
    from pipeline.align.mtcnn.fast import MtcnnBox

    return [Attempt("mtcnn-box", MtcnnBox(_networks()))]


def _mtcnn_whole(_: AlignParams) -> list[Attempt]:
    from pipeline.align.mtcnn.fast import MtcnnWhole

    return [Attempt(_MTCNN_WHOLE, MtcnnWhole(_networks()))]


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

    return [Attempt(_WHOLE, Whole(), turns=False, last=True)]


def _networks() -> "Networks":
    from pipeline.align.mtcnn.networks import load_networks

    return load_networks()


# Every name that `align.cascade` may contain. The functions import their detectors when they are called, because dlib
# and the networks take time to load and most cascades use only some of them.
BUILDERS: Final[dict[str, Callable[[AlignParams], list[Attempt]]]] = {
    _MTCNN: _mtcnn,
    _MTCNN_WHOLE: _mtcnn_whole,
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
    _WHOLE: _whole,
}


def check_cascade(names: Sequence[str]) -> None:
    """Check the names of a cascade, before the stage starts and without loading a detector.

    Raises:
        ParamsError: a name is not a detector; the message lists those that are.
    """
    for name in names:
        if name not in BUILDERS and ":" not in name:
            raise ParamsError(
                f"params.yaml: align.cascade: expected {', '.join(BUILDERS)} or package.module:Class, not {name!r}"
            )


def cascade_of_crops(names: Sequence[str]) -> list[str]:
    """Return a cascade for pictures that are faces cut out by their authors.

    MTCNN first takes the whole picture for the face's box. At the end, so does `whole`, whatever the picture shows, so
    that no row is lost because a detector does not see its face. A cascade that names `whole` is left as it is.
    """
    if _WHOLE in names:
        return list(names)
    return [part for name in names for part in ([_MTCNN_WHOLE, name] if name == _MTCNN else [name])] + [_WHOLE]


def foreign_files(params: AlignParams) -> dict[str, str]:
    """Return the md5 of each file that a cascade runs or reads, and that no fingerprint of our code contains."""
    own = [name.partition(":")[0] for name in params.cascade if name not in BUILDERS]
    found = {name: _origin(name) for name in own}
    if params.yunet_file is not None:
        found["yunet_file"] = Path(params.yunet_file)
    return {name: file_md5(path) for name, path in found.items() if path is not None and path.is_file()}


def _origin(module: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None  # building the cascade says what is wrong
    return None if spec is None or spec.origin is None else Path(spec.origin)


def build_cascade(params: AlignParams) -> list[Attempt]:
    """Return the attempts that `align.cascade` names, in its order, with their detectors loaded.

    Raises:
        ParamsError: a name is not a detector.
        ModelError: the weights of a detector are missing.
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
    # Nothing is known about somebody else's detector, so it is assumed that a picture can crash it.
    return [Attempt(detector.name, detector, one_at_a_time=True)]
