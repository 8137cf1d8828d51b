"""What happens to the data. Knows no command line, no DVC and no path of the project.

Faces are personal data, and nobody is told of them: every command, worker and use as a library imports this package
before what would otherwise report home.
"""

import os

os.environ.update(
    ORT_DISABLE_TELEMETRY="1",  # ONNX Runtime reads it once, when it is loaded
    HF_HUB_DISABLE_TELEMETRY="1",
    DVC_NO_ANALYTICS="1",
    ITERATIVE_DO_NOT_TRACK="1",  # what DVC and DVCLive report with
    DO_NOT_TRACK="1",
)
