"""What else shows a withdrawn person: other faces in the same picture, and near-duplicates that `split` found."""

from collections.abc import Collection, Iterator

from pipeline.core.folders import SAMPLES, SPLIT
from pipeline.core.names import DUPLICATES_NAME, SAMPLES_NAME
from pipeline.core.schema import shown_in
from pipeline.core.tables import read_table


def resembling(withdrawn: Collection[str], *, in_table: bool) -> Iterator[str]:
    """Yield a line for each sample that is not withdrawn and shares a picture with one that is, or resembles it.

    Args:
        withdrawn: the samples.
        in_table: whether their raw dataset has tables with a picture in each row, so that samples of one file are
            different pictures.

    Raises:
        TableError: a table is torn.
    """
    md5s: set[str] = set()
    others: list[tuple[str, str]] = []
    for folder in sorted(path.parent for path in SAMPLES.glob(f"*/{SAMPLES_NAME}")):
        table = read_table(folder / SAMPLES_NAME, ["sample_id", "source_md5"])
        pairs = list(zip(table["sample_id"].to_pylist(), table["source_md5"].to_pylist(), strict=True))
        md5s |= {md5 for name, md5 in pairs if name in withdrawn}
        others += [pair for pair in pairs if pair[0] not in withdrawn]
    pictures = {shown_in(name) for name in withdrawn}
    for name, md5 in others if not in_table else ():
        if shown_in(name) in pictures:
            yield f"{name}: another face in a withdrawn picture; without the picture it is gone, too"
        elif md5 in md5s:
            yield f"{name}: the same file as a withdrawn picture; withdraw it, too"
    path = SPLIT / DUPLICATES_NAME
    if path.is_file():
        table = read_table(path, ["first", "second"])
        for first, second in zip(table["first"].to_pylist(), table["second"].to_pylist(), strict=True):
            if (first in withdrawn) != (second in withdrawn):
                name, other = (second, first) if first in withdrawn else (first, second)
                yield f"{name}: nearly the same picture as {other}; withdraw it if it shows the person"
