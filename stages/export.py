"""`prep export`: write a network as ONNX, to use it without this project."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipeline.core import folders
from stages.say import say


class Target(StrEnum):
    """What can be exported to."""

    onnx = "onnx"


def export(
    to: Annotated[Target, typer.Option(help="The format to write.")] = Target.onnx,
    run: Annotated[Path, typer.Option(help="A checkpoint, or the folder with model.safetensors.")] = folders.TRAIN,
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("runs/export/model.onnx"),
) -> None:
    """Export a network; it reads aligned uint8 RGB faces, and its metadata says how they must be made."""
    from models.checkpoint import load_checkpoint
    from models.inference.export import export_onnx
    from pipeline.core.device import asked_device

    # Only checked: the graph is always traced on the CPU, but a wrong PREP_DEVICE is an error in every command.
    asked_device()
    export_onnx(load_checkpoint(run), out)
    say(f"{out}: {to.value}, {out.stat().st_size / 1e6:.1f} MB")
