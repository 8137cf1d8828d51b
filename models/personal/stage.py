"""A personal network: fine-tuned on a few labelled faces of one person and tested on that person's other faces.

In each draw, the person's faces are shuffled. The first K are for training and the others for testing, the same for
every number of shots. So all points of the curve, and the general network, are compared on the same faces.
"""

import copy
import csv
import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from models.checkpoint import CHECKPOINT_NAME, Checkpoint
from models.core.inputs import InputSpec
from models.core.runtime import describe_compute, network_device, reproducible
from models.core.streams import Purpose, stream, stream_seed
from models.data.loader import ShardLoader
from models.evaluation.intervals import SHARE_DIFFERENCE, interval
from models.evaluation.stage import load_matching
from models.networks.layers import open_last
from models.training.augment import Augmentation
from pipeline.core.errors import DataError, ModelError, UsageError
from pipeline.core.names import TEST
from pipeline.core.parallel.pool import Progress, no_progress
from pipeline.core.params import AugmentParams, PersonalizeParams
from pipeline.core.stage_output import stage_output
from pipeline.shards.read import ShardFolder, iter_shards, open_shards

CURVE_NAME: Final = "curve.csv"
PLOT_NAME: Final = "curve.png"
COLUMNS: Final = ("shots", "draw", "faces", "general_accuracy", "personal_accuracy")
_THREADS: Final = 2
# At least one face must be left to test on.
_FEWEST_OTHERS: Final = 1
_BOOTSTRAP_DRAWS: Final = 1000
_TOOLS: Final = ("numpy", "torch")
# Mild changes, because a few faces of one person differ in little but their expression.
_STRENGTHS: Final = AugmentParams(
    shift=0.05, shear_deg=0, zoom=0.05, flip=0.5, rotation_deg=8, crop=0, pad=0, noise=0, blur_px=0, brightness=0.1,
    contrast=0.1, erase=0,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Person:
    """The faces of one person in the test set: images uint8 (N, 3, H, W), labels int64 (N,)."""

    subject_id: str
    images: Tensor
    labels: Tensor


def run(
    shards: Path,
    run: Path,
    out: Path,
    params: PersonalizeParams,
    *,
    subject: str,
    shots: int,
    seed: int,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Fine-tune a network on a few faces of one person, several times, and write the learning curve.

    Args:
        shards: the folder whose test set contains the person; the network was not trained on anybody in it.
        run: the folder with the general network.
        out: the folder for curve.csv (one row for each number of shots and draw), curve.png and summary.json.
        params: settings of the fine-tuning.
        subject: the person's subject_id.
        shots: the largest number of faces to train on.
        seed: of the draws.
        progress: called with the fine-tunings done so far.

    Returns:
        The content of summary.json, with the mean accuracy of both networks for each number of shots.

    Raises:
        UsageError: no such person, or too few faces for this number of shots.
        ModelError: a network that cannot be fine-tuned, or that was trained with another preprocessing.
    """
    settings = {**params.plain(), "subject": subject, "shots": shots, "seed": seed}
    with stage_output(out, stage="personalize", sources=[shards, run], params=settings, tools=_TOOLS) as output:
        folder = open_shards(shards)
        general = load_matching(run / CHECKPOINT_NAME, folder)
        if general.network is None or general.info.task != "emotion":
            raise ModelError(f"{run}: {general.info.model} cannot be fine-tuned on classes; train another train.model")
        person = read_person(shards, folder, subject, general.spec)
        _check_shots(person, shots)
        with reproducible(_THREADS):
            rows = list(_curve(general, person, params, shots, seed, progress))
        _write_curve(output.path(CURVE_NAME), rows)
        curve = summarize(rows)
        draw_curve(output.path(PLOT_NAME), curve, subject)
        count = len(person.labels)
        return output.finish(
            rows_in=count,
            rows_out=count,
            contract=general.contract,
            ran=describe_compute(network_device()).plain(),
            subject=subject,
            curve=curve,
        )


def read_person(shards: Path, folder: ShardFolder, subject: str, spec: InputSpec) -> Person:
    """Read the faces of one person of the test set.

    Args:
        shards: the folder with the test shards.
        folder: the same, opened.
        subject: a subject_id, or dataset/subject_id: subject "1" of two datasets is two people.
        spec: the network's input.

    Raises:
        UsageError: nobody has this subject_id (names the people with the most faces), or several people have it.
        DataError: there is no test set.
    """
    if TEST not in folder.splits:
        raise DataError(f"{shards}: no test rows; personalize needs people nobody trained on")
    mine = _pick_person(pa.concat_tables(iter_shards(folder, TEST, ["dataset", "subject_id"])), subject)
    images: list[Tensor] = []
    labels: list[Tensor] = []
    first = 0
    for batch in ShardLoader(shards, TEST, batch_size=256, shuffle=False, seed=0, spec=spec):
        picked = torch.from_numpy(mine[first : first + len(batch)])
        images.append(batch.images[picked])
        labels.append(batch.labels[picked])
        first += len(batch)
    return Person(subject, torch.cat(images), torch.cat(labels))


def _pick_person(rows: pa.Table, subject: str) -> NDArray[np.bool_]:
    """Return (N,) which rows show the person with this name."""
    people = list(zip(rows["dataset"].to_pylist(), rows["subject_id"].to_pylist(), strict=True))
    counts = Counter(person for person in people if person[1] is not None)
    called = sorted(person for person in counts if subject in (person[1], "/".join(person)))
    if not called:
        most = ", ".join(f"{name} ({count})" for (_, name), count in sorted(counts.items(), key=_by_faces)[:5])
        raise UsageError(
            f"--subject: nobody in the test set is called {subject!r}; the most faces have {most or 'nobody'}"
        )
    if len(called) > 1:
        given = ", ".join("/".join(person) for person in called)
        raise UsageError(f"--subject: {len(called)} people in the test set are called {subject!r}; give one of {given}")
    return np.array([person == called[0] for person in people])


def _by_faces(entry: tuple[tuple[str, str], int]) -> tuple[int, str]:
    return -entry[1], entry[0][1]


def fine_tune(general: Checkpoint, images: Tensor, labels: Tensor, params: PersonalizeParams, seed: int) -> Checkpoint:
    """Return a copy of a network after some steps on a few faces.

    Batch statistics do not change, because those of a few faces would be far off.

    Args:
        general: the network to start from; it is not changed.
        images: uint8 (K, 3, H, W).
        labels: int64 (K,).
        params: steps, learning rate and the number of blocks to unfreeze.
        seed: of the augmentation.
    """
    personal = Checkpoint(general.info, copy.deepcopy(general.module))
    network = personal.module.eval()
    open_last(network, params.unfreeze_blocks)
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=params.learning_rate)
    augment = Augmentation(_STRENGTHS, general.spec.size_px)
    pixels, labels = general.spec.resize(images).to(general.device), labels.to(general.device)
    torch.manual_seed(seed)
    for _ in range(params.steps):
        loss = functional.cross_entropy(network(general.spec.normalize(augment(pixels))), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own
        optimizer.step()
    return personal


def shot_counts(shots: int) -> list[int]:
    """Return the numbers of shots on the curve: 1, 2, 4 … and `shots` itself."""
    return sorted({*(2**power for power in range(shots.bit_length()) if 2**power <= shots), shots})


def summarize(rows: list[dict[str, Any]]) -> dict[str, dict[str, float | None]]:
    """Return, by number of shots, the mean accuracy of both networks and their mean difference with its 95% interval.

    The interval is paired and covers the draws of training faces (see `models.evaluation.intervals`), so it is valid
    for this person only.
    """
    curve: dict[str, dict[str, float | None]] = {}
    for shots in sorted({row["shots"] for row in rows}):
        mine = [row for row in rows if row["shots"] == shots]
        general = np.array([row["general_accuracy"] for row in mine])
        personal = np.array([row["personal_accuracy"] for row in mine])
        gain = personal - general
        values = {"general": general.mean(), "personal": personal.mean(), "gain": gain.mean(), "gain_std": gain.std()}
        known = interval(float(gain.mean()), _mean_draws(gain), len(gain), SHARE_DIFFERENCE)
        ends = (known.low, known.high) if known else (None, None)
        curve[str(shots)] = {
            **{name: round(float(value), 6) for name, value in values.items()},
            **dict(zip(("gain_low", "gain_high"), ends, strict=True)),
        }
    return curve


def _mean_draws(gain: NDArray[np.float64]) -> NDArray[np.float64]:
    picks = np.random.default_rng(0).integers(0, len(gain), (_BOOTSTRAP_DRAWS, len(gain)))
    means: NDArray[np.float64] = gain[picks].mean(axis=1)
    return means


def draw_curve(path: Path, curve: Mapping[str, Mapping[str, float | None]], subject: str) -> None:
    """Draw the learning curve: accuracy of both networks over the number of shots."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    shots = [int(name) for name in curve]
    personal = np.array([values["personal"] for values in curve.values()], float)
    spread = np.array([values["gain_std"] for values in curve.values()], float)
    axes.plot(
        shots,
        np.array([values["general"] for values in curve.values()], float),
        "--",
        color="0.4",
        label="general network",
    )
    axes.plot(shots, personal, "o-", color="tab:blue", label="fine-tuned on this person")
    axes.fill_between(shots, personal - spread, personal + spread, color="tab:blue", alpha=0.15)
    axes.set(xlabel="labelled faces of the person", ylabel="accuracy on the others", title=f"Personal model: {subject}")
    axes.set_xscale("log", base=2)
    axes.set_xticks(shots, [str(count) for count in shots])
    axes.minorticks_off()
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path, metadata={"Software": None})


def _curve(
    general: Checkpoint, person: Person, params: PersonalizeParams, shots: int, seed: int, progress: Progress
) -> Any:
    counts = shot_counts(shots)
    right = torch.from_numpy(general.predict(person.images).argmax(1)) == person.labels
    for draw in range(params.draws):
        order = torch.from_numpy(
            np.random.default_rng(stream(Purpose.personal_shots, seed, draw)).permutation(len(person.labels))
        )
        others = order[shots:]  # the same test faces for every number of shots
        before = right[others].double().mean().item()
        for number, count in enumerate(counts):
            known = order[:count]
            personal = fine_tune(
                general,
                person.images[known],
                person.labels[known],
                params,
                stream_seed(Purpose.personal_steps, seed, draw),
            )
            answers = torch.from_numpy(personal.predict(person.images[others]).argmax(1))
            after = (answers == person.labels[others]).double().mean().item()
            yield dict(zip(COLUMNS, (count, draw, len(others), before, after), strict=True))
            progress(draw * len(counts) + number + 1, params.draws * len(counts), f"{count} shots")


def _check_shots(person: Person, shots: int) -> None:
    most = len(person.labels) - _FEWEST_OTHERS
    if not 1 <= shots <= most:
        raise UsageError(
            f"--shots: {person.subject_id} has {len(person.labels)} faces in the test set; "
            f"expected 1 to {most}, not {shots}"
        )


def _write_curve(path: Path, rows: list[dict[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: f"{value:.6f}" if isinstance(value, float) else value for name, value in row.items()})
    path.write_text(text.getvalue(), encoding="utf-8")
