"""What all sections of params.yaml share: the frozen model, common ranges, and error messages in one line."""

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Share = Annotated[float, Field(ge=0, lt=1)]
UnitShare = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
# The range that both numpy and torch accept.
Seed = Annotated[int, Field(ge=0, lt=2**32)]
# pydantic puts the tag of the chosen kind of dataset into the location of an error; `explain` takes it out again.
TABLE_TAG: Final = "(table)"
PLAIN_TAG: Final = "(plain)"

# Former names and places of keys, so that the error for an old params.yaml names the new one.
_RENAMED: Final = {
    "align.min_score": "select.min_score",
    "align.min_box_iou": "select.min_box_iou",
    "align.min_face_px": "select.min_face_px",
    "align.min_frontality": "select.min_frontality",
    "align.min_sharpness": "select.min_sharpness",
    "align.min_brightness": "select.min_brightness",
    "align.max_brightness": "select.max_brightness",
    "align.max_outside_share": "select.max_outside_share",
    "align.max_pixels": "max_decode_mb",
    "harmonize.mixed": "compound",
    "harmonize.several": "multi_label",
    "report.contact_faces": "faces_per_class",
    "shard.processes": "world_size",
    "train.head_epochs": "frozen_epochs",
    "train.open_blocks": "unfreeze_blocks",
    "train.flips": "tta_flip",
}


class Section(BaseModel):
    """One part of params.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def plain(self) -> dict[str, Any]:
        """Return the values as plain JSON, as snapshots keep them."""
        return self.model_dump(mode="json")


def explain(error: ValidationError, section: str = "") -> str:
    """Say in one line which keys are wrong and what each may be.

    Args:
        error: what pydantic found.
        section: of params.yaml, where only its keys were checked.
    """
    return "; ".join(_explain_one(detail, section) for detail in error.errors())


def _explain_one(detail: Any, section: str) -> str:
    place = [str(part) for part in detail["loc"] if part not in {TABLE_TAG, PLAIN_TAG}]
    if detail["type"] == "source":
        return str(detail["msg"])
    if place[-1] == "[key]" and detail["type"] == "string_type":
        return f"{'.'.join(place[:-2])}: the name {detail['input']!r} is no text; write it in quotes"
    if place[-1] == "[key]":
        return f"{'.'.join(place[:-1])}: {_explain_key(detail)}"
    if detail["type"] == "explained":
        return ".".join((*place, detail["msg"]))
    if detail["type"] == "extra_forbidden" and (successor := _RENAMED.get(f"{section or place[0]}.{place[-1]}")):
        return f"{'.'.join(place)}: unknown key; {_now(successor, section)}"
    return f"{'.'.join(place)}: {_explain_value(detail)}"


def _now(successor: str, section: str) -> str:
    """Say where a key is now; below a dataset the sections stand side by side, too."""
    there, dot, key = successor.partition(".")
    if dot and section:
        return f"it is {key} of {there}, beside {section}, now"
    return f"it is {successor} now" if dot else f"it is called {successor} now"


def _explain_key(detail: Any) -> str:
    if detail["type"] == "literal_error":
        return f"unknown key; expected {detail['ctx']['expected']}"
    return "a name begins with a letter or digit, then also _ and -"


def _explain_value(detail: Any) -> str:
    given = repr(detail["input"])
    match detail["type"]:
        case "extra_forbidden":
            return "unknown key"
        case "missing":
            return "missing"
        case "model_type" | "dict_type" | "model_attributes_type":
            return f"expected keys and values, not {given}"
        case "too_short":
            return "expected at least one"
        case "string_pattern_mismatch" if detail["loc"][-1] == "src":
            return f"expected the path of a raw tree, without quotes and backslashes, not {given}"
        case _:
            return f"{detail['msg'][:1].lower()}{detail['msg'][1:]}, not {given}"
