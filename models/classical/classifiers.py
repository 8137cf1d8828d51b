"""Classifiers of standardized features: scikit-learn fits them, and they answer from their own tensors.

SVM: Cortes and Vapnik 1995, one against one as in libsvm. k nearest neighbours: Cover and Hart 1967. Naive Bayes with
Gaussians, logistic regression and a perceptron with one hidden layer: as scikit-learn implements them.
"""

import warnings
from typing import ClassVar, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.classical.fitted import Fitted, Floats

Labels = NDArray[np.int64]

_TWO: Final = 2
_HIDDEN: Final = 128
_SEED: Final = 0  # of the perceptron's first weights
_MLP_STEPS: Final = 60  # passes over the training faces
_VOTE_FLOOR: Final = 0.01  # of a class that no neighbour has, so that its logit is finite
_ROWS_AT_ONCE: Final = 256  # of which the distances to all training faces are in memory


class Classifier(Fitted):
    """A classifier of the classes that training has, numbered from 0.

    Attributes:
        strengths: values between which validation chooses, from the simplest model to the one that fits most closely.
        default: the value without validation.
    """

    strengths: ClassVar[tuple[float, ...]] = (0.1, 1.0, 3.0, 10.0, 30.0)
    default: ClassVar[float] = 1.0

    def solve(self, features: Floats, labels: Labels, strength: float) -> None:
        """Fit to standardized features (N, F) and labels (N,) 0..P - 1."""
        raise NotImplementedError

    def decide(self, features: Tensor) -> Tensor:
        """Return decisions (N, P) of standardized features (N, F), the larger the likelier."""
        raise NotImplementedError


class Svm(Classifier):
    """A support vector machine with a Gaussian kernel; the strength is C."""

    learned: ClassVar[tuple[str, ...]] = ("vectors", "dual", "intercept", "counts", "gamma")
    vectors: Tensor
    dual: Tensor
    intercept: Tensor
    counts: Tensor
    gamma: Tensor

    def solve(self, features: Floats, labels: Labels, strength: float) -> None:
        """Fit with libsvm."""
        from sklearn.svm import SVC

        gamma = 1 / features.shape[1]
        machine = SVC(C=strength, kernel="rbf", gamma=gamma, class_weight="balanced").fit(features, labels)
        # With two classes scikit-learn inverts libsvm's signs; `decide` expects libsvm's own.
        sign = -1 if len(machine.classes_) == _TWO else 1
        self.keep("vectors", machine.support_vectors_)
        self.keep("dual", sign * machine.dual_coef_)
        self.keep("intercept", sign * machine.intercept_)
        self.keep("counts", machine.n_support_.astype(np.int64))
        self.keep("gamma", [gamma])

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


class Linear(Classifier):
    """Multinomial logistic regression; the strength is 100 C, because standardized features are nearly separable."""

    learned: ClassVar[tuple[str, ...]] = ("weight", "bias")
    weight: Tensor
    bias: Tensor

    def solve(self, features: Floats, labels: Labels, strength: float) -> None:
        """Fit with scikit-learn."""
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(C=strength / 100, class_weight="balanced", max_iter=2000).fit(features, labels)
        weight, bias = model.coef_, model.intercept_
        if len(weight) == 1:  # for two classes, scikit-learn keeps only the decision of the second
            weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
        self.keep("weight", weight)
        self.keep("bias", bias)

    def decide(self, features: Tensor) -> Tensor:
        """Return the logits."""
        return features @ self.weight.T + self.bias


