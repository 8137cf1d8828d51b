"""What the project knows of withdrawn samples, and where to look for them."""

from pipeline.core.errors import LineageError
from pipeline.core.folders import DECISIONS, FORGOTTEN, SAMPLES
from pipeline.core.params import Params
from pipeline.decisions.book import read_book
from pipeline.decisions.decision import Kind
from pipeline.decisions.forgotten import Digest, read_digests
from pipeline.decisions.known import samples_of
from pipeline.forget.look import Wanted
from stages.decided import SUFFIX, book_of


def read_wanted() -> Wanted:
    """Return what must not be found any more: the digests and names of all withdrawn samples.

    Raises:
        LineageError: nothing is withdrawn, or a withdrawal was written by hand, without digests.
        BookError: a file of decisions cannot be taken as it is.
    """
    books = sorted(DECISIONS.glob(f"*{SUFFIX}"))
    samples = {one.sample_id: book for book in books for one in read_book(book) if one.kind is Kind.withdrawn}
    digests = _digests()
    known = {one.sample_id for one in digests}
    for name, book in sorted(samples.items()):
        if name not in known:
            again = f"prep forget --dataset {book.stem} --sample {name} takes them"
            raise LineageError(f"{book}: {name} is withdrawn, but there are no digests to look for; {again}")
    if not known:
        raise LineageError(f"{DECISIONS}: nobody is withdrawn; prep forget withdraws samples")
    return Wanted(digests, known)


def _digests() -> list[Digest]:
    return [one for path in sorted(FORGOTTEN.glob(f"*{SUFFIX}")) for one in read_digests(path)]


def withdrawn_samples(dataset: str) -> frozenset[str]:
    """Return the samples of a dataset that are withdrawn by themselves or with their person.

    Raises:
        BookError: a file of decisions or digests cannot be taken as it is.
        TableError: the table of samples is missing or torn.
    """
    named = {one.sample_id for one in read_book(book_of(dataset)) if one.kind is Kind.withdrawn}
    people = {one.md5 for one in read_digests(FORGOTTEN / f"{dataset}{SUFFIX}") if one.what == "subject"}
    return frozenset(named).union(samples_of(SAMPLES / dataset, dataset, people))


def withdrawn_pictures() -> frozenset[str]:
    """Return the md5 of the pictures of withdrawn samples.

    Raises:
        BookError: a file of digests cannot be taken as it is.
    """
    return frozenset(one.md5 for one in _digests() if one.what == "picture")


def raw_trees(params: Params) -> dict[str, str]:
    """Return the raw tree of each dataset."""
    return {name: entry.src for name, entry in params.datasets.items()}
