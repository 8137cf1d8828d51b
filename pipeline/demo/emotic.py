"""EMOTIC as it ships, rendered small: people in scenes, a box around the body, several categories at once.

`Annotations/Annotations.mat` holds the struct arrays `train`, `val` and `test`; pictures lie under
`emotic/{mscoco,framesdb,emodb_small,ade20k}/images/`. In val and test each annotator has an annotation of their own,
and `combined_categories` and `combined_continuous` follow from them.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from pipeline.demo.casting import Role, cast, deal, draw_role
from pipeline.demo.people import Person, build_person
from pipeline.demo.scene import Figure, Photo, Shot, figure_matrix
from pipeline.demo.truth import Truth
from pipeline.demo.warp import place
from pipeline.emotions import Emotion

NAME: Final = "emotic"
CATEGORIES: Final[Mapping[Emotion, tuple[str, ...]]] = {
    Emotion.anger: ("Anger", "Annoyance"),
    Emotion.contempt: ("Disapproval",),
    Emotion.disgust: ("Aversion",),
    Emotion.fear: ("Fear",),
    Emotion.happy: ("Happiness", "Pleasure"),
    Emotion.neutral: ("Disconnection",),
    Emotion.sad: ("Sadness",),
    Emotion.surprise: ("Surprise",),
}
CONFLICT: Final = ("Anger", "Happiness", "Sadness")
_SPLITS: Final = {"train": 0.2, "val": 0.15, "test": 0.65}
_NAMES: Final = {
    "mscoco": "COCO_train2014_{:012d}.jpg",
    "framesdb": "frame_{:016x}.jpg",
    "emodb_small": "{:018x}.jpg",
    "ade20k": "sun_{:016x}.jpg",
}
# Head and shoulders of the portrait, in its pixels: x0, y0, x1, y1.
_BODY: Final = np.array([(100, 8), (330, 8), (330, 300), (100, 300)], dtype=float)


@dataclass(frozen=True)
class Body:
    """One annotated person of a picture."""

    person: Person
    figure: Figure
    role: Role
    categories: tuple[tuple[str, ...], ...]  # one per annotator
    planted: str | None


@dataclass(frozen=True)
class Row:
    """One picture."""

    shot: Shot
    split: str
    database: str
    bodies: tuple[Body, ...]


def build_rows(count: int, seed: int) -> list[Row]:
    """Plan about `count` faces; every sixth picture shows two people."""
    return [
        row
        for number, (split, share) in enumerate(_SPLITS.items())
        for row in _plan(split, max(len(Emotion), round(count * share)), seed, number)
    ]


def _plan(split: str, count: int, seed: int, number: int) -> list[Row]:
    random = np.random.default_rng([seed, 26, number])
    people = [build_person(f"{NAME}-{split}-{index:03d}", seed) for index in range(max(4, count // 3))]
    emotions = deal(dict.fromkeys(Emotion, 1.0), count, random)
    actors = list(zip(cast(people, count), emotions, strict=True))
    rows: list[Row] = []
    while actors:
        together = 2 if len(rows) % 6 == 4 and len(actors) > 1 else 1  # noqa: PLR2004
        group = [actors.pop(0) for _ in range(together)]
        last = not actors and split == "test"
        rows.append(_picture(split, group, len(rows), (seed, 26, number), random, conflict=last))
    return rows


def _picture(
    split: str,
    group: Sequence[tuple[Person, Emotion]],
    index: int,
    seed: tuple[int, ...],
    random: np.random.Generator,
    *,
    conflict: bool,
) -> Row:
    database = tuple(_NAMES)[index % len(_NAMES)]
    name = _NAMES[database].format(int(random.integers(1, 10**9)))
    size = (int(random.integers(420, 560)), int(random.integers(330, 420)))
    bodies = []
    for position, (person, emotion) in enumerate(group):
        role = draw_role(emotion, random)
        figure = Figure(
            person,
            role.units,
            eyes_px=float(random.uniform(38, 52)),
            middle=(size[0] * (0.5 if len(group) == 1 else 0.27 + 0.46 * position), size[1] * float(random.uniform(0.42, 0.5))),
            roll_deg=float(random.uniform(-12, 12)),
            yaw_deg=float(random.uniform(-12, 12)),
        )
        categories = (CONFLICT,) if conflict else _annotate(split, emotion, random)
        bodies.append(Body(person, figure, role, categories, "conflicting categories" if conflict else None))
    shot = Shot(f"emotic/{database}/images/{name}", size, tuple(body.figure for body in bodies), (*seed, index))
    return Row(shot, split, database, tuple(bodies))


def _annotate(split: str, emotion: Emotion, random: np.random.Generator) -> tuple[tuple[str, ...], ...]:
    names = CATEGORIES[emotion]
    annotators = 1 if split == "train" else int(random.integers(3, 6))
    return tuple(names if random.random() < 0.5 else names[:1] for _ in range(annotators))


def write(out: Path, rows: Sequence[Row], photos: Mapping[str, Photo]) -> list[Truth]:
    """Write the tree and return what is true of it."""
    from scipy.io import savemat

    items: dict[str, list[dict[str, Any]]] = {split: [] for split in _SPLITS}
    truths = []
    for row in rows:
        photo = photos[row.shot.path]
        _write(out / row.shot.path, photo.content)
        items[row.split].append(_item(row))
        truths.extend(_truth(row, photo))
    content = io.BytesIO()
    savemat(content, {split: _struct(found) for split, found in items.items()}, oned_as="row", do_compression=True)
    # The header of a .mat file holds the time it was written.
    stamped = b"MATLAB 5.0 MAT-file, Platform: GLNXA64".ljust(116) + content.getvalue()[116:]
    _write(out / "Annotations/Annotations.mat", stamped)
    _write(out / "emotic/.DS_Store", b"\0\0\0\1Bud1\0")
    return truths


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _struct(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Return a MATLAB struct array (1, N): one element a row, whatever the fields hold."""
    array = np.empty((1, len(rows)), dtype=[(name, object) for name in rows[0]])
    for index, row in enumerate(rows):
        array[0, index] = tuple(row.values())
    return array


