"""A trained network in one safetensors file: the weights, and everything that is needed to use them.

The metadata contains the network's name, its classes in order, its input (side, colour, normalization), the
preprocessing contract of the shards, the id of their snapshot and the training parameters, as one key with sorted JSON,
so that the same training gives the same bytes. Nothing is pickled.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from models.core.affect import AFFECTS
from models.core.calibration import to_probabilities
from models.core.heads import TASKS, Heads
from models.core.inputs import InputSpec
from models.networks.layers import feature_layers
from models.registry import find_model
from pipeline.core.errors import ModelError, UsageError

CHECKPOINT_NAME: Final = "model.safetensors"
METADATA_KEY: Final = "prep"
# Faces at once. On the CPU, the last bits of sums depend on this number, so it is fixed for every caller.
_CPU_ROWS: Final = 64
_GPU_ROWS: Final = 256
# A network that covers less of the way from chance to perfect on validation counts as hardly better than guessing.
_LEAST_ABOVE_CHANCE: Final = 0.1


@dataclass(frozen=True, slots=True)
class CheckpointInfo:
    """The metadata of a checkpoint.

    Attributes:
        model: the network's name in the registry.
        classes: names of the outputs in order: the classes, the values of affect, or the classes and then the values.
        input: what the network reads.
        contract: how the pixels of the shards were made (alignment, equalization, taxonomies, classes).
        shards: id of the snapshot it was trained on.
        task: emotion, valence, arousal, dominance, affect (valence and arousal) or all (classes and values).
        tta_flip: test-time flip: whether an answer is the mean over the face and its mirror image.
        params: the training parameters, as plain JSON.
        temperature: of its logits, see `models.core.calibration`.
        validation: the validation score: `rows`, `balanced_accuracy` with `low` and `high`, and `chance`; empty without
            a validation set.
    """

    model: str
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    input: InputSpec
    contract: Mapping[str, Any]
    shards: str
    task: Annotated[str, Field(pattern=f"^({'|'.join(TASKS)})$")]
    tta_flip: bool
    params: Mapping[str, Any]
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    validation: Mapping[str, Any] = field(default_factory=dict)

    @property
    def heads(self) -> Heads:
        """What the network answers."""
        return Heads(self.classes)

    def plain(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "model": self.model,
            "classes": list(self.classes),
            "input": self.input.plain(),
            "contract": dict(self.contract),
            "shards": self.shards,
            "task": self.task,
            "tta_flip": self.tta_flip,
            "params": dict(self.params),
            "temperature": self.temperature,
            "validation": dict(self.validation),
        }

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> "CheckpointInfo":
        """Build from plain JSON. Every value is checked, because the file may come from somebody else.

        Raises:
            ValueError: a value is missing, of another type or out of range; names it in one line.
        """
        try:
            return TypeAdapter(cls).validate_python(values)
        except ValidationError as error:
            first = error.errors()[0]
            raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


class Checkpoint:
    """A trained network, ready to answer.

    Attributes:
        info: the metadata.
        module: normalized images (N, channels, size_px, size_px) to raw outputs (N, classes), in inference mode.
    """

    def __init__(self, info: CheckpointInfo, module: nn.Module) -> None:
        self.info = info
        self.module = module.eval()

    @property
    def network(self) -> nn.Module | None:
        """The module if gradients flow through it; None for the classical baselines."""
        return None if find_model(self.info.model).kind == "classical" else self.module

    @property
    def feature_layers(self) -> list[nn.Module]:
        """The layers with a feature map, for HiResCAM; empty for a network without such maps."""
        return [] if self.network is None else feature_layers(self.network)

    @property
    def spec(self) -> InputSpec:
        """What the network reads."""
        return self.info.input

    @property
    def contract(self) -> Mapping[str, Any]:
        """The preprocessing contract of the pixels that the network was trained on."""
        return self.info.contract

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the outputs in order, see `CheckpointInfo.classes`."""
        return self.info.classes

    @property
    def doubts(self) -> dict[str, str]:
        """Reasons not to trust the network's answers, keyword -> sentence; empty if there are none."""
        found = {}
        if rendered := self.contract.get("rendered"):
            names = ", ".join(rendered)
            found["demo network"] = (
                f"the network was trained on rendered faces ({names}), so it knows nothing of real ones"
            )
        score, chance = (self.info.validation.get(name) for name in ("balanced_accuracy", "chance"))
        if score is not None and chance is not None and _near_chance(self.info.validation):
            said = f"the network's balanced accuracy on validation is {score:.2f}, where guessing gets {chance:.2f}"
            found["near chance"] = f"{said}: its answers are hardly better than guesses"
        return found

    @property
    def snapshot_id(self) -> str:
        """The snapshot of the shards it was trained on."""
        return self.info.shards

    def prepare(self, images: Tensor | NDArray[np.uint8]) -> Tensor:
        """Turn faces into what the network reads, on the network's device.

        Args:
            images: uint8, a tensor (N, 3, H, W) or (N, 1, H, W), or an array (N, H, W, 3) or (N, H, W).

        Returns:
            (N, channels, size_px, size_px) float32.
        """
        return self.info.input.prepare(_as_tensor(images).to(self.device))

    def logits(self, images: Tensor | NDArray[np.uint8]) -> Tensor:
        """Return the raw outputs (V, N, classes), float32 on the CPU. V is 2 with `tta_flip`: faces and mirror images.

        Args:
            images: see `prepare`.
        """
        pixels = _as_tensor(images)
        with torch.inference_mode():
            rows = _CPU_ROWS if self.device.type == "cpu" else _GPU_ROWS
            parts = [self._views(part) for part in torch.split(pixels, rows)]
        return torch.cat(parts, dim=1).cpu() if parts else torch.zeros(1, 0, len(self.info.classes))

    def outputs(self, images: Tensor | NDArray[np.uint8]) -> Tensor:
        """Return the answers (N, outputs), float32 on the CPU: probabilities, then values of affect in [-1, 1]."""
        return self.answers(self.logits(images))

    def answers(self, logits: Tensor) -> Tensor:
        """Return the answers (N, outputs) of raw outputs (V, N, outputs), see `outputs`."""
        heads = self.info.heads
        shares = to_probabilities(heads.of_classes(logits), self.info.temperature)
        return torch.cat([shares, heads.of_values(logits).tanh().mean(0)], 1)

    def predict(self, images: Tensor | NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probability of each class for each face.

        Args:
            images: see `prepare`.

        Returns:
            (N, 8) float32 in the order of `info.classes`; each row sums to 1.

        Raises:
            ModelError: the network was trained on affect alone, see `predict_affect`.
        """
        heads = self.info.heads
        if not heads.classes:
            raise ModelError(f"{self.info.model}: trained on {self.info.task}, not on classes")
        answer: NDArray[np.float32] = heads.of_classes(self.outputs(images)).numpy()
        return answer

    def predict_affect(self, images: Tensor | NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return valence, arousal and dominance in [-1, 1] for each face, (N, 3); NaN for what it was not trained on.

        Raises:
            ModelError: the network was trained on classes alone, see `predict`.
        """
        heads = self.info.heads
        if not heads.values:
            raise ModelError(f"{self.info.model}: trained on classes, not on valence and arousal")
        found = heads.of_values(self.outputs(images)).numpy()
        answer = np.full((len(found), len(AFFECTS)), np.nan, np.float32)
        answer[:, heads.columns] = found
        return answer

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        for tensor in (*self.module.parameters(), *self.module.buffers()):
            return tensor.device
        return torch.device("cpu")

    def _views(self, pixels: Tensor) -> Tensor:
        batch = self.prepare(pixels)
        views = (batch, batch.flip(-1)) if self.info.tta_flip else (batch,)
        try:
            return torch.stack([self.module(view).float() for view in views])
        except torch.OutOfMemoryError:
            raise ModelError(
                f"the GPU's memory ran out with {len(pixels)} faces at once; lower evaluate.batch_size, or free the "
                "GPU of other programs"
            ) from None


def _near_chance(validation: Mapping[str, Any]) -> bool:
    """Return whether a score is hardly above chance, or its interval includes chance."""
    score, chance, low = validation["balanced_accuracy"], validation["chance"], validation.get("low")
    if chance >= 1:
        return True  # there is only one class, so nothing was distinguished
    return (score - chance) / (1 - chance) < _LEAST_ABOVE_CHANCE or (low is not None and low <= chance)


def save_checkpoint(path: Path, network: nn.Module, info: CheckpointInfo) -> None:
    """Write a checkpoint, the same bytes for the same weights and info."""
    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    text = json.dumps(info.plain(), sort_keys=True, ensure_ascii=False)
    # Not save_file, which makes the file readable by its owner only, whatever the umask says.
    path.write_bytes(save(dict(sorted(state.items())), metadata={METADATA_KEY: text}))


def read_info(path: Path) -> CheckpointInfo:
    """Read the metadata of a checkpoint, without its weights.

    Raises:
        ModelError: see `load_checkpoint`.
    """
    return _read(path, weights=False)[0]


def load_checkpoint(path: Path, device: str = "cpu") -> Checkpoint:
    """Read a checkpoint.

    Args:
        path: the file, or the folder that contains `model.safetensors`.
        device: where the network goes, as torch names it.

    Raises:
        ModelError: missing, damaged, not finite, not a checkpoint of this project, or for another network.
    """
    info, state = _read(path, weights=True)
    try:
        network = find_model(info.model).build(len(info.classes), info.input.size_px, None)
    except UsageError:
        raise ModelError(f"{path}: of network {info.model!r}, which neither prep models nor timm has here") from None
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(
            f"{path}: its weights do not fit {info.model}: {str(error).splitlines()[-1].strip()}"
        ) from None
    if damaged := not_finite(state):
        raise ModelError(f"{path}: its weights {damaged!r} are not finite numbers; train again")
    return Checkpoint(info, network.to(device))


def not_finite(state: Mapping[str, Tensor]) -> str | None:
    """Return the name of the first tensor with a NaN or an infinite value; a network with one answers nonsense."""
    return next((name for name, value in state.items() if not value.isfinite().all()), None)


def _read(path: Path, *, weights: bool) -> tuple[CheckpointInfo, dict[str, Tensor]]:
    file = path / CHECKPOINT_NAME if path.is_dir() else path
    try:
        with safe_open(file, framework="pt") as content:
            metadata = content.metadata() or {}
            info = CheckpointInfo.from_plain(json.loads(metadata[METADATA_KEY]))
            names = content.keys() if weights else ()
            return info, {name: content.get_tensor(name) for name in names}
    except OSError as error:
        why = error.strerror or str(error).removesuffix(f": {file}")
        raise ModelError(f"{file}: cannot be read: {why}; run prep train first") from None
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise ModelError(f"{file}: not a checkpoint of prep train: {' '.join(str(error).split())[:120]}") from None


def _as_tensor(images: Tensor | NDArray[np.uint8]) -> Tensor:
    if isinstance(images, Tensor):
        return images
    pixels = np.ascontiguousarray(images)
    stacked = pixels[..., None] if pixels.ndim == 3 else pixels  # (N, H, W) is grey
    return torch.from_numpy(stacked).permute(0, 3, 1, 2)
