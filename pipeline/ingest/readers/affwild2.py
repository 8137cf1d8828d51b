"""Aff-Wild2: videos with an expression, and valence and arousal, for each frame; faces cropped and aligned.

Kollias, Zafeiriou: Aff-Wild2: Extending the Aff-Wild Database for Affect Recognition, 2018, and the ABAW competitions,
which added the class Other.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from pipeline.core.schema import Reason
from pipeline.core.split_names import TRAIN, VAL, split_name
from pipeline.ingest.parsing.delimited import line_of, number, read_lines
from pipeline.ingest.parsing.label_names import native_label
from pipeline.ingest.raw_dataset import Annotation, RawDataset, RejectedRow, Row, is_picture, join, stem
from pipeline.ingest.readers.reader import Reader
from pipeline.ingest.trees.tree import Tree

_CLASSES: Final = ("Neutral", "Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise", "Other")
_NONE: Final = "none"  # a frame with valence and arousal, but no expression
_SPLITS: Final = {TRAIN: "train", VAL: "validation"}
_EXPRESSION_NOT_GIVEN: Final = -1
_AFFECT_NOT_GIVEN: Final = -5.0
# The other people of a video have its name with one of these.
_OTHERS: Final = ("_left", "_right")


@dataclass(slots=True)
class _Video:
    """What the annotations say of each frame of one video, from the first on."""

    labels: list[str | None] = field(default_factory=list)
    affect: list[tuple[float, float] | None] = field(default_factory=list)
    split: str | None = None
    list: str = ""  # where it stands
    bad: dict[int, str] = field(default_factory=dict)  # frame -> what its row says instead of a code


class AffWild2(Reader):
    """`EXPR_Set/Train_Set/<video>.txt` and `VA_Set/…`, a row a frame; `cropped_aligned/<video>/00001.jpg`."""

    name = "affwild2"
    labels = (*_CLASSES, _NONE)
    cut_out = True
    layout = (
        "EXPR_Set or VA_Set with Train_Set and Validation_Set of one txt a video, and cropped_aligned/<video>/00001.jpg"
    )

    def evidence(self, tree: Tree, root: str) -> str | None:
        """See `Reader.evidence`."""
        found = None if root else next(_lists(tree, root), None)  # they are searched for everywhere
        return found and f"{found[2]} has a row for each frame"

    def read(self, raw: RawDataset) -> Iterator[Row]:
        """See `Reader.read`."""
        videos: dict[str, _Video] = {}
        for kind, split, name in _lists(raw.tree, raw.root):
            video = videos.setdefault(stem(name), _Video())
            # A video may be for training in one set and for validation in the other: expressions decide.
            video.split = split if kind == "expr" or video.split is None else video.split
            video.list = video.list or name
            (_read_labels if kind == "expr" else _read_affect)(raw.tree, name, video)
        folders = _frame_folders(raw)
        for name, video in sorted(videos.items()):
            folder = folders.get(name, join(raw.at("cropped_aligned"), name))
            frames = {stem(one): one for one in raw.tree.listing(folder).files if is_picture(one)}
            yield from _rows(name, video, folder, frames)


def _lists(tree: Tree, root: str) -> Iterator[tuple[str, str, str]]:
    """Yield the kind (expr or va), the split and the name of every list, those of expressions first."""
    found = []
    for name in tree.below(root):
        parts = name[len(root) + 1 if root else 0 :].casefold().split("/")
        if len(parts) < 3 or not parts[-1].endswith(".txt"):
            continue
        kind = "expr" if parts[-3].startswith("expr") else "va" if parts[-3].startswith("va_") else None
        split = _SPLITS.get(split_name(parts[-2]) or "")
        if kind and split:
            found.append((kind, split, name))
    yield from sorted(found)


def _frame_folders(raw: RawDataset) -> dict[str, str]:
    """Return video -> the folder with its frames; `cropped_aligned` comes before other folders of the same name."""
    found: dict[str, str] = {}
    for name in raw.tree.below(""):
        folder = name.rpartition("/")[0]
        video = folder.rpartition("/")[2]
        if is_picture(name) and ("cropped_aligned" in folder.split("/") or video not in found):
            found[video] = folder
    return found


def _read_labels(tree: Tree, name: str, video: _Video) -> None:
    order: tuple[str, ...] = _CLASSES
    for row, text in read_lines(tree, name):
        place = line_of(row) - 1
        if place == 0:
            # The header names the classes in the order of their codes; older lists have no Other.
            named = [native_label(word, _CLASSES) for word in text.split(",") if word.strip()]
            order = tuple(word for word in named if word) if named and all(named) else _CLASSES
            continue
        code = number(text.split(",")[0])
        # A blank line is a frame, too.
        video.labels.extend([None] * (place - 1 - len(video.labels)))
        label = order[int(code)] if code is not None and code in range(len(order)) else None
        if label is None and code != _EXPRESSION_NOT_GIVEN:
            video.bad[len(video.labels)] = f"{row}: expected a code 0 to {len(order) - 1} or -1, not {text[:20]!r}"
        video.labels.append(label)


def _read_affect(tree: Tree, name: str, video: _Video) -> None:
    header = 0
    for row, text in read_lines(tree, name):
        pair = [number(cell) for cell in text.split(",")[:2]]
        if line_of(row) == 1 and None in pair:
            header = 1
            continue
        video.affect.extend([None] * (line_of(row) - 1 - header - len(video.affect)))
        valence, arousal = (*pair, None, None)[:2]
        given = valence is not None and arousal is not None and _AFFECT_NOT_GIVEN not in (valence, arousal)
        video.affect.append((valence, arousal) if given and valence is not None and arousal is not None else None)


def _rows(name: str, video: _Video, folder: str, frames: Mapping[str, str]) -> Iterator[Row]:
    sequence = name
    for end in _OTHERS:
        sequence = sequence.removesuffix(end)
    for frame in range(max(len(video.labels), len(video.affect))):
        label = video.labels[frame] if frame < len(video.labels) else None
        affect = video.affect[frame] if frame < len(video.affect) else None
        number, row = f"{frame + 1:05d}", f"{video.list} frame {frame + 1}"
        path = f"{folder}/{frames.get(number, f'{number}.jpg')}"
        if frame in video.bad:
            yield RejectedRow(path, Reason.bad_row, video.bad[frame], name)
        elif label is None and affect is None:
            yield RejectedRow(path, Reason.unlabelled, f"{row}: neither an expression nor valence and arousal", name)
        elif number not in frames:
            yield RejectedRow(path, Reason.missing_file, f"{row}: no face was found in it by the authors")
        else:
            yield Annotation(
                path,
                (label or _NONE,),
                row,
                subject=name,
                sequence=sequence,
                split=video.split,
                valence=affect[0] if affect else None,
                arousal=affect[1] if affect else None,
            )
