"""The names of the files that stages write and read, and of the three sets. In the code, each is here only."""

from typing import Final

TRAIN: Final = "train"
VAL: Final = "val"
TEST: Final = "test"
SPLITS: Final = (TRAIN, VAL, TEST)
# What the names of shards with rows without a class begin with, so that `train-*` names those with one.
UNCLASSED_PREFIX: Final = "unclassed-"

SAMPLES_NAME: Final = "samples.parquet"
MANIFEST_NAME: Final = "manifest.parquet"
DETECTIONS_NAME: Final = "detections.parquet"
SELECTED_NAME: Final = "selected.parquet"
LABELS_NAME: Final = "labels.parquet"
SPLIT_NAME: Final = "split.parquet"
CERTIFICATE_NAME: Final = "certificate.json"
LINKS_NAME: Final = "links.parquet"
SOFTENED_NAME: Final = "softened.parquet"
FOLDS_NAME: Final = "folds.parquet"
DUPLICATES_NAME: Final = "duplicates.parquet"
# What people decided, for the stage in the name.
DECIDED_ALIGN_NAME: Final = "align.parquet"
DECIDED_HARMONIZE_NAME: Final = "harmonize.parquet"
DECIDED_SELECT_NAME: Final = "select.parquet"
DECIDED_SPLIT_NAME: Final = "split.parquet"
INDEX_NAME: Final = "index.parquet"
MISSING_FACES_NAME: Final = "missing_faces.parquet"
PARQUET: Final = "parquet"
WEBDATASET: Final = "webdataset"
SHARDS_NAME: Final = "shards.json"
CROISSANT_NAME: Final = "croissant.json"
HUB_CARD_NAME: Final = "README.md"  # as the Hugging Face Hub calls a card
SUMMARY_NAME: Final = "summary.json"
REJECTS_NAME: Final = "rejects.parquet"
SNAPSHOT_NAME: Final = "snapshot.json"
METRICS_NAME: Final = "metrics.json"
DETAILS_NAME: Final = "details.json"
LOGS_NAME: Final = "logs"  # of loggers besides DVCLive, beside a training's folder
PREDICTIONS_NAME: Final = "predictions.parquet"
AFFECT_PREDICTIONS_NAME: Final = "affect_predictions.parquet"
DOUBT_NAME: Final = "doubt.parquet"
EMBEDDING_NAME: Final = "embedding.parquet"
