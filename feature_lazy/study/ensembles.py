"""Statistics over networks that differ by their initial weights alone (eqs. 15–17)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from feature_lazy.runs.reading import Run
from feature_lazy.study.estimate import weighted_mean


def margins(predictor: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Margin of each pattern: F·y for F (…, P) and y = ±1, F_y − max_{c≠y} F_c for F (…, P, C) and classes: (…, P)."""
    if not np.issubdtype(labels.dtype, np.integer):
        return predictor * labels
    own = labels[:, None] == np.arange(predictor.shape[-1])
    return np.where(own, predictor, 0).sum(-1) - np.where(own, -np.inf, predictor).max(-1)


@dataclass(frozen=True)
class Ensemble:
    """Predictors of n seeds at one h and √h·α, on the whole test set.

    Attributes:
        h: width.
        x: √h·α.
        seeds: of the predictors, (n,).
        predictors: F, (n, P) or, of several outputs, (n, P, C).
        labels: y, (P,).
    """

    h: int
    x: float
    seeds: np.ndarray
    predictors: np.ndarray
    labels: np.ndarray

    @classmethod
    def of(cls, h: int, x: float, runs: Sequence[Run]) -> "Ensemble | None":
        """The ensemble of runs whose stored outputs are finite; None if those are fewer than two."""
        finite = [run for run in runs if np.isfinite(run.outputs["F_test"]).all()]
        if len(finite) < 2:
            return None
        seeds = np.array([run.columns["seed"] for run in finite])
        return cls(h, x, seeds, np.stack([run.outputs["F_test"] for run in finite]), finite[0].outputs["y_test"])

    @property
    def mean(self) -> np.ndarray:
        """F̄ (eq. 15), (P,) or (P, C)."""
        return self.predictors.mean(0)

    @property
    def variance(self) -> float:
        """Mean over the test set, and over outputs, of Σ(Fᵢ − F̄)²/(n − 1) (eq. 16)."""
        return float(self.predictors.var(axis=0, ddof=1).mean())

    @property
    def error(self) -> float:
        """Error of F̄."""
        return float((margins(self.mean, self.labels) <= 0).mean())

    @cached_property
    def singles(self) -> np.ndarray:
        """Error of each network, (n,)."""
        return (margins(self.predictors, self.labels) <= 0).mean(-1)

    def log_variances(self, weights: np.ndarray) -> np.ndarray:
        """Logarithm of the variance for weights of its seeds, (B, n) → (B,), from the distances of all pairs.

        Σ(Fᵢ − F̄)²/(n − 1) is half of the mean square distance of two networks. A seed that is drawn twice makes no
        pair with itself.
        """
        flat = self.predictors.reshape(len(self.predictors), -1)
        flat = flat - flat.mean(0)
        gram = flat @ flat.T / flat.shape[1]
        squares = np.diag(gram)[:, None] + np.diag(gram) - 2 * gram
        pairs = weights.sum(1) ** 2 - (weights**2).sum(1)
        total = ((weights @ squares) * weights).sum(1)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where((pairs > 0) & (total > 0), np.log(total / (2 * pairs)), np.nan)

    def gains(self, weights: np.ndarray) -> np.ndarray:
        """Mean error of one network less the error of their mean, for weights of its seeds, (B, n) → (B,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = weights / weights.sum(1, keepdims=True)
        means = np.tensordot(shares, self.predictors, 1)
        return weighted_mean(weights, self.singles) - (margins(means, self.labels) <= 0).mean(-1)
