"""The registry of readers, one for each layout, and finding the right one for a tree.

`READERS` lists all of them. A new dataset needs a reader here, a taxonomy and a test (CONTRIBUTING).
"""

import hashlib
from collections.abc import Collection
from typing import BinaryIO, Final

from pipeline.core.errors import ImageError, SourceError
from pipeline.core.schema import Reason
from pipeline.ingest.dataset_options import SettingError
from pipeline.ingest.detect_format import AUTO, detect_among, find_reader, find_root
from pipeline.ingest.raw_dataset import is_picture
from pipeline.ingest.readers.afew_va import AfewVa
from pipeline.ingest.readers.affectnet import AffectNet
from pipeline.ingest.readers.affectnet_folder import AffectNetFolder
from pipeline.ingest.readers.affectnet_npy import AffectNetNpy
from pipeline.ingest.readers.affwild2 import AffWild2
from pipeline.ingest.readers.baum1 import Baum1
from pipeline.ingest.readers.bu3dfe import Bu3dfe
from pipeline.ingest.readers.ck48 import Ck48
from pipeline.ingest.readers.ckplus import CkPlus
from pipeline.ingest.readers.ckplus_csv import CkPlusCsv
from pipeline.ingest.readers.class_columns import ClassColumns
from pipeline.ingest.readers.class_folders import ClassFolders, find_coded
from pipeline.ingest.readers.coco import Coco
from pipeline.ingest.readers.cremad import CremaD
from pipeline.ingest.readers.csv_table import Table
from pipeline.ingest.readers.dfew import Dfew
from pipeline.ingest.readers.emotic import Emotic
from pipeline.ingest.readers.emotic_csv import EmoticCsv
from pipeline.ingest.readers.expw import ExpW
from pipeline.ingest.readers.faces_mpi import Faces
from pipeline.ingest.readers.fer2013 import Fer2013
from pipeline.ingest.readers.fer2013_folder import Fer2013Folder
from pipeline.ingest.readers.ferplus import FerPlus
from pipeline.ingest.readers.ferv39k import Ferv39k
from pipeline.ingest.readers.hub import Hub
from pipeline.ingest.readers.jaffe import Jaffe
from pipeline.ingest.readers.kdef import Kdef
from pipeline.ingest.readers.mafw import Mafw, MafwCompound
from pipeline.ingest.readers.meld import Meld
from pipeline.ingest.readers.oulu_casia import OuluCasia
from pipeline.ingest.readers.path_list import PathList
from pipeline.ingest.readers.rafd import Rafd
from pipeline.ingest.readers.rafdb import RafDb, RafDbCompound
from pipeline.ingest.readers.rafdb_folder import RafDbFolder
from pipeline.ingest.readers.ravdess import Ravdess
from pipeline.ingest.readers.reader import Reader
from pipeline.ingest.readers.rml import Rml
from pipeline.ingest.readers.sfew import Sfew
from pipeline.ingest.readers.video_folders import VideoFolders
from pipeline.ingest.readers.voc import Voc
from pipeline.ingest.readers.yolo import Yolo
from pipeline.ingest.trees.open import open_known, open_tree
from pipeline.ingest.trees.seekable import seekable
from pipeline.ingest.trees.tree import MAX_READ_BYTES, Tree
from pipeline.video.container import is_video

READERS: Final[tuple[Reader, ...]] = (
    AffectNet(),
    AffectNetNpy(),
    AffectNetFolder(),
    CkPlus(),
    Ck48(),
    CkPlusCsv(),
    RafDb(),
    RafDbFolder(),
    RafDbCompound(),
    Emotic(),
    EmoticCsv(),
    Fer2013(),
    Fer2013Folder(),
    FerPlus(),
    Jaffe(),
    ExpW(),
    Kdef(),
    Rafd(),
    Sfew(),
    Bu3dfe(),
    Faces(),
    Hub(),
    Yolo(),
    Coco(),
    Voc(),
    Dfew(),
    Ferv39k(),
    Mafw(),
    MafwCompound(),
    OuluCasia(),
    AfewVa(),
    AffWild2(),
    Ravdess(),
    CremaD(),
    Meld(),
    Rml(),
    Baum1(),
    ClassFolders(),
    VideoFolders(),
    Table(),
    ClassColumns(),
    PathList(),
)

