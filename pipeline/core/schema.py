"""The columns of every table. Coordinates are pixels of the source picture after its EXIF rotation."""

from enum import StrEnum
from typing import Final

import pyarrow as pa

_box = pa.list_(pa.float32(), 4)
_points = pa.list_(pa.float32())
# Of people: how faces are counted by gender, age and race.
ATTRIBUTES: Final = ("gender", "age", "race")
# The ends of files with a picture in each row: neither their path nor their md5 is that of one picture.
PIXEL_TABLE_SUFFIX: Final = ".csv"  # with pixels as text
IMAGE_TABLE_SUFFIXES: Final = (".parquet", ".arrow")  # with encoded pictures
PICTURE_TABLE_SUFFIXES: Final = (PIXEL_TABLE_SUFFIX, *IMAGE_TABLE_SUFFIXES)
_attributes = [
    pa.field("gender", pa.string()),  # female, male, other or unsure
    pa.field("age", pa.string()),  # the dataset's own group; of an age in years, RAF-DB's
    pa.field("age_years", pa.float32()),
    pa.field("race", pa.string()),  # the dataset's own word
]


class Reason(StrEnum):
    """Why a row was rejected. The reasons are fixed, so that counts can be compared between runs and datasets."""

    # ingest
    missing_file = "missing_file"
    outside_root = "outside_root"
    bad_row = "bad_row"
    duplicate_row = "duplicate_row"
    conflicting_labels = "conflicting_labels"
    not_original = "not_original"
    unlabelled = "unlabelled"
    # decide
    gone = "gone"  # a decision about a sample that the dataset no longer has
    withdrawn = "withdrawn"  # by any stage: the person in the picture withdrew
    # align: the picture
    truncated = "truncated"
    corrupt = "corrupt"
    not_an_image = "not_an_image"
    unsupported_format = "unsupported_format"
    too_large = "too_large"
    too_small = "too_small"
    crashed = "crashed"
    too_slow = "too_slow"
    too_long = "too_long"
    # align: the face
    no_face = "no_face"
    no_face_in_box = "no_face_in_box"
    points_outside = "points_outside"
    larger_than_picture = "larger_than_picture"
    # select
    not_a_face = "not_a_face"
    bad_picture = "bad_picture"
    wrong_face = "wrong_face"
    undecided = "undecided"  # people disagree or are unsure
    low_score = "low_score"
    low_overlap = "low_overlap"
    small_face = "small_face"
    not_frontal = "not_frontal"
    blurred = "blurred"
    bad_exposure = "bad_exposure"
    outside_picture = "outside_picture"
    # harmonize
    not_an_emotion = "not_an_emotion"
    no_majority = "no_majority"
    mixed_emotions = "mixed_emotions"
    affect_contradicts = "affect_contradicts"
    outside_classes = "outside_classes"  # of none of the classes in harmonize.classes
    # split and shard
    outside_role = "outside_role"
    contradicted = "contradicted"  # a copy of the picture has another label
    group_spans_splits = "group_spans_splits"
    over_cap = "over_cap"
    uneven = "uneven"  # left out so that every training process gets the same number of rows


def shown_in(sample_id: str) -> str:
    """Return what all samples of one picture have in common: `<dataset>/<source_path>`, or the id of a table's row."""
    path = sample_id.rpartition("#")[0]
    return sample_id if path.casefold().endswith(PICTURE_TABLE_SUFFIXES) else path


SAMPLES: Final = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("source_path", pa.string(), nullable=False),
        pa.field("face_number", pa.int32(), nullable=False),  # of the faces of one picture, or the rows of one csv
        pa.field("source_md5", pa.string(), nullable=False),
        pa.field("time_s", pa.float64()),  # of a frame, from the start of the video that source_path is
        pa.field("source_box", _box),
        pa.field("source_box_kind", pa.string()),
        pa.field("source_landmarks", _points),
        pa.field("subject_id", pa.string()),
        pa.field("sequence_id", pa.string()),
        pa.field("source_split", pa.string()),
        pa.field("source_labels", pa.list_(pa.string()), nullable=False),
        pa.field("source_votes", _points),
        pa.field("valence", pa.float32()),
        pa.field("arousal", pa.float32()),
        pa.field("dominance", pa.float32()),
        *_attributes,
    ]
)

FACES: Final = pa.schema(
    [
        *SAMPLES,
        pa.field("image", pa.binary(), nullable=False),
        pa.field("face_box", pa.list_(pa.float32(), 4), nullable=False),
        pa.field("landmarks", pa.list_(pa.float32(), 10), nullable=False),
        pa.field("face_score", pa.float32(), nullable=False),
        pa.field("detector", pa.string(), nullable=False),
        pa.field("attempt", pa.string(), nullable=False),
        pa.field("turn_deg", pa.int16(), nullable=False),  # 0, 90, 180 or 270, clockwise: how the picture was turned
        pa.field("box_iou", pa.float32()),
    ]
)

# The status of a row of the detections whose face was found.
ALIGNED: Final = "aligned"

