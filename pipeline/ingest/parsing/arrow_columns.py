"""The columns of an Arrow schema: which has the pictures, which can be read as text."""

import math
from typing import Any, Final

import pyarrow as pa

from pipeline.core.errors import SourceError
from pipeline.ingest.parsing.delimited import squash

# Of several columns of pictures, the one with such a name is the picture of the row.
_PICTURE_NAMES: Final = ("image", "img", "picture", "photo", "face")


def picture_column(where: str, schema: pa.Schema) -> tuple[str | None, list[str]]:
    """Return the column of pictures, and the others.

    Raises:
        SourceError: there are several, and none has the name of one.
    """
    found = [str(field.name) for field in schema if _is_picture(field.type) or is_bytes(field.type)]
    named = [one for name in _PICTURE_NAMES for one in found if squash(one) == name]
    if len(found) > 1 and not named:
        raise SourceError(f"{where}: several columns of pictures: {', '.join(found)}; name the right one image")
    picture = next(iter(named or found), None)
    return picture, [one for one in found if one != picture]


def _is_picture(kind: pa.DataType) -> bool:
    """Return whether a column has pictures as `datasets` stores them, a struct of bytes and path."""
    return pa.types.is_struct(kind) and any(of.name == "bytes" and is_bytes(of.type) for of in kind)


def is_bytes(kind: pa.DataType) -> bool:
    """Return whether a column has encoded pictures alone."""
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def is_text(kind: pa.DataType) -> bool:
    """Return whether the values of a column can be cells of a csv."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_integer, pa.types.is_floating, pa.types.is_null)
    return any(test(kind) for test in tests) or bool(pa.types.is_boolean(kind))


def is_list_of_text(kind: pa.DataType) -> bool:
    """Return whether the values of a column are lists of what `is_text` takes."""
    tests = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(test(kind) for test in tests) and is_text(kind.value_type)


def text_of(value: Any) -> str:
    """Return a value as the cell of a csv has it; whole numbers without a point."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
