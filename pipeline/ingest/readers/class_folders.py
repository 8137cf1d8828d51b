"""Any folder of class folders: `<root>[/<split>]/<class>/…`. The names of the class folders are the labels."""

import re
from collections.abc import Callable, Collection, Iterator
from typing import Final

from pipeline.core.schema import Reason
from pipeline.ingest.clues import MAX_CLASSES
from pipeline.ingest.dataset_options import code_key, code_of
from pipeline.ingest.detect_format import roots
from pipeline.ingest.parsing.cut_out import are_named_cut_out
from pipeline.ingest.parsing.label_names import class_word, is_split
from pipeline.ingest.parsing.subjects import name_subjects
from pipeline.ingest.raw_dataset import Annotation, RawDataset, RejectedRow, Row, is_picture, join
from pipeline.ingest.readers.reader import Reader
from pipeline.ingest.releases.named_codes import name_codes
from pipeline.ingest.trees.tree import Tree

_SUFFIXED: Final = re.compile(r"([A-Za-z]+)[\s_-]+(.+)")


class ClassFolders(Reader):
    """A picture's label is the name of its class folder; deeper folders are ignored."""

    name = "folder"
    labels = ()
    layout = "two or more class folders with pictures, one at least named after an emotion, below the root or train/, …"
    generic = True

    def evidence(self, tree: Tree, root: str) -> str | None:
        """See `Reader.evidence`."""
        classes = sorted({name for name, _, _ in class_folders(tree, root)})
        # Any folders may contain pictures, but among those of a dataset, some are named after emotions.
        if len(classes) < 2 or not any(map(class_word, classes)):
            return None
        return f"{root or 'the root'} holds the class folders {', '.join(classes[:4])} …"

    def begins(self, tree: Tree, root: str) -> bool:
        """See `Reader.begins`."""
        return next(class_folders(tree, root), None) is not None

    def read(self, raw: RawDataset) -> Iterator[Row]:
        """See `Reader.read`."""
        yield from name_subjects(raw, name_codes(raw, list(_rows(raw)), "class folders named after codes"))

    def faces_are_cut_out(self, raw: RawDataset) -> bool:
        """See `Reader.faces_are_cut_out`."""
        return are_named_cut_out(raw.tree)


def _rows(raw: RawDataset) -> Iterator[Row]:
    classed, others = set(), []
    for label, split, folder in class_folders(raw.tree, raw.root):
        for name in raw.tree.below(folder):
            if is_picture(name):
                classed.add(name)
                labels = tuple(filter(None, [raw.meaning(label, folder)]))
                yield Annotation(name, labels, name, split=split or split_below(name, folder))
            else:
                others.append(name)
    if others:
        raw.notes.append(f"{len(others)} files in class folders do not end like pictures, such as {others[0]}")
    for name in raw.tree.below(raw.root):
        if is_picture(name) and name not in classed:
            yield RejectedRow(name, Reason.unlabelled, f"{name}: in no class folder")
    for name, target in raw.tree.unfollowed().items():
        # A linked folder is one row: what is in it is not looked at.
        if is_picture(name) or "." not in name.rpartition("/")[2]:
            yield RejectedRow(name, Reason.outside_root, f"{name}: a link to {target}")


def split_below(name: str, folder: str) -> str | None:
    """Return the split folder within a class folder that a file is in; None if there is none."""
    first, inside, _ = name.removeprefix(f"{folder}/").partition("/")
    return first if inside and is_split(first) else None


def class_folders(
    tree: Tree, root: str, counts: Callable[[str], bool] = is_picture
) -> Iterator[tuple[str, str | None, str]]:
    """Yield (label, split, folder) of every class folder with a picture, or with what else `counts`."""
    tops = tree.listing(root).folders
    split = {name: name for name in tops if is_split(name)} or _suffixed_splits(tops)
    for top in tops:
        at = join(root, top)
        found: list[tuple[str, str | None, str]]
        if top in split:
            found = [(name, split[top], join(at, name)) for name in tree.listing(at).folders]
        else:
            # Beside split folders, any other one is not a class.
            found = [] if split else [(top, None, at)]
        yield from (one for one in found if any(map(counts, tree.below(one[2]))))


def _suffixed_splits(tops: Collection[str]) -> dict[str, str]:
    """Return folder -> split of folders such as Train_AFEW and Val_AFEW: several splits of one name."""
    by_rest: dict[str, dict[str, str]] = {}
    for top in tops:
        if (found := _SUFFIXED.fullmatch(top)) and is_split(found[1]):
            by_rest.setdefault(found[2].casefold(), {})[top] = found[1]
    # A class of one name in two folders, train_happy and test_happy, is no dataset's name.
    named = {rest: folders for rest, folders in by_rest.items() if not class_word(rest)}
    return next(iter(named.values())) if len(named) == 1 and len(*named.values()) > 1 else {}


def find_coded(tree: Tree, classes: Collection[str], counts: Callable[[str], bool] = is_picture) -> str | None:
    """Return the folder with class folders that are named after codes; None if there are none.

    Args:
        tree: the tree.
        classes: the codes whose meaning is in params.yaml.
        counts: what class folders hold.
    """
    told = set(map(code_key, classes))
    for root in roots(tree, generic=True):
        names = {name for name, _, _ in class_folders(tree, root, counts)}
        if told & set(map(code_key, names)) or (
            # More numbers are people or clips.
            1 < len(names) <= MAX_CLASSES and all(code_of(name) is not None for name in names)
        ):
            return root
    return None
