"""`prep formats`: what can be read, where to get it and under which terms."""

import sys
from collections.abc import Sequence

from stages.say import say


def formats() -> None:
    """Print every format that `prep ingest` reads, with where to get the dataset and under which terms."""
    from pipeline.catalog import CATALOG
    from pipeline.sources import READERS

    heads = ("format", "dataset", "layout", "beyond labels", "where", "terms")
    rows = []
    for reader in READERS:
        entry = CATALOG[reader.name]
        rows.append((reader.name, entry.dataset, reader.layout, entry.gives, entry.where, entry.terms))
    if sys.stdout.isatty():
        _print_table(heads, rows)
    else:
        _print_lines(heads, rows)


def _print_table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print three columns, so that addresses and layouts are whole on a narrow terminal, too."""
    from rich.console import Console
    from rich.table import Table

    table = Table(show_lines=True)
    table.add_column(heads[0], no_wrap=True)
    table.add_column("dataset, layout, what it gives beyond labels", overflow="fold")
    table.add_column("where, terms", overflow="fold")
    for name, dataset, layout, gives, where, terms in rows:
        table.add_row(name, f"{dataset}\n{layout}\n{gives}", f"{where}\n{terms}")
    Console(markup=False).print(table)


def _print_lines(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print one line a format in columns of even width: for pipes, which have none of their own."""
    widths = [max(len(row[place]) for row in (heads, *rows)) for place in range(len(heads))]
    for row in (heads, *rows):
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
