"""The ground truth of every face of the demo, for tests: `truth.parquet`, one row per listed face."""

from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from pipeline.demo.portrait import Points
from pipeline.demo.scene import five_points

TRUTH_NAME: Final = "truth.parquet"
TRUTH: Final = pa.schema(
    [
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("source_path", pa.string(), nullable=False),
        pa.field("n", pa.int32(), nullable=False),
        pa.field("subject_id", pa.string()),
        pa.field("split", pa.string()),
        pa.field("label", pa.string()),  # one of the eight classes, or null
        pa.field("valence", pa.float32()),
        pa.field("arousal", pa.float32()),
        pa.field("roll_deg", pa.float32()),
        pa.field("landmarks", pa.list_(pa.float32(), 10)),  # null where there is no face
        pa.field("planted", pa.string()),  # what is wrong with this row on purpose, or null
    ]
)


@dataclass(frozen=True)
class Truth:
    """One row of truth.parquet. Geometry in pixels of the source picture."""

    dataset: str
    source_path: str
    n: int = 0
    subject_id: str | None = None
    split: str | None = None
    label: str | None = None
    valence: float | None = None
    arousal: float | None = None
    roll_deg: float | None = None
    points: Points | None = None
    planted: str | None = None

    def row(self) -> dict[str, object]:
        """Return the row with the columns of TRUTH."""
        landmarks = None if self.points is None else five_points(self.points).ravel().tolist()
        names = [name for name in TRUTH.names if name != "landmarks"]
        return {"landmarks": landmarks, **{name: getattr(self, name) for name in names}}
