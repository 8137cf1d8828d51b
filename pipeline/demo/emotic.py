"""A small rendered EMOTIC in its native layout: people in scenes, a box around the body, several categories at once.

`Annotations/Annotations.mat` holds the struct arrays `train`, `val` and `test`; pictures lie under
`emotic/{mscoco,framesdb,emodb_small,ade20k}/images/`. In val and test each annotator has an annotation of their own,
and `combined_categories` and `combined_continuous` follow from them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from pipeline.core.emotions import Emotion
from pipeline.demo.casting import Role, cast, deal, draw_role
from pipeline.demo.people import Person, build_person
from pipeline.demo.scene import Figure, Photo, Shot
from pipeline.demo.truth import Truth

NAME: Final = "emotic"
CATEGORIES: Final[Mapping[Emotion, tuple[str, ...]]] = {
    Emotion.anger: ("Anger", "Annoyance"),
    Emotion.contempt: ("Disapproval",),
    Emotion.disgust: ("Aversion",),
    Emotion.fear: ("Fear",),
    Emotion.happy: ("Happiness", "Pleasure"),
    Emotion.neutral: ("Peace",),
    Emotion.sad: ("Sadness",),
    Emotion.surprise: ("Surprise",),
}
NO_VALENCE: Final = "no valence"
CONFLICTING: Final = "conflicting categories"
NO_CLASS: Final = "categories without a class"
CONTRADICTED: Final = "valence contradicts"
# Said of most people, of any mood: a category that belongs to none of the eight classes.
_BYSTANDER: Final = "Engagement"
_SPLITS: Final = {"train": 0.2, "val": 0.15, "test": 0.65}
_NAMES: Final = {
    "mscoco": "COCO_train2014_{:012d}.jpg",
    "framesdb": "frame_{:016x}.jpg",
    "emodb_small": "{:018x}.jpg",
    "ade20k": "sun_{:016x}.jpg",
}
_TOGETHER: Final = 5  # every so many pictures show two people
_DOMINANCE: Final = 0.1
# Head and shoulders of the portrait, in its pixels: x0, y0, x1, y1.
_BODY: Final = np.array([(100, 8), (330, 8), (330, 300), (100, 300)], dtype=float)


@dataclass(frozen=True)
class Case:
    """A person of the test set whose annotation is ambiguous; `rating` replaces the valence, on 1 to 10."""

    planted: str
    shown: Emotion
    categories: tuple[str, ...]
    rating: int | None = None


# What the real annotations are full of, and what `harmonize.multi_label` and `harmonize.affect` decide about.
CASES: Final = (
    *(
        Case(CONFLICTING, shown, categories)
        for shown, categories in (
            (Emotion.sad, ("Anger", "Happiness", "Sadness")),
            (Emotion.anger, ("Anger", "Annoyance", "Sadness")),
            (Emotion.surprise, ("Fear", "Surprise")),
            (Emotion.happy, ("Happiness", "Pleasure", "Surprise")),
            (Emotion.sad, ("Disquietment", "Sadness", "Suffering")),
        )
        for _ in range(2)
    ),
    Case(NO_CLASS, Emotion.neutral, ("Engagement",)),
    Case(NO_CLASS, Emotion.neutral, ("Anticipation", "Confidence")),
    Case(CONTRADICTED, Emotion.happy, ("Happiness",), rating=2),
    Case(CONTRADICTED, Emotion.anger, ("Anger", "Annoyance"), rating=9),
)


@dataclass(frozen=True)
class Body:
    """One annotated person of a picture."""

    person: Person
    figure: Figure
    role: Role
    categories: tuple[tuple[str, ...], ...]  # one per annotator
    planted: str | None


@dataclass(frozen=True)
class EmoticRow:
    """One picture."""

    shot: Shot
    split: str
    database: str
    bodies: tuple[Body, ...]


def build_rows(count: int, seed: int) -> list[EmoticRow]:
    """Plan about `count` faces; every fifth picture shows two people, and the last ones of the test set are `CASES`."""
    rows = []
    for number, (split, share) in enumerate(_SPLITS.items()):
        others = len(CASES) if split == "test" else 0
        rows += _plan(split, max(len(Emotion), round(count * share) - others), seed, number)
    return rows


def _plan(split: str, count: int, seed: int, number: int) -> list[EmoticRow]:
    random = np.random.default_rng([seed, 26, number])
    people = [build_person(f"{NAME}-{split}-{index:03d}", seed) for index in range(max(4, count // 3))]
    emotions = deal(dict.fromkeys(Emotion, 1.0), count, random)
    actors = list(zip(cast(people, count), emotions, strict=True))
    rows: list[EmoticRow] = []
    while actors:
        group = [actors.pop(0)]
        if len(rows) % _TOGETHER == _TOGETHER - 1 and actors:
            group.append(actors.pop())  # from the other end: somebody else
        planted = NO_VALENCE if split == "test" and not rows else None
        rows.append(_picture(split, group, len(rows), (seed, 26, number), random, planted))
    for index, case in enumerate(CASES if split == "test" else ()):
        actor = [(people[-1 - index % len(people)], case.shown)]
        rows.append(_picture(split, actor, len(rows), (seed, 26, number), random, case))
    return rows


def _picture(
    split: str,
    group: Sequence[tuple[Person, Emotion]],
    index: int,
    seed: tuple[int, ...],
    random: np.random.Generator,
    planted: str | Case | None,
) -> EmoticRow:
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
            middle=(
                size[0] * (0.5 if len(group) == 1 else 0.27 + 0.46 * position),
                size[1] * float(random.uniform(0.42, 0.5)),
            ),
            roll_deg=float(random.uniform(-12, 12)),
            yaw_deg=float(random.uniform(-12, 12)),
        )
        categories = _annotate(split, emotion, random)
        if isinstance(planted, Case):
            bodies.append(_planted(Body(person, figure, role, categories, planted.planted), planted))
        else:
            bodies.append(Body(person, figure, role, categories, planted))
    shot = Shot(f"emotic/{database}/images/{name}", size, tuple(body.figure for body in bodies), (*seed, index))
    return EmoticRow(shot, split, database, tuple(bodies))


def _planted(body: Body, case: Case) -> Body:
    """Return a person for whom every annotator gives the annotation of the case."""
    role = body.role if case.rating is None else replace(body.role, valence=round((case.rating - 5.5) / 4.5, 4))
    return replace(body, role=role, categories=(case.categories,) * 3)


def _annotate(split: str, emotion: Emotion, random: np.random.Generator) -> tuple[tuple[str, ...], ...]:
    """Return the annotations: by one annotator in train, by three to five elsewhere, who may disagree."""
    names = CATEGORIES[emotion]
    annotators = 1 if split == "train" else int(random.integers(3, 6))
    return tuple(
        (*(names if random.random() < 0.5 else names[:1]), *((_BYSTANDER,) if random.random() < 0.3 else ()))
        for _ in range(annotators)
    )


def write(out: Path, rows: Sequence[EmoticRow], photos: Mapping[str, Photo]) -> list[Truth]:
    """Write the tree and return the ground truth of every face."""
    items: dict[str, list[dict[str, Any]]] = {split: [] for split in _SPLITS}
    truths = []
    for row in rows:
        photo = photos[row.shot.path]
        _write(out / row.shot.path, photo.content)
        items[row.split].append(_item(row))
        truths.extend(_truth(row, photo))
    _write_mat(out / "Annotations/Annotations.mat", {split: _struct(found) for split, found in items.items()})
    _write(out / "emotic/.DS_Store", b"\0\0\0\1Bud1\0")
    return truths


def _write_mat(path: Path, variables: Mapping[str, Any]) -> None:
    from scipy.io import savemat

    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(str(path), dict(variables), oned_as="row", do_compression=True)
    # The first 116 bytes are free text, in which SciPy puts the time.
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 5.0 MAT-file".ljust(116))


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _struct(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Return a MATLAB struct array (1, N) with one element per row, whatever the types of its fields."""
    array = np.empty((1, len(rows)), dtype=[(name, object) for name in rows[0]])
    for index, row in enumerate(rows):
        array[0, index] = tuple(row.values())
    return array


