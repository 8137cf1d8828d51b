"""Predictions as lines of text, as JSON and as rows of a csv."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.emotions import AFFECTNET

if TYPE_CHECKING:
    from models.checkpoint import Checkpoint
    from models.inference.predictor import AnsweredFace


def text_lines(name: str, faces: "list[AnsweredFace]", checkpoint: "Checkpoint") -> Iterator[str]:
    """Yield one line per face with its answers, classes the most probable first; one line if there is no face.

    Args:
        name: of the picture.
        faces: the faces of the picture.
        checkpoint: the network.
    """
    if not faces:
        yield f"{name}: no face found"
    for number, face in enumerate(faces, start=1):
        x0, y0, x1, y1 = face.box
        place = f"{x1 - x0:.0f}x{y1 - y0:.0f} px at {x0:.0f},{y0:.0f}"
        doubts = "".join(f" [{doubt}]" for doubt in face.doubts)
        yield f"{name}: face {number} of {len(faces)}, {place}: {_say_answer(face, checkpoint, doubts)}"


def _say_answer(face: "AnsweredFace", checkpoint: "Checkpoint", doubts: str) -> str:
    values = "  ".join(f"{name} {value:+.3f}" for name, value in face.affects.items())
    if face.predicted is None:
        return values + doubts
    order = checkpoint.classes.index
    ranked = sorted(face.probabilities.items(), key=lambda entry: (-entry[1], order(entry[0])))
    shares = "  ".join(f"{name} {share:.3f}" for name, share in ranked)
    return "   ".join([f"{face.predicted}{doubts}", shares, *([values] if values else [])])


def json_content(answers: "Iterable[tuple[Path, list[AnsweredFace]]]", checkpoint: "Checkpoint") -> dict[str, Any]:
    """Return predictions as plain JSON values, with boxes and landmarks in pixels of the picture."""
    pictures = [{"picture": path.as_posix(), "faces": [_plain(face) for face in faces]} for path, faces in answers]
    heads = checkpoint.info.heads
    names: dict[str, Any] = {"values": list(heads.values)} if heads.values else {}
    if heads.classes:
        numbers = [AFFECTNET[name] for name in heads.classes]
        names |= {"classes": list(heads.classes), "affectnet_numbers": numbers}
    return names | {"doubts": list(checkpoint.doubts.values()), "pictures": pictures}


def _plain(face: "AnsweredFace") -> dict[str, Any]:
    answer: dict[str, Any] = {name: round(value, 6) for name, value in face.affects.items()}
    if face.predicted is not None:
        shares = {name: round(share, 6) for name, share in face.probabilities.items()}
        answer = {"class": face.predicted, "probabilities": shares, **answer}
    return (
        answer
        | {
            "box": [round(value, 2) for value in face.box],
            "landmarks": [round(value, 2) for value in face.landmarks],
            "score": round(face.score, 6),
            "attempt": face.attempt,
        }
        | ({"doubts": list(face.doubts.values())} if face.doubts else {})
    )


def csv_head(checkpoint: "Checkpoint") -> list[str]:
    """Return the names of the columns. There is a column `doubts` if there are reasons not to trust the network."""
    doubts = ["doubts"] * bool(checkpoint.doubts)
    kind = ["class"] * bool(checkpoint.info.heads.classes)
    return ["picture", "face", "x0", "y0", "x1", "y1", "score", *kind, *checkpoint.classes, *doubts]


def csv_rows(path: Path, faces: "list[AnsweredFace]", checkpoint: "Checkpoint") -> Iterator[list[str]]:
    """Yield one row per face, with the columns of `csv_head`."""
    for number, face in enumerate(faces, start=1):
        box = [f"{value:.2f}" for value in face.box]
        answers = {**face.probabilities, **face.affects}
        kind = [face.predicted] if face.predicted is not None else []
        values = [f"{answers[name]:.6f}" for name in checkpoint.classes]
        said = ["; ".join(face.doubts.values())] * bool(checkpoint.doubts)
        yield [path.as_posix(), str(number), *box, f"{face.score:.6f}", *kind, *values, *said]
