"""`prep export`: write a network as ONNX, to use it without this project."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipeline.core import folders
from stages.say import note, say


class Target(StrEnum):
    """What can be exported to."""

    onnx = "onnx"


def export(
    to: Annotated[Target, typer.Option(help="The format to write.")] = Target.onnx,
    run: Annotated[Path, typer.Option(help="A checkpoint, or the folder with model.safetensors.")] = folders.TRAIN,
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("runs/export/model.onnx"),
    evaluation: Annotated[
        Path | None, typer.Option(help="Its evaluation, for the card; default: runs/evaluate if that is its own.")
    ] = None,
) -> None:
    """Export a network; it reads aligned uint8 RGB faces, and its metadata says how they must be made.

    Writes a model card for the Hugging Face Hub beside it, README.md: data, figures, limits, misuse.
    """
    from models.checkpoint import load_checkpoint
    from models.inference.export import export_onnx
    from models.inference.model_card import build_model_card, is_model_card
    from pipeline.core.device import asked_device
    from pipeline.core.errors import ModelError, OutputUseError
    from pipeline.core.names import HUB_CARD_NAME, METRICS_NAME

    # Only checked: the graph is always traced on the CPU, but a wrong PREP_DEVICE is an error in every command.
    asked_device()
    checkpoint, card = load_checkpoint(run), out.with_name(HUB_CARD_NAME)
    if card.is_file() and not is_model_card(card):
        raise OutputUseError(f"{card}: not a model card of prep; give --out another folder, where the card may be")
    if evaluation is not None:
        text = build_model_card(checkpoint, run, out.name, evaluation)
    else:
        usual = folders.EVALUATE if (folders.EVALUATE / METRICS_NAME).is_file() else None
        try:
            text = build_model_card(checkpoint, run, out.name, usual)
        except ModelError as error:
            note(str(error))
            text = build_model_card(checkpoint, run, out.name, None)
    export_onnx(checkpoint, out)
    card.write_text(text, encoding="utf-8")
    say(f"{out}: {to.value}, {out.stat().st_size / 1e6:.1f} MB")
