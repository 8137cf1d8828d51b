"""CREMA-D: 91 actors who say twelve sentences with one of six emotions at several levels.

Cao et al.: CREMA-D: Crowd-Sourced Emotional Multimodal Actors Dataset, IEEE Transactions on Affective Computing 2014.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from pipeline.core.errors import SourceError
from pipeline.ingest.dataset_options import code_of
from pipeline.ingest.parsing.delimited import Delimited
from pipeline.ingest.raw_dataset import Annotation, RawDataset, Row, name_of, stem
from pipeline.ingest.readers.named import name_pattern
from pipeline.ingest.readers.named_videos import NamedVideos

_PEOPLE = "videodemographics.csv"
_COLUMNS = ("ActorID", "Age", "Sex", "Race", "Ethnicity")
_VOTES = "tabulatedvotes.csv"
# Of its keys, 100000 times what raters got (1 the voice, 2 the face, 3 both) and the clip's number.
_FACE = 2
_KEY = 100_000
_SEEN = ("A", "D", "F", "H", "N", "S")


class CremaD(NamedVideos):
    """`1001_DFA_ANG_XX.flv`: actor, sentence, emotion, level. The label is what was meant or what raters saw."""

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
        seen = _votes(raw) if raw.params.cremad_labels == "seen" else None
        for row in super().read(raw):
            if isinstance(row, Annotation):
                yield _with_votes(replace(row, attributes=people.get(row.subject or "", row.attributes)), seen)
            else:
                yield row


def _votes(raw: RawDataset) -> dict[str, tuple[float, ...]]:
    """Return clip -> votes of those who saw the face without the voice, in the order of `CremaD.labels`.

    Raises:
        SourceError: there is no table of votes.
    """
    tables = [name for name in raw.tree.below(raw.root) if name.rpartition("/")[2].casefold() == _VOTES]
    if not tables:
        raise SourceError(f"{raw.tree.src}: ingest.cremad_labels is seen, but there is no tabulatedVotes.csv")
    found: dict[str, tuple[float, ...]] = {}
    for record in Delimited(raw.tree, tables[0], ("", *_SEEN, "fileName")).records():
        key = code_of(record.at(0))
        counts = [record.number(column) for column in _SEEN]
        given = tuple(count for count in counts if count is not None)
        if key is not None and key // _KEY == _FACE and len(given) == len(counts):
            found[record.get("fileName").casefold()] = given
    return found


def _with_votes(row: Annotation, seen: Mapping[str, tuple[float, ...]] | None) -> Annotation:
    if seen is None:
        return row
    votes = seen.get(stem(name_of(row.path)).casefold(), ())
    return replace(row, labels=CremaD.labels if any(votes) else (), votes=votes if any(votes) else None)
