"""One phase of training as a LightningModule: the step, the schedule, the averaged weights, the scores of each epoch.

Every random draw of a step (augmentation, mixup, dropout) comes from a generator that is seeded for this step, and
every running sum is part of the state. So a run that was killed in the middle of an epoch and resumed ends with exactly
the weights of one that was not.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import lightning
import torch
from lightning.pytorch.plugins import MixedPrecision, Precision
from torch import Tensor, nn

from models.checkpoint import not_finite
from models.core.inputs import InputSpec
from models.core.runtime import accelerator
from models.core.streams import Purpose, stream_seed
from models.data.faces import FaceBatch, concat_faces
from models.networks.layers import rest_frozen
from models.training.augment import Augmentation
from models.training.average import Average
from models.training.history import NO_SUMS, History, Phase, score_classes, score_values
from models.training.loss import Objective, mix
from models.training.optimizer import build_optimizer, rate_share, scale_rate
from pipeline.core.errors import ModelError
from pipeline.core.params import TrainParams

_TINY: Final = 1e-12
_HISTORY: Final = "course"  # its key in a saved state, as earlier releases wrote it


@dataclass(frozen=True, slots=True)
class Amounts:
    """The size of an epoch: steps of the optimizer, and validation faces over all processes."""

    steps: int
    validation_rows: int


class Learner(lightning.LightningModule):
    """Trains a network for one phase.

    Args:
        network: with layers already frozen or unfrozen.
        spec: the network's input.
        params: the training parameters.
        phase: the epochs to train.
        objective: the loss.
        history: the history so far, which is continued.
        amounts: the size of an epoch.
        seed: of all random draws.
    """

    sums: Tensor

    def __init__(
        self,
        network: nn.Module,
        spec: InputSpec,
        params: TrainParams,
        phase: Phase,
        objective: Objective,
        history: History,
        amounts: Amounts,
        seed: int,
    ) -> None:
        super().__init__()
        self.network = network
        self.average = Average(network, params.ema) if params.ema else None
        self.spec, self.params, self.phase = spec, params, phase
        self.objective, self.history = objective, history
        self._amounts = amounts
        self._seed = seed
        strengths = None if params.augment == "none" else params.augmentations[params.augment]
        self._augment = Augmentation(strengths, spec.size_px) if strengths else None
        # of training: weighted losses, weights, right answers, samples
        dtype = torch.float32 if accelerator() == "mps" else torch.float64  # Apple's GPUs have no float64
        self.register_buffer("sums", torch.zeros(4, dtype=dtype))
        # Each process has its own sums. Without this, it would get those of the first process before every batch.
        self._ddp_params_and_buffers_to_ignore = ["sums"]  # read by DistributedDataParallel
        self._answers: list[tuple[Tensor, FaceBatch]] = []

    @property
    def answering(self) -> nn.Module:
        """The network that is validated and saved: the averaged one if there is one."""
        return self.network if self.average is None else self.average.network

    def train(self, mode: bool = True) -> "Learner":
        """Switch the mode; frozen layers and averaged weights stay in inference mode."""
        super().train(mode)
        if mode:
            rest_frozen(self.network)
            if self.average is not None:
                self.average.eval()
        return self

    def transfer_batch_to_device(self, batch: FaceBatch, device: torch.device, dataloader_idx: int) -> FaceBatch:
        """Move a batch that is not there already."""
        del dataloader_idx
        return batch.to(device)

    def on_train_start(self) -> None:
        """Set the modes of all modules, which Lightning does not do, and move the class weights to the device."""
        self.train()
        self.objective = replace(self.objective, class_weights=self.objective.class_weights.to(self.device))

    def on_train_epoch_start(self) -> None:
        """Reset the sums for a new epoch."""
        self.sums.zero_()

    def training_step(self, faces: FaceBatch, batch_idx: int) -> Tensor:
        """Return the loss of one batch. Only the network runs under autocast; pixels and losses need float32."""
        torch.manual_seed(self._step_seed(batch_idx))
        with self._in_float32():
            pixels, targets = self._learned_from(faces)
        with self._compiled_for(faces):
            outputs = self.network(self._laid_out(pixels))
        with self._in_float32():
            total, weight = self.objective.totals(outputs, targets, faces)
            self._add(total, weight, outputs, faces)
            return total / weight.clamp(min=_TINY)

    def _learned_from(self, faces: FaceBatch) -> tuple[Tensor, Tensor]:
        pixels = faces.pixels if self._augment is None else self._augment(faces.pixels)
        pixels, targets = self.spec.normalize(pixels), self.objective.targets(faces)
        if self.params.mixup and not self.objective.heads.values:  # values may be missing, and cannot be mixed then
            pixels, targets = mix(pixels, targets, self.params.mixup)
        return pixels, targets

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Make a step of the optimizer, then update the averaged weights."""
        super().optimizer_step(*args, **kwargs)
        if self.average is not None:
            self.average.follow(self.network)

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: Any = None, *args: Any, **kwargs: Any
    ) -> None:
        """Clip gradients as without autocast if they are not scaled (bf16).

        Under autocast, Lightning refuses to clip with a fused optimizer, although only scaled gradients are a problem.
        """
        plugin = self.trainer.precision_plugin
        if isinstance(plugin, MixedPrecision) and plugin.scaler is None:
            Precision.clip_gradients(plugin, optimizer, gradient_clip_val or 0.0)
        else:
            super().configure_gradient_clipping(optimizer, gradient_clip_val, *args, **kwargs)

    def validation_step(self, faces: FaceBatch, batch_idx: int) -> None:
        """Compute and keep the answers to one batch of the validation set."""
        del batch_idx
        with self._in_float32():
            pixels = self.spec.normalize(faces.pixels)
        with self._compiled_for(faces):
            outputs = self.answering(self._laid_out(pixels))
        self._answers.append((outputs.float(), faces.without_pixels()))

    def on_train_epoch_end(self) -> None:
        """Record the epoch, and keep its weights if it is the best on validation so far.

        Raises:
            ModelError: the weights to keep contain NaN or infinite values.
        """
        if self.trainer.world_size > 1:
            self.sums.copy_(self.trainer.strategy.reduce(self.sums, reduce_op="sum"))
        validation, scores = self._validated()
        if self.history.record(self.phase.name, (self.sums.tolist(), validation), scores):
            state = self.answering.state_dict()
            self.history.best_state = {name: value.detach().cpu().clone() for name, value in state.items()}
            if not_finite(self.history.best_state):
                raise ModelError(
                    f"training diverged: after epoch {len(self.history.rows)} its weights are not finite numbers; "
                    "lower train.learning_rate, or set train.clip_norm"
                )
        since_best = len(self.history.rows) - 1 - self.history.best
        if self.params.patience and since_best >= self.params.patience:
            self.trainer.should_stop = True

    def configure_optimizers(self) -> Any:
        """Return the optimizer of the trainable parameters, and its schedule by steps."""
        # A fused optimizer updates all weights in one operation on a GPU. It cannot be used with fp16, whose gradients
        # must be unscaled before they are clipped.
        fused = self.device.type == "cuda" and self.trainer.precision != "16-mixed"
        optimizer = build_optimizer(self.network, self.params, self._highest_rate(), fused=fused)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the history to the saved state."""
        checkpoint[_HISTORY] = self.history.plain()

    def on_load_checkpoint(self, checkpoint: Mapping[str, Any]) -> None:
        """Restore the history from the saved state."""
        self.history.restore(checkpoint[_HISTORY])

    def _highest_rate(self) -> float:
        """Return the phase's rate, scaled by the number of processes as in Goyal et al. 2017 (arXiv:1706.02677)."""
        return scale_rate(self.phase.learning_rate, self.params.scale_rate, self.trainer.world_size)

    def _rate(self, step: int) -> float:
        return rate_share(self.params, self.phase.epochs, step, self._amounts.steps)

    def _step_seed(self, batch: int) -> int:
        epoch = self.phase.first_epoch + self.current_epoch
        return stream_seed(Purpose.step, self._seed, epoch, batch, self.global_rank)

    def _in_float32(self) -> torch.autocast:
        return torch.autocast(self.device.type, enabled=False)

    def _compiled_for(self, faces: FaceBatch) -> AbstractContextManager[None]:
        """Run a compiled network uncompiled on a batch of another size, which would make torch compile it again."""
        if not self.params.compile:
            return nullcontext()
        whole = len(faces) == self.params.batch_size
        stance: AbstractContextManager[None] = torch.compiler.set_stance("default" if whole else "force_eager")
        return stance

    def _laid_out(self, pixels: Tensor) -> Tensor:
        return pixels.contiguous(memory_format=torch.channels_last) if self.params.channels_last else pixels

    def _add(self, total: Tensor, weight: Tensor, outputs: Tensor, faces: FaceBatch) -> None:
        """Add a batch to the sums of the epoch, on the device, so that the program need not wait for them."""
        right, counted = (of.sum() for of in self.objective.right(outputs, faces))
        self.sums += torch.stack([total.detach(), weight.detach(), right, counted]).to(self.sums.dtype)

    def _validated(self) -> tuple[Sequence[float], dict[str, float]]:
        """Return the sums and scores of validation, computed over all rows at once."""
        if not self._answers:
            return NO_SUMS, {}
        outputs = self._gathered(torch.cat([outputs for outputs, _ in self._answers]))
        faces = concat_faces([faces for _, faces in self._answers])
        faces = FaceBatch(*(self._gathered(getattr(faces, field.name)) for field in fields(FaceBatch)))
        self._answers = []
        sums = replace(self.objective, class_weights=self.objective.class_weights.cpu()).sums(outputs, faces)
        heads = self.objective.heads
        scores = score_classes(heads.of_classes(outputs), faces.labels) if heads.classes else {}
        return sums, scores | score_values(heads, outputs, faces.affect, faces.affect_given)

    def _gathered(self, rows: Tensor) -> Tensor:
        """Return the rows of all processes, on the CPU.

        Together they read the set from beginning to end and, if it cannot be divided equally, its first rows again;
        these are cut off here.
        """
        if self.trainer.world_size > 1:
            everyone: Any = self.all_gather(rows)
            rows = everyone.flatten(0, 1)[: self._amounts.validation_rows]
        return rows.cpu()
