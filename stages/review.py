"""`prep review`: serve the page on which a person decides about doubtful samples."""

from typing import Annotated

import typer

from pipeline.core import folders
from pipeline.core.errors import UsageError
from stages import project
from stages.decided import book_of
from stages.say import show


def review(
    by: Annotated[str, typer.Option("--as", help="Your alias, as it stands in git; no name.", show_default=False)],
    dataset: Annotated[
        list[str] | None, typer.Option(help="Only this dataset; may be given again.  [default: all]")
    ] = None,
    sample: Annotated[
        list[str] | None, typer.Option(help="Ask about this sample instead; may be given again.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many samples.")] = 1000,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 0,
    idle_minutes: Annotated[float, typer.Option(min=0.01, help="Ends after so long without use.")] = 60,
) -> None:
    """Serve a page on this machine that shows doubtful samples, the most doubtful first, and writes what you decide.

    The order is that of `prep doubt`; without it, the network's surest mistakes come first, then uncertain detections.
    Open the address that is printed; it holds a secret and works on this machine only. Every decision is written to
    decisions/<dataset>.csv at once, so stopping at any time loses nothing.
    """
    from pipeline.decisions.decision import ALIAS
    from pipeline.review.faces import Faces, Source
    from pipeline.review.queue import asked_for, build_queue, read_labels, read_samples
    from pipeline.review.server import Review, serve
    from pipeline.review.session import Session
    from stages.withdrawn import withdrawn_samples

    if not ALIAS.fullmatch(by):
        raise UsageError(f"--as {by!r}: expected a small letter, then up to 19 small letters, digits, - or _")
    params = project.load_params()
    chosen = list(dict.fromkeys(dataset or params.datasets))
    for name in chosen:
        if name not in params.datasets:
            raise UsageError(f"--dataset {name}: params.yaml has {', '.join(params.datasets)}")
    project.check_made(*(folders.SAMPLES / name for name in chosen))
    books = {name: book_of(name) for name in chosen}
    gone = frozenset[str]().union(*map(withdrawn_samples, chosen))
    labels = read_labels(chosen)
    queue = asked_for(sample, labels) if sample else build_queue(chosen, labels, limit=limit)
    queue = [item for item in queue if item.sample_id not in gone]
    wanted = {name for item in queue for name in (item.sample_id, *item.neighbours)} - gone
    rows = {key: row for name in chosen for key, row in read_samples(name, wanted).items()}
    if unknown := [item.sample_id for item in queue if item.sample_id not in rows]:
        raise UsageError(f"{unknown[0]}: no such sample in {', '.join(chosen)}; run dvc repro if the queue is old")
    sources = {name: Source(params.datasets[name].src, project.told_of(name, "format")) for name in chosen}
    page = Review(Session(queue, books, by), Faces(sources, rows, gone), {name: _terms(name) for name in chosen})
    serve(
        page,
        port=port,
        idle_minutes=idle_minutes,
        ready=lambda address: show(f"{len(queue)} samples: open {address} (Ctrl-C or Close ends it)"),
    )


def _terms(dataset: str) -> str:
    from pipeline.core.catalog import CATALOG

    entry = CATALOG.get(project.told_of(dataset, "terms"))
    return f"{dataset}: {entry.terms}." if entry else ""
