"""The three networks of MTCNN (Zhang et al. 2016), with facenet-pytorch's weights, in ONNX Runtime or on a GPU.

The graphs are built here at run time. Two things differ from facenet-pytorch's and neither changes what comes out:
the scaling of pixels to -1..1 is folded into the first convolution, and the heads share one matrix product.
"""

from functools import cache
from typing import Any, Final, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from pipeline.faces.weights import Weights, read_weights

Floats32 = NDArray[np.float32]

_OPSET: Final = 13
_IR: Final = 8  # of ONNX; old enough for every ONNX Runtime that the project allows
# Pixels 0..255 become (x - 127.5) / 128.
_MEAN: Final = 127.5
_SPREAD: Final = 128.0

REFINE_PX: Final = 24
OUTPUT_PX: Final = 48
CELL_PX: Final = 12
STRIDE_PX: Final = 2

# Kernel side of the max-pooling (stride 2) that follows each convolution; 0 for none.
_POOLS: Final = {"pnet": (2, 0, 0), "rnet": (3, 3, 0), "onet": (3, 3, 2, 0)}
_DENSE: Final = {"rnet": 4, "onet": 5}
_HEADS: Final = {"pnet": ("conv4_1", "conv4_2"), "rnet": ("dense5_1", "dense5_2")}
_HEADS_ONET: Final = ("dense6_1", "dense6_2", "dense6_3")


class Networks(Protocol):
    """The three networks on some device. Pixels are float32 (n, 3, height, width), RGB, 0..255."""

    def propose(self, pixels: Floats32) -> tuple[Floats32, Floats32]:
        """Return scores (n, h, w) and box corrections (n, 4, h, w) of every 12 px cell, 2 px apart."""
        ...

    def refine(self, pixels: Floats32) -> tuple[Floats32, Floats32]:
        """Return scores (n,) and box corrections (n, 4) of 24 px crops."""
        ...

    def output(self, pixels: Floats32) -> tuple[Floats32, Floats32, Floats32]:
        """Return scores (n,), box corrections (n, 4) and points (n, 5, 2) in 0..1 of 48 px crops."""
        ...


class OnnxNetworks:
    """The networks in ONNX Runtime on one CPU core."""

    def __init__(self) -> None:
        self._sessions = {name: _session(build_graph(name)) for name in ("pnet", "rnet", "onet")}

    def propose(self, pixels: Floats32) -> tuple[Floats32, Floats32]:
        """See `Networks`."""
        heads = self._run("pnet", pixels)
        return _face_share(heads[:, 0], heads[:, 1]), heads[:, 2:]

    def refine(self, pixels: Floats32) -> tuple[Floats32, Floats32]:
        """See `Networks`."""
        heads = self._run("rnet", pixels)
        return _face_share(heads[:, 0], heads[:, 1]), heads[:, 2:]

    def output(self, pixels: Floats32) -> tuple[Floats32, Floats32, Floats32]:
        """See `Networks`."""
        heads = self._run("onet", pixels)
        points = heads[:, 6:].reshape(-1, 2, 5).transpose(0, 2, 1)
        return _face_share(heads[:, 0], heads[:, 1]), heads[:, 2:6], points

    def _run(self, name: str, pixels: Floats32) -> Floats32:
        return np.asarray(self._sessions[name].run(None, {"pixels": pixels})[0], np.float32)


@cache
def cpu_networks() -> OnnxNetworks:
    """Return this process's networks; building them takes a tenth of a second."""
    return OnnxNetworks()


def _face_share(background: Floats32, face: Floats32) -> Floats32:
    """Softmax over two, the second."""
    return np.asarray(1 / (1 + np.exp(background - face)), np.float32)


def _session(model: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class _Graph:
    """Nodes and constants of a graph in the making; `add` returns the name of what the node gives."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        name = f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def constant(self, numbers: Floats32) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(numbers, np.float32), name))
        return name


def build_graph(network: str) -> bytes:
    """Return `pnet`, `rnet` or `onet` as ONNX: "pixels" (n, 3, h, w) to the stacked heads (n, k, …)."""
    weights, graph = read_weights(network), _Graph()
    current = _convolutions(graph, weights, _POOLS[network])
    current = (
        _dense_head(graph, weights, network, current) if network in _DENSE else _cell_head(graph, weights, current)
    )
    graph.nodes[-1].output[0] = "heads"
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            network,
            [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3, "h", "w"])],
            [helper.make_tensor_value_info("heads", TensorProto.FLOAT, None)],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR,
    )
    return bytes(model.SerializeToString())


def _convolutions(graph: _Graph, weights: Weights, pools: tuple[int, ...]) -> str:
    current = "pixels"
    for number, pool in enumerate(pools, 1):
        kernel, bias = weights[f"conv{number}.weight"], weights[f"conv{number}.bias"]
        if number == 1:
            bias = bias - kernel.sum(axis=(1, 2, 3)) * np.float32(_MEAN / _SPREAD)
            kernel = kernel / np.float32(_SPREAD)
        current = graph.add("Conv", current, graph.constant(kernel), graph.constant(bias))
        slope = weights[f"prelu{number}.weight"].reshape(-1, 1, 1)
        current = graph.add("PRelu", current, graph.constant(slope))
        if pool:
            current = graph.add("MaxPool", current, kernel_shape=[pool] * 2, strides=[2, 2], ceil_mode=1)
    return current


def _cell_head(graph: _Graph, weights: Weights, current: str) -> str:
    kernel = np.concatenate([weights[f"{head}.weight"] for head in _HEADS["pnet"]])
    bias = np.concatenate([weights[f"{head}.bias"] for head in _HEADS["pnet"]])
    return graph.add("Conv", current, graph.constant(kernel), graph.constant(bias))


def _dense_head(graph: _Graph, weights: Weights, network: str, current: str) -> str:
    number = _DENSE[network]
    channels = len(weights[f"conv{number - 1}.bias"])
    dense = weights[f"dense{number}.weight"]
    side = round((dense.shape[1] / channels) ** 0.5)
    # facenet-pytorch flattens width, height, channels (Caffe's order); here channels come first.
    dense = dense.reshape(-1, side, side, channels).transpose(0, 3, 2, 1).reshape(len(dense), -1)
    flat = graph.add("Flatten", current)
    hidden = graph.add("Gemm", flat, graph.constant(dense), graph.constant(weights[f"dense{number}.bias"]), transB=1)
    hidden = graph.add("PRelu", hidden, graph.constant(weights[f"prelu{number}.weight"]))
    heads = _HEADS.get(network, _HEADS_ONET)
    kernel = np.concatenate([weights[f"{head}.weight"] for head in heads])
    bias = np.concatenate([weights[f"{head}.bias"] for head in heads])
    return graph.add("Gemm", hidden, graph.constant(kernel), graph.constant(bias), transB=1)