class Neighbours(Classifier):
    """The shares of the classes among the nearest training faces, each face weighted for its class to be balanced.

    The number of neighbours is 30 over the strength, so a larger strength fits more closely, as for the others.
    """

    strengths: ClassVar[tuple[float, ...]] = (1.0, 2.0, 4.0, 10.0, 30.0)
    default: ClassVar[float] = 6.0

    learned: ClassVar[tuple[str, ...]] = ("faces", "labels", "count")
    faces: Tensor
    labels: Tensor
    count: Tensor

    def solve(self, features: Floats, labels: Labels, strength: float) -> None:
        """Keep the training faces."""
        self.keep("faces", features)
        self.keep("labels", labels)
        self.keep("count", [min(round(30 / strength), len(features))])

    def decide(self, features: Tensor) -> Tensor:
        """Return the logarithms of the shares."""
        weights = 1 / torch.bincount(self.labels).double()
        votes = torch.nn.functional.one_hot(self.labels).double() * weights
        shares = [self._shares(part, votes) for part in torch.split(features, _ROWS_AT_ONCE)]
        return torch.cat(shares).clamp(min=_VOTE_FLOOR).log() if shares else torch.zeros(0, len(weights)).double()

    def _shares(self, features: Tensor, votes: Tensor) -> Tensor:
        nearest = torch.cdist(features, self.faces).topk(int(self.count), largest=False).indices
        found: Tensor = votes[nearest].sum(1)
        return found / found.sum(1, keepdim=True)


class Bayes(Classifier):
    """Naive Bayes with a Gaussian for each feature and class; all classes are equally likely beforehand.

    Variances are enlarged by 0.1 over the strength, a share of the standardized variance, 1.
    """

    learned: ClassVar[tuple[str, ...]] = ("centre", "variance")
    centre: Tensor
    variance: Tensor

    def solve(self, features: Floats, labels: Labels, strength: float) -> None:
        """Fit with scikit-learn."""
        from sklearn.naive_bayes import GaussianNB

        model = GaussianNB(var_smoothing=0.1 / strength).fit(features, labels)
        self.keep("centre", model.theta_)
        self.keep("variance", model.var_)

    def decide(self, features: Tensor) -> Tensor:
        """Return log likelihoods over the root of the number of features: thousands of dependent ones are too sure."""
        likely = [
            -(((features - centre).square() / variance + variance.log()).mean(1) / 2)
            for centre, variance in zip(self.centre, self.variance, strict=True)
        ]
        return torch.stack(likely, 1) * float(np.sqrt(features.shape[1]))


class Perceptron(Classifier):
    """One hidden layer of 128 rectified units, trained with Adam; the strength is one over its penalty on weights.

    scikit-learn's perceptron takes no class weights, so rows of small classes are repeated until classes are even.
    """

    strengths: ClassVar[tuple[float, ...]] = (0.01, 0.1, 1.0)
    default: ClassVar[float] = 0.1

    learned: ClassVar[tuple[str, ...]] = ("hidden", "hidden_bias", "weight", "bias")
    hidden: Tensor
    hidden_bias: Tensor
    weight: Tensor
    bias: Tensor

    def solve(self, features: Floats, labels: Labels, strength: float) -> None:
        """Fit with scikit-learn."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPClassifier

        largest = np.bincount(labels).max()
        rows = np.concatenate([np.resize(np.flatnonzero(labels == label), largest) for label in np.unique(labels)])
        model = MLPClassifier(
            (_HIDDEN,), alpha=1 / strength, max_iter=_MLP_STEPS, random_state=_SEED, n_iter_no_change=_MLP_STEPS
        )
        with warnings.catch_warnings():
            # It always takes all of its steps, which scikit-learn takes for a failure to converge.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(features[rows], labels[rows])
        weight, bias = model.coefs_[1], model.intercepts_[1]
        if weight.shape[1] == 1:  # for two classes, there is only the decision of the second
            weight, bias = np.concatenate([-weight, weight], 1) / 2, np.concatenate([-bias, bias]) / 2
        for name, values in (
            ("hidden", model.coefs_[0]), ("hidden_bias", model.intercepts_[0]), ("weight", weight), ("bias", bias)
        ):  # fmt: skip
            self.keep(name, values)

    def decide(self, features: Tensor) -> Tensor:
        """Return the logits."""
        return (features @ self.hidden + self.hidden_bias).relu() @ self.weight + self.bias
