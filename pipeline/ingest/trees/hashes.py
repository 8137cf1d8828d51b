"""The md5 of a batch of files as a part (`core.parts`), so that a killed ingest does not hash a whole tree again.

What the bytes of a file are is what hashing finds out, so the key of a batch says what shows that a file has changed:
its size, times and inode. Such hashes are kept only until the ingest has its result.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pipeline.core.lineage.known import CLOCK_STEP_NS, Look
from pipeline.core.parts import KeptPart, digest_of

# All that decides the content of such a part, besides its input.
RECIPE: Final = {"hash": "md5"}
_NAME: Final = "md5.txt"


def key_of_files(names: Sequence[str], looks: Sequence[Look]) -> str:
    """Return the key of a batch of files, from their names and looks."""
    return digest_of([list(names), list(looks)])


def write_hashes(folder: Path, digests: Sequence[str], looks: Sequence[Look], began_ns: int) -> bool:
    """Write the hashes of a batch; return whether a later change of a file is certain to change its look.

    Args:
        folder: the folder of the part.
        digests: the md5 of each file in hex, "" for a damaged one.
        looks: of the files, after they were hashed.
        began_ns: the time before they were hashed.
    """
    (folder / _NAME).write_text("".join(f"{digest}\n" for digest in digests), encoding="ascii")
    return all(began_ns - look[2] > CLOCK_STEP_NS for look in looks)


def read_hashes(part: KeptPart) -> list[str]:
    """Return what `write_hashes` wrote."""
    return (part.folder / _NAME).read_text(encoding="ascii").split("\n")[:-1]
