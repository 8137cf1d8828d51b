"""`prep code`: fingerprints of each stage's code, which DVC compares, and the check that a stage runs that code."""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from pipeline.core import folders
from pipeline.core.errors import LineageError, OutputUseError, UsageError
from stages.say import say

# `prep` in a command of dvc.yaml: there may be variables before it, and options between it and the stage's name.
_PREP: Final = re.compile(r"(?:^|[\s;&|])prep\s+(?:-\S+\s+)*([a-z]+)")
_MD5: Final = re.compile(r"[0-9a-f]{32}")


def code(
    out: Annotated[Path, typer.Option(help="Folder for one file a stage of dvc.yaml.")] = folders.CODE,
) -> None:
    """Write a hash of every file that each stage can run, which comments and docstrings do not change.

    `dvc repro` begins with it, and runs a stage again if the behaviour of its code changed. `dvc repro` with
    --single-item or --downstream leaves it out: run it by hand before.
    """
    from pipeline.core.lineage.code import code_root, code_text
    from pipeline.core.lineage.source import keep_sources
    from pipeline.verify.dvc_lock import PIPELINES, STAGES, read_yaml

    root, params = code_root(), _params()
    described = [read_yaml(file) for file, _ in PIPELINES if file == STAGES or file.is_file()]
    names = sorted({name for one in described for name in _commands(one.get("stages") or {}, root)} - {"code"})
    if not names:
        raise UsageError(f"{STAGES}: no stage runs prep here; prep code is for the folder of a project")
    stale = _others(out, names)
    out.mkdir(parents=True, exist_ok=True)
    for name in names:
        text = code_text(name, root, params)
        path = out / f"{name}.json"
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    for path in stale:
        path.unlink()
    keep_sources(Path.cwd())
    say(f"{out}: the code of {len(names)} stages")


def _others(out: Path, names: list[str]) -> list[Path]:
    """Return the files of stages that are gone.

    Raises:
        OutputUseError: the folder holds what this command does not write.
    """
    if out.exists() and not out.is_dir():
        raise OutputUseError(f"{out}: expected a folder")
    found = sorted(out.iterdir()) if out.is_dir() else []
    foreign = [path for path in found if not path.is_file() or path.suffix != ".json" or not _is_ours(path)]
    if foreign:
        raise OutputUseError(f"{foreign[0]}: not what prep code writes; give it a folder of its own")
    return [path for path in found if path.stem not in names]


def _is_ours(path: Path) -> bool:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return path.stat().st_size == 0  # a full disk leaves an empty file behind
    return isinstance(content, dict) and all(_MD5.fullmatch(str(value)) for value in content.values())


def _commands(stages: Mapping[str, Any], root: Path) -> Iterator[str]:
    """Yield the command of every stage that runs `prep`; a stage may be called otherwise, or run something else."""
    for body in stages.values():
        lines = body.get("do", body).get("cmd") or ""
        for found in _PREP.finditer("\n".join(lines) if isinstance(lines, list) else str(lines)):
            if (root / "stages" / f"{found[1]}.py").is_file():
                yield found[1]


def check_code(arguments: Sequence[str]) -> None:
    """Check that a stage which DVC runs has the code that `prep code` recorded: nobody edited it meanwhile.

    Raises:
        LineageError: someone did; names the files.
    """
    command = next((word for word in arguments if not word.startswith("-")), "")
    taken = folders.CODE / f"{command}.json"
    if command == "code" or "DVC_STAGE" not in os.environ or not taken.is_file():
        return
    from pipeline.core.lineage.code import USES_PLUGINS, changed_code, code_root, stage_code

    root = code_root()
    before = json.loads(taken.read_text(encoding="utf-8"))
    # Read where they can matter, which takes as long as all the rest of this.
    params = _params() if USES_PLUGINS.as_posix() in before else {}
    changed = changed_code(before, stage_code(command, root, params), root)
    if changed:
        raise LineageError(
            f"{', '.join(changed)}: not the code that prep code recorded, so DVC would file the result under another's "
            "name; run dvc repro again, without --single-item and --downstream"
        )


def _params() -> dict[str, Any]:
    from pipeline.verify.dvc_lock import read_yaml

    return read_yaml(folders.PARAMS) if folders.PARAMS.is_file() else {}
