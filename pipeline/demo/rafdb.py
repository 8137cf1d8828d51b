"""A small rendered RAF-DB basic in its native layout.

`EmoLabel/list_patition_label.txt` (the typo is the dataset's own; the last line has no newline), `Image/original`,
`Image/aligned` (100x100), `Annotation/boundingbox` (4 numbers), `Annotation/manual` (5 points, gender, race, age) and
`Annotation/auto` (37 points). There is no contempt.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from pipeline.core.emotions import Emotion
from pipeline.demo.casting import Role, cast, deal, draw_role, pose
from pipeline.demo.people import build_person
from pipeline.demo.portrait import Points
from pipeline.demo.scene import Photo, Shot, five_points
from pipeline.demo.truth import Truth

NAME: Final = "rafdb"
CODES: Final[Mapping[Emotion, int]] = {
    Emotion.surprise: 1,
    Emotion.fear: 2,
    Emotion.disgust: 3,
    Emotion.happy: 4,
    Emotion.sad: 5,
    Emotion.anger: 6,
    Emotion.neutral: 7,
}
_TRAIN_SHARE: Final = 0.35
# As in the release.
_ALIGNED_PX: Final = 100
_DIGITS: Final = {"train": 5, "test": 4}
# 37 of the 68 landmarks: brows, eyes, nose and mouth.
_AUTO: Final = [17, 19, 21, 22, 24, 26, *range(36, 48), 27, 29, 30, 31, 33, 35, *range(48, 60), 62]


@dataclass(frozen=True)
class RafDbRow:
    """One line of the list. `stem` is the picture's name without extension."""

    shot: Shot
    stem: str
    split: str
    role: Role
    attributes: tuple[int, int, int]  # gender, race, age


def build_rows(count: int, seed: int) -> list[RafDbRow]:
    """Plan `count` faces, more of them in the test part, because the demo only tests on RAF-DB."""
    train = max(len(CODES), round(count * _TRAIN_SHARE))
    return [*_plan("train", train, seed), *_plan("test", max(len(CODES), count - train), seed)]


def _plan(split: str, count: int, seed: int) -> list[RafDbRow]:
    random = np.random.default_rng([seed, 37, len(split)])
    people = [build_person(f"{NAME}-{split}-{index:03d}", seed) for index in range(max(4, count // 4))]
    rows = []
    emotions = deal(dict.fromkeys(CODES, 1.0), count, random)
    for index, (person, emotion) in enumerate(zip(cast(people, count), emotions, strict=True), start=1):
        role = draw_role(emotion, random)
        size = (int(random.integers(170, 300)), int(random.integers(190, 320)))
        stem = f"{split}_{index:0{_DIGITS[split]}d}"
        figure = pose(person, role.units, size, random, eyes_share=(0.24, 0.36))
        chance = (seed, 37, len(split), index)
        shot = Shot(f"Image/original/{stem}.jpg", size, (figure,), chance, aligned_px=_ALIGNED_PX)
        attributes = (int(person.female), int(random.integers(0, 3)), int(random.integers(1, 5)))
        rows.append(RafDbRow(shot, stem, split, role, attributes))
    return rows


def write(out: Path, rows: Sequence[RafDbRow], photos: Mapping[str, Photo]) -> list[Truth]:
    """Write the tree and return the ground truth of every face."""
    truths = []
    for row in rows:
        photo = photos[row.shot.path]
        points = photo.landmarks[0]
        _write(out / row.shot.path, photo.content)
        _write(out / "Image/aligned" / f"{row.stem}_aligned.jpg", photo.aligned or b"")
        _write_annotations(out / "Annotation", row, points)
        truths.append(_truth(row, points))
    lines = [f"{row.stem}.jpg {CODES[row.role.emotion]}" for row in rows]
    _write(out / "EmoLabel/list_patition_label.txt", "\n".join(lines).encode())
    _write(out / "Image/.DS_Store", b"\0\0\0\1Bud1\0")
    return truths


def _write_annotations(folder: Path, row: RafDbRow, points: Points) -> None:
    box = np.concatenate([points.min(0) - 8, points.max(0) + 8])
    five = "".join(f"{x:.6f}\t{y:.6f}\n" for x, y in five_points(points))
    attributes = "".join(f"{value}\n" for value in row.attributes)
    auto = "".join(f"{x:.6f}\t{y:.6f}\n" for x, y in points[_AUTO])
    _write(folder / "boundingbox" / f"{row.stem}_boundingbox.txt", " ".join(f"{value:.6f}" for value in box).encode())
    _write(folder / "manual" / f"{row.stem}_manu_attri.txt", (five + attributes).encode())
    _write(folder / "auto" / f"{row.stem}_auto_attri.txt", auto.encode())


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _truth(row: RafDbRow, points: Points) -> Truth:
    figure = row.shot.figures[0]
    return Truth(
        dataset=NAME,
        source_path=row.shot.path,
        subject_id=figure.person.name,
        split=row.split,
        label=row.role.emotion.name,
        valence=row.role.valence,
        arousal=row.role.arousal,
        roll_deg=figure.roll_deg,
        points=points,
    )
