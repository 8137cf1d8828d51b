"""The three networks of MTCNN (Zhang et al. 2016), with facenet-pytorch's weights, in ONNX Runtime or on a GPU.

The graphs are built here at run time. Two things differ from facenet-pytorch's and neither changes what comes out:
the scaling of pixels to -1..1 is folded into the first convolution, and the heads share one matrix product.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, Final, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from pipeline.align.mtcnn.weights import Weights, read_weights
from pipeline.core.device import CPU, Device, find_device

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
# Pixels a run of the first network, and crops a run of the others: more, and what passes between the layers no longer
# fits the second-level cache.
_STRIP_PX: Final = 32_768
_CHUNKS: Final = {"pnet": 1, "rnet": 4, "onet": 4}
# ONNX Runtime's blocked layout counts channels in these; it leaves the layout to pool what does not fill a block.
_BLOCK: Final = 16
_COLOURS: Final = 3
# The layer whose PReLU is better done after its pooling (measured: a quarter of the network's time; not so elsewhere).
_POOLED_FIRST: Final = ("pnet", 1)
_DENSE: Final = {"rnet": 4, "onet": 5}
_HEADS: Final = {"pnet": ("conv4_1", "conv4_2"), "rnet": ("dense5_1", "dense5_2")}
_HEADS_ONET: Final = ("dense6_1", "dense6_2", "dense6_3")


class Networks(Protocol):
    """The three networks on some device. Pixels are float32 (n, 3, height, width), RGB, 0..255."""

    def propose(self, pictures: Sequence[Floats32]) -> list[tuple[Floats32, Floats32]]:
        """Return scores (h, w) and box corrections (4, h, w) of every 12 px cell, 2 px apart, of each picture.

        The pictures are (1, 3, height, width) each, of any size.
        """
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

    def propose(self, pictures: Sequence[Floats32]) -> list[tuple[Floats32, Floats32]]:
        """See `Networks`."""
        heads = [self._sweep(picture) for picture in pictures]
        return [(face_share(head[0], head[1]), head[2:]) for head in heads]

    def _sweep(self, picture: Floats32) -> Floats32:
        """Run the first network in strips that fit the cache; their cells are those of the whole picture."""
        height, width = picture.shape[2:]
        rows = max(1, _STRIP_PX // width // STRIDE_PX)  # of cells
        strips = []
        cells = (height - CELL_PX + 1) // STRIDE_PX + 1  # an odd last row makes one more, as the pooling rounds up
        for top in range(0, cells, rows):
            first = STRIDE_PX * top
            strip = np.ascontiguousarray(picture[:, :, first : first + STRIDE_PX * (rows - 1) + CELL_PX])
            strips.append(self._run("pnet", strip)[0])
        return strips[0] if len(strips) == 1 else np.concatenate(strips, axis=1)

    def refine(self, pixels: Floats32) -> tuple[Floats32, Floats32]:
        """See `Networks`."""
        heads = self._run("rnet", pixels)
        return face_share(heads[:, 0], heads[:, 1]), heads[:, 2:]

    def output(self, pixels: Floats32) -> tuple[Floats32, Floats32, Floats32]:
        """See `Networks`."""
        heads = self._run("onet", pixels)
        points = heads[:, 6:].reshape(-1, 2, 5).transpose(0, 2, 1)
        return face_share(heads[:, 0], heads[:, 1]), heads[:, 2:6], points

    def _run(self, name: str, pixels: Floats32) -> Floats32:
        session, step = self._sessions[name], _CHUNKS[name]
        parts = [session.run(None, {"pixels": pixels[at : at + step]})[0] for at in range(0, len(pixels), step)]
        return np.asarray(parts[0] if len(parts) == 1 else np.concatenate(parts), np.float32)


@cache
def cpu_networks() -> OnnxNetworks:
    """Return this process's networks; building them takes a tenth of a second."""
    return OnnxNetworks()


def network_device() -> Device:
    """Return where the networks run: the CPU unless PREP_DEVICE asks, for a GPU's crops differ in their last bits.

    Raises:
        ParamsError: see `device.find_device`.
    """
    return find_device(default=CPU)


def fitting_workers(device: Device, workers: int) -> int:
    """Return how many processes may share a device: all on the CPU, on a GPU as many as its free memory holds."""
    if device.kind != "cuda":
        return workers
    from pipeline.align.mtcnn.networks_torch import PROCESS_BYTES, free_bytes

    return max(1, min(workers, free_bytes(device) // PROCESS_BYTES))


def load_networks() -> Networks:
    """Return this process's networks on the device of `network_device`."""
    device = network_device()
    if device.name == CPU:
        return cpu_networks()
    from pipeline.align.mtcnn.networks_torch import torch_networks

    return torch_networks(device.name)


def face_share(background: Floats32, face: Floats32) -> Floats32:
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

    def split(self, current: str, sizes: tuple[int, ...]) -> list[str]:
        names = [f"Split_{len(self.nodes)}_{part}" for part in range(len(sizes))]
        lengths = f"lengths_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(sizes, np.int64), lengths))
        self.nodes.append(helper.make_node("Split", [current, lengths], names, axis=1))
        return names

    def constant(self, numbers: Floats32) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(numbers, np.float32), name))
        return name


