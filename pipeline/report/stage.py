"""The stage: write the data card with contact sheets for shards and, if there is one, the network trained on them."""

from pathlib import Path
from typing import Any

from pipeline.core.lineage.walk import walk
from pipeline.core.parallel.pool import Progress, no_progress
from pipeline.core.params import ReportParams
from pipeline.core.stage_output import stage_output
from pipeline.report.card import build_card, dataset_nodes
from pipeline.report.contact import build_contact_sheets
from pipeline.report.page import build_page
from pipeline.report.sheet import write_png


def run(
    shards: Path,
    out: Path,
    params: ReportParams,
    *,
    run: Path | None = None,
    evaluation: Path | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Write index.html, card.json and contact/<dataset>-{typical,doubtful}.png.

    The pictures show faces, so the folder must be below runs/, which git ignores. card.json contains no pictures.

    Args:
        shards: the folder of shards.
        out: the folder to write.
        params: the number of faces to show.
        run: the folder of a network trained on them.
        evaluation: the folder of its evaluation.
        progress: called with datasets done.

    Returns:
        summary.json: rows_in and rows_out are the rows of the shards.

    Raises:
        LineageError: a step behind the shards is missing or was made again after them.
        TableError: a table is missing or torn.
    """
    sources = [path for path in (shards, run, evaluation) if path is not None]
    with stage_output(out, stage="report", sources=sources, params=params.plain(), tools=["pillow"]) as output:
        card = build_card(shards, run, evaluation)
        root = walk(shards)
        sheets: dict[str, list[str]] = {}
        for number, name in enumerate(card["datasets"]):
            nodes = dataset_nodes(root, name)
            progress(number, len(card["datasets"]), name)
            faces, selected, labels = (nodes.get(stage) for stage in ("equalize", "select", "harmonize"))
            if faces is None or selected is None or labels is None:
                continue
            bound = card["datasets"][name]["terms_of"]
            drawn = build_contact_sheets(
                Path(faces.path), Path(selected.path), Path(labels.path), params.contact_faces, bound
            )
            for kind, pixels in drawn.items():
                path = f"contact/{name}-{kind}.png"
                write_png(output.path(path), pixels)
                sheets.setdefault(name, []).append(path)
        progress(len(card["datasets"]), len(card["datasets"]), "")
        output.write_json("card.json", card)
        output.path("index.html").write_text(build_page(card, sheets), encoding="utf-8")
        rows = sum(sum(counts.values()) for facts in card["datasets"].values() for counts in facts["splits"].values())
        return output.finish(rows_in=rows, rows_out=rows)
