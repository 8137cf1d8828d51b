"""The names that datasets give to their splits: `train_set`, `Training`, `val2017`, `PublicTest` and so on."""

import re
from typing import Final

TRAIN, VAL, TEST = "train", "val", "test"
SPLIT_NAMES: Final = {
    "train": TRAIN, "training": TRAIN, "trainval": TRAIN,
    "val": VAL, "valid": VAL, "validation": VAL, "dev": VAL, "publictest": VAL,
    "test": TEST, "testing": TEST, "privatetest": TEST,
}  # fmt: skip
# What may follow in the name of a folder: train_set, Test-Images, test2017.
_AFTER: Final = re.compile(r"(?:set|images|labels|annotations|data)?\d*$")
# The Hub converts the beginning of a large split into `default/partial-train/`.
_PARTIAL: Final = "partial"


def split_name(name: str) -> str | None:
    """Return train, val or test for the name of a split in any spelling; None for any other name."""
    plain = re.sub(r"[\s_\-]+", "", name.casefold()).removeprefix(_PARTIAL)
    return SPLIT_NAMES.get(plain) or SPLIT_NAMES.get(_AFTER.sub("", plain))
