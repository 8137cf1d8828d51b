"""The names of what stages write and read, and of the three sets: each stands here alone."""

from typing import Final

TRAIN: Final = "train"
VAL: Final = "val"
TEST: Final = "test"
SPLITS: Final = (TRAIN, VAL, TEST)

SAMPLES_NAME: Final = "samples.parquet"
MANIFEST_NAME: Final = "manifest.parquet"
DETECTIONS_NAME: Final = "detections.parquet"
LABELS_NAME: Final = "labels.parquet"
SPLIT_NAME: Final = "split.parquet"
CERTIFICATE_NAME: Final = "certificate.json"
LINKS_NAME: Final = "links.parquet"
SOFTENED_NAME: Final = "softened.parquet"
FOLDS_NAME: Final = "folds.parquet"
DUPLICATES_NAME: Final = "duplicates.parquet"
INDEX_NAME: Final = "index.parquet"
MISSING_FACES_NAME: Final = "missing_faces.parquet"
SHARDS_NAME: Final = "shards.json"
CROISSANT_NAME: Final = "croissant.json"
SUMMARY_NAME: Final = "summary.json"
REJECTS_NAME: Final = "rejects.parquet"
SNAPSHOT_NAME: Final = "snapshot.json"
METRICS_NAME: Final = "metrics.json"
DETAILS_NAME: Final = "details.json"
PREDICTIONS_NAME: Final = "predictions.parquet"
