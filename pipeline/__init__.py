"""Everything that is done to data. Independent of the command line, of DVC and of the paths of a project.

Importing this package switches off the telemetry of the libraries it uses, because faces are personal data. Every
command, worker and use as a library imports it before those libraries.
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
    MLFLOW_DISABLE_TELEMETRY="true",
    WANDB_ERROR_REPORTING="false",
    RAY_USAGE_STATS_ENABLED="0",  # Ray reads it when a cluster starts
)


def __getattr__(name: str) -> Any:
    """Import the version only when asked for, so that no stage depends on it and a release makes nothing stale."""
    if name == "__version__":
        return import_module("pipeline.core.version").__version__
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
