"""Learning from a few faces of one person without forgetting the general network: Gaussian processes anchored to it.

What a person adds to the general network's answers is a layer of weights w over frozen features, with the prior
w ~ N(0, s^2): the general network is the mean of the prior, so that w is drawn to it as by L2-SP (Li, Grandvalet and
Davoine, ICML 2018, arXiv:1802.01483). The features are those of the network's last layer and the network's own answers,
because "what looks happy to everybody is anger here" is learned from fewer faces than any feature. How far a person is
from the general network, s, is not known. Every s of a grid is a hypothesis. That the person is like everybody has half
of the prior or more, divided among shares of labels that are wrong or beyond the network, so that scattered mistakes
are not taken for a habit. That the network is surer than it should be on this person is in the grid of the others.

The few labelled faces weigh the hypotheses by their evidence: the probability that each gave to these labels beforehand
(Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006: algorithm 3.3 for classes, equation 2.30 for
values). The answer is the mean of all hypotheses' answers, weighted so (Hoeting et al., Bayesian Model Averaging,
Statistical Science 14:382, 1999). So nothing has to be held out of a few faces: one surprise changes little, and
several that agree change much.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# The share of the prior that is on the general network as it is. A class is right or wrong, but every value is a little
# off, so that one or two say less about a person.
_GENERAL_CLASSES: Final = 0.5
_GENERAL_VALUES: Final = 0.8
# The prior variance of what is added to a logit or to a value, for a face with features of mean size.
_LOGIT_SPREADS: Final = (1.0, 4.0, 16.0, 64.0)
_VALUE_SPREADS: Final = (0.01, 0.04, 0.16, 0.64)
# By what the general network's logits may have to be divided to be as sure as they are right on this person.
_HEATS: Final = (1.0, 2.0, 4.0)
# Shares of labels that nothing explains.
_ASTRAY: Final = (0.05, 0.1, 0.2, 0.4)
# Variances of the error of a value that no features explain.
_NOISES: Final = (0.02, 0.04, 0.08, 0.16)
_NEWTON_STEPS: Final = 30
_CONVERGED: Final = 1e-6
_LEAST: Final = 1e-300


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of N faces: the general network's answers (N, C), and M kernels (N, K) with the labelled faces.

    The answers are log-probabilities, or values in [-1, 1].
    """

    general: Floats
    kernels: tuple[Floats, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """Answers (N, C) to faces, and the weight, 0..1, of the hypothesis that the person is like everybody."""

    answers: Floats
    general_weight: float


@dataclass
class _Hypotheses:
    """The log evidence, the answers, the prior of each hypothesis, and whether the person is like everybody in it."""

    evidence: list[float] = field(default_factory=list)
    answers: list[Floats] = field(default_factory=list)
    prior: list[float] = field(default_factory=list)
    general: list[bool] = field(default_factory=list)

    def add(self, evidence: float, answers: Floats, prior: float, *, general: bool) -> None:
        self.evidence.append(evidence)
        self.answers.append(answers)
        self.prior.append(prior)
        self.general.append(general)

    def mean(self) -> Answered:
        weights = np.exp(np.array(self.evidence) - max(self.evidence)) * np.array(self.prior)
        weights /= weights.sum()
        mean: Floats = np.tensordot(weights, np.stack(self.answers), 1)
        return Answered(mean, float(weights[np.array(self.general)].sum()))


def answer_classes(shots: Known, labels: Ints, others: Known) -> Answered:
    """Return the probabilities (N, C) of classes for other faces of a person.

    Args:
        shots: the K labelled faces.
        labels: (K,) their classes.
        others: the faces to answer.
    """
    found, classes = _Hypotheses(), shots.general.shape[1]
    given = np.exp(shots.general[np.arange(len(labels)), labels])
    for astray in _ASTRAY:
        evidence = float(np.log((1 - astray) * given + astray / classes).sum())
        found.add(evidence, np.exp(others.general), _GENERAL_CLASSES / len(_ASTRAY), general=True)
    prior = (1 - _GENERAL_CLASSES) / (len(_HEATS) * len(shots.kernels) * len(_LOGIT_SPREADS))
    for heat in _HEATS:
        for own, between in zip(shots.kernels, others.kernels, strict=True):
            for spread in _LOGIT_SPREADS:
                evidence, alpha = laplace(spread * own, shots.general / heat, labels)
                answers = _softmax(others.general / heat + spread * between @ alpha)
                found.add(evidence, answers, prior, general=False)
    return found.mean()


def answer_values(shots: Known, values: Floats, others: Known) -> Answered:
    """Return one value of affect, (N, 1) in [-1, 1], for other faces of a person.

    Args:
        shots: the K labelled faces; their answers are (K, 1).
        values: (K,) their annotations.
        others: the faces to answer; their answers are (N, 1).
    """
    found, off = _Hypotheses(), values - shots.general[:, 0]
    hypotheses = [(0, 0.0), *((kernel, spread) for kernel in range(len(shots.kernels)) for spread in _VALUE_SPREADS)]
    for noise in _NOISES:
        for kernel, spread in hypotheses:
            covariance = spread * shots.kernels[kernel] + noise * np.eye(len(off))
            alpha = np.linalg.solve(covariance, off)
            evidence = float(-0.5 * (off @ alpha + np.linalg.slogdet(2 * np.pi * covariance)[1]))
            answers = np.clip(others.general + (spread * others.kernels[kernel] @ alpha)[:, None], -1, 1)
            prior = _GENERAL_VALUES if not spread else (1 - _GENERAL_VALUES) / (len(hypotheses) - 1)
            found.add(evidence, answers, prior / len(_NOISES), general=not spread)
    return found.mean()


def laplace(covariance: Floats, mean: Floats, labels: Ints) -> tuple[float, Floats]:
    """Return Laplace's approximation of the log evidence of labels under a Gaussian process, and its mode.

    Args:
        covariance: (K, K) of the faces, the same for each class.
        mean: (K, C) prior mean of the logits.
        labels: (K,) classes.

    Returns:
        The log evidence, and (K, C) `alpha`: the most probable logits of other faces, whose covariances with these are
        c (N, K), are their prior mean plus c @ alpha.
    """
    count, classes = mean.shape
    truth = np.eye(classes)[labels]
    whole = np.kron(covariance, np.eye(classes))
    alpha, before = np.zeros_like(mean), -np.inf
    for _ in range(_NEWTON_STEPS):
        added = covariance @ alpha
        shares = _softmax(mean + added)
        curvature = _curvature(shares)
        goal = curvature @ added.ravel() + (truth - shares).ravel()
        goal -= curvature @ np.linalg.solve(np.eye(count * classes) + whole @ curvature, whole @ goal)
        alpha, reached = _toward(alpha, goal.reshape(count, classes), covariance, mean, labels)
        if reached - before < _CONVERGED:
            break
        before = reached
    curvature = _curvature(_softmax(mean + covariance @ alpha))
    size = np.linalg.slogdet(np.eye(count * classes) + whole @ curvature)[1]
    return float(_posterior(alpha, covariance, mean, labels) - 0.5 * size), alpha


def _toward(before: Floats, goal: Floats, covariance: Floats, mean: Floats, labels: Ints) -> tuple[Floats, float]:
    """Return Newton's step, or as much of it as makes the posterior larger, and the logarithm of that posterior."""
    reached, share = _posterior(before, covariance, mean, labels), 1.0
    while share > _CONVERGED:
        after = before + share * (goal - before)
        found = _posterior(after, covariance, mean, labels)
        if found >= reached:
            return after, found
        share /= 2
    return before, reached


def _posterior(alpha: Floats, covariance: Floats, mean: Floats, labels: Ints) -> float:
    added = covariance @ alpha
    shares = _softmax(mean + added)[np.arange(len(labels)), labels]
    return float(np.log(np.maximum(shares, _LEAST)).sum() - 0.5 * (alpha * added).sum())


def _curvature(shares: Floats) -> Floats:
    """Return (K C, K C): minus the second derivatives of the log-likelihood by the logits, one block for each face."""
    count, classes = shares.shape
    whole = np.zeros((count, classes, count, classes))
    blocks = shares[:, :, None] * (np.eye(classes) - shares[:, None, :])
    whole[np.arange(count), :, np.arange(count), :] = blocks
    return whole.reshape(count * classes, count * classes)


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares
