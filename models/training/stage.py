"""The stage: train one network on shards and select its epoch on validation.

The test set is read only under the thesis's protocol (`train.validate_on: test`), which everything that shows the
figures says.
"""

import csv
import io
import math
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final, NoReturn

import torch
from lightning.pytorch.utilities import rank_zero_only
from torch import nn

from models.checkpoint import CHECKPOINT_NAME, CheckpointInfo, save_checkpoint
from models.core.affect import AFFECTS
from models.core.heads import heads_of
from models.core.runtime import Compute, network_device, reproducible
from models.core.streams import Purpose, stream_seed
from models.registry import find_model
from models.training.credit import vouch
from models.training.engine import plan_compute
from models.training.history import COLUMNS, History
from models.training.loggers import SNAPSHOT_TAG, open_loggers
from models.training.loss import loss_name
from models.training.reporting import LiveLog
from models.training.run import Job, count_given, count_rows, read_labels, run_classical, run_training, state_name
from pipeline.core.errors import DataError
from pipeline.core.lineage.identity import PARTIAL_SUFFIX
from pipeline.core.lineage.snapshot import read_snapshot
from pipeline.core.names import LOGS_NAME, TRAIN
from pipeline.core.parallel.pool import Progress, no_progress, say_nothing
from pipeline.core.params import TrainParams
from pipeline.core.stage_output import Source, StageOutput, stage_output
from pipeline.shards.read import iter_shards, open_shards

LOSSES_NAME: Final = "losses.csv"
_TOOLS: Final = ("lightning", "numpy", "scikit-learn", "timm", "torch", "torchvision")
_DECIMALS: Final = 6


def run(
    shards: Path,
    out: Path,
    params: TrainParams,
    *,
    seed: int,
    progress: Progress = no_progress,
    say: Callable[[str], None] = say_nothing,
) -> dict[str, Any]:
    """Train a network on the train split and keep the weights that are best on the split `train.validate_on`.

    A killed run resumes when it is started again with the same shards, parameters, seed, device, precision and number
    of processes. On a CPU it then ends with the same weights as an uninterrupted one.

    Args:
        shards: the folder that `prep shard` wrote.
        out: the folder for model.safetensors, losses.csv and dvclive/. Other loggers write to `logs` beside it.
        params: the network and how it is trained; the preset is applied here.
        seed: of weights, order and augmentation.
        progress: called with the batches done so far.
        say: called with one line about the device, and about why an interrupted training is not resumed.

    Returns:
        The content of summary.json: rows_in and rows_out are the training rows; model, preset, best_epoch, validation.

    Raises:
        UsageError: unknown network, or a size it does not accept; or the environment asks for a device that is not
            here.
        DataError: no training rows, or none with what the task asks for.
        ModelError: weights that cannot be downloaded or do not fit; or training diverged.
    """
    preset, params = params.preset, params.resolved()
    folder = open_shards(shards, unclassed=params.task != "emotion")
    given = _check_given(shards, params.task)
    job = Job(shards, folder, params, find_model(params.model), seed, progress, given)
    state = out.with_name(f".{out.name}.state{PARTIAL_SUFFIX}")
    compute = plan_compute(params, classical=job.entry.kind == "classical")
    if getattr(rank_zero_only, "rank", 0):
        _follow(job, state)
    _announce(job, compute, state, say)
    settings = {**params.plain(), "seed": seed}
    with open_loggers(params, out.parent / LOGS_NAME, job.folder.snapshot_id) as loggers:
        with stage_output(out, stage="train", sources=_sources(job), params=settings, tools=_TOOLS) as output:
            with reproducible(params.threads):
                torch.manual_seed(stream_seed(Purpose.first_weights, seed))
                if job.entry.kind == "classical":
                    network, history = run_classical(job)
                    LiveLog(output.folder / "dvclive", history, loggers).close()
                else:
                    network, history = run_training(job, state, output.folder / "dvclive", loggers)
            summary = _write(output, job, preset, network, history, compute)
        for one in loggers:
            one.tag(SNAPSHOT_TAG, read_snapshot(out).id)
    shutil.rmtree(state, ignore_errors=True)
    return summary


def _check_given(shards: Path, task: str) -> frozenset[str]:
    """Return the values of affect that training rows have.

    Raises:
        DataError: there are no training rows, or none has a class or a value that the task asks for; says which tasks
            there are rows for.
    """
    every = open_shards(shards, unclassed=True)
    if not count_rows(every, TRAIN):
        raise DataError(f"{shards}: no training rows; give a dataset of params.yaml the role train, then split again")
    counts = count_given(every)
    given = frozenset(name for name in AFFECTS if counts[name])
    heads = heads_of(task, given)
    lacking = [name for name in heads.values if not counts[name]]
    lacking += ["class"] * bool(heads.classes and not counts["classes"])
    lacking += ["valence, arousal or dominance"] * (task == "all" and not given)
    if lacking:
        known = {"emotion": counts["classes"], **{name: counts[name] for name in AFFECTS}}
        rows = ", ".join(f"{name} ({count})" for name, count in known.items() if count)
        raise DataError(
            f"train.task: {task}: no training row of {shards} has a {lacking[0]}; set train.task to what rows have, "
            f"{rows}, or add a dataset that has it"
        )
    return given


