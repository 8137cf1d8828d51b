"""Recognising crops of known releases by their file names, in any folders and tables."""

import re
from typing import Final

from pipeline.ingest.raw_dataset import is_picture
from pipeline.ingest.trees.tree import Tree

# RAF-DB's aligned pictures and FER2013's, as its mirrors name them.
_NAMED: Final = re.compile(
    r"(?:(?:train|test)_\d{3,5}_aligned|(?:training|publictest|privatetest)_\d+)\.\w+", re.IGNORECASE | re.ASCII
)
# A few stray pictures do not make it another dataset.
_MIN_SHARE: Final = 0.9


def are_named_cut_out(tree: Tree) -> bool:
    """Return whether the pictures of a tree are crops of faces, judging by the names of nearly all of them."""
    pictures = [name.rpartition("/")[2] for name in tree.names() if is_picture(name)]
    return bool(pictures) and sum(map(bool, map(_NAMED.fullmatch, pictures))) >= _MIN_SHARE * len(pictures)
