"""A small rendered AffectNet in the layout of the csv release.

`Manually_Annotated_file_lists/{training,validation}.csv` (validation without a header, as in some copies) and
`Manually_Annotated_Images/<dir>/<hash>.<ext>`. Codes 8 to 10 are not emotions; -2 says that valence is not given.
"""

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from pipeline.core.emotions import Emotion
from pipeline.demo.casting import Role, cast, deal, draw_role, pose
from pipeline.demo.people import build_person
from pipeline.demo.portrait import Points
from pipeline.demo.scene import Photo, Shot
from pipeline.demo.truth import Truth

NAME: Final = "affectnet"
IMAGES: Final = "Manually_Annotated_Images"
LISTS: Final = "Manually_Annotated_file_lists"
COLUMNS: Final = (
    "subDirectory_filePath",
    "face_x",
    "face_y",
    "face_width",
    "face_height",
    "facial_landmarks",
    "expression",
    "valence",
    "arousal",
)
CODES: Final[Mapping[Emotion, int]] = {
    Emotion.neutral: 0,
    Emotion.happy: 1,
    Emotion.sad: 2,
    Emotion.surprise: 3,
    Emotion.fear: 4,
    Emotion.disgust: 5,
    Emotion.anger: 6,
    Emotion.contempt: 7,
}
NONE, UNCERTAIN, NO_FACE = 8, 9, 10
_NOT_GIVEN: Final = -2.0
_TRAINING_SHARE: Final = 0.825
_WEIGHTS: Final = dict(zip(Emotion, (1.1, 1, 1, 1, 1.4, 1.4, 1.1, 1.1), strict=True))
_EXTENSIONS: Final = (".jpg",) * 7 + (".JPG", ".jpeg", ".png", ".PNG", ".tif", ".bmp")


@dataclass(frozen=True)
class AffectNetRow:
    """One line of a list."""

    shot: Shot
    split: str
    role: Role
    code: int
    valence: float
    arousal: float
    planted: str | None = None


def build_rows(count: int, seed: int) -> list[AffectNetRow]:
    """Plan `count` faces; the people of the two lists differ."""
    training = round(count * _TRAINING_SHARE)
    return [*_plan("training", training, max(8, training // 9), seed), *_plan("validation", count - training, 10, seed)]


def _plan(split: str, count: int, people: int, seed: int) -> list[AffectNetRow]:
    random = np.random.default_rng([seed, len(split)])
    names = [build_person(f"{NAME}-{split}-{index:03d}", seed) for index in range(people)]
    emotions = deal(_WEIGHTS, count, random)
    planted = _PLANTED[split]
    rows = []
    for index, (person, emotion) in enumerate(zip(cast(names, count), emotions, strict=True)):
        role = draw_role(emotion, random)
        width = int(random.integers(180, 330))
        size = (width, int(width * random.uniform(0.95, 1.2)))
        plant = planted.get(index - count)
        code = {"none": NONE, "uncertain": UNCERTAIN}.get(plant or "", CODES[emotion])
        figure = pose(person, role.units, size, random, eyes_share=(0.24, 0.36))
        name = hashlib.sha224(f"{seed} {split} {index}".encode()).hexdigest()
        path = f"{IMAGES}/{int(random.integers(1, 1000))}/{name}{_extension(index, plant)}"
        figures = () if plant in ("no face", "code 10") else (figure,)
        shot = Shot(path, size, figures, (seed, len(split), index))
        given = plant not in ("uncertain", "code 10", "no valence")
        rows.append(
            AffectNetRow(
                shot,
                split,
                role,
                NO_FACE if plant == "code 10" else code,
                role.valence if given else _NOT_GIVEN,
                role.arousal if given else _NOT_GIVEN,
                plant,
            )
        )
    return rows


# Counted from the end of a list.
_PLANTED: Final[Mapping[str, Mapping[int, str]]] = {
    "training": {
        -1: "none", -4: "none", -6: "uncertain", -9: "uncertain", -12: "code 10", -14: "code 10", -17: "no face",
        -19: "truncated", -22: "missing", -25: "box outside", -28: "no valence",
    },
    "validation": {-1: "none", -4: "uncertain", -7: "code 10"},
}  # fmt: skip


def _extension(index: int, plant: str | None) -> str:
    return ".jpg" if plant == "truncated" else _EXTENSIONS[index % len(_EXTENSIONS)]


def write(out: Path, rows: Sequence[AffectNetRow], photos: Mapping[str, Photo]) -> list[Truth]:
    """Write the tree and return the ground truth of every face."""
    lists: dict[str, list[list[str]]] = {"training": [], "validation": []}
    truths = []
    for row in rows:
        photo = photos[row.shot.path]
        _write_picture(out / row.shot.path, photo.content, row.planted)
        points = photo.landmarks[0] if photo.landmarks else None
        lists[row.split].append(_line(row, points))
        truths.append(_truth(row, points))
    for split, lines in lists.items():
        _write_list(out / LISTS / f"{split}.csv", lines, header=split == "training")
    (out / IMAGES / ".DS_Store").write_bytes(b"\0\0\0\1Bud1\0")
    return truths


def _write_picture(path: Path, content: bytes, planted: str | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if planted != "missing":
        path.write_bytes(content[: len(content) * 2 // 5] if planted == "truncated" else content)


def _line(row: AffectNetRow, points: Points | None) -> list[str]:
    width, height = row.shot.size
    if points is None:
        box, marks = (0, 0, width, height), ""
    else:
        x0, y0 = np.floor(points.min(0) - 6).astype(int)
        x1, y1 = np.ceil(points.max(0) + 6).astype(int)
        if row.planted == "box outside":
            x0, y1 = -int(width * 0.12), int(height * 1.1)
        box = (int(x0), int(y0), int(x1 - x0), int(y1 - y0))
        marks = ";".join(f"{value:.2f}" for value in points.ravel())
    path = row.shot.path.removeprefix(f"{IMAGES}/")
    return [path, *map(str, box), marks, str(row.code), f"{row.valence:g}", f"{row.arousal:g}"]


def _write_list(path: Path, lines: Sequence[Sequence[str]], *, header: bool) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header:
        writer.writerow(COLUMNS)
    writer.writerows(lines)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.getvalue(), encoding="utf-8")


def _truth(row: AffectNetRow, points: Points | None) -> Truth:
    emotion = row.code < NONE
    figures = row.shot.figures
    return Truth(
        dataset=NAME,
        source_path=row.shot.path,
        subject_id=figures[0].person.name if figures else None,
        split=row.split,
        label=row.role.emotion.name if emotion else None,
        valence=None if row.valence == _NOT_GIVEN else row.valence,
        arousal=None if row.arousal == _NOT_GIVEN else row.arousal,
        roll_deg=figures[0].roll_deg if figures else None,
        points=points,
        planted=row.planted,
    )
