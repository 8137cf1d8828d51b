"""What all parts of params.yaml share: the frozen model, the ranges, and the words for what is wrong."""

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Share = Annotated[float, Field(ge=0, lt=1)]
UnitShare = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
# What numpy and torch both take.
Seed = Annotated[int, Field(ge=0, lt=2**32)]
# The tags of the two kinds of dataset; they never show in an error.
TABLE_TAG: Final = "(table)"
PLAIN_TAG: Final = "(plain)"


class Section(BaseModel):
    """One part of params.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def plain(self) -> dict[str, Any]:
        """Return the values as plain JSON, as snapshots keep them."""
        return self.model_dump(mode="json")


def explain(error: ValidationError) -> str:
    """Say in one line which keys are wrong and what each may be."""
    return "; ".join(_explain_one(detail) for detail in error.errors())


def _explain_one(detail: Any) -> str:
    key = ".".join(str(part) for part in detail["loc"] if part not in {TABLE_TAG, PLAIN_TAG})
    match detail["type"]:
        case "extra_forbidden":
            return f"{key}: unknown key"
        case "missing":
            return f"{key}: missing"
        case "source":
            return str(detail["msg"])
        case "string_pattern_mismatch" if detail["loc"][-1] == "[key]":
            return f"{key.removesuffix('.[key]')}: a name begins with a letter or digit, then also _ . -"
        case "preset":
            return f"{key}.{detail['msg']}"
        case _:
            return f"{key}: {detail['msg'][:1].lower()}{detail['msg'][1:]}, not {detail['input']!r}"
