"""Paths of another machine: `/content/drive/fer/train/1.jpg` is `train/1.jpg` of this tree.

The mapping from foreign folders to folders of the tree is learned from all rows together, by the longest suffix of each
path that exists in the tree. Row by row, a missing picture could be mistaken for one of the same name in another
folder.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable

from pipeline.ingest.parsing.label_names import class_word, is_split
from pipeline.ingest.trees.tree import Tree

Parts = tuple[str, ...]


class Moved:
    """Finds the pictures of foreign paths in a tree."""

    def __init__(self, tree: Tree, given: Iterable[str]) -> None:
        """Learn from every path in a list, including those that exist in the tree unchanged."""
        self._tree = tree
        self._folders: defaultdict[Parts, set[str]] = defaultdict(set)  # foreign folder -> folders of the tree
        self._support: Counter[Parts] = Counter()
        for path in given:
            if found := self._longest(parts_of(path)):
                foreign, folder = found
                self._folders[foreign].add(folder)
                self._support[foreign] += 1

    def find(self, given: str) -> list[str]:
        """Return the files that a path may refer to: none if it is missing, several if it is ambiguous."""
        parts = parts_of(given)
        foreign = self._foreign(parts)
        if foreign is None:
            alike = self._alike(parts)
            return alike if len(alike) > 1 else []
        rest = "/".join(parts[len(foreign) :])
        found: dict[str, None] = {}
        for folder in sorted(self._folders[foreign]):
            found |= dict.fromkeys(self._tree.match(f"{folder}/{rest}" if folder else rest))
        return list(found)

    def described(self, given: str) -> str:
        """Return the foreign folder of a path and the tree's folder as text, for a note."""
        foreign = self._foreign(parts_of(given)) or ()
        shown = "/".join(foreign).replace("//", "/", 1)
        return f"{shown or 'their folder'} is {' or '.join(sorted(self._folders[foreign])) or 'the tree itself'}"

    def _foreign(self, parts: Parts) -> Parts | None:
        # That relative paths begin in the tree says nothing about an absolute one.
        first = int(parts[0] == "/" or parts[0].endswith(":")) if parts else 0
        known = [parts[:cut] for cut in range(first, len(parts)) if parts[:cut] in self._folders]
        # Of folders that lie in one another the one that most rows speak for, the outermost of several.
        return max(known, key=lambda one: (self._support[one], -len(one)), default=None)

    def _longest(self, parts: Parts) -> tuple[Parts, str] | None:
        """Return the foreign folder and the tree's folder before the longest common suffix; None if ambiguous."""
        alike = self._alike(parts)
        if len(alike) != 1:
            return None
        name = alike[0].split("/")
        length = _common(parts, tuple(name))
        if _are_others(parts[:-length][-1:], tuple(name)[:-length][-1:]):
            return None
        return parts[:-length], "/".join(name[:-length])

    def _alike(self, parts: Parts) -> list[str]:
        """Return the files that share the longest suffix with a path."""
        ends: defaultdict[int, list[str]] = defaultdict(list)
        for name in self._tree.ending(parts[-1]) if parts else ():
            ends[_common(parts, tuple(name.split("/")))].append(name)
        return ends[max(ends)] if ends else []


def parts_of(path: str) -> Parts:
    """Return the parts of a path of any operating system, or of an address; an absolute path's first part is "/"."""
    text = path.strip().replace("\\", "/")
    text = re.split(r"[?#]", text)[0] if "://" in text else text
    names = tuple(part for part in text.split("/") if part not in {"", "."})
    return ("/", *names) if text.startswith("/") else names


def _are_others(folder: Parts, other: Parts) -> bool:
    """Return whether two folders are certainly different: of two splits, or of two classes."""
    if not folder or not other:
        return False
    words = {class_word(folder[0]), class_word(other[0])}
    return (is_split(folder[0]) and is_split(other[0])) or (len(words) > 1 and None not in words)


def _common(parts: Parts, others: Parts) -> int:
    length = 0
    for one, other in zip(reversed(parts), reversed(others), strict=False):
        if one.casefold() != other.casefold():
            break
        length += 1
    return length
