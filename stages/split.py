"""`prep split`: assign every labelled sample to training, validation or test."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.core.folders import ALIGNED, LABELS, SPLIT
from stages.decided import decided_table
from stages.progress import bar
from stages.project import check_keep, load_params, own_folders
from stages.say import Fresh, note, say


def split(
    aligned: Annotated[Path, typer.Option(help="Folder with the aligned faces of each dataset.")] = ALIGNED,
    labels: Annotated[Path, typer.Option(help="Folder with the labels of each dataset.")] = LABELS,
    out: Annotated[Path, typer.Option(help="Folder to write.")] = SPLIT,
    fresh: Fresh = False,
) -> None:
    """Share the samples of all datasets out so that no person, sequence or picture is in two splits.

    Reads the faces and labels of every dataset in params.yaml; writes split.parquet, links.parquet and
    certificate.json.
    """
    from pipeline.core.names import DECIDED_SPLIT_NAME
    from pipeline.core.parallel.pool import worker_count
    from pipeline.core.parts import Resume
    from pipeline.split.stage import run as split_datasets

    params = load_params()
    check_keep(params)
    roles = {name: dataset.role for name, dataset in params.datasets.items()}
    with bar("split") as progress:
        summary = split_datasets(
            own_folders(params, aligned),
            own_folders(params, labels),
            roles,
            out,
            params.split,
            seed=params.seed,
            workers=worker_count(),
            decided=[table for name in roles if (table := decided_table(name, DECIDED_SPLIT_NAME))],
            resume=Resume(fresh, note),
            progress=progress,
        )
    counts = ", ".join(f"{count} {name}" for name, count in summary["splits"].items())
    looked_for = [count for count in summary["crossing"].values() if count is not None]
    others = ", ".join(kind for kind, count in summary["crossing"].items() if count is None)
    tail = f" (not looked for: {others})" if others else ""
    say(f"{out}: {counts} in {summary['groups']} groups; {sum(looked_for)} cross{tail}")
    if (found := summary["contradictions"]) and found["rows"]:
        done = {"reject": "left out", "soften": "softened", "keep": "kept"}[found["policy"]]
        say(f"{found['pictures']} pictures have copies with different labels: {found['rows']} rows {done}")
    if keep := summary["keep"]:
        say(f"{keep['file']}: {keep['kept']} kept, {keep['new']} new, {keep['conflicts']} dropped as conflicts")
    for dataset, why in summary["nothing_left"].items():
        say(f"{dataset}: {why}")
    for dataset in sorted({*summary["dropped"], *summary["off_by_more_than_tolerance"]}):
        say(f"{dataset}: {'; '.join(_told(summary, dataset))}")


def _told(summary: Mapping[str, Any], dataset: str) -> list[str]:
    """Return what a dataset lost, the largest share first, and where a class misses its share."""
    told = []
    for split, classes in summary["dropped"].get(dataset, {}).items():
        worst = sorted(classes.items(), key=lambda item: -item[1]["share"])
        cells = [f"{cell['share']:.1%} of {name} ({cell['dropped']} of {cell['of']})" for name, cell in worst]
        told.append(f"dropped of {split}, because the group is kept whole elsewhere: {', '.join(cells)}")
    missed = [
        f"{name} {share * 100:+.1f} in {split}"
        for name, splits in summary["off_by_more_than_tolerance"].get(dataset, {}).items()
        for split, share in splits.items()
    ]
    return [*told, f"off its share, in points: {', '.join(missed)}"] if missed else told
