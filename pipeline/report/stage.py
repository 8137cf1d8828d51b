"""The stage: write the page of shards and, if there is one, the network trained on them, with the faces it shows."""

from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from pipeline.core.lineage.walk import Node, iter_nodes, walk
from pipeline.core.names import INDEX_NAME, SPLIT_NAME
from pipeline.core.parallel.pool import Progress, no_progress
from pipeline.core.params import ReportParams
from pipeline.core.stage_output import StageOutput, stage_output
from pipeline.core.tables import read_table
from pipeline.report.card import build_card, dataset_nodes
from pipeline.report.doubt import count_doubts, fill_map, has_map, read_doubts, read_map
from pipeline.report.faces import Dataset, Known, build_faces, describe_faces, read_crops
from pipeline.report.network import read_answers
from pipeline.report.page import Gallery, build_page
from pipeline.report.rejects import build_rejects
from pipeline.report.tiles import face_tiles

_PICTURES: Final = "pictures"
_SALIENCY: Final = {
    "classes.png": "Where the network looks, by true class",
    "mistakes.png": "Its most confident mistakes",
}
_Pictures = dict[str, list[dict[str, Any]]]
_NEEDED: Final = frozenset({"ingest", "equalize", "select", "harmonize"})


def run(
    shards: Path,
    out: Path,
    params: ReportParams,
    *,
    run: Path | None = None,
    evaluation: Path | None = None,
    doubt: Path | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Write index.html, card.json, which contains no pictures, and the folder pictures.

    The pictures show faces, so the folder must be below runs/, which git ignores.

    Args:
        shards: the folder of shards.
        out: the folder to write.
        params: the number of faces to show.
        run: the folder of a network trained on them.
        evaluation: the folder of its evaluation.
        doubt: the folder of what is doubtful.
        progress: called with datasets done.

    Returns:
        summary.json: rows_in and rows_out are the rows of the shards.

    Raises:
        LineageError: see `card.build_card`.
        TableError: a table is missing or torn.
    """
    sources = [path for path in (shards, run, evaluation, doubt) if path is not None]
    with stage_output(out, stage="report", sources=sources, params=params.plain(), tools=["pillow"]) as output:
        card = build_card(shards, run, evaluation)
        known = _read_known(walk(shards), evaluation, doubt)
        if known.doubts is not None:
            of_network = evaluation is not None and has_map(evaluation)
            card["doubt"] = count_doubts(known.doubts) | {"map_of_network": of_network}
        faces, rejects = _write_pictures(output, card, walk(shards), known, params, progress)
        if known.places is not None:
            card["doubt"]["not_on_map"] = len(known.places) - fill_map(chain.from_iterable(faces.values()))
        gallery = Gallery(faces, rejects, _copy_saliency(output, evaluation))
        output.write_json("card.json", card)
        output.path("index.html").write_text(build_page(card, gallery), encoding="utf-8")
        rows = len(read_table(shards / INDEX_NAME, ["sample_id"]))
        return output.finish(rows_in=rows, rows_out=rows)


def _write_pictures(
    output: StageOutput,
    card: Mapping[str, Any],
    root: Node,
    known: Known,
    params: ReportParams,
    progress: Progress,
) -> tuple[_Pictures, _Pictures]:
    """Write the tiles of all datasets; return the faces and the rejects, see `Gallery`."""
    output.path(f"{_PICTURES}/any")  # the folder is there even if nobody may be shown
    shared = _shared(root)
    faces, rejects = {}, {}
    for number, (name, facts) in enumerate(card["datasets"].items()):
        progress(number, len(card["datasets"]), name)
        nodes = dataset_nodes(root, name)
        if _NEEDED - set(nodes):
            continue
        folders = {stage: Path(node.path) for stage, node in nodes.items()}
        dataset = Dataset(name, folders | shared, facts["terms_of"])
        crops = read_crops(dataset)
        faces[name] = _write_faces(output, number, dataset, build_faces(dataset, crops, known, params))
        raw = next((node.path for node in nodes["ingest"].inputs if node.stage is None), None)
        left_out = build_rejects(dataset, raw, facts["format"], crops, params.rejects_per_reason)
        rejects[name] = [
            {**row.facts} | ({} if row.tile is None else {"picture": _write(output, number, f"left{place}", row.tile)})
            for place, row in enumerate(left_out)
        ]
    progress(len(card["datasets"]), len(card["datasets"]), "")
    return faces, rejects


def _shared(root: Node) -> dict[str, Path]:
    """Return stage -> folder for the stages that treat all datasets together."""
    return {node.stage: Path(node.path) for node in iter_nodes(root) if node.stage in ("split", "shard")}


def _read_known(root: Node, evaluation: Path | None, doubt: Path | None) -> Known:
    split = _shared(root).get("split")
    return Known(
        splits=None if split is None else read_table(split / SPLIT_NAME, ["sample_id", "split"]),
        answers=None if evaluation is None else read_answers(evaluation),
        doubts=None if doubt is None else read_doubts(doubt),
        places=None if doubt is None else read_map(doubt, evaluation),
    )


def _write_faces(output: StageOutput, number: int, dataset: Dataset, faces: pa.Table) -> list[dict[str, Any]]:
    tiles = face_tiles(dataset.folders["equalize"], faces)
    return [
        known | {"picture": _write(output, number, f"face{place}", tile)}
        for place, (known, tile) in enumerate(zip(describe_faces(faces), tiles, strict=True))
    ]


def _write(output: StageOutput, dataset: int, name: str, tile: bytes) -> str:
    """Write a tile and return its path from the page: of numbers, because names of datasets are others' words."""
    path = f"{_PICTURES}/{dataset}/{name}.jpg"
    output.path(path).write_bytes(tile)
    return path


def _copy_saliency(output: StageOutput, evaluation: Path | None) -> dict[str, str]:
    """Copy the saliency pictures, which show faces under the same terms, and return title -> path from the page."""
    found = {}
    for name, title in _SALIENCY.items():
        if evaluation is not None and (evaluation / "saliency" / name).is_file():
            found[title] = f"{_PICTURES}/{name}"
            output.path(found[title]).write_bytes((evaluation / "saliency" / name).read_bytes())
    return found
