"""The three networks of MTCNN (Zhang et al. 2016), with facenet-pytorch's weights, in ONNX Runtime or on a GPU.

The ONNX graphs are built at run time. They give the same answers as facenet-pytorch's modules but are faster: the
scaling of pixels to -1..1 is part of the first convolution, all heads of a network share one matrix product, and PReLU
is expressed by operators that ONNX Runtime executes without converting its memory layout.
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
_IR: Final = 8  # of ONNX; old enough for every version of ONNX Runtime that the project allows
# The networks expect pixels (x - 127.5) / 128, about -1..1.
_MEAN: Final = 127.5
_SPREAD: Final = 128.0

# The sides of the crops that the second and the third network read. The first one is a convolution over the picture,
# equivalent to reading cells of 12 px at a distance of 2 px.
REFINE_PX: Final = 24
OUTPUT_PX: Final = 48
CELL_PX: Final = 12
STRIDE_PX: Final = 2

# The kernel side of the max-pooling (stride 2) after each convolution; 0 if there is none.
_POOLS: Final = {"pnet": (2, 0, 0), "rnet": (3, 3, 0), "onet": (3, 3, 2, 0)}
# Pixels per run of the first network, and crops per run of the others. With more, the activations between the layers no
# longer fit into the second-level cache: the third network takes 0.24 ms per crop in batches of four, and 0.27 ms in
# batches of eight (benchmarks/align.md).
_STRIP_PX: Final = 32_768
_CHUNKS: Final = {"pnet": 1, "rnet": 4, "onet": 4}
# ONNX Runtime's fast convolutions keep channels in blocks of this size. If the channels do not fill whole blocks, it
# converts the layout before the pooling, which takes longer than computing some channels of zeros.
_BLOCK: Final = 16
_COLOURS: Final = 3
# The layer whose PReLU is computed after its pooling, which saves a quarter of the network's time. In the other layers,
# it saves nothing.
_POOLED_FIRST: Final = ("pnet", 1)
# Layers are numbered as in the names of facenet-pytorch's weights.
_DENSE: Final = {"rnet": 4, "onet": 5}
_HEADS: Final = {"pnet": ("conv4_1", "conv4_2"), "rnet": ("dense5_1", "dense5_2")}
_HEADS_ONET: Final = ("dense6_1", "dense6_2", "dense6_3")


class Networks(Protocol):
    """The three networks on some device. Pixels are float32 (n, 3, height, width), RGB, 0..255; scores are in 0..1."""

    def propose(self, pictures: Sequence[Floats32]) -> list[tuple[Floats32, Floats32]]:
        """Run the first network (P-Net).

        Args:
            pictures: (1, 3, height, width) each, of any sizes of at least 12 px.

        Returns:
            For each picture, scores (h, w) and box corrections (4, h, w) of its cells: squares of 12 px, 2 px apart.
            Corrections are shares of the cell's side, for the left, top, right and bottom edge.
        """
        ...

    def refine(self, pixels: Floats32) -> tuple[Floats32, Floats32]:
        """Run the second network (R-Net): scores (n,) and box corrections (n, 4) of crops of 24 px."""
        ...

    def output(self, pixels: Floats32) -> tuple[Floats32, Floats32, Floats32]:
        """Run the third network (O-Net): scores (n,), box corrections (n, 4) and points (n, 5, 2) of crops of 48 px.

        Points are x, y as shares of the crop's side.
        """
        ...


class OnnxNetworks:
    """The networks in ONNX Runtime, on one CPU core."""

    def __init__(self) -> None:
        self._sessions = {name: _session(build_graph(name)) for name in ("pnet", "rnet", "onet")}

    def propose(self, pictures: Sequence[Floats32]) -> list[tuple[Floats32, Floats32]]:
        """See `Networks`."""
        heads = [self._sweep(picture) for picture in pictures]
        return [(face_share(head[0], head[1]), head[2:]) for head in heads]

    def _sweep(self, picture: Floats32) -> Floats32:
        """Run the first network in horizontal strips that fit into the cache; the result is that of one run."""
        height, width = picture.shape[2:]
        rows = max(1, _STRIP_PX // width // STRIDE_PX)  # of cells, per strip
        strips = []
        cells = (height - CELL_PX + 1) // STRIDE_PX + 1  # the pooling rounds up an odd height
        for top in range(0, cells, rows):
            # Strips overlap by 10 px, because a cell of 12 px also covers rows of the next strip.
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
        # The network gives all five x before all five y.
        points = heads[:, 6:].reshape(-1, 2, 5).transpose(0, 2, 1)
        return face_share(heads[:, 0], heads[:, 1]), heads[:, 2:6], points

    def _run(self, name: str, pixels: Floats32) -> Floats32:
        session, step = self._sessions[name], _CHUNKS[name]
        parts = [session.run(None, {"pixels": pixels[at : at + step]})[0] for at in range(0, len(pixels), step)]
        return np.asarray(parts[0] if len(parts) == 1 else np.concatenate(parts), np.float32)


@cache
def cpu_networks() -> OnnxNetworks:
    """Return the networks of this process. They are built once, because that takes a tenth of a second."""
    return OnnxNetworks()


def network_device() -> Device:
    """Return the device of the networks: the CPU, unless PREP_DEVICE names another one.

    The default is not the GPU because its crops differ in their last bits, and all later stages would run again.

    Raises:
        ParamsError: PREP_DEVICE is not a device of this machine; see `device.find_device`.
    """
    return find_device(default=CPU)


def count_fitting(device: Device) -> int:
    """Return how many processes fit into the free memory of a GPU, at least 1; 0 for a device without such a limit."""
    if device.kind != "cuda":
        return 0
    # Imported here, because torch is not installed with the base package, and importing it takes seconds.
    from pipeline.align.mtcnn.networks_torch import PROCESS_BYTES, free_bytes

    return max(1, free_bytes(device) // PROCESS_BYTES)


def load_networks() -> Networks:
    """Return the networks of this process, on the device that `network_device` returns."""
    device = network_device()
    if device.name == CPU:
        return cpu_networks()
    from pipeline.align.mtcnn.networks_torch import torch_networks

    return torch_networks(device.name)


def face_share(background: Floats32, face: Floats32) -> Floats32:
    """Return the probability of a face, 0..1: the second value of the softmax over background and face."""
    return np.asarray(1 / (1 + np.exp(background - face)), np.float32)


def _session(model: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    # One thread, because there is one worker process per core.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class _Graph:
    """The nodes and constants of an ONNX graph under construction; `add` returns the name of the new node's output."""

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
    """Return `pnet`, `rnet` or `onet` as a serialized ONNX model.

    Its input is "pixels", float32 (n, 3, h, w) in 0..255. Its output is "heads", (n, k) or for `pnet` (n, k, h, w): two
    logits (background, face), four box corrections and, for `onet`, ten coordinates of points.

    Raises:
        ModelError: the weights are missing or damaged.
    """
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
        # The scaling of the pixels is part of the first convolution: w (x - mean) / spread = (w / spread) x - constant.
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
    """Append channels of zeros along an axis until they fill whole blocks, except to the three colours of a picture."""
    missing = -numbers.shape[axis] % _BLOCK if numbers.shape[axis] > _COLOURS else 0
    return np.pad(numbers, [(0, missing if number == axis else 0) for number in range(numbers.ndim)])


