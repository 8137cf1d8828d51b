"""`prep predict`: predict the class of every face in pictures, with probabilities."""

import csv
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.core import folders
from pipeline.core.errors import DataError, ImageError
from stages.device import note_unused_gpu
from stages.progress import bar
from stages.say import Json, one_line, say, show, show_json

if TYPE_CHECKING:
    from models.checkpoint import Checkpoint
    from models.inference.pictures import PictureFiles
    from models.inference.predictor import AnsweredFace, Predictor


class Form(StrEnum):
    """How answers are printed."""

    text = "text"
    json = "json"
    csv = "csv"


def predict(
    pictures: Annotated[
        list[Path], typer.Argument(metavar="IMAGE", help="Pictures, or folders of pictures.", show_default=False)
    ],
    run: Annotated[Path, typer.Option(help="A checkpoint, or the folder with model.safetensors.")] = folders.TRAIN,
    out: Annotated[
        Path | None,
        typer.Option(help="Draw boxes and classes: a .png for one picture, a folder for several.", show_default=False),
    ] = None,
    form: Annotated[Form, typer.Option("--format", help="How answers are printed.")] = Form.text,
    as_json: Json = False,
) -> None:
    """Print class and probabilities of every face, preprocessed as the network was trained.

    Answers where `prep evaluate` does: on the first NVIDIA GPU, else on the CPU; PREP_DEVICE names another (cpu, cuda,
    cuda:N, mps, auto).
    """
    from models.inference.pictures import find_pictures

    found = find_pictures(pictures, out)
    from models.inference.predictor import Predictor

    note_unused_gpu()
    predictor = Predictor.load(run)
    for why in predictor.checkpoint.doubts.values():
        say(f"warning: {why}", err=True)
    problems: list[str] = []
    _print(_answers(predictor, found, problems), predictor.checkpoint, Form.json if as_json else form)
    for problem in problems[:-1]:
        say(problem, err=True)
    if problems:
        raise DataError(problems[-1])


def _answers(
    predictor: "Predictor", pictures: "PictureFiles", problems: list[str]
) -> Iterator[tuple[Path, "list[AnsweredFace]"]]:
    """Yield each picture with its faces; what cannot be used is added to `problems`."""
    from models.inference.pictures import answer_pictures

    with bar("predict") as progress:
        for answer in answer_pictures(predictor, pictures, progress):
            if isinstance(answer.faces, ImageError):
                problems.append(f"{one_line(answer.path.as_posix())}: {answer.faces}")
            else:
                yield answer.path, answer.faces


def _print(answers: Iterator[tuple[Path, "list[AnsweredFace]"]], checkpoint: "Checkpoint", form: Form) -> None:
    from models.inference.printed import csv_head, csv_rows, json_content, text_lines

    if form is Form.json:
        show_json(json_content(answers, checkpoint))
    elif form is Form.text:
        for path, faces in answers:
            for line in text_lines(one_line(path.as_posix()), faces, checkpoint):
                show(line)
    else:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(csv_head(checkpoint))
        for path, faces in answers:
            writer.writerows(csv_rows(path, faces, checkpoint))
