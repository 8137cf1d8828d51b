"""The picture that a file of annotations is about: the one of its name, beside it or in the folder of pictures."""

from typing import Final

from pipeline.ingest.raw_dataset import is_picture, stem
from pipeline.ingest.trees.tree import Tree

# Folders that part pictures from annotations, wherever they stand in a path: `images/train/` and `labels/train/`.
_APART: Final = frozenset(
    {"images", "image", "imgs", "img", "jpegimages", "pictures", "photos", "frames"}
    | {"labels", "label", "annotations", "annotation", "anns", "xml", "xmls", "txt", "bbox", "bboxes"}
)


def pictures_of(tree: Tree, name: str) -> list[str]:
    """Return the pictures with the name of a file: those in its folder or, if there are none, in the folder for them.

    That is the folder whose path differs only in words such as images and labels.
    """
    alike = [one for one in tree.with_stem(stem(name)) if is_picture(one)]
    beside = [one for one in alike if _folder(one) == _folder(name)]
    return beside or [one for one in alike if _home(one) == _home(name)]


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def _home(name: str) -> list[str]:
    return [part for part in _folder(name).casefold().split("/") if part and part not in _APART]
