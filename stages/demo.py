"""`prep demo`: render small raw trees in the layouts of five datasets."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.core.folders import DEMO
from stages.progress import bar
from stages.project import load_params
from stages.say import say


def demo(out: Annotated[Path, typer.Option(help="Folder for the four raw trees.")] = DEMO) -> None:
    """Render small raw trees of AffectNet, CK+, RAF-DB and EMOTIC in their native layouts."""
    from pipeline.demo.stage import run as render

    params = load_params()
    with bar("demo") as progress:
        summary = render(out, params.demo, progress=progress)
    counts = ", ".join(f"{name} {count}" for name, count in summary["faces"].items())
    say(f"{out}: {sum(summary['faces'].values())} faces ({counts})")
