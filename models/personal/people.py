"""The people of a test set as a network sees them: features, answers, annotations, and which faces are copies."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from models.checkpoint import Checkpoint
from models.classical.features import Hog
from models.core.heads import Heads
from models.data.faces import faces_of
from models.data.loader import Batch, ShardLoader
from models.features import frozen_features
from models.personal.anchored import Floats, Ints
from pipeline.core.emotions import CLASSES
from pipeline.core.errors import DataError, UsageError
from pipeline.core.names import TEST, TRAIN
from pipeline.core.parallel.pool import Progress, no_progress
from pipeline.shards.read import ShardFolder, iter_shards

# Training faces whose features say what is usual.
_USUAL_ROWS: Final = 512
_BATCH_ROWS: Final = 64
# Side of the small grey pictures that are compared to find copies.
_SMALL_PX: Final = 24
_TINY: Final = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """The N faces of one person in the test set.

    Attributes:
        name: dataset/subject_id.
        labels: (N,) the outputs of the general network that stand for their classes, NO_CLASS for none.
        affect: (N, A) annotations of the values that the network answers, in [-1, 1], NaN where there is none.
        features: (N, F) the general network's, standardized by what is usual, of mean square 1 / F.
        pixels: (N, G) histograms of oriented gradients, which no network was trained for.
        answers: (N, C + A) the general network's: log-probabilities of C classes, then values.
        small: (N, P) small grey pictures of mean 0 and length 1, so that a product is a correlation.
        values: names of the A values that the network answers.
    """

    name: str
    labels: Ints
    affect: Floats
    features: Floats
    pixels: Floats
    answers: Floats
    small: Floats
    values: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def classes(self) -> int:
        """The number of classes that the network answers, C; 0 if it answers values alone."""
        return int(self.answers.shape[1]) - len(self.values)

    def copies_of(self, faces: Ints, similarity: float) -> NDArray[np.bool_]:
        """Return (N,) whether a face is one of these or looks like one of them, as frames of one moment do."""
        near = np.asarray((self.small @ self.small[faces].T >= similarity).any(axis=1))
        near[faces] = True
        return near


def list_people(folder: ShardFolder, shards: Path, heads: Heads) -> dict[str, Ints]:
    """Return dataset/subject_id -> the positions of their rows in the test set; subject "1" of two datasets is two.

    Only rows count that are annotated with something that the network answers.

    Raises:
        DataError: there is no test set, or nobody in it is named.
    """
    if TEST not in folder.splits:
        raise DataError(f"{shards}: no test rows; personalize needs people nobody trained on")
    asked = [*(["label"] if heads.classes else []), *heads.values]
    rows = pa.concat_tables(iter_shards(folder, TEST, ["dataset", "subject_id", *asked]))
    known = np.stack([rows[name].is_valid().to_numpy() for name in asked]).max(axis=0)
    columns = rows["dataset"].to_pylist(), rows["subject_id"].to_pylist()
    found: dict[str, list[int]] = {}
    for place, (dataset, subject) in enumerate(zip(*columns, strict=True)):
        if subject is not None and known[place]:
            found.setdefault(f"{dataset}/{subject}", []).append(place)
    if not found:
        what = " or ".join("class" if name == "label" else name for name in asked)
        why = f"no test row with a {what} says whom it shows"
        raise DataError(f"{shards}: {why}; the dataset needs subjects (columns: subject)")
    return {name: np.array(found[name]) for name in sorted(found)}


def with_most_faces(people: Mapping[str, Ints], names: Iterable[str]) -> list[str]:
    """Return the five names with the most faces, for a message."""
    return sorted(names, key=lambda name: (-len(people[name]), name))[:5]


def pick_person(people: Mapping[str, Ints], subject: str) -> str:
    """Return the full name of a person, given it or a subject_id.

    Raises:
        UsageError: nobody has this name (tells the people with the most faces), or several people have it.
    """
    called = [name for name in people if subject in (name, name.partition("/")[2])]
    if not called:
        largest = with_most_faces(people, people)
        most = ", ".join(f"{name.partition('/')[2]} ({len(people[name])})" for name in largest)
        raise UsageError(f"--subject: nobody in the test set is called {subject!r}; the most faces have {most}")
    if len(called) > 1:
        raise UsageError(
            f"--subject: {len(called)} people in the test set are called {subject!r}; give one of {', '.join(called)}"
        )
    return called[0]


def read_people(
    shards: Path, general: Checkpoint, people: dict[str, Ints], progress: Progress = no_progress
) -> list[Person]:
    """Read the faces of some people of the test set.

    Args:
        shards: the folder with the shards.
        general: the network.
        people: name -> positions in the test set.
        progress: called with the faces read so far.

    Raises:
        ModelError: the network has no linear layer as its last one.
    """
    unclassed = bool(general.info.heads.values)
    usual = _usual_features(shards, general, unclassed=unclassed)
    wanted = np.unique(np.concatenate(list(people.values())))
    loader = ShardLoader(
        shards, TEST, batch_size=_BATCH_ROWS, shuffle=False, seed=0, spec=general.spec, unclassed=unclassed
    )
    parts: list[tuple[Floats, ...]] = []
    first = 0
    for batch in loader:
        mine = wanted[(wanted >= first) & (wanted < first + len(batch))] - first
        first += len(batch)
        if len(mine):
            parts.append(_describe(batch, torch.from_numpy(mine), general))
        progress(first, loader.rows, "faces")
    labels, affect, features, pixels, answers, small = (np.concatenate(part) for part in zip(*parts, strict=True))
    features = (features - usual[0]) / (usual[1] * np.sqrt(features.shape[1]))
    found = []
    for name, places in people.items():
        at = np.searchsorted(wanted, places)
        found.append(
            Person(
                name=name,
                labels=labels[at].astype(np.int64),
                affect=affect[at],
                features=features[at],
                pixels=pixels[at],
                answers=answers[at],
                small=small[at],
                values=general.info.heads.values,
            )
        )
    return found


def _usual_features(shards: Path, general: Checkpoint, *, unclassed: bool) -> tuple[Floats, Floats]:
    """Return mean and deviation (F,) of the features of some training faces; rows of training are in random order."""
    parts, count = [], 0
    loader = ShardLoader(
        shards, TRAIN, batch_size=_BATCH_ROWS, shuffle=False, seed=0, spec=general.spec, unclassed=unclassed
    )
    for batch in loader:
        parts.append(read_features(general, batch.images)[0])
        count += len(batch)
        if count >= _USUAL_ROWS:
            break
    features = np.concatenate(parts)
    return features.mean(axis=0), np.maximum(features.std(axis=0), _TINY)


def _describe(batch: Batch, rows: Tensor, general: Checkpoint) -> tuple[Floats, ...]:
    images = batch.images[rows]
    features, answers = read_features(general, images)
    given = faces_of(batch, general.info.heads.classes or CLASSES).take(rows)
    affect = np.where(given.affect_given.numpy(), given.affect.numpy(), np.nan).astype(np.float64)
    affect = affect[:, list(general.info.heads.columns)]
    return given.labels.numpy().astype(np.float64), affect, features, _gradients(images), answers, _small(images)


def read_features(general: Checkpoint, images: Tensor) -> tuple[Floats, Floats]:
    """Return the features (N, F) and the answers (N, C + A): log-probabilities, then values; see `frozen_features`."""
    features, answers = frozen_features(general, images)
    heads = general.info.heads
    answers = torch.cat([heads.of_classes(answers).clamp(min=_TINY).log(), heads.of_values(answers)], 1)
    return features, answers.double().numpy()


def _gradients(images: Tensor) -> Floats:
    hog = Hog()
    spec = hog.input(None)
    grey = spec.resize(images).permute(0, 2, 3, 1).contiguous().numpy()
    return hog.extract(grey)


def _small(images: Tensor) -> Floats:
    grey = functional.interpolate(images.float().mean(1, keepdim=True), size=(_SMALL_PX,) * 2, mode="area")
    flat = grey.flatten(1).double()
    flat = flat - flat.mean(1, keepdim=True)
    small: Floats = (flat / flat.norm(dim=1, keepdim=True).clamp(min=_TINY)).numpy()
    return small
