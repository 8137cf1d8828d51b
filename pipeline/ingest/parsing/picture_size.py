"""The size of a picture, from its header: boxes in shares of the picture become pixels."""

from typing import Final

from PIL import Image, UnidentifiedImageError

from pipeline.core.errors import SourceError
from pipeline.ingest.trees.tree import Tree

_ORIENTATION: Final = 0x0112  # the tag of EXIF
_TURNED: Final = frozenset({5, 6, 7, 8})  # by 90 or 270 degrees


def size_of(tree: Tree, name: str) -> tuple[int, int] | None:
    """Return width and height in pixels after the EXIF rotation; None if the header cannot be read."""
    try:
        with tree.open(name) as stream, Image.open(stream) as picture:
            width, height = picture.size
            turned = picture.getexif().get(_ORIENTATION) in _TURNED
    except (SourceError, UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError):
        return None
    return (height, width) if turned else (width, height)