# One row for every row of samples, found or not: what detection saw, and how good the crop is.
DETECTIONS: Final = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("source_path", pa.string(), nullable=False),
        pa.field("source_labels", pa.list_(pa.string()), nullable=False),
        pa.field("status", pa.string(), nullable=False),  # ALIGNED or a Reason
        pa.field("detector", pa.string()),
        pa.field("attempt", pa.string()),
        pa.field("turn_deg", pa.int16()),
        pa.field("face_score", pa.float32()),
        pa.field("box_iou", pa.float32()),
        pa.field("face_size_px", pa.float32()),  # square root of the box area
        pa.field("roll_deg", pa.float32()),  # of the line between the eyes, clockwise positive
        pa.field("frontality", pa.float32()),  # 0 profile .. 1 frontal
        pa.field("sharpness", pa.float32()),
        pa.field("brightness", pa.float32()),  # mean luma of the crop, 0..1
        pa.field("outside_share", pa.float32()),  # share of the crop beyond the picture, 0..1
        pa.field("points_outside", pa.int8()),  # of the five, beyond the picture
        pa.field("picture_share", pa.float32()),  # area of the face's box over that of the picture
        pa.field("other_faces", pa.int16()),
    ]
)

# What people decided, one table for each stage that acts on it. `place` is null, a point x, y in the right face, or its
# box x0, y0, x1, y1; `label` is null for a withdrawn sample.
DECIDED_ALIGN: Final = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("withdrawn", pa.bool_(), nullable=False),
        pa.field("place", _points),
    ]
)

DECIDED_HARMONIZE: Final = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("withdrawn", pa.bool_(), nullable=False),
        pa.field("label", pa.int8()),
    ]
)

DECIDED_SELECT: Final = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
    ]
)

DECIDED_SPLIT: Final = pa.schema(
    [
        pa.field("first", pa.string(), nullable=False),
        pa.field("second", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),  # same_person or same_picture
    ]
)

# The faces that are used.
SELECTED: Final = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("dataset", pa.string(), nullable=False),
    ]
)

LABELS: Final = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("source_path", pa.string(), nullable=False),
        pa.field("subject_id", pa.string()),
        pa.field("sequence_id", pa.string()),
        pa.field("source_split", pa.string()),
        pa.field("valence", pa.float32()),
        pa.field("arousal", pa.float32()),
        pa.field("dominance", pa.float32()),
        *_attributes,
        # Null in a row without one class, which is there because it has a valence, an arousal or a dominance.
        pa.field("label", pa.int8()),
        pa.field("label_probs", pa.list_(pa.float32(), 8)),
        pa.field("unclassed", pa.string()),  # the Reason of a null label
    ]
)

SPLIT: Final = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("group_id", pa.string(), nullable=False),
    ]
)

INDEX: Final = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("label", pa.int8()),  # null in the shards of rows without a class
        pa.field("split", pa.string(), nullable=False),
        pa.field("shard", pa.string(), nullable=False),
        pa.field("copy", pa.int16(), nullable=False),
        pa.field("group_id", pa.string()),
    ]
)

PREDICTIONS: Final = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("label", pa.int8(), nullable=False),
        pa.field("predicted", pa.int8(), nullable=False),
        pa.field("probabilities", pa.list_(pa.float32(), 8), nullable=False),
    ]
)

# Answers of a network for affect; null where nothing is annotated or the network was not trained on it.
AFFECT_PREDICTIONS: Final = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("valence", pa.float32()),
        pa.field("predicted_valence", pa.float32()),
        pa.field("arousal", pa.float32()),
        pa.field("predicted_arousal", pa.float32()),
        pa.field("dominance", pa.float32()),
        pa.field("predicted_dominance", pa.float32()),
    ]
)


class Doubt(StrEnum):
    """Why a sample is doubtful."""

    label = "label"  # networks that have not seen the person answer another class
    duplicate = "duplicate"  # a copy of the picture has another label
    outlier = "outlier"  # no other face looks like it
    crop = "crop"  # blurred, off-centre, another face, ...


# One row for every labelled sample with a face, the most doubtful first. A score is 0..1, higher is more doubtful.
DOUBT: Final = pa.schema(
    [
        pa.field("rank", pa.int32(), nullable=False),  # 1 is the most doubtful of all
        pa.field("rank_in_class", pa.int32(), nullable=False),  # 1 is the most doubtful of its class
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),  # a Doubt: that of the highest of the four scores below
        pa.field("detail", pa.string(), nullable=False),  # the reason in words
        pa.field("score", pa.float32(), nullable=False),  # the highest of the four
        pa.field("label_score", pa.float32(), nullable=False),
        pa.field("duplicate_score", pa.float32(), nullable=False),
        pa.field("outlier_score", pa.float32(), nullable=False),
        pa.field("crop_score", pa.float32(), nullable=False),
        pa.field("label", pa.int8(), nullable=False),
        pa.field("suggested", pa.int8()),  # the class that is likelier; null where none is
        pa.field("probs", pa.list_(pa.float32(), 8), nullable=False),  # answers by what has not seen its group
        pa.field("neighbours", pa.list_(pa.string()), nullable=False),  # copies with another label, then faces like it
    ]
)

# Where a sample is on the map of all: faces that look alike are near each other. The unit of x and y means nothing.
EMBEDDING: Final = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("x", pa.float32(), nullable=False),
        pa.field("y", pa.float32(), nullable=False),
    ]
)

REJECTS: Final = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("source_path", pa.string()),
        pa.field("stage", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string()),
    ]
)

# Every file of a raw tree, so that `prep verify` can name the file in which a byte has changed.
MANIFEST: Final = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("md5", pa.string(), nullable=False),
    ]
)
