"""Where things are in a project: params.yaml and the folders that dvc.yaml names. The only file that knows paths."""

from pathlib import Path
from typing import Final

from pipeline.params import Params, read_params

PARAMS: Final = Path("params.yaml")
DATA: Final = Path("data")
RUNS: Final = Path("runs")
DEMO: Final = Path("raw/demo")
SAMPLES: Final = Path("data/samples")
ALIGNED: Final = Path("data/aligned")
FACES: Final = Path("data/faces")
LABELS: Final = Path("data/labels")
SPLIT: Final = Path("data/split")
SHARDS: Final = Path("data/shards")
TRAIN: Final = Path("runs/train")
EVALUATE: Final = Path("runs/evaluate")
REPORT: Final = Path("runs/report")


def load_params() -> Params:
    """Read params.yaml of the project in the working folder."""
    return read_params(PARAMS)


def dataset_name(params: Params, src: str) -> str:
    """Return the key of the dataset with this source, else the source's own base name without an archive suffix."""
    for name, dataset in params.datasets.items():
        if dataset.src.rstrip("/") == src.rstrip("/"):
            return name
    return Path(src.rstrip("/")).name.split(".")[0]
