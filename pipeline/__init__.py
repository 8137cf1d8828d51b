"""What happens to the data. Knows no command line, no DVC and no path of the project.

Faces are personal data, and nobody is told of them: every command, worker and use as a library imports this package
before what would otherwise report home.
"""

import os
from importlib import import_module
from typing import Any

__version__: str

os.environ.update(
    ORT_DISABLE_TELEMETRY="1",  # ONNX Runtime reads it once, when it is loaded
    HF_HUB_DISABLE_TELEMETRY="1",
    DVC_NO_ANALYTICS="1",
    ITERATIVE_DO_NOT_TRACK="1",  # what DVC and DVCLive report with
    DO_NOT_TRACK="1",
)


def __getattr__(name: str) -> Any:
    """Look the version up when it is asked for: no stage depends on it, so a new one makes no result stale."""
    if name == "__version__":
        return import_module("pipeline.core.version").__version__
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
