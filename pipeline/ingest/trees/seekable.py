"""Files of a tree that are read at any position, whether they are in a folder or in an archive."""

import tempfile
from typing import BinaryIO, Final

from pipeline.ingest.trees.tree import Tree

_CHUNK_BYTES: Final = 1 << 20


def seekable(tree: Tree, name: str) -> BinaryIO:
    """Open a file at its start so that it can be read at any position; its descriptor is that of a real file."""
    stream = tree.open(name)
    if stream.seekable():
        return stream
    # A member of an archive is inflated once, into a file without a name that ends with the process.
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - read for as long as the tree is
    with stream:
        while chunk := stream.read(_CHUNK_BYTES):
            copy.write(chunk)
    copy.flush()
    copy.seek(0)
    return copy