def build_graph(network: str) -> bytes:
    """Return `pnet`, `rnet` or `onet` as ONNX: "pixels" (n, 3, h, w) to the stacked heads (n, k, …)."""
    weights, graph = read_weights(network), _Graph()
    current = _convolutions(graph, weights, network)
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


def _convolutions(graph: _Graph, weights: Weights, network: str) -> str:
    current, order = "pixels", None
    for number, pool in enumerate(_POOLS[network], 1):
        kernel, bias = weights[f"conv{number}.weight"], weights[f"conv{number}.bias"]
        slope = weights[f"prelu{number}.weight"]
        kernel = kernel[:, order] if order is not None else _filled(kernel, 1)
        order = None
        if number == 1:
            bias = bias - kernel.sum(axis=(1, 2, 3)) * np.float32(_MEAN / _SPREAD)
            kernel = kernel / np.float32(_SPREAD)
        if (network, number) == _POOLED_FIRST:
            current, order = _pooled_prelu(graph, current, (kernel, bias, slope), pool)
            continue
        current = graph.add("Conv", current, graph.constant(_filled(kernel, 0)), graph.constant(_filled(bias, 0)))
        current = _prelu(graph, current, _filled(slope, 0))
        if pool:
            current = graph.add("MaxPool", current, kernel_shape=[pool] * 2, strides=[2, 2], ceil_mode=1)
    return current


def _filled(numbers: Floats32, axis: int) -> Floats32:
    """Fill the channels along an axis up to whole blocks with zeros; the three of a picture stay three."""
    missing = -numbers.shape[axis] % _BLOCK if numbers.shape[axis] > _COLOURS else 0
    return np.pad(numbers, [(0, missing if number == axis else 0) for number in range(numbers.ndim)])


def _pooled_prelu(
    graph: _Graph, current: str, layer: tuple[Floats32, Floats32, Floats32], pool: int
) -> tuple[str, NDArray[np.intp]]:
    """Add convolution, PReLU and max-pooling with the pooling before the PReLU, which then has a quarter of the work.

    A PReLU that rises commutes with the maximum. One with a falling left arm takes its largest value at the largest or
    at the smallest of what is pooled, and the smallest is had from the negated channel. Those six channels fill up the
    sixteen that the convolution computes at once anyway.

    Returns:
        What the pooling gives, and the order of its channels.
    """
    kernel, bias, slope = layer
    falling, rising = np.flatnonzero(slope < 0), np.flatnonzero(slope >= 0)
    kernels = np.concatenate([kernel[falling], kernel[rising], -kernel[falling]])
    biases = np.concatenate([bias[falling], bias[rising], -bias[falling]])
    current = graph.add("Conv", current, graph.constant(kernels), graph.constant(biases))
    current = graph.add("MaxPool", current, kernel_shape=[pool] * 2, strides=[2, 2], ceil_mode=1)
    largest, straight, smallest = graph.split(current, (len(falling), len(rising), len(falling)))
    left_arm = graph.add("Mul", smallest, graph.constant(-slope[falling].reshape(-1, 1, 1)))
    fallen = graph.add("Max", graph.add("Relu", largest), left_arm)
    up = slope[rising].reshape(-1, 1, 1)
    line = graph.add("Mul", straight, graph.constant(up))
    bend = graph.add("Mul", graph.add("Relu", straight), graph.constant(1 - up))
    return graph.add("Concat", fallen, graph.add("Add", line, bend), axis=1), np.concatenate([falling, rising])


def _prelu(graph: _Graph, current: str, slope: Floats32) -> str:
    """Add x + max((slope - 1) * x, 0), which is PReLU for slopes of at most 1.

    ONNX Runtime has no PRelu for the blocked layout that its convolutions work in, and leaves and enters that layout
    around every one: half the time of these networks. A depthwise convolution with one weight a channel stays in it.
    """
    channels = len(slope)
    if (slope > 1).any():
        line = graph.add(
            "Conv", current, graph.constant(slope.reshape(-1, 1, 1, 1)), group=channels, kernel_shape=[1, 1]
        )
        bent = graph.add("Relu", current)
        rest = graph.constant((1 - slope).reshape(-1, 1, 1, 1))
        return graph.add("Add", line, graph.add("Conv", bent, rest, group=channels, kernel_shape=[1, 1]))
    fall = graph.constant((slope - 1).reshape(-1, 1, 1, 1))
    bent = graph.add("Relu", graph.add("Conv", current, fall, group=channels, kernel_shape=[1, 1]))
    return graph.add("Add", current, bent)


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
