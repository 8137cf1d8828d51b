"""From what a person typed as `--src` to a tree: a folder, an archive, or a folder of archives."""

from pathlib import Path

from pipeline.errors import SourceError
from pipeline.sources.folder_tree import FolderTree
from pipeline.sources.tree import Tree


def open_tree(src: str, *, whole: bool = True) -> Tree:
    """Open a folder or an archive (.zip, .tar, .tar.gz, .tgz), or a folder that holds archives.

    Args:
        src: the path of the folder or file.
        whole: list every file now. Where only some files will be read, a plain folder need not be walked.

    Raises:
        SourceError: nothing is there, it is no archive that can be read, or an archive is refused.
    """
    path = Path(src)
    if path.is_dir():
        return FolderTree(src)
    raise SourceError(f"{src}: nothing is there; expected a folder or an archive of a dataset")
