"""`prep code`: what the code of each stage means, for DVC to compare; and whether a stage still runs that code."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.core import folders
from pipeline.core.errors import LineageError, UsageError
from stages.say import say


def code(
    out: Annotated[Path, typer.Option(help="Folder for one file a stage of dvc.yaml.")] = folders.CODE,
) -> None:
    """Write what the code of each stage means: a hash of every file it can run, without comments and docstrings.

    `dvc repro` begins with it, and runs a stage again whose code has another meaning; a new wording costs nothing.
    """
    from pipeline.verify.dvc_lock import PIPELINES, STAGES, read_yaml

    described = [read_yaml(file) for file, _ in PIPELINES if file == STAGES or file.is_file()]
    names = sorted({name for one in described for name in _commands(one.get("stages") or {})} - {"code"})
    if not names:
        raise UsageError(f"{STAGES}: no stage runs prep here; prep code is for the folder of a project")
    out.mkdir(parents=True, exist_ok=True)
    for name in names:
        text = json.dumps(_now(name), indent=1) + "\n"
        path = out / f"{name}.json"
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    for path in out.iterdir():
        if path.stem not in names:
            path.unlink()
    say(f"{out}: the code of {len(names)} stages")


def _commands(stages: Mapping[str, Any]) -> Iterator[str]:
    """Yield the command of every stage that runs `prep`; a stage may be called otherwise, or run something else."""
    for body in stages.values():
        words = str(body.get("do", body).get("cmd")).split()
        if words[:1] == ["prep"] and len(words) > 1:
            yield words[1]


def check_code(command: str) -> None:
    """Check that a stage which DVC runs has the code that DVC took down before: nobody edited it meanwhile.

    Raises:
        LineageError: someone did; names the files.
    """
    taken = folders.CODE / f"{command}.json"
    if command == "code" or "DVC_STAGE" not in os.environ or not taken.is_file():
        return
    before, now = json.loads(taken.read_text(encoding="utf-8")), _now(command)
    changed = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    if changed:
        raise LineageError(f"{', '.join(changed)}: changed while dvc was running; run it again")


def _now(stage: str) -> dict[str, str]:
    from pipeline.core.lineage.code import code_root, stage_code
    from pipeline.verify.dvc_lock import read_yaml

    return stage_code(stage, code_root(), read_yaml(folders.PARAMS) if folders.PARAMS.is_file() else {})
