"""What labelled faces of one person are worth: the general network, that network made the person's own, and without it.

In each draw, some faces of a person are labelled and the others are tested, the same for every number of shots. So all
points of the curve and all networks are compared on the same faces.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from models.checkpoint import CHECKPOINT_NAME, Checkpoint
from models.core.runtime import describe_compute, network_device, reproducible
from models.core.streams import Purpose, stream
from models.evaluation.measured import load_matching
from models.personal.anchored import Ints
from models.personal.draws import Draw, draw_faces, shot_counts
from models.personal.networks import GENERAL, NETWORKS, PERSONAL
from models.personal.people import Person, list_people, pick_person, read_people, with_most_faces
from models.personal.plot import draw_curve
from models.personal.scores import Row, mean_over_draws, names_of_scores, score, summarize
from pipeline.core.emotions import NO_CLASS
from pipeline.core.errors import UsageError
from pipeline.core.parallel.pool import Progress, no_progress
from pipeline.core.params import PersonalizeParams
from pipeline.core.stage_output import stage_output
from pipeline.shards.read import open_shards

CURVE_NAME: Final = "curve.csv"
PEOPLE_NAME: Final = "people.csv"
PLOT_NAME: Final = "curve.png"
# Differences that the summary gives: which network is better if it is positive, and than which.
PAIRS: Final = {
    "gain": (PERSONAL, GENERAL),
    "gain_on_alone": (PERSONAL, "alone"),
    "gain_on_scratch": (PERSONAL, "scratch"),
}
_THREADS: Final = 2
_TOOLS: Final = ("numpy", "torch", "scikit-image")
_DECIMALS: Final = 6


def run(
    shards: Path,
    run: Path,
    out: Path,
    params: PersonalizeParams,
    *,
    subject: str | None,
    shots: int,
    seed: int,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Make a network personal with a few faces of a person, several times, and write the learning curve.

    Args:
        shards: the folder whose test set contains the people; the network was not trained on anybody in it.
        run: the folder with the general network, of any task.
        out: the folder for curve.csv (a row for each person, draw, number of shots and network), people.csv (a row for
            each person and number of shots), curve.png and summary.json.
        params: the number of draws, the fewest faces to test on, and what counts as one moment.
        subject: the person's subject_id, or dataset/subject_id; None: everybody with enough faces.
        shots: the largest number of labelled faces.
        seed: of the draws.
        progress: called with the draws done so far.

    Returns:
        The content of summary.json, with the means of all networks for each number of shots and their intervals over
        people, or over draws for one person.

    Raises:
        UsageError: no such person, or too few faces for this number of shots.
        ModelError: a network without a linear head, or that was trained with another preprocessing.
        DataError: there is no test set, or nobody in it is named.
    """
    settings = {**params.plain(), "subject": subject, "shots": shots, "seed": seed}
    with stage_output(out, stage="personalize", sources=[shards, run], params=settings, tools=_TOOLS) as output:
        folder = open_shards(shards)
        general = load_matching(run / CHECKPOINT_NAME, folder)
        heads = general.info.heads
        people = list_people(open_shards(shards, unclassed=bool(heads.values)), shards, heads)
        chosen = choose_people(people, subject, shots, params.min_test)
        with reproducible(_THREADS):
            found = read_people(shards, general, {name: people[name] for name in chosen})
            drawn, left_out = draw_all(found, params, shots, seed)
            rows = list(_rows(drawn, params, shots, progress))
        _write_csv(output.path(CURVE_NAME), rows)
        _write_csv(output.path(PEOPLE_NAME), people_table(rows))
        curve = summarize(rows, PAIRS)
        draw_curve(output.path(PLOT_NAME), curve, rows)
        count = sum(len(person) for person in drawn)
        few = len(people) - len(chosen) if subject is None else 0
        return output.finish(
            rows_in=count,
            rows_out=count,
            contract=general.contract,
            ran=describe_compute(network_device()).plain(),
            task=general.info.task,
            people=[person.name for person in drawn],
            left_out={**({"too few faces": few} if few else {}), **left_out},
            never_shown=_never_shown(drawn, general),
            curve=curve,
        )


