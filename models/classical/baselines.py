"""The two classical baselines as modules: HOG with an RBF SVM, and a linear classifier on dlib's face descriptor.

scikit-learn fits them, but they answer from their own tensors, so that they are saved like any network and nothing is
pickled. They have no gradients.

HOG: Dalal and Triggs 2005. SVM: Cortes and Vapnik 1995, one against one as in libsvm. Descriptor: dlib's ResNet, 128
numbers per face. Probabilities are the softmax of the decisions, with a temperature like any network's
(`models.core.calibration`).
"""

from functools import cache
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.core.inputs import InputSpec
from models.data.faces import FaceBatch
from models.networks.weights import State
from pipeline.align.detectors.dlib_hog import model_file
from pipeline.core.errors import DataError

Floats = NDArray[np.float64]

_ABSENT_LOGIT: Final = -100.0  # for a class without training faces: its probability is 0, yet its loss is finite
_STRENGTHS: Final = (0.1, 1.0, 3.0, 10.0, 30.0)  # C, chosen on validation
_HOG_SIZE_PX: Final = 112
_HOG_CELL_PX: Final = 14
_HOG_DIRECTIONS: Final = 8
_CHIP_PX: Final = 150  # the side that dlib's network reads
_CHIP_PADDING: Final = 0.25  # dlib's own default
# The box of the face in an aligned crop with its margin, as shares of the side.
_FACE_IN_CROP: Final = (0.25, 0.3, 0.75, 0.8)
_FEWEST_CLASSES: Final = 2


class Classical(nn.Module):
    """A classifier of fixed features: standardized, then answered by `decide`.

    Args:
        classes: width of the output.
    """

    present: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.register_buffer("present", torch.zeros(0, dtype=torch.int64))
        self.register_buffer("mean", torch.zeros(0, dtype=torch.float64))
        self.register_buffer("scale", torch.zeros(0, dtype=torch.float64))

    def extract(self, pixels: NDArray[np.uint8]) -> Floats:
        """Return the features (N, F) of faces (N, S, S, 3) or (N, S, S)."""
        raise NotImplementedError

    def solve(self, features: Floats, labels: NDArray[np.int64], strength: float) -> None:
        """Fit the classifier to standardized features (N, F) and the places of their classes in `present`."""
        raise NotImplementedError

    def decide(self, features: Tensor) -> Tensor:
        """Return decisions (N, P) over the classes that are present, for standardized features (N, F)."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, classes) of images (N, channels, S, S), float in [0, 1]."""
        return self._logits(self._standardized(self.extract(_as_pixels(images))))

    def fit(self, faces: FaceBatch, validation: FaceBatch | None) -> tuple[Tensor, Tensor | None]:
        """Fit the standardization and the classifier; its strength is chosen by balanced accuracy on validation.

        Returns:
            The logits (N, classes) of both sets, so that features need not be extracted again.

        Raises:
            DataError: all faces have the same class.
        """
        labels = faces.labels.numpy()
        self.present = torch.from_numpy(np.unique(labels))
        if len(self.present) < _FEWEST_CLASSES:
            raise DataError("training rows: one class alone; a classifier needs two")
        features = self.extract(_as_pixels(faces.pixels))
        self.mean = torch.from_numpy(features.mean(0))
        self.scale = torch.from_numpy(np.maximum(features.std(0), 1e-9))
        known = self._standardized(features)
        places = np.searchsorted(self.present.numpy(), labels)
        held = faces if validation is None else validation
        asked = known if validation is None else self._standardized(self.extract(_as_pixels(held.pixels)))
        strengths = (1.0,) if validation is None else _STRENGTHS
        scores = []
        for strength in strengths:
            self.solve(known.numpy(), places, strength)
            scores.append(self._balanced_accuracy(asked, held.labels))
        self.solve(known.numpy(), places, strengths[int(np.argmax(scores))])
        return self._logits(known), None if validation is None else self._logits(asked)

    def _apply(self, *_args: Any, **_kwargs: Any) -> "Classical":
        """Ignore moves and casts: the features come from scikit-image and dlib, which need the CPU and float64."""
        return self

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        """Take the shapes from the file: the numbers of features and support vectors are known only after fitting."""
        for name in list(self._buffers):
            if prefix + name in state_dict:
                setattr(self, name, state_dict[prefix + name].clone())
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def _standardized(self, features: Floats) -> Tensor:
        return (torch.from_numpy(features) - self.mean) / self.scale

    def _logits(self, features: Tensor) -> Tensor:
        logits = torch.full((len(features), self.classes), _ABSENT_LOGIT, dtype=torch.float64)
        logits[:, self.present] = self.decide(features)
        return logits.float()

    def _balanced_accuracy(self, features: Tensor, labels: Tensor) -> float:
        right = self._logits(features).argmax(1) == labels
        return float(np.mean([right[labels == label].double().mean().item() for label in np.unique(labels)]))


