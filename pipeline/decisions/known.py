"""Which samples of decisions are there: those that are gone are passed over, and a misspelt one is an error."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.names import MANIFEST_NAME, REJECTS_NAME, SAMPLES_NAME
from pipeline.core.schema import shown_in
from pipeline.core.tables import read_table
from pipeline.decisions.book import BookError
from pipeline.decisions.decision import LINKS, Decision, Kind, nearest
from pipeline.decisions.forgotten import subject_md5


@dataclass(frozen=True, slots=True)
class Known:
    """A dataset as `ingest` has it: its name, its samples, what it rejected, and the pictures of the raw tree."""

    dataset: str
    samples: frozenset[str]
    rejected: frozenset[str]
    pictures: tuple[str, ...]

    def is_gone(self, sample_id: str) -> bool:
        """Say whether a sample could have been one: its picture or its row is in the raw tree, but is no sample now."""
        path = sample_id.rpartition("#")[0].removeprefix(f"{self.dataset}/")
        there = any(name == path or name.endswith(f"/{path}") for name in self.pictures)
        return sample_id in self.rejected or there


def read_known(samples: Path, dataset: str) -> Known:
    """Read which samples a dataset has from the folder that `ingest` wrote.

    Raises:
        TableError: a table is missing or torn.
    """

    def column(table: str, name: str) -> list[str]:
        found: list[str] = read_table(samples / table, [name])[name].to_pylist()
        return found

    return Known(
        dataset,
        frozenset(column(SAMPLES_NAME, "sample_id")),
        frozenset(column(REJECTS_NAME, "sample_id")),
        tuple(column(MANIFEST_NAME, "path")),
    )


def samples_of(samples: Path, dataset: str, subjects: Collection[str]) -> list[str]:
    """Return the samples of withdrawn people, whom `subjects` gives as `subject_md5` does.

    Raises:
        TableError: a table is missing or torn.
    """
    if not subjects:
        return []
    table = read_table(samples / SAMPLES_NAME, ["sample_id", "subject_id"])
    people = {one for one in table["subject_id"].unique().to_pylist() if one is not None}
    gone = {one for one in people if subject_md5(dataset, one) in subjects}
    pairs = zip(table["sample_id"].to_pylist(), table["subject_id"].to_pylist(), strict=True)
    return [name for name, subject in pairs if subject in gone]


def split_gone(
    path: Path, lines: Sequence[tuple[int, Decision]], known: Known, forgotten: Iterable[str]
) -> tuple[list[Decision], list[Decision]]:
    """Return the decisions about samples that are there, and those about samples that are gone.

    Args:
        path: the file, for messages.
        lines: its decisions with their lines.
        known: the samples of the dataset.
        forgotten: the samples whose withdrawal `prep forget` has written down; their pictures may be removed.

    Raises:
        BookError: a sample is neither; names the line and the sample whose name is nearest.
    """
    removed = {shown_in(sample_id) for sample_id in forgotten}
    present: list[Decision] = []
    gone: list[Decision] = []
    for number, one in lines:
        own = [one.sample_id, *([one.value] if one.kind in LINKS and one.value.startswith(f"{known.dataset}/") else [])]
        missing = [name for name in own if name not in known.samples]
        for name in missing:
            if shown_in(name) not in removed and not known.is_gone(name):
                raise BookError(_unknown(f"{path}:{number}", name, one, known))
        (gone if missing else present).append(one)
    return present, gone


def _unknown(place: str, sample_id: str, decision: Decision, known: Known) -> str:
    what = "a withdrawal of an" if decision.kind is Kind.withdrawn else "an"
    close = nearest(sample_id, known.samples)
    remedy = f"did you mean {close}?" if close else f"those of {known.dataset} begin with {known.dataset}/"
    return f"{place}: {what} unknown sample {sample_id}; {remedy} Else remove the line: git keeps it"