def choose_people(people: Mapping[str, Ints], subject: str | None, shots: int, fewest: int) -> list[str]:
    """Return who is measured: the person asked for, or everybody with `shots` faces and `fewest` others.

    Raises:
        UsageError: nobody has so many faces; names those with the most.
    """
    asked = [pick_person(people, subject)] if subject is not None else list(people)
    enough = [name for name in asked if len(people[name]) >= shots + fewest]
    if not enough:
        have = ", ".join(f"{name} has {len(people[name])}" for name in with_most_faces(people, asked))
        raise UsageError(
            f"--shots: {shots} labelled faces and personalize.min_test: {fewest} others are {shots + fewest}, and "
            f"{have}; ask for fewer"
        )
    return enough


def draw_all(
    people: Sequence[Person], params: PersonalizeParams, shots: int, seed: int
) -> tuple[dict[Person, list[Draw]], dict[str, int]]:
    """Return the draws of each person, and how many people are left out because too few moments are left to test.

    Raises:
        UsageError: that is everybody.
    """
    kept: dict[Person, list[Draw]] = {}
    for number, person in enumerate(people):
        seeds = (stream(Purpose.personal_shots, seed, number, draw) for draw in range(params.draws))
        draws = [draw_faces(person, shots, params.one_moment, np.random.default_rng(one)) for one in seeds]
        if min(len(draw.tested) for draw in draws) >= params.min_test:
            kept[person] = draws
    if not kept:
        raise UsageError(
            f"personalize.one_moment: the faces of {people[0].name} look so alike that fewer than "
            f"personalize.min_test: {params.min_test} are left to test beside {shots} shots; ask for fewer, or raise it"
        )
    alike = len(people) - len(kept)
    return kept, {"faces too much alike": alike} if alike else {}


def _rows(
    people: Mapping[Person, Sequence[Draw]], params: PersonalizeParams, shots: int, progress: Progress
) -> Iterator[Row]:
    done = 0
    for person, draws in people.items():
        for number, draw in enumerate(draws):
            for count in shot_counts(shots):
                for name, network in NETWORKS.items():
                    yield _measure(person, number, count, draw, name, network)
            done += 1
            progress(done, len(people) * params.draws, person.name)


def _measure(person: Person, number: int, count: int, draw: Draw, name: str, network: Any) -> Row:
    known = draw.shots[:count]
    answered = network(person, known, draw.tested)
    tested, shown = (set(person.labels[faces].tolist()) - {NO_CLASS} for faces in (draw.tested, known))
    missed = tested - shown if person.classes else ()
    about = {"person": person.name, "draw": number, "shots": count, "network": name, "tested": len(draw.tested)}
    about |= {"never_shown": len(missed), "general_weight": answered.general_weight}
    return {**about, **score(person, draw.tested, answered.answers)}


def people_table(rows: Sequence[Row]) -> list[Row]:
    """Return a row for each person and number of shots: how many are tested, and each score's mean over draws."""
    means = {name: mean_over_draws(rows, name) for name in ("tested", "never_shown", *names_of_scores(rows))}
    weights = mean_over_draws(rows, "general_weight")
    table = []
    for person, shots in dict.fromkeys((row["person"], row["shots"]) for row in rows):
        row: Row = {"person": person, "shots": shots}
        row |= {name: means[name][person, shots, GENERAL] for name in ("tested", "never_shown")}
        row["general_weight"] = weights[person, shots, PERSONAL]
        for name in names_of_scores(rows):
            row |= {f"{network}_{name}": means[name][person, shots, network] for network in NETWORKS}
        table.append(row)
    return table


def _never_shown(people: Mapping[Person, Sequence[Draw]], general: Checkpoint) -> dict[str, list[str]]:
    """Return, by person, the classes that none of their draws shows; empty for values."""
    if not general.info.heads.classes:
        return {}
    found = {}
    for person, draws in people.items():
        shown = {int(label) for draw in draws for label in person.labels[draw.shots]}
        if lacking := [name for number, name in enumerate(general.info.heads.classes) if number not in shown]:
            found[person.name] = lacking
    return found


def _write_csv(path: Path, rows: Sequence[Row]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {name: f"{value:.{_DECIMALS}f}" if isinstance(value, float) else value for name, value in row.items()}
        )
    path.write_text(text.getvalue(), encoding="utf-8")
