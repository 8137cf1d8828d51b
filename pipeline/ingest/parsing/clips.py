"""The rows of a clip that has one label: one for each picture of its folder, or for each chosen frame of its video."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

from pipeline.core.schema import Reason
from pipeline.ingest.raw_dataset import Annotation, RawDataset, RejectedRow, Row, is_picture
from pipeline.ingest.trees.seekable import seekable
from pipeline.video.container import is_video
from pipeline.video.frames import list_frames


def video_rows(raw: RawDataset, row: Annotation) -> Iterator[Row]:
    """Yield the frames of the video that a row is about, and a rejected row for what cannot be read of it.

    Args:
        raw: the dataset; `ingest.video` of params.yaml chooses the frames.
        row: the annotation of the whole video, which may not have been found. The video is the sequence of its frames.
    """
    if isinstance(row.path, RejectedRow):
        yield row.path
        return
    with seekable(raw.tree, row.path) as content:
        found = list_frames(content, raw.params.video)
    whole = replace(row, sequence=row.sequence or row.path)
    for at in found.times_ms:
        yield replace(whole, n=at, time_s=at / 1000, row=f"{row.row}, {at / 1000:g} s")
    if found.problem is not None:
        yield RejectedRow(row.path, found.problem[0], f"{row.row}: {found.problem[1]}")
    elif not found.times_ms:
        yield RejectedRow(row.path, Reason.unlabelled, f"{row.row}: ingest.video chooses no frame of it")


def with_frames(raw: RawDataset, rows: Iterable[Row]) -> Iterator[Row]:
    """Yield the rows of a list, with the frames of each video in place of the row about it."""
    for row in rows:
        if isinstance(row, Annotation) and isinstance(row.path, str) and is_video(row.path):
            yield from video_rows(raw, row)
        else:
            yield row


class Clips:
    """The clips of a tree by their names: folders of pictures, and videos.

    Releases come in parts and in several sizes (`clip_224x224_part_1/00001`, `clip_224x224_16f/00001`), so a clip is
    looked up by the end of its path. Of several folders of one clip, the first is read.
    """

    def __init__(self, raw: RawDataset, depth: int = 1) -> None:
        """Index the tree.

        Args:
            raw: the dataset.
            depth: how many components of a path name a clip.
        """
        self._raw = raw
        self._depth = depth
        self._folders: defaultdict[str, list[str]] = defaultdict(list)
        self._videos: defaultdict[str, list[str]] = defaultdict(list)
        last = ""
        # Of the whole tree: lists may lie deeper than the clips.
        for name in raw.tree.below(""):
            folder = name.rpartition("/")[0]
            if is_picture(name) and folder != last:
                last = folder
                self._folders[self._key(folder)].append(folder)
            elif is_video(name):
                self._videos[self._key(name.rpartition(".")[0])].append(name)
        self._twice = 0

    def rows(self, name: str, row: Annotation) -> Iterator[Row]:
        """Yield the frames of a clip; one rejected row if there is none of this name.

        Args:
            name: the clip as a list names it.
            row: the annotation of the whole clip, with any path.
        """
        key = self._key(name if not is_video(name) else name.rpartition(".")[0])
        folders, videos = self._folders.get(key, []), self._videos.get(key, [])
        if len(folders) > 1:
            self._twice += 1
        if folders:
            yield from folder_rows(self._raw, folders[0], row)
        elif videos:
            yield from video_rows(self._raw, replace(row, path=videos[0]))
        else:
            yield RejectedRow(name, Reason.missing_file, f"{row.row}: no folder of frames and no video of this name")

    def note(self) -> None:
        """Say how many clips are there more than once."""
        if self._twice:
            self._raw.notes.append(f"{self._twice} clips have several folders of frames: the first of each is read")

    def _key(self, path: str) -> str:
        parts = path.replace("\\", "/").strip("/").split("/")[-self._depth :]
        return "/".join(part.lstrip("0") or "0" if part.isdecimal() else part.casefold() for part in parts)


def frame_order(name: str) -> tuple[list[tuple[int, str]], str]:
    """Return the key by which names of frames are sorted: 10.jpg comes after 9.jpg."""
    parts = re.findall(r"\d+|\D+", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts], name


def folder_rows(raw: RawDataset, folder: str, row: Annotation) -> Iterator[Annotation]:
    """Yield a row for each picture directly in a folder, in the order of their names."""
    for name in sorted(filter(is_picture, raw.tree.listing(folder).files), key=frame_order):
        path = f"{folder}/{name}" if folder else name
        yield replace(row, path=path, sequence=row.sequence or folder, row=f"{row.row}: {name}")
