"""Predicting the faces of many picture files, a few files at a time, for `prep predict`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pipeline.core.errors import DataError, ImageError, UsageError
from pipeline.core.parallel.pool import Progress, no_progress
from pipeline.core.schema import Reason

if TYPE_CHECKING:
    from models.inference.predictor import AnsweredFace, Predictor

# How many pictures are in memory together. The detectors and the network are faster on several at once.
_PICTURES_AT_ONCE: Final = 16
# --out with such a suffix is meant as the name of a picture, not of a folder, but only .png is written.
_PICTURE_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"})
# Below a folder, files that are no pictures are skipped, because nobody asked for them by name.
_PASSED_OVER: Final = Reason.not_an_image


@dataclass(frozen=True, slots=True)
class PictureFiles:
    """The picture files to work on.

    Attributes:
        paths: all of them, in order.
        named: those that were given by name, not found below a folder.
        targets: picture -> the .png to draw its faces into; empty if nothing is drawn.
    """

    paths: Sequence[Path]
    named: frozenset[Path]
    targets: dict[Path, Path]


@dataclass(frozen=True, slots=True)
class Answered:
    """A picture with its faces, or with the error that says why it cannot be used."""

    path: Path
    faces: "list[AnsweredFace] | ImageError"


def find_pictures(given: Sequence[Path], out: Path | None = None) -> PictureFiles:
    """Return the given pictures, and those below given folders.

    Args:
        given: pictures or folders. The files of a folder are sorted; hidden files are skipped.
        out: where faces are drawn: a .png for one picture, a folder for several; None: they are not drawn.

    Raises:
        DataError: a path does not exist, or a folder contains no file.
        UsageError: `out` has the suffix of another format, is one .png for several pictures, or is the picture itself.
    """
    paths = [path for place in given for path in _find(place)]
    return PictureFiles(paths, frozenset(path for path in given if not path.is_dir()), _targets(paths, out))


def answer_pictures(
    predictor: "Predictor", pictures: PictureFiles, progress: Progress = no_progress
) -> Iterator[Answered]:
    """Yield each picture with its faces, in order, and draw those that have a target.

    Files below a folder that are no pictures are skipped.

    Args:
        predictor: the network with its preprocessing.
        pictures: see `find_pictures`.
        progress: called with the number of pictures that are done.

    Raises:
        DataError: a file cannot be read.
    """
    waiting, done = iter(pictures.paths), 0
    while some := list(islice(waiting, _PICTURES_AT_ONCE)):
        contents = [_read(path) for path in some]
        for path, content, faces in zip(some, contents, predictor.predict(contents), strict=True):
            done += 1
            progress(done, len(pictures.paths), path.name)
            if isinstance(faces, ImageError):
                if path in pictures.named or faces.status != _PASSED_OVER:
                    yield Answered(path, faces)
                continue
            if path in pictures.targets:
                _draw(content, faces, pictures.targets[path])
            yield Answered(path, faces)


def _find(given: Path) -> list[Path]:
    """Return the path of a picture itself, or all files below a folder, sorted, without hidden ones."""
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
    """Return the .png that each picture is drawn into."""
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
        # Numbered, because pictures of several folders may have the same name.
        targets = {path: out / f"{number:05d}-{path.stem}.png" for number, path in enumerate(paths)}
    for path, target in targets.items():
        if target.exists() and target.samefile(path):
            raise UsageError(f"--out {target}: is the picture itself; give another name")
    return targets


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def _draw(content: bytes, faces: "list[AnsweredFace]", target: Path) -> None:
    from models.inference.drawing import draw_faces
    from pipeline.report.sheet import write_png

    target.parent.mkdir(parents=True, exist_ok=True)
    write_png(target, draw_faces(content, faces))