def _cell(values: Sequence[str]) -> Any:
    array = np.empty((1, len(values)), dtype=object)
    array[0, :] = values
    return array


def _item(row: EmoticRow) -> dict[str, Any]:
    width, height = row.shot.size
    return {
        "filename": Path(row.shot.path).name,
        "folder": f"{row.database}/images",
        "image_size": _struct([{"n_col": width, "n_row": height}]),
        "original_database": _struct([{"name": row.database, "info": _struct([{"id": 0}])}]),
        "person": _struct([_person(row, body) for body in row.bodies]),
    }


def _person(row: EmoticRow, body: Body) -> dict[str, Any]:
    given = [_struct([{"categories": _cell(names)}])[0, 0] for names in body.categories]
    categories = np.concatenate([_struct([{"categories": _cell(names)}]) for names in body.categories], axis=1)
    continuous = np.concatenate([_continuous(body) for _ in given], axis=1)
    fields: dict[str, Any] = {
        "body_bbox": np.array([_box(row, body)]),
        "annotations_categories": categories,
        "annotations_continuous": continuous,
    }
    if row.split != "train":
        fields["combined_categories"] = _cell(sorted({name for names in body.categories for name in names}))
        fields["combined_continuous"] = _continuous(body)
    return {**fields, "gender": "Female" if body.person.female else "Male", "age": "Adult"}


def _continuous(body: Body) -> Any:
    values = {"valence": body.role.valence, "arousal": body.role.arousal, "dominance": _DOMINANCE}
    if body.planted == NO_VALENCE:
        values = dict.fromkeys(values, float("nan"))
    return _struct([{name: value if np.isnan(value) else on_scale(value) for name, value in values.items()}])


def on_scale(value: float) -> float:
    """Convert a value in [-1, 1] to the annotators' whole numbers, 1 to 10."""
    return float(round(5.5 + 4.5 * value))


def _box(row: EmoticRow, body: Body) -> list[float]:
    corners = body.figure.placement.place(_BODY)
    box = [*corners.min(0).tolist(), *corners.max(0).tolist()]
    return [*box, 1.0] if row.database == "framesdb" else box


def _truth(row: EmoticRow, photo: Photo) -> list[Truth]:
    return [
        Truth(
            dataset=NAME,
            source_path=row.shot.path,
            n=number,
            subject_id=body.person.name,
            split=row.split,
            label=body.role.emotion.name if body.planted in {None, NO_VALENCE} else None,
            valence=None if body.planted == NO_VALENCE else body.role.valence,
            arousal=None if body.planted == NO_VALENCE else body.role.arousal,
            roll_deg=body.figure.roll_deg,
            points=photo.landmarks[number],
            planted=body.planted,
        )
        for number, body in enumerate(row.bodies)
    ]
