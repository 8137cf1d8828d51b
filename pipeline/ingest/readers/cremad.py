"""CREMA-D: 91 actors who say twelve sentences with one of six emotions at several levels.

Cao et al.: CREMA-D: Crowd-Sourced Emotional Multimodal Actors Dataset, IEEE Transactions on Affective Computing 2014.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from pipeline.ingest.parsing.delimited import Delimited
from pipeline.ingest.raw_dataset import Annotation, RawDataset, Row
from pipeline.ingest.readers.named import name_pattern
from pipeline.ingest.readers.named_videos import NamedVideos

_PEOPLE = "videodemographics.csv"
_COLUMNS = ("ActorID", "Age", "Sex", "Race", "Ethnicity")


class CremaD(NamedVideos):
    """`1001_DFA_ANG_XX.flv`: actor, sentence, emotion, level. The label is what was meant, not what raters saw."""

    name = "cremad"
    labels = ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")
    layout = "videos named as 1001_DFA_ANG_XX.flv"
    example = "1001_DFA_ANG_XX.flv"
    pattern = name_pattern(r"(\d{4})_[A-Z]{3}_(ANG|DIS|FEA|HAP|NEU|SAD)_[A-Z]{2}\.[a-z0-9]+")

    def annotate(self, path: str, found: re.Match[str]) -> Annotation | None:
        """See `NamedPictures.annotate`."""
        return Annotation(path, (found[2].upper(),), path, subject=found[1])

    def read(self, raw: RawDataset) -> Iterator[Row]:
        """See `Reader.read`: age, gender and race are in VideoDemographics.csv."""
        people = {}
        for name in raw.tree.below(raw.root):
            if name.rpartition("/")[2].casefold() == _PEOPLE:
                for record in Delimited(raw.tree, name, _COLUMNS).records():
                    cells = {"gender": record.get("Sex"), "age": record.get("Age"), "race": record.get("Race")}
                    people[record.get("ActorID")] = raw.attributes(record.row, **cells)
        for row in super().read(raw):
            known = people.get(row.subject or "") if isinstance(row, Annotation) else None
            yield replace(row, attributes=known) if isinstance(row, Annotation) and known else row
