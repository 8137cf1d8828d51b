"""Where things are in a project, as dvc.yaml has them: every path stands once."""

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
MISSES: Final = Path("runs/align")
COUNTS: Final = Path("runs/select")
TRAIN: Final = Path("runs/train")
EVALUATE: Final = Path("runs/evaluate")
REPORT: Final = Path("runs/report")
# What commands write for people to take away: no stage reads it, and no record has it.
UNRECORDED: Final = (RUNS / "export", RUNS / "tables.md")
