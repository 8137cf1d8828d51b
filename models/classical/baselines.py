"""Every feature with every classifier, `hog-svm` to `fusion-mlp`, as modules that are saved like any network.

Features are standardized before they are classified. What a feature learns, the means and the classifier come from the
training faces alone; validation chooses how closely the classifier fits. Probabilities are the softmax of the
decisions, with a temperature like any network's (`models.core.calibration`). There are no gradients.
"""

from collections.abc import Callable
from typing import ClassVar, Final

import numpy as np
import torch
from torch import Tensor

from models.classical.classifiers import Bayes, Classifier, Linear, Neighbours, Perceptron, Svm
from models.classical.features import Feature, Gabor, Hog, Lbp, Ldp, Pixels
from models.classical.fitted import Fitted, Floats
from models.classical.points import Descriptor, Fusion, Landmarks
from models.classical.words import Sift
from models.data.faces import FaceBatch
from pipeline.core.errors import DataError

FEATURES: Final[dict[str, tuple[type[Feature], str]]] = {
    "hog": (Hog, "HOG"),
    "descriptor": (Descriptor, "dlib's face descriptor"),
    "lbp": (Lbp, "uniform local binary patterns on a grid"),
    "sift": (Sift, "dense SIFT, visual words in a spatial pyramid"),
    "ldp": (Ldp, "local directional patterns on a grid"),
    "gabor": (Gabor, "magnitudes of Gabor filters"),
    "landmark": (Landmarks, "distances and directions between 51 points"),
    "fusion": (Fusion, "the features of landmark and lbp"),
}
CLASSIFIERS: Final[dict[str, tuple[type[Classifier], str]]] = {
    "svm": (Svm, "an RBF SVM"),
    "linear": (Linear, "a linear classifier"),
    "knn": (Neighbours, "the nearest neighbours"),
    "bayes": (Bayes, "naive Bayes"),
    "mlp": (Perceptron, "a perceptron with one hidden layer"),
}
_ABSENT_LOGIT: Final = -100.0  # for a class without training faces: its probability is 0, yet its loss is finite
_FEWEST_CLASSES: Final = 2


class Classical(Fitted):
    """A classifier of standardized features.

    Args:
        classes: width of the output.
        feature: what is measured of a face.
        classifier: what answers.
    """

    learned: ClassVar[tuple[str, ...]] = ("present", "mean", "scale")
    present: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(self, classes: int, feature: Feature, classifier: Classifier) -> None:
        super().__init__()
        self.classes, self.feature, self.classifier = classes, feature, classifier

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, classes) of images (N, channels, S, S), float in [0, 1]."""
        return self._logits(self.standardized(as_pixels(images)))

    def fit(self, faces: FaceBatch, validation: FaceBatch | None) -> tuple[Tensor, Tensor | None]:
        """Fit everything to `faces`; the strength is chosen by balanced accuracy on validation.

        Returns:
            The logits (N, classes) of both sets, so that features need not be extracted again.

        Raises:
            DataError: all faces have the same class.
        """
        labels = faces.labels.numpy()
        self.keep("present", np.unique(labels))
        if len(self.present) < _FEWEST_CLASSES:
            raise DataError("training rows: one class alone; a classifier needs two")
        pixels = as_pixels(faces.pixels)
        self.feature.learn(pixels)
        features = self.feature.extract(pixels)
        self.keep("mean", features.mean(0))
        self.keep("scale", np.maximum(features.std(0), 1e-9))
        known = (torch.from_numpy(features) - self.mean) / self.scale
        places = np.searchsorted(self.present.numpy(), labels)
        asked = None if validation is None else self.standardized(as_pixels(validation.pixels))
        strength = self.classifier.default
        if validation is not None and asked is not None:
            strength = self._choose(known.numpy(), places, asked, validation.labels)
        self.classifier.solve(known.numpy(), places, strength)
        return self._logits(known), None if asked is None else self._logits(asked)

    def standardized(self, pixels: Pixels) -> Tensor:
        """Return the standardized features (N, F) of faces."""
        return (torch.from_numpy(self.feature.extract(pixels)) - self.mean) / self.scale

    def _choose(self, known: Floats, places: np.ndarray, asked: Tensor, labels: Tensor) -> float:
        scores = []
        for strength in self.classifier.strengths:
            self.classifier.solve(known, places, strength)
            scores.append(self._balanced_accuracy(asked, labels))
        return self.classifier.strengths[int(np.argmax(scores))]

    def _logits(self, features: Tensor) -> Tensor:
        logits = torch.full((len(features), self.classes), _ABSENT_LOGIT, dtype=torch.float64)
        logits[:, self.present] = self.classifier.decide(features)
        return logits.float()

    def _balanced_accuracy(self, features: Tensor, labels: Tensor) -> float:
        right = self._logits(features).argmax(1) == labels
        return float(np.mean([right[labels == label].double().mean().item() for label in np.unique(labels)]))


def find_classical(name: str) -> tuple[type[Feature], type[Classifier], str] | None:
    """Return the feature, the classifier and one line about `<feature>-<classifier>`; None for another name."""
    first, _, second = name.partition("-")
    if first not in FEATURES or second not in CLASSIFIERS:
        return None
    (feature, what), (classifier, how) = FEATURES[first], CLASSIFIERS[second]
    return feature, classifier, f"{what} with {how}"


def builder(feature: type[Feature], classifier: type[Classifier]) -> Callable[..., Classical]:
    """Return what builds an unfitted baseline."""
    return lambda classes, _size_px, _state: Classical(classes, feature(), classifier())


def as_pixels(images: Tensor) -> Pixels:
    """Return images (N, C, S, S), uint8 or float in [0, 1], as (N, S, S, C) uint8."""
    pixels = images if images.dtype == torch.uint8 else (images * 255).round().clamp(0, 255).to(torch.uint8)
    array: Pixels = pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return array
