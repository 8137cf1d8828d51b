"""One training from the first to the last epoch: build the network, run its phases, restore the best weights."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor, nn

from models.classical.baselines import Classical
from models.core.affect import AFFECTS
from models.core.classes import find_outputs
from models.core.heads import Heads, heads_of
from models.core.inputs import InputSpec
from models.core.runtime import Compute
from models.networks.layers import open_last
from models.registry import ModelEntry, create_model
from models.training.engine import build_trainer, plan_compute
from models.training.epochs import Reading, build_epochs, read_faces
from models.training.feed import Feed
from models.training.history import NO_SUMS, History, Phase, score_classes
from models.training.keeper import StateKeeper
from models.training.loggers import Opened
from models.training.loss import Objective, balance_classes
from models.training.module import Amounts, Learner
from models.training.reporting import LiveLog, ProgressReport
from pipeline.core.errors import ModelError, UsageError
from pipeline.core.names import TRAIN
from pipeline.core.parallel.pool import Progress, worker_count
from pipeline.core.params import TrainParams
from pipeline.shards.read import ShardFolder, iter_shards


@dataclass(frozen=True, slots=True)
class Job:
    """One training: the shards, the network and the parameters, with the preset already applied.

    `given` are the values of affect that training rows have.
    """

    shards: Path
    folder: ShardFolder
    params: TrainParams
    entry: ModelEntry
    seed: int
    progress: Progress
    given: frozenset[str] = frozenset(AFFECTS)

    @property
    def spec(self) -> InputSpec:
        """The network's input: its side, and the part of the crop that has the margin `train.margin`."""
        spec = self.entry.input(self.params.size_px)
        if self.params.input_scale == "unit":
            spec = replace(spec, mean=(0.0,) * spec.channels, std=(1.0,) * spec.channels)
        align = self.folder.contract.get("align", {})
        if self.entry.whole_crop or "margin" not in align:
            return spec
        return replace(spec, zoom=min(1.0, (1 - 2 * align["margin"]) / (1 - 2 * self.params.margin)))

    @property
    def held(self) -> str:
        """The split that chooses the epoch and fits the temperature: `val`, or `test` as in the thesis's protocol."""
        return self.params.validate_on

    @property
    def heads(self) -> Heads:
        """What the network answers: the classes of the shards, values of affect, or both."""
        return heads_of(self.params.task, self.given, self.folder.classes)


def build_phases(params: TrainParams) -> list[Phase]:
    """Return the phases: one, or feature extraction followed by fine-tuning.

    Raises:
        UsageError: `frozen_epochs` is larger than `epochs`.
    """
    if params.frozen_epochs == 0:
        return [Phase("train", 0, params.epochs, params.unfreeze_blocks, params.learning_rate)]
    if params.frozen_epochs > params.epochs:
        raise UsageError(f"train.frozen_epochs: at most train.epochs, {params.epochs}, not {params.frozen_epochs}")
    phases = [Phase("features", 0, params.frozen_epochs, 0, params.learning_rate)]
    rest = params.epochs - params.frozen_epochs
    if rest:
        phases.append(Phase("finetune", params.frozen_epochs, rest, params.unfreeze_blocks, params.fine_tune_rate))
    return phases


def run_training(job: Job, state: Path, log: Path, loggers: Sequence[Opened] = ()) -> tuple[nn.Module, History]:
    """Train a network.

    Args:
        job: the training.
        state: folder for the state from which a killed training resumes.
        log: folder for DVCLive.
        loggers: other loggers to tell of each epoch.

    Returns:
        The network with the weights of the selected epoch, and the history.
    """
    network = build_network(job)
    history = History(job.params.select)
    weights = balance_classes(read_labels(job.folder), len(job.folder.classes), job.params.class_weights)
    objective = Objective(job.params, weights, job.heads)
    live = LiveLog(log, history, loggers)
    phases = build_phases(job.params)
    compute = plan_compute(job.params, classical=False)
    files = [state / f"{state_name(job, compute)}-{phase.name}.ckpt" for phase in phases]
    first = max((number for number, file in enumerate(files) if file.is_file()), default=0)
    state.mkdir(parents=True, exist_ok=True)
    for phase, file in list(zip(phases, files, strict=True))[first:]:
        _run_phase(job, network, phase, objective, history, file, live)
    live.close()
    network.load_state_dict(history.best_state)
    return network, history