def _cell(values: Sequence[str]) -> Any:
    array = np.empty((1, len(values)), dtype=object)
    array[0, :] = values
    return array


def _item(row: Row) -> dict[str, Any]:
    width, height = row.shot.size
    return {
        "filename": Path(row.shot.path).name,
        "folder": f"{row.database}/images",
        "image_size": _struct([{"n_col": width, "n_row": height}]),
        "original_database": _struct([{"name": row.database, "info": _struct([{"id": 0}])}]),
        "person": _struct([_person(row, body) for body in row.bodies]),
    }


def _person(row: Row, body: Body) -> dict[str, Any]:
    given = [_struct([{"categories": _cell(names)}])[0, 0] for names in body.categories]
    categories = np.concatenate([_struct([{"categories": _cell(names)}]) for names in body.categories], axis=1)
    continuous = np.concatenate([_continuous(body.role) for _ in given], axis=1)
    fields: dict[str, Any] = {
        "body_bbox": np.array([_box(row, body)]),
        "annotations_categories": categories,
        "annotations_continuous": continuous,
    }
    if row.split != "train":
        fields["combined_categories"] = _cell(sorted({name for names in body.categories for name in names}))
        fields["combined_continuous"] = _continuous(body.role)
    return {**fields, "gender": "Female" if body.person.female else "Male", "age": "Adult"}


def _continuous(role: Role) -> Any:
    values = {"valence": role.valence, "arousal": role.arousal, "dominance": 0.1}
    return _struct([{name: float(round(5.5 + 4.5 * value)) for name, value in values.items()}])


def _box(row: Row, body: Body) -> list[float]:
    corners = place(_BODY, figure_matrix(body.figure))
    box = [*corners.min(0).tolist(), *corners.max(0).tolist()]
    return [*box, 1.0] if row.database == "framesdb" else box


def _truth(row: Row, photo: Photo) -> list[Truth]:
    return [
        Truth(
            dataset=NAME,
            source_path=row.shot.path,
            n=number,
            subject_id=body.person.name,
            split=row.split,
            label=None if body.planted else body.role.emotion.name,
            valence=body.role.valence,
            arousal=body.role.arousal,
            roll_deg=body.figure.roll_deg,
            points=photo.landmarks[number],
            planted=body.planted,
        )
        for number, body in enumerate(row.bodies)
    ]
