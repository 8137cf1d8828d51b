"""The columns of a shard, defined in one place: as an Arrow schema, as Hugging Face features and as JSON in a tar.

``landmarks`` are ten numbers in pixels of the crop: x and y of the eye at the left of the picture, the eye at the
right, the nose tip, the left and the right corner of the mouth. Training and drawing need them there; those in pixels
of the source picture stay in the table of faces. A missing valence, arousal or dominance is null. Its ``has_…`` column
is never null, for loaders that cannot read nulls. Rows without a class have null for ``label`` and ``label_probs``.
They are in shards of their own, ``unclassed-train-00000``, so that who learns classes never meets one.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa

from pipeline.core.emotions import CLASSES

AFFECTS: Final = ("valence", "arousal", "dominance")
SNAPSHOT_KEY: Final = b"prep.snapshot"
CONTRACT_KEY: Final = b"prep.contract"

# All fields are nullable: Hugging Face's are, and it refuses a schema that differs from its own in that.
_fields = [
    pa.field("sample_id", pa.string()),
    pa.field("dataset", pa.string()),
    pa.field("subject_id", pa.string()),
    pa.field("gender", pa.string()),
    pa.field("age", pa.string()),
    pa.field("age_years", pa.float32()),
    pa.field("race", pa.string()),
    pa.field("label", pa.int64()),
    pa.field("label_probs", pa.list_(pa.float32(), len(CLASSES))),
    *(pa.field(name, pa.float32()) for name in AFFECTS),
    *(pa.field(f"has_{name}", pa.bool_()) for name in AFFECTS),
    pa.field("landmarks", pa.list_(pa.float32(), 10)),
    pa.field("weight", pa.float32()),
    pa.field("copy", pa.int16()),
]
# All columns but the picture. A tar stores them as JSON.
ROW_SCHEMA: Final = pa.schema(_fields)
IMAGE_TYPE: Final = pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])
SHARD_SCHEMA: Final = pa.schema([*_fields, pa.field("image", IMAGE_TYPE)])


def hugging_face_features() -> dict[str, Any]:
    """Return the columns in the form of `datasets.Features.to_dict`.

    A list of fixed length is called ``Sequence``, because both old and new releases of `datasets` read that name.
    """
    return {field.name: _feature(field) for field in SHARD_SCHEMA}


def _feature(field: pa.Field) -> dict[str, Any]:
    if field.name == "image":
        return {"_type": "Image"}
    if field.name == "label":
        return {"names": list(CLASSES), "_type": "ClassLabel"}
    if pa.types.is_fixed_size_list(field.type):
        return {"feature": _value(field.type.value_type), "length": field.type.list_size, "_type": "Sequence"}
    return _value(field.type)


def _value(arrow_type: pa.DataType) -> dict[str, str]:
    names = {"float": "float32"}
    return {"dtype": names.get(str(arrow_type), str(arrow_type)), "_type": "Value"}


def shard_schema(snapshot_id: str, contract: dict[str, Any]) -> pa.Schema:
    """Return the schema of a Parquet shard with its metadata: features, snapshot id and contract."""
    features = {"info": {"features": hugging_face_features()}}
    return SHARD_SCHEMA.with_metadata(
        {
            b"huggingface": json.dumps(features).encode(),
            SNAPSHOT_KEY: snapshot_id.encode(),
            CONTRACT_KEY: json.dumps(contract, sort_keys=True).encode(),
        }
    )


# Some rows of a shard as `ROW_SCHEMA`, and their encoded pictures in the same order.
Batch = tuple[pa.Table, Sequence[bytes]]


def sample_key(shard: str, row: int) -> str:
    """Return the key of a sample in a tar, which is unique among all shards and has no dots or slashes."""
    # WebDataset takes what follows the first dot of a member's name for the column.
    return f"{shard}-{row:05d}"
