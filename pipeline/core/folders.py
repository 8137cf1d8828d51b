"""Where things are in a project. The paths are those of dvc.yaml; in the code, each is here only."""

from pathlib import Path
from typing import Final

PARAMS: Final = Path("params.yaml")
RAW: Final = Path("raw")
DATA: Final = Path("data")
RUNS: Final = Path("runs")
CODE: Final = Path("runs/code")
DEMO: Final = Path("raw/demo")
SAMPLES: Final = Path("data/samples")
ALIGNED: Final = Path("data/aligned")
SELECTED: Final = Path("data/selected")
FACES: Final = Path("data/faces")
LABELS: Final = Path("data/labels")
SPLIT: Final = Path("data/split")
SPLITS: Final = Path("splits")
SHARDS: Final = Path("data/shards")
DECISIONS: Final = Path("decisions")
FORGOTTEN: Final = Path("decisions/forgotten")
DECIDED: Final = Path("data/decisions")
DECIDED_COUNTS: Final = Path("runs/decisions")
MISSES: Final = Path("runs/align")
COUNTS: Final = Path("runs/select")
TRAIN: Final = Path("runs/train")
EVALUATE: Final = Path("runs/evaluate")
DOUBT: Final = Path("runs/doubt")
REPORT: Final = Path("runs/report")
MATRIX: Final = Path("runs/matrix")
FOLDS: Final = Path("runs/folds")
# Files that commands write for people to take away. No stage reads them and dvc.lock does not record them, so
# `prep verify` does not take them for strays.
UNRECORDED: Final = (RUNS / "export", RUNS / "logs", RUNS / "tables.md", MATRIX, FOLDS)
