"""Datasets of videos whose names contain all annotations: one pattern for each dataset."""

from collections.abc import Iterator

from pipeline.core.schema import Reason
from pipeline.ingest.parsing.clips import video_rows
from pipeline.ingest.raw_dataset import RawDataset, RejectedRow, Row
from pipeline.ingest.readers.named import NamedPictures
from pipeline.video.container import is_video


class NamedVideos(NamedPictures):
    """A reader like `NamedPictures`, for videos."""

    @staticmethod
    def counts(name: str) -> bool:
        """See `NamedPictures.counts`."""
        return is_video(name)

    def read(self, raw: RawDataset) -> Iterator[Row]:
        """See `Reader.read`."""
        for path in sorted(name for name in raw.tree.below(raw.root) if is_video(name)):
            found = self._annotation(path)
            if found is None:
                yield RejectedRow(path, Reason.bad_row, f"{path}: not named as {self.example}")
            elif (twin := self.twin(path)) is not None and twin in raw.tree:
                yield RejectedRow(path, Reason.duplicate_row, f"{path}: shows the same pictures as {twin}")
            else:
                yield from video_rows(raw, found)

    def twin(self, path: str) -> str | None:  # noqa: ARG002 - for releases that have the same pictures twice
        """Return the file with the same pictures that is read instead, if it is there."""
        return None
