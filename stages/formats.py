"""`prep formats`: the datasets that can be read, where to get them, and their terms."""

from textwrap import fill
from typing import Final

from stages.say import Json, show, show_json

_WIDTH: Final = 100
_HEAD: Final = 20
_INDENT: Final = 10  # of the lines below the name; the longest address still fits


def formats(as_json: Json = False) -> None:
    """Print every format that `prep ingest` reads, with where to get the dataset and under which terms."""
    from pipeline.core.catalog import CATALOG, UNREAD
    from pipeline.ingest.registry import READERS

    entries = []
    for reader in READERS:
        entry = CATALOG[reader.name]
        more = {"layout": reader.layout, "gives": entry.gives, "where": entry.where, "terms": entry.terms}
        entries.append({"format": reader.name, "dataset": entry.dataset, **more})
    if as_json:
        show_json(entries)
        return
    for said in entries:
        show(_block(said))
    show("not read")
    for dataset, why in UNREAD.items():
        show(f"  {dataset}: {why}")


def _block(entry: dict[str, str]) -> str:
    """Return a format as its name and dataset, and what there is to say of it below, indented."""
    name, dataset, *_ = entry.values()
    lines = [f"{name:<{_HEAD}}{dataset}"]
    for word in ("layout", "gives", "where", "terms"):
        if entry[word]:
            lead = f"{'':2}{word:<{_INDENT - 2}}"
            lines.append(
                fill(
                    entry[word],
                    _WIDTH,
                    initial_indent=lead,
                    subsequent_indent=" " * _INDENT,
                    break_on_hyphens=False,
                    break_long_words=False,
                )
            )
    return "\n".join(lines)