def _announce(job: Job, compute: Compute, state: Path, say: Callable[[str], None]) -> None:
    """Say which device is used, and whether an interrupted training cannot be resumed because it differs."""
    say(f"trains on {compute}")
    left = {file.name.partition("-")[0] for file in state.glob("*.ckpt")}
    if left and state_name(job, compute) not in left:
        say("starts anew: the interrupted training had other shards, parameters, device, precision or processes")


def _follow(job: Job, state: Path) -> NoReturn:
    """Train together with the first of several processes, which alone writes the output, and end this process."""
    with tempfile.TemporaryDirectory() as folder, reproducible(job.params.threads):
        torch.manual_seed(stream_seed(Purpose.first_weights, job.seed))
        run_training(job, state, Path(folder))
    sys.exit()


def checkpoint_info(job: Job) -> CheckpointInfo:
    """Return the metadata of a training's checkpoint."""
    return CheckpointInfo(
        model=job.entry.name,
        classes=job.heads.outputs,
        input=job.spec,
        contract=_contract(job),
        shards=job.folder.snapshot_id,
        task=job.params.task,
        tta_flip=job.params.tta_flip,
        params={**job.params.plain(), "seed": job.seed},
    )


def _contract(job: Job) -> dict[str, Any]:
    """Return the preprocessing contract; of the demo's datasets in `rendered`, only those that were trained on."""
    contract = dict(job.folder.contract)
    if rendered := contract.pop("rendered", None):
        parts = iter_shards(job.folder, TRAIN, ["dataset"])
        trained = {name for table in parts for name in table["dataset"].unique().to_pylist()}
        if known := [name for name in rendered if name in trained]:
            contract["rendered"] = known
    return contract


def write_losses(path: Path, history: History, name: str) -> None:
    """Write one row per epoch; validation cells are empty without a validation set.

    Args:
        path: the csv to write.
        history: of the training.
        name: what its loss is called, in every row, where DVC's plots find it.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, (*COLUMNS, "loss"), lineterminator="\n")
    writer.writeheader()
    for row in history.rows:
        writer.writerow({column: _cell(value) for column, value in row.items()} | {"loss": name})
    path.write_text(text.getvalue(), encoding="utf-8")


def _sources(job: Job) -> list[Path | Source]:
    weights = job.params.weights
    return [job.shards] if weights in {"none", "hub"} else [job.shards, Path(weights)]


def _write(
    output: StageOutput, job: Job, preset: str, network: nn.Module, history: History, compute: Compute
) -> dict[str, Any]:
    info = checkpoint_info(job)
    classed = open_shards(job.shards)
    if info.heads.classes and count_rows(classed, job.held):
        trained = set(read_labels(job.folder).tolist())
        # A compiled network would be compiled again for these batches, which it sees only once.
        as_written = torch.compiler.set_stance("force_eager") if job.params.compile else nullcontext()
        with reproducible(job.params.threads), as_written:
            # Lightning leaves the network on the CPU, where a large one takes an hour for what a GPU does in seconds.
            device = network_device(classical=job.entry.kind == "classical").name
            info = vouch(network.to(device), info, classed, job.shards, job.held, trained)
    save_checkpoint(output.path(CHECKPOINT_NAME), network, info)
    write_losses(output.path(LOSSES_NAME), history, loss_name(job.params))
    rows = count_rows(job.folder, TRAIN)
    best = history.rows[history.best]
    validation = {**history.scores[history.best], "loss": best["val_loss"], "accuracy": best["val_accuracy"]}
    return output.finish(
        rows_in=rows,
        rows_out=rows,
        contract=job.folder.contract,
        ran=compute.plain(),
        model=job.entry.name,
        preset=preset,
        augment=job.params.augment,
        size_px=job.spec.size_px,
        task=job.params.task,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        epochs=len(history.rows),
        best_epoch=history.best + 1,
        validation_rows=count_rows(job.folder, job.held),
        temperature=info.temperature,
        validation={name: _number(value) for name, value in validation.items() if not math.isnan(value)}
        | {name: info.validation[name] for name in ("chance",) if info.validation},
    )


def _cell(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return "" if math.isnan(value) else f"{value:.{_DECIMALS}f}"


def _number(value: float) -> float:
    return round(float(value), _DECIMALS)
