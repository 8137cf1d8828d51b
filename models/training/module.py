"""One phase of training as a LightningModule: the step, the schedule, the averaged weights, what each epoch gave.

Every random draw of a step (augmentation, mixup, dropout) comes from a generator that is seeded with the step's number,
and every running sum is part of the state. So a run that was killed in the middle of an epoch ends with the very
weights of one that was not.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from models.augment import Augmentation
from models.checkpoint import not_finite
from models.inputs import InputSpec
from models.networks.layers import rest_frozen
from models.runtime import accelerator
from models.training.course import Course, Phase, score_classes, score_values
from models.training.data import Faces
from models.training.loss import Objective, mix
from pipeline.errors import ModelError
from pipeline.params import TrainParams

_SEED_STRIDE = 1_000_003


class Learner(lightning.LightningModule):
    """Trains a network for one phase.

    Args:
        network: its layers already opened or frozen.
        spec: what it reads.
        params: how it is trained.
        phase: which epochs.
        objective: the loss.
        course: how training went before; continued here.
        steps_per_epoch: batches an epoch.
        seed: of every draw.
    """

    sums: Tensor

    def __init__(
        self,
        network: nn.Module,
        spec: InputSpec,
        params: TrainParams,
        phase: Phase,
        objective: Objective,
        course: Course,
        steps_per_epoch: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.network = network
        self.average = _average(network, params.ema)
        self.spec, self.params, self.phase = spec, params, phase
        self.objective, self.course = objective, course
        self._steps_per_epoch = steps_per_epoch
        self._seed = seed
        strengths = None if params.augment == "none" else params.augmentations[params.augment]
        self._augment = Augmentation(strengths, spec.size_px) if strengths else None
        # loss sum, right sum, samples: of training and of validation
        dtype = torch.float32 if accelerator() == "mps" else torch.float64  # Apple's GPUs have no float64
        self.register_buffer("sums", torch.zeros(2, 3, dtype=dtype))
        # Each process has sums of its own; it would else be given those of the first before every batch.
        self._ddp_params_and_buffers_to_ignore = ["sums"]  # read by DistributedDataParallel
        self._answers: list[tuple[Tensor, Faces]] = []

    @property
    def answering(self) -> nn.Module:
        """The network that answers: the averaged one if there is one."""
        return self.network if self.average is None else self.average.module

    def train(self, mode: bool = True) -> "Learner":
        """Switch the mode; frozen layers and averaged weights stay in inference mode."""
        super().train(mode)
        if mode:
            rest_frozen(self.network)
            if self.average is not None:
                self.average.eval()
        return self

    def transfer_batch_to_device(self, batch: Faces, device: torch.device, dataloader_idx: int) -> Faces:
        """Move a batch."""
        del dataloader_idx
        return batch.to(device)

    def on_train_start(self) -> None:
        """Put the modules in their modes: Lightning leaves them as it finds them."""
        self.train()

    def on_train_epoch_start(self) -> None:
        """Begin the sums of an epoch."""
        self.sums.zero_()

    def training_step(self, faces: Faces, batch_idx: int) -> Tensor:
        """Return the loss of one batch."""
        del batch_idx
        torch.manual_seed(self._step_seed())
        pixels = faces.pixels if self._augment is None else self._augment(faces.pixels)
        pixels, targets = self.spec.normalize(pixels), self.objective.targets(faces)
        if self.params.mixup and self.params.task == "emotion":
            pixels, targets = mix(pixels, targets, self.params.mixup)
        outputs = self.network(self._laid_out(pixels))
        loss = self.objective.loss(outputs, targets, faces)
        self._add(0, loss, outputs, faces)
        return loss

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Step, then follow with the averaged weights."""
        super().optimizer_step(*args, **kwargs)
        if self.average is not None:
            self.average.update_parameters(self.network)

    def validation_step(self, faces: Faces, batch_idx: int) -> None:
        """Answer one batch of the validation set."""
        del batch_idx
        pixels = self._laid_out(self.spec.normalize(faces.pixels))
        outputs = self.answering(pixels)
        self._add(1, self.objective.loss(outputs, self.objective.targets(faces), faces), outputs, faces)
        self._answers.append((outputs.float().cpu(), faces.to(torch.device("cpu"))))

    def on_train_epoch_end(self) -> None:
        """Write down what the epoch gave, and keep its weights if no other was better on validation.

        Raises:
            ModelError: the weights to keep are not finite numbers.
        """
        if self.trainer.world_size > 1:
            self.sums.copy_(self.trainer.strategy.reduce(self.sums, reduce_op="sum"))
        if self.course.record(self.phase.name, self.sums.tolist(), self._validation_scores()):
            state = self.answering.state_dict()
            self.course.best_state = {name: value.detach().cpu().clone() for name, value in state.items()}
            if not_finite(self.course.best_state):
                raise ModelError(
                    f"training diverged: after epoch {len(self.course.rows)} its weights are not finite numbers; "
                    "lower train.learning_rate, or set train.clip_norm"
                )
        since_best = len(self.course.rows) - 1 - self.course.best
        if self.params.patience and since_best >= self.params.patience:
            self.trainer.should_stop = True

    def configure_optimizers(self) -> Any:
        """Return the optimizer over what trains, and its schedule by steps."""
        optimizer = build_optimizer(self.network, self.params, self.phase.learning_rate)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep how training went with the state."""
        checkpoint["course"] = self.course.plain()

    def on_load_checkpoint(self, checkpoint: Mapping[str, Any]) -> None:
        """Go on from there."""
        self.course.restore(checkpoint["course"])

    def _rate(self, step: int) -> float:
        """Return the learning rate at a step as a share of the highest."""
        epoch = step / max(1, self._steps_per_epoch)
        warm = self.params.warmup_epochs
        if epoch < warm:
            return (step + 1) / (warm * self._steps_per_epoch + 1)
        match self.params.schedule:
            case "constant":
                return 1.0
            case "exponential":
                return float(self.params.decay ** int(epoch - warm))
            case "cosine":
                share = min(1.0, (epoch - warm) / max(1e-9, self.phase.epochs - warm))
                return 0.5 * (1 + math.cos(math.pi * share))

    def _step_seed(self) -> int:
        step = self.phase.first_epoch * self._steps_per_epoch + self.global_step
        return (self._seed * _SEED_STRIDE + step) * 64 + self.global_rank

    def _laid_out(self, pixels: Tensor) -> Tensor:
        return pixels.contiguous(memory_format=torch.channels_last) if self.params.channels_last else pixels

    def _add(self, row: int, loss: Tensor, outputs: Tensor, faces: Faces) -> None:
        count = len(faces)
        sums = torch.stack([loss.detach() * count, self.objective.right(outputs, faces).sum(), loss.new_tensor(count)])
        self.sums[row] += sums

    def _validation_scores(self) -> dict[str, float]:
        if not self._answers:
            return {}
        outputs = self._gathered([answers for answers, _ in self._answers])
        faces = [faces for _, faces in self._answers]
        self._answers = []
        if self.params.task == "emotion":
            return score_classes(outputs, self._gathered([part.labels for part in faces]))
        affect = self._gathered([part.affect for part in faces])
        given = self._gathered([part.affect_given for part in faces])
        return score_values(self.params.task, outputs, affect, given)

    def _gathered(self, parts: list[Tensor]) -> Tensor:
        """Return the rows of all batches of all processes, on the CPU."""
        whole = torch.cat(parts)
        if self.trainer.world_size > 1:
            everyone: Any = self.all_gather(whole.to(self.device))
            whole = everyone.flatten(0, 1)
        return whole.cpu()


def build_optimizer(network: nn.Module, params: TrainParams, learning_rate: float) -> torch.optim.Optimizer:
    """Return the optimizer over the parameters that train; biases and norms are not decayed."""
    open_ = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in open_ if p.ndim > 1], "weight_decay": params.weight_decay},
        {"params": [p for p in open_ if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    match params.optimizer:
        case "adam":
            return torch.optim.Adam(groups, lr=learning_rate)
        case "adamw":
            return torch.optim.AdamW(groups, lr=learning_rate)
        case "sgd":
            return torch.optim.SGD(groups, lr=learning_rate, momentum=0.9, nesterov=True)


def _average(network: nn.Module, decay: float) -> AveragedModel | None:
    """Return the averaged weights that follow a network; the decay grows to its value, so that first weights fade."""
    if not decay:
        return None

    def follow(averaged: Sequence[Tensor], current: Sequence[Tensor], number: Tensor | int) -> None:
        count = float(number)
        share = 1 - min(decay, (1 + count) / (10 + count))
        for mean, value in zip(averaged, current, strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, share)
            else:
                mean.copy_(value)

    averaged = AveragedModel(network, multi_avg_fn=follow, use_buffers=True)
    return averaged.requires_grad_(False)
