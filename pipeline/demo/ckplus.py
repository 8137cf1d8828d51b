"""A small rendered CK+ in its native layout: sequences from neutral to the peak of an expression.

`cohn-kanade-images/S005/001/S005_001_00000001.png`, `Emotion/…_emotion.txt` for the labelled sequences alone,
`Landmarks/…_landmarks.txt` (68 rows) for every frame, `FACS/…_facs.txt` (action unit and intensity) for every peak.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from pipeline.core.emotions import Emotion
from pipeline.demo.casting import Role, draw_role
from pipeline.demo.people import build_person
from pipeline.demo.scene import Figure, Photo, Shot
from pipeline.demo.truth import Truth

NAME: Final = "ckplus"
IMAGES: Final = "cohn-kanade-images"
CODES: Final[Mapping[Emotion, int]] = {
    Emotion.neutral: 0,
    Emotion.anger: 1,
    Emotion.contempt: 2,
    Emotion.disgust: 3,
    Emotion.fear: 4,
    Emotion.happy: 5,
    Emotion.sad: 6,
    Emotion.surprise: 7,
}
_SHOWN: Final = tuple(emotion for emotion in Emotion if emotion is not Emotion.neutral)
_FRAMES: Final = 6
# How strong the expression is in each frame of a sequence; the last three are its peak.
_STRENGTH: Final = (0.0, 0.3, 0.6, 0.9, 0.96, 1.0)
# The size of most pictures in the release.
_SIZE: Final = (640, 490)
_UNLABELLED: Final = ("no emotion file", "empty emotion file")


@dataclass(frozen=True)
class Frame:
    """One picture of a sequence. `frame` counts from 1."""

    shot: Shot
    subject: str
    sequence: str
    frame: int
    role: Role
    planted: str | None


def build_rows(count: int, seed: int) -> list[Frame]:
    """Plan sequences of about `count` pictures in all; two of the sequences carry no label."""
    random = np.random.default_rng([seed, 4])
    sequences = max(len(_SHOWN) + len(_UNLABELLED), round(count / _FRAMES))
    subjects = max(4, min(10, sequences * 2 // 3))
    frames: list[Frame] = []
    for index in range(sequences):
        subject, sequence = 5 + 3 * (index % subjects), 1 + index // subjects
        planted = _UNLABELLED[index - sequences] if index >= sequences - len(_UNLABELLED) else None
        role = draw_role(_SHOWN[index % len(_SHOWN)], random, weakest=0.85)
        frames.extend(_sequence(f"S{subject:03d}", f"{sequence:03d}", role, planted, seed))
    return frames


def _sequence(subject: str, sequence: str, role: Role, planted: str | None, seed: int) -> list[Frame]:
    person = build_person(f"{NAME}-{subject}", seed)
    random = np.random.default_rng([seed, *subject.encode(), *sequence.encode()])
    eyes_px, yaw, roll = (float(random.uniform(*bounds)) for bounds in ((85, 100), (-4, 4), (-3, 3)))
    middle = (320 + float(random.uniform(-20, 20)), 250 + float(random.uniform(-15, 15)))
    light = (seed, *subject.encode())
    grey = int(subject[1:]) % 5 != 0
    frames = []
    for number, strength in enumerate(_STRENGTH, start=1):
        units = {unit: value * strength for unit, value in role.units.items()}
        drift = (middle[0] + 0.6 * number, middle[1] + 0.3 * number)
        figure = Figure(person, units, eyes_px, drift, roll, yaw)
        path = f"{IMAGES}/{subject}/{sequence}/{subject}_{sequence}_{number:08d}.png"
        shot = Shot(path, _SIZE, (figure,), light, grey=grey, studio=True)
        frames.append(Frame(shot, subject, sequence, number, role, planted))
    return frames


def write(out: Path, rows: Sequence[Frame], photos: Mapping[str, Photo]) -> list[Truth]:
    """Write the tree and return the ground truth of every face."""
    truths = []
    for row in rows:
        photo = photos[row.shot.path]
        _write(out / row.shot.path, photo.content)
        lines = "".join(f"   {x:.7e}   {y:.7e}\n" for x, y in photo.landmarks[0])
        _write(_beside(out, row, "Landmarks", "landmarks"), lines.encode())
        if row.frame == _FRAMES:
            _write_peak(out, row)
        truths.append(_truth(row, photo))
    for folder in (IMAGES, "Emotion"):
        _write(out / folder / ".DS_Store", b"\0\0\0\1Bud1\0")
    return truths


def _beside(out: Path, row: Frame, folder: str, suffix: str) -> Path:
    name = f"{row.subject}_{row.sequence}_{row.frame:08d}_{suffix}.txt"
    return out / folder / row.subject / row.sequence / name


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _write_peak(out: Path, row: Frame) -> None:
    emotion = _beside(out, row, "Emotion", "emotion")
    emotion.parent.mkdir(parents=True, exist_ok=True)
    if row.planted != _UNLABELLED[0]:
        text = "" if row.planted else f"   {CODES[row.role.emotion]:.7e}\n"
        _write(emotion, text.encode())
    lines = [
        f"   {int(unit.rstrip('LR')):.7e}   {min(5, round(5 * value)):.7e}\n"
        for unit, value in sorted(row.role.units.items(), key=lambda item: int(item[0].rstrip("LR")))
    ]
    _write(_beside(out, row, "FACS", "facs"), "".join(lines).encode())


def _truth(row: Frame, photo: Photo) -> Truth:
    strength = _STRENGTH[row.frame - 1]
    labelled = row.planted is None
    label = {0: Emotion.neutral.name}.get(row.frame - 1, row.role.emotion.name if strength >= 0.9 else None)
    return Truth(
        dataset=NAME,
        source_path=row.shot.path,
        subject_id=row.subject,
        label=label if labelled else None,
        valence=row.role.valence * strength,
        arousal=row.role.arousal * strength,
        roll_deg=row.shot.figures[0].roll_deg,
        points=photo.landmarks[0],
        planted=row.planted,
    )
