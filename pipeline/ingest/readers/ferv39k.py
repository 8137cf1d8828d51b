"""FERV39k: clips of 22 scenes with one of seven expressions; lists for all scenes and for each.

Wang et al.: FERV39k: A Large-Scale Multi-Scene Dataset for Facial Expression Recognition in Videos, CVPR 2022.
"""

import re
from collections.abc import Iterator
from typing import Final

from pipeline.ingest.parsing.delimited import read_lines
from pipeline.ingest.parsing.label_names import native_label
from pipeline.ingest.raw_dataset import RawDataset
from pipeline.ingest.readers.listed_clips import Listed, ListedClips
from pipeline.ingest.trees.tree import Tree

_LIST: Final = re.compile(r"(?:.*/)?4_setups/([^/]+)/(?:train|test)[^/]*\.(?:csv|txt)", re.IGNORECASE)
_ALL: Final = "all_scenes"


class Ferv39k(ListedClips):
    """`4_setups/All_scenes/train_All.csv`, rows `Action/Sad/0010 Sad`; `2_ClipsforFaceCrop/Action/Sad/0010/`."""

    name = "ferv39k"
    labels = ("Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")
    layout = "4_setups/<setup>/train_….csv and test_….csv with rows such as Action/Sad/0010 Sad"
    depth = 3

    def evidence(self, tree: Tree, root: str) -> str | None:
        """See `Reader.evidence`."""
        return None if root else super().evidence(tree, root)  # its lists are searched for everywhere

    def lists(self, tree: Tree, root: str) -> list[str]:
        """See `ListedClips.lists`: those of all scenes, because the others repeat their clips."""
        prefix = len(root) + 1 if root else 0
        found = {name: match[1] for name in tree.below(root) if (match := _LIST.fullmatch(name[prefix:]))}
        whole = sorted(name for name, setup in found.items() if setup.casefold() == _ALL)
        return whole or sorted(found)

    def entries(self, raw: RawDataset, name: str) -> Iterator[Listed]:
        """See `ListedClips.entries`."""
        for row, text in read_lines(raw.tree, name):
            path, _, word = text.strip().replace("\\", "/").rstrip(",").replace(",", " ").rpartition(" ")
            parts = path.strip().strip("/").split("/")
            # Lists of one scene leave it out of their paths.
            scene = [name.split("/")[-2]] if len(parts) == self.depth - 1 else []
            label = native_label(word, self.labels)
            yield "/".join([*scene, *parts][-self.depth :]), None if label is None else (label,), row