__all__ = [
    "AUTO",
    "READERS",
    "Pictures",
    "Reader",
    "Tree",
    "detect_format",
    "has_tables",
    "locate",
    "open_pictures",
    "open_tree",
]


def detect_format(tree: Tree) -> tuple[str, str]:
    """Return the format of a tree and the evidence.

    Raises:
        SourceError: no reader or more than one recognises the tree; says what was searched for.
    """
    reader, _, why = detect_among(READERS, tree)
    return reader.name, why


def locate(tree: Tree, fmt: str, classes: Collection[str] = ()) -> tuple[Reader, str, str]:
    """Return the reader of a format, the folder where its layout begins, and the evidence.

    Args:
        tree: the tree.
        fmt: a name of `READERS`, or "auto".
        classes: codes whose meaning is known, which may be the names of class folders.

    Raises:
        UsageError: there is no such format.
        SourceError: the tree does not have this layout.
    """
    if fmt == AUTO:
        try:
            return detect_among(READERS, tree)
        except SettingError:  # it is known, but of several formats
            raise
        except SourceError:
            for name, counts in ((ClassFolders.name, is_picture), (VideoFolders.name, is_video)):
                if (root := find_coded(tree, classes, counts)) is not None:
                    return find_reader(READERS, name), root, "class folders named after codes"
            raise
    reader = find_reader(READERS, fmt)
    return reader, find_root(reader, tree), "as told"


def has_tables(fmt: str) -> bool:
    """Return whether a format has tables with a picture in each row, so that samples of one file share no picture."""
    return find_reader(READERS, fmt).pictures_in_table


class Pictures:
    """The pictures of a raw tree by the `source_path` and `n` of a sample."""

    def __init__(self, tree: Tree, reader: Reader) -> None:
        self._tree = tree
        self._reader = reader

    def read(self, source_path: str, n: int) -> bytes:
        """Return the encoded bytes of a picture; of the n-th one if `source_path` is a table that contains pictures.

        Raises:
            ImageError: the file is too large to be read.
            SourceError: there is no such file, or it cannot be read.
        """
        if not self._reader.pictures_in_table:
            size = self._tree.size(source_path)
            if size > MAX_READ_BYTES:
                raise ImageError(Reason.too_large, f"a file of {size} bytes; at most {MAX_READ_BYTES} are read")
        return self._reader.picture(self._tree, source_path, n)

    @property
    def in_table(self) -> bool:
        """Whether a `source_path` is a table with a picture in each row; else it is one picture, with several faces."""
        return self._reader.pictures_in_table

    def open(self, source_path: str) -> BinaryIO:
        """Open a file, such as a video, for reading at any place.

        Raises:
            SourceError: there is no such file, it cannot be read.
        """
        return seekable(self._tree, source_path)

    def source_md5(self, source_path: str, content: bytes) -> str:
        """Return the md5 of the file that contains a picture, as in the table of samples.

        Args:
            source_path: the file.
            content: what `read` returned, which is the whole file unless that is a table of pictures.
        """
        if self._reader.pictures_in_table:
            return self._tree.md5(source_path)
        return hashlib.md5(content, usedforsecurity=False).hexdigest()


def open_pictures(src: str, fmt: str) -> Pictures:
    """Open the pictures of a raw tree whose format is known; "auto" recognises it."""
    if fmt == AUTO:
        tree = open_tree(src)
        return Pictures(tree, locate(tree, fmt)[0])
    return Pictures(open_known(src), find_reader(READERS, fmt))
