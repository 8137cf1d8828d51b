"""Export of a network to ONNX: uint8 faces in, answers out, and the preprocessing contract in the metadata."""

import contextlib
import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Final

import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.checkpoint import METADATA_KEY, Checkpoint
from models.core.inputs import round_exactly, shrink
from pipeline.core.errors import ModelError, OutputError

OPSET: Final = 17
INPUT_NAME: Final = "faces"
# The outputs by what the network answers: probabilities of the classes, values of affect in [-1, 1], or both.
CLASSES_OUTPUT: Final = "probabilities"
AFFECT_OUTPUT: Final = "affect"


class Answering(nn.Module):
    """All that `Checkpoint.predict` does with aligned faces, as one module that can be traced.

    Scaling to the input size of the network is written as two products with a constant matrix. Runtimes differ in how
    they scale pictures, and ONNX has torch's antialiasing only as an approximation.
    """

    rows: Tensor | None

    def __init__(self, checkpoint: Checkpoint, network: nn.Module, face_px: int) -> None:
        super().__init__()
        spec = checkpoint.spec
        self.factor = spec.factor(face_px)
        small_px = face_px // self.factor
        # With a zoom, the network sees the middle of the face only; the margin is cut off on each side.
        self.margin = round(small_px * (1 - spec.zoom) / 2)
        inner = small_px - 2 * self.margin
        self.network = network
        self.spec = spec
        self.uncut = replace(spec, size_px=inner, zoom=1.0)
        self.tta_flip = checkpoint.info.tta_flip
        self.heads = checkpoint.info.heads
        self.temperature = checkpoint.info.temperature
        # Scaling is linear and acts on rows and columns separately, so scaling an identity matrix gives its weights.
        rows = functional.interpolate(
            torch.eye(inner)[None, None], size=(spec.size_px, inner), mode="bilinear", antialias=True
        )
        self.register_buffer("rows", None if inner == spec.size_px else rows[0, 0])

    @property
    def names(self) -> list[str]:
        """The names of what `forward` returns."""
        given = {CLASSES_OUTPUT: self.heads.classes, AFFECT_OUTPUT: self.heads.values}
        return [name for name, of in given.items() if of]

    def forward(self, faces: Tensor) -> tuple[Tensor, ...]:
        """Return probabilities (N, C), values (N, K) or both, float32, for uint8 RGB faces (N, 3, face_px, face_px)."""
        faces = shrink(faces, self.factor)
        end = faces.shape[-1] - self.margin
        scaled = self.uncut.scale(faces[..., self.margin : end, self.margin : end]).float()
        if self.rows is not None:
            scaled = round_exactly(self.rows @ scaled @ self.rows.T).clamp(0, 255)
        pixels = self.spec.normalize(scaled / 255)
        answers = self._answers(pixels)
        if self.tta_flip:
            mirrored = self._answers(pixels.flip(-1))
            answers = tuple((one + other) / 2 for one, other in zip(answers, mirrored, strict=True))
        return answers

    def _answers(self, pixels: Tensor) -> tuple[Tensor, ...]:
        logits: Tensor = self.network(pixels)
        shares = (self.heads.of_classes(logits) / self.temperature).softmax(1) if self.heads.classes else None
        values = self.heads.of_values(logits).tanh() if self.heads.values else None
        return tuple(one for one in (shares, values) if one is not None)


def export_onnx(checkpoint: Checkpoint, out: Path) -> None:
    """Write a network as ONNX.

    The graph takes uint8 RGB faces (N, 3, H, H), aligned and equalized as the contract says. N is free, and H is the
    side of the aligned face. Cropping, scaling, normalization and the temperature are part of the graph. The outputs
    are ``probabilities`` (N, classes), ``affect`` (N, values) in [-1, 1], or both. The metadata key ``prep`` contains
    the checkpoint's info as JSON: the names of the outputs in order (classes, then values), contract, snapshot,
    temperature and the scores on validation.

    Args:
        checkpoint: a network of any task.
        out: the file to write.

    Raises:
        ModelError: the checkpoint is a classical baseline.
        OutputError: the file cannot be written.
    """
    network = checkpoint.network
    if network is None:
        raise ModelError(f"{checkpoint.info.model}: a classical baseline cannot be exported to ONNX")
    face_px = int((checkpoint.contract.get("align") or {}).get("size_px", checkpoint.spec.size_px))
    example = torch.zeros(2, 3, face_px, face_px, dtype=torch.uint8)
    graph = Answering(checkpoint, network.cpu(), face_px).eval()
    partial = out.with_name(f".{out.name}.partial")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            # This exporter warns that there is a newer one, but that needs onnxscript, one more dependency for the same
            # graph.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                graph,
                (example,),
                str(partial),
                opset_version=OPSET,
                input_names=[INPUT_NAME],
                output_names=graph.names,
                dynamic_axes={name: {0: "n"} for name in (INPUT_NAME, *graph.names)},
                dynamo=False,
            )
        _add_metadata(partial, checkpoint)
        partial.replace(out)
    except OSError as error:
        raise OutputError(f"{out}: cannot be written: {error.strerror or error}") from None
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def _add_metadata(path: Path, checkpoint: Checkpoint) -> None:
    model = onnx.load(str(path))
    text = json.dumps(checkpoint.info.plain(), sort_keys=True, ensure_ascii=False)
    onnx.helper.set_model_props(model, {METADATA_KEY: text})
    onnx.save(model, str(path))
