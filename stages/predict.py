"""`prep predict`: class and probabilities of every face of some pictures."""

import csv
import sys
from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from pipeline.core import folders
from pipeline.core.emotions import AFFECTNET
from pipeline.core.errors import DataError, ImageError, UsageError
from pipeline.core.schema import Reason
from stages.device import note_unused_gpu
from stages.progress import bar
from stages.say import Json, one_line, say, show, show_json

if TYPE_CHECKING:
    from models.checkpoint import Checkpoint
    from models.inference.predictor import AnsweredFace, Predictor

_PICTURES_AT_ONCE: Final = 16
# Whoever gives --out such a name means one picture, not a folder.
_PICTURE_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"})
# In a folder, a file that is no picture at all is passed over: it was not what was meant.
_PASSED_OVER: Final = Reason.not_an_image


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
    paths = [path for given in pictures for path in _find(given)]
    targets = _targets(paths, out)
    from models.inference.predictor import Predictor

    note_unused_gpu()
    predictor = Predictor.load(run)
    named = {path for path in pictures if not path.is_dir()}
    write = {Form.text: _print_text, Form.json: _print_json, Form.csv: _print_csv}[Form.json if as_json else form]
    problems: list[str] = []
    checkpoint = predictor.checkpoint
    for why in checkpoint.doubts.values():
        say(f"warning: {why}", err=True)
    write(_answers(predictor, paths, targets, named, problems), checkpoint)
    for problem in problems[:-1]:
        say(problem, err=True)
    if problems:
        raise DataError(problems[-1])


def _find(given: Path) -> list[Path]:
    """Return a picture's path itself, or all files below a folder, sorted; hidden ones are not looked at."""
    if given.is_dir():
        files = (path for path in given.rglob("*") if path.is_file())
        shown = sorted(path for path in files if not any(p.startswith(".") for p in path.relative_to(given).parts))
        if not shown:
            raise DataError(f"{given}: no file below; give a picture, or a folder with some")
        return shown
    if not given.is_file():
        raise DataError(f"{given}: not there; give a picture, or a folder with some")
    return [given]


def _targets(paths: Sequence[Path], out: Path | None) -> dict[Path, Path]:
    """Return where each picture is drawn to."""
    if out is None:
        return {}
    suffix = out.suffix.lower()
    if suffix in _PICTURE_SUFFIXES or (out.is_file() and suffix != ".png"):
        raise UsageError(f"--out {out}: pictures are drawn as .png; give a name that ends so, or a folder")
    if suffix == ".png":
        if len(paths) > 1:
            raise UsageError(f"--out {out}: {len(paths)} pictures need a folder, not one .png")
        targets = {paths[0]: out}
    else:
        targets = {path: out / f"{number:05d}-{path.stem}.png" for number, path in enumerate(paths)}
    for path, target in targets.items():
        if target.exists() and target.samefile(path):
            raise UsageError(f"--out {target}: is the picture itself; give another name")
    return targets


def _answers(
    predictor: "Predictor", paths: Sequence[Path], targets: dict[Path, Path], named: set[Path], problems: list[str]
) -> Iterator[tuple[Path, "list[AnsweredFace]"]]:
    """Yield each picture with its faces; what cannot be used is added to `problems`."""
    waiting, done = iter(paths), 0
    with bar("predict") as progress:
        while some := list(islice(waiting, _PICTURES_AT_ONCE)):
            contents = [_read(path) for path in some]
            for path, content, faces in zip(some, contents, predictor.predict(contents), strict=True):
                done += 1
                progress(done, len(paths), path.name)
                if isinstance(faces, ImageError):
                    if path in named or faces.status != _PASSED_OVER:
                        problems.append(f"{one_line(path.as_posix())}: {faces}")
                    continue
                if path in targets:
                    _draw(content, faces, targets[path])
                yield path, faces


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def _draw(content: bytes, faces: "list[AnsweredFace]", target: Path) -> None:
    from models.inference.predictor import draw_faces
    from pipeline.report.sheet import write_png

    target.parent.mkdir(parents=True, exist_ok=True)
    write_png(target, draw_faces(content, faces))


def _print_text(answers: "Iterator[tuple[Path, list[AnsweredFace]]]", checkpoint: "Checkpoint") -> None:
    classes = checkpoint.classes
    for path, faces in answers:
        if not faces:
            show(f"{one_line(path.as_posix())}: no face found")
        for number, face in enumerate(faces, start=1):
            x0, y0, x1, y1 = face.box
            ranked = sorted(face.probabilities.items(), key=lambda entry: (-entry[1], classes.index(entry[0])))
            shares = "  ".join(f"{name} {share:.3f}" for name, share in ranked)
            place = f"{x1 - x0:.0f}x{y1 - y0:.0f} px at {x0:.0f},{y0:.0f}"
            where = f"{one_line(path.as_posix())}: face {number} of {len(faces)}, {place}"
            doubts = "".join(f" [{doubt}]" for doubt in face.doubts)
            show(f"{where}: {face.predicted}{doubts}   {shares}")


def _print_json(answers: "Iterator[tuple[Path, list[AnsweredFace]]]", checkpoint: "Checkpoint") -> None:
    content = [{"picture": path.as_posix(), "faces": [_plain(face) for face in faces]} for path, faces in answers]
    names = {"classes": list(checkpoint.classes), "affectnet_numbers": [AFFECTNET[name] for name in checkpoint.classes]}
    doubts = list(checkpoint.doubts.values())
    show_json(names | {"doubts": doubts, "pictures": content})


def _plain(face: "AnsweredFace") -> dict[str, Any]:
    return {
        "class": face.predicted,
        "probabilities": {name: round(share, 6) for name, share in face.probabilities.items()},
        "box": [round(value, 2) for value in face.box],
        "landmarks": [round(value, 2) for value in face.landmarks],
        "score": round(face.score, 6),
        "attempt": face.attempt,
    } | ({"doubts": list(face.doubts.values())} if face.doubts else {})


def _print_csv(answers: "Iterator[tuple[Path, list[AnsweredFace]]]", checkpoint: "Checkpoint") -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    classes, doubts = checkpoint.classes, ["doubts"] * bool(checkpoint.doubts)
    writer.writerow(["picture", "face", "x0", "y0", "x1", "y1", "score", "class", *classes, *doubts])
    for path, faces in answers:
        for number, face in enumerate(faces, start=1):
            box = [f"{value:.2f}" for value in face.box]
            shares = [f"{face.probabilities[name]:.6f}" for name in classes]
            said = ["; ".join(face.doubts.values())] * bool(doubts)
            writer.writerow([path.as_posix(), number, *box, f"{face.score:.6f}", face.predicted, *shares, *said])
