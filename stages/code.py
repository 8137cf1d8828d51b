"""`prep code`: what the code of each stage means, for DVC to compare; and whether a stage still runs that code."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from pipeline.core.errors import LineageError, UsageError
from stages import project
from stages.say import say

# `my_package.my_module:MyDetector` in a value of params.yaml.
_PLUGIN: Final = re.compile(r"([A-Za-z_][\w.]*):[A-Za-z_]\w*")


def code(
    out: Annotated[Path, typer.Option(help="Folder for one file a stage of dvc.yaml.")] = project.CODE,
) -> None:
    """Write what the code of each stage means: a hash of every file it can run, without comments and docstrings.

    `dvc repro` begins with it, and runs a stage again whose code has another meaning; a new wording costs nothing.
    """
    from pipeline.verify.dvc_lock import STAGES, read_yaml

    names = [name for name in read_yaml(STAGES).get("stages") or {} if name != "code"]
    if not names:
        raise UsageError(f"{STAGES}: no stages here; prep code is for the folder of a project")
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


def check_code(command: str) -> None:
    """Check that a stage which DVC runs has the code that DVC took down before: nobody edited it meanwhile.

    Raises:
        LineageError: someone did; names the files.
    """
    taken = project.CODE / f"{command}.json"
    if os.environ.get("DVC_STAGE", "").partition("@")[0] != command or not taken.is_file():
        return
    before, now = json.loads(taken.read_text(encoding="utf-8")), _now(command)
    changed = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    if changed:
        raise LineageError(f"{', '.join(changed)}: changed while dvc was running; run it again")


def _now(stage: str) -> dict[str, str]:
    from pipeline.core.lineage.code import stage_code
    from pipeline.verify.dvc_lock import read_yaml

    params = read_yaml(project.PARAMS) if stage == "align" and project.PARAMS.is_file() else {}
    return stage_code(stage, plugins=tuple(_plugins(params)))


def _plugins(value: Any) -> Iterator[str]:
    """Yield the modules of detectors that params.yaml names."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _plugins(item)
    elif isinstance(value, str) and (found := _PLUGIN.fullmatch(value)):
        yield found[1]
