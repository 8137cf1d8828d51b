"""Networks, their data, training, metrics and saliency. This package contains code only; weights go to runs/.

`import models` is fast: torch is imported by the first `create_model`, or with `Predictor`.
"""

import atexit
import importlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pipeline import __version__  # first of all, as it switches off what libraries would report home

if TYPE_CHECKING:
    from torch import nn

    from models.inference.predictor import AnsweredFace, Predictor

__all__ = ["AnsweredFace", "Predictor", "__version__", "create_model"]

# Names that are imported when they are first used, and their modules. Stages import from these modules directly,
# because the fingerprint of a stage's code follows import statements.
LAZY: Final = {"AnsweredFace": "models.inference.predictor", "Predictor": "models.inference.predictor"}

# matplotlib would leave a list of fonts below HOME, and torch's compiler a folder among the temporary files. They get a
# folder that workers inherit and that is removed when the process ends.
_LEAVERS = {"MPLCONFIGDIR", "TORCHINDUCTOR_CACHE_DIR"} - os.environ.keys()
if _LEAVERS:
    _scratch = tempfile.mkdtemp(prefix="prep-")
    os.environ.update(dict.fromkeys(_LEAVERS, _scratch))
    atexit.register(shutil.rmtree, _scratch, ignore_errors=True)


def create_model(
    name: str,
    num_classes: int = 8,
    pretrained: bool = False,
    *,
    size_px: int | None = None,
    weights: Path | None = None,
) -> "nn.Module":
    """Build a network by name; see `models.registry.create_model`."""
    from models import registry

    return registry.create_model(name, num_classes, pretrained, size_px=size_px, weights=weights)


def __getattr__(name: str) -> Any:
    """Import what is asked for by name (PEP 562)."""
    if name not in LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(LAZY[name]), name)