def _pooled_prelu(
    graph: _Graph, current: str, layer: tuple[Floats32, Floats32, Floats32], pool: int
) -> tuple[str, NDArray[np.intp]]:
    """Add a convolution, max-pooling and PReLU, in this order, so that the PReLU has a quarter of the values.

    The result is that of the PReLU before the pooling. With a slope of at least 0, the PReLU is monotonic and commutes
    with the maximum. With a negative slope, the largest output belongs either to the largest or to the smallest input;
    the smallest one is obtained by pooling a second, negated copy of the channel. There are six such channels, and they
    fill the block of sixteen that the convolution computes anyway.

    Returns:
        The name of the output, and the order of its channels.
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
    """Add x + max((slope - 1) * x, 0), which equals PReLU for slopes of at most 1; larger ones get another formula.

    ONNX Runtime's PRelu does not support the blocked layout of its convolutions. The conversions around every PRelu
    would take half the time of these networks. A depthwise convolution with one weight per channel, which multiplies
    each channel by a number, needs no conversion.
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
    # facenet-pytorch flattens in Caffe's order width, height, channels; in ONNX, the channels come first.
    dense = dense.reshape(-1, side, side, channels).transpose(0, 3, 2, 1).reshape(len(dense), -1)
    flat = graph.add("Flatten", current)
    hidden = graph.add("Gemm", flat, graph.constant(dense), graph.constant(weights[f"dense{number}.bias"]), transB=1)
    # A plain PRelu is as good here, because a matrix product has no blocked layout.
    hidden = graph.add("PRelu", hidden, graph.constant(weights[f"prelu{number}.weight"]))
    heads = _HEADS.get(network, _HEADS_ONET)
    kernel = np.concatenate([weights[f"{head}.weight"] for head in heads])
    bias = np.concatenate([weights[f"{head}.bias"] for head in heads])
    return graph.add("Gemm", hidden, graph.constant(kernel), graph.constant(bias), transB=1)