class HogSvm(Classical):
    """Histograms of oriented gradients of the grey face, and an SVM with a Gaussian kernel."""

    vectors: Tensor
    dual: Tensor
    intercept: Tensor
    counts: Tensor
    gamma: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        for name in ("vectors", "dual", "intercept", "gamma"):
            self.register_buffer(name, torch.zeros(0, dtype=torch.float64))
        self.register_buffer("counts", torch.zeros(0, dtype=torch.int64))

    def extract(self, pixels: NDArray[np.uint8]) -> Floats:
        """Return the histograms (N, F)."""
        from skimage.feature import hog

        cells, blocks = (_HOG_CELL_PX, _HOG_CELL_PX), (2, 2)
        return np.stack(
            [
                hog(face, orientations=_HOG_DIRECTIONS, pixels_per_cell=cells, cells_per_block=blocks)
                for face in pixels.reshape(pixels.shape[:3])
            ]
        ).astype(np.float64)

    def solve(self, features: Floats, labels: NDArray[np.int64], strength: float) -> None:
        """Fit with libsvm."""
        from sklearn.svm import SVC

        gamma = 1 / features.shape[1]
        machine = SVC(C=strength, kernel="rbf", gamma=gamma, class_weight="balanced").fit(features, labels)
        self.vectors = torch.from_numpy(machine.support_vectors_.copy())
        self.dual = torch.from_numpy(machine.dual_coef_.copy())
        # With two classes scikit-learn inverts libsvm's signs; `decide` expects libsvm's own.
        sign = -1 if len(machine.classes_) == _FEWEST_CLASSES else 1
        self.intercept = torch.from_numpy(sign * machine.intercept_)
        self.dual = sign * self.dual
        self.counts = torch.from_numpy(machine.n_support_.astype(np.int64))
        self.gamma = torch.tensor([gamma], dtype=torch.float64)

    def decide(self, features: Tensor) -> Tensor:
        """Return the votes of each class over all pairs, with ties broken by the sum of its decisions."""
        kernel = torch.exp(-self.gamma * torch.cdist(features, self.vectors).square())
        starts = [0, *torch.cumsum(self.counts, 0).tolist()]
        size = len(self.counts)
        votes, sureness = torch.zeros(len(features), size).double(), torch.zeros(len(features), size).double()
        pairs = [(first, second) for first in range(size) for second in range(first + 1, size)]
        for number, (first, second) in enumerate(pairs):
            of_first, of_second = slice(*starts[first : first + 2]), slice(*starts[second : second + 2])
            found = kernel[:, of_first] @ self.dual[second - 1, of_first]
            found = found + kernel[:, of_second] @ self.dual[first, of_second] + self.intercept[number]
            votes[:, first] += found > 0
            votes[:, second] += found <= 0
            sureness[:, first] += found
            sureness[:, second] -= found
        # The sum is squeezed into (-1/3, 1/3), as in scikit-learn, so that it can never outweigh a vote.
        return votes + sureness / (3 * (sureness.abs() + 1))


class DescriptorLinear(Classical):
    """dlib's face descriptor of 128 numbers, and multinomial logistic regression."""

    weight: Tensor
    bias: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        for name in ("weight", "bias"):
            self.register_buffer(name, torch.zeros(0, dtype=torch.float64))

    def extract(self, pixels: NDArray[np.uint8]) -> Floats:
        """Return the descriptors (N, 128); the landmarks are searched in the middle of the crop."""
        return np.stack([_descriptor(face) for face in pixels])

    def solve(self, features: Floats, labels: NDArray[np.int64], strength: float) -> None:
        """Fit with scikit-learn."""
        from sklearn.linear_model import LogisticRegression

        # Standardized descriptors are nearly separable, so useful strengths are a hundredth of those of the SVM.
        model = LogisticRegression(C=strength / 100, class_weight="balanced", max_iter=2000).fit(features, labels)
        weight, bias = model.coef_, model.intercept_
        if len(weight) == 1:  # for two classes, scikit-learn keeps only the decision of the second
            weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
        self.weight, self.bias = torch.from_numpy(weight.copy()), torch.from_numpy(bias.copy())

    def decide(self, features: Tensor) -> Tensor:
        """Return the logits."""
        return features @ self.weight.T + self.bias


def hog_input(size_px: int | None) -> InputSpec:
    """Return the input of `HogSvm`: grey, 112 px."""
    return InputSpec(size_px or _HOG_SIZE_PX, (0.0,), (1.0,))


def descriptor_input(_size_px: int | None) -> InputSpec:
    """Return the input of `DescriptorLinear`: RGB, large enough for dlib's own alignment and crop."""
    return InputSpec(2 * _CHIP_PX, (0.0,) * 3, (1.0,) * 3)


def build_hog_svm(classes: int, _size_px: int, _state: State | None) -> Classical:
    """Build an unfitted `HogSvm`."""
    return HogSvm(classes)


def build_descriptor_linear(classes: int, _size_px: int, _state: State | None) -> Classical:
    """Build an unfitted `DescriptorLinear`."""
    return DescriptorLinear(classes)


@cache
def _dlib_models() -> tuple[Any, Any]:
    import dlib

    points = dlib.shape_predictor(str(model_file("shape_predictor_5_face_landmarks.dat")))
    return points, dlib.face_recognition_model_v1(str(model_file("dlib_face_recognition_resnet_model_v1.dat")))


def _descriptor(face: NDArray[np.uint8]) -> Floats:
    import dlib

    points, network = _dlib_models()
    side = face.shape[0]
    box = dlib.rectangle(*(round(side * share) for share in _FACE_IN_CROP))
    chip = dlib.get_face_chip(face, points(face, box), _CHIP_PX, _CHIP_PADDING)
    return np.asarray(network.compute_face_descriptor(chip), np.float64)


def _as_pixels(images: Tensor) -> NDArray[np.uint8]:
    pixels = images if images.dtype == torch.uint8 else (images * 255).round().clamp(0, 255).to(torch.uint8)
    array: NDArray[np.uint8] = pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return array