def run_classical(job: Job) -> tuple[nn.Module, History]:
    """Fit a classical baseline; its history is one epoch."""
    model = build_network(job)
    if not isinstance(model, Classical) or job.params.task != "emotion":
        raise UsageError(f"train.task: {job.entry.name} answers emotion alone, not {job.params.task}")
    faces = read_faces(_reading(job, TRAIN))
    held = read_faces(_reading(job, job.held)) if count_rows(job.folder, job.held) else None
    learned, answered = model.fit(faces, held)
    history = History("last")
    objective = Objective(job.params, torch.ones(len(job.folder.classes)), job.heads)
    sums = [objective.sums(learned, faces), NO_SUMS]
    scores: dict[str, float] = {}
    if held is not None and answered is not None:
        sums[1] = objective.sums(answered, held)
        scores = score_classes(answered, held.labels)
    history.record("fit", sums, scores)
    history.best_state = model.state_dict()
    return model, history


def build_network(job: Job) -> nn.Module:
    """Return the network of a job with its initial weights."""
    params = job.params
    return create_model(
        params.model,
        len(job.heads.outputs),
        params.weights == "hub",
        size_px=params.size_px,
        weights=None if params.weights in {"none", "hub"} else Path(params.weights),
        weights_sha256=params.weights_sha256,
    )


def read_labels(folder: ShardFolder) -> Tensor:
    """Return the outputs that stand for the classes of the training rows that have one, (N,) int64."""
    parts = [table["label"].drop_null().to_numpy() for table in iter_shards(folder, TRAIN, ["label"])]
    return torch.from_numpy(find_outputs(np.concatenate(parts).astype(np.int64), folder.classes))


def count_given(folder: ShardFolder) -> dict[str, int]:
    """Return how many training rows have each value of affect, and a class as `classes`."""
    counts = dict.fromkeys((*AFFECTS, "classes"), 0)
    for table in iter_shards(folder, TRAIN, ["label", *AFFECTS]):
        for name in AFFECTS:
            counts[name] += len(table) - table[name].null_count
        counts["classes"] += len(table) - table["label"].null_count
    return counts


def count_rows(folder: ShardFolder, split: str) -> int:
    """Return the number of rows of a split; 0 if there is no such split."""
    return sum(entry.rows for entry in folder.splits.get(split, ()))


def _run_phase(
    job: Job, network: nn.Module, phase: Phase, objective: Objective, history: History, state: Path, live: LiveLog
) -> None:
    """Train one phase, or the rest of it after a resume."""
    open_last(network, phase.unfreeze_blocks)
    callbacks = [
        StateKeeper(state, history, job.params.checkpoint_minutes, job.params.accumulate),
        ProgressReport(job.progress, phase.first_epoch, job.params.epochs),
        live,
    ]
    trainer = build_trainer(job.params, phase.epochs, callbacks, state.parent)
    held = count_rows(job.folder, job.held)
    epochs = _epochs(job, trainer, TRAIN, lambda: phase.first_epoch + trainer.current_epoch)
    validation = _epochs(job, trainer, job.held, lambda: 0) if held else None
    amounts = Amounts(-(-len(epochs) // job.params.accumulate), held)
    learner = Learner(network, job.spec, job.params, phase, objective, history, amounts, job.seed)
    if job.params.channels_last:
        learner = learner.to(memory_format=torch.channels_last)
    if job.params.compile:
        network.compile()
    resume = str(state) if state.is_file() else None
    try:
        trainer.fit(learner, epochs, validation, ckpt_path=resume, weights_only=True)
    except torch.OutOfMemoryError:
        raise ModelError(
            f"the GPU's memory ran out with train.batch_size {job.params.batch_size} at train.size_px "
            f"{job.spec.size_px}; lower one of them, or free the GPU of other programs"
        ) from None
    except SystemExit:
        # Lightning turns Ctrl+C into SystemExit, but the command line has its own message and exit code for it.
        raise KeyboardInterrupt from None


def _epochs(job: Job, trainer: lightning.Trainer, split: str, epoch: Callable[[], int]) -> Feed:
    # With a GPU, the cores have nothing else to do. On the CPU, decoding threads would only compete with the network's.
    shared_by = max(1, trainer.num_devices)  # processes of this machine that train together
    device = trainer.strategy.root_device
    workers = max(1, worker_count() // shared_by) if device.type != "cpu" else 0
    reading = replace(
        _reading(job, split), workers=workers, rank=trainer.global_rank, world_size=trainer.world_size, device=device
    )
    return build_epochs(reading, epoch, shuffle=split == TRAIN)


def _reading(job: Job, split: str) -> Reading:
    params, unclassed = job.params, job.folder.unclassed
    return Reading(job.shards, split, job.spec, params.batch_size, job.seed, params.cache_mb, unclassed=unclassed)


def state_name(job: Job, compute: Compute) -> str:
    """Return the prefix of a saved state's files: a digest of all that must be equal for a training to resume."""
    content: dict[str, Any] = {
        "shards": job.folder.snapshot_id,
        "params": job.params.plain(),
        "seed": job.seed,
        "ran": compute.plain(),  # the snapshot records one device for the whole training
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
