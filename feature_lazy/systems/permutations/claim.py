"""Networks that learn a permutation from unit vectors: beside their Gaussian process, alone and several together."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from scipy.special import ndtr

from feature_lazy.data.build import build_data
from feature_lazy.kernels import gp_prediction
from feature_lazy.networks.activations import Relu, scaled
from feature_lazy.networks.limits.infinite import infinite_kernels
from feature_lazy.runs.reading import Run
from feature_lazy.settings.schema import from_plain
from feature_lazy.study.estimate import Estimate, average, estimate, weighted_mean
from feature_lazy.study.figures.style import look
from feature_lazy.study.law import law
from feature_lazy.study.process import MEAN, MEMBERS, VARIANCE, Beside, process
from feature_lazy.study.table import H
from feature_lazy.study.verdict import Bound, Expected
from feature_lazy.systems.permutations import PAPER
from feature_lazy.systems.permutations.data import Permutation, bits
from feature_lazy.systems.permutations.quantity import BITS

GROUPS = 20
"""Ensembles that have no network in common; what they get wrong is averaged."""
NUMBER = Expected(1, 0.3, "finite h")
"""The mean there is 0.02, so that a shift of 1/h is a tenth of it at h = 512, twice in its square."""
WRONG = Expected(1, 0.15, "finite h")
NEGATIVE = Bound(0.0, "below")
INPUTS = (64, 128, 256)
GROWS = Expected(1, 0.15, "finite k")
"""An independent calculation has the slope 0.85 over k = 24 … 256 and 0.94 from 128 to 256."""
ROUNDING = 1e-6
LACKS = f"dataset=permutation, centred=false, alpha=1 and {MEMBERS} seeds at one width"
SAYS = {"paper": PAPER, "needs": (BITS,), "lacks": LACKS, "outcomes": ("t_end", "converged"), "quiet": True}


@dataclass(frozen=True)
class Ensemble:
    """Networks at the end of their training, and the Gaussian process that they are drawn from.

    Attributes:
        outputs: F of M networks on n inputs, (M, n, k).
        wanted: bits of the images, (n, k) of bool.
        ones: number of ones in each input, (n,).
        mean: of the process at t = ∞, (n, k).
        covariance: of each output, (n, n).
    """

    outputs: np.ndarray
    wanted: np.ndarray
    ones: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray

    @classmethod
    def of(cls, table: pd.DataFrame) -> Self | None:
        """The widest networks; None where they are too few, of several configurations, or not of a process."""
        runs = [run for run in table[table[H] == table[H].max()].get("run", ()) if isinstance(run, Run)]
        kinds = {repr((run.config.get("dataset"), run.columns["alpha"])) for run in runs}
        if len(runs) < MEMBERS or len(kinds) > 1:
            return None
        config = from_plain(runs[0].config)
        if not isinstance(config.dataset, Permutation):
            return None
        data = build_data(config)
        found = process(runs[0], np.array([math.inf]), len(data.x_test))
        if found is None:
            return None
        outputs = np.stack([run.outputs["F_test"] for run in runs])
        ones = data.x_test.sum(1).numpy()
        return cls(outputs, bits(data).numpy(), ones, found[0][0], found[1][0])

    @property
    def asked(self) -> np.ndarray:
        """Inputs that are not learnt from, (n,) of bool: the others have no variance."""
        return self.ones > 1

    @property
    def sd(self) -> np.ndarray:
        """√C of each asked input, (n, 1)."""
        return np.sqrt(self.covariance.diagonal()[self.asked])[:, None]

    @cached_property
    def beside(self) -> Beside:
        """(F − μ)/√C on asked inputs and all outputs, which the process has independent of each other."""
        values = (self.outputs - self.mean)[:, self.asked] / self.sd
        correlation = self.covariance[np.ix_(self.asked, self.asked)] / (self.sd * self.sd.T)
        members, inputs, outputs = values.shape
        return Beside(values.reshape(members, 1, inputs * outputs), np.kron(correlation, np.eye(outputs)))

    @property
    def hardest(self) -> np.ndarray:
        """Bits that are 0 of inputs with two ones, (n, k) of bool: their mean is the nearest to 0."""
        return ~self.wanted & (self.ones == 2)[:, None]

    def needed(self) -> Estimate | None:
        """σ²/μ² of the hardest bits, which by symmetry are all alike, over that of the process."""
        where = self.hardest
        if not where.any():
            return None
        values = self.outputs[:, where]
        first, second = values.mean(1), np.square(values).mean(1)
        variance = np.broadcast_to(self.covariance.diagonal()[:, None], where.shape)
        known = float(variance[where].mean() / self.mean[where].mean() ** 2)

        def ratio(weights: np.ndarray) -> np.ndarray:
            mean = weighted_mean(weights, first)
            return (weighted_mean(weights, second) / mean**2 - 1) / known

        return estimate(ratio, len(first))

    def wrong(self, together: int) -> float:
        """Share of bits of asked inputs that the sign of the mean of some networks of the process has wrong."""
        return float(ndtr(-np.abs(self.mean[self.asked]) / self.sd * together**0.5).mean())

    def measured(self, together: int) -> np.ndarray:
        """The same of ensembles of that many networks, which have none in common, (ensembles,)."""
        count = len(self.outputs) // together
        means = self.outputs[: count * together, self.asked].reshape(count, together, -1).mean(1)
        return ((means > 0) != self.wanted[self.asked].ravel()).mean(1)


@law("ensemble mean less the Gaussian process', over its error, at the end", expected=MEAN, where="NTK regime", **SAYS)
def mean(table: pd.DataFrame) -> Estimate | None:
    """1: rms over inputs that were not learnt from and all bits of (mean of M networks − μ)/√(C/M)."""
    found = Ensemble.of(table)
    return found and found.beside.mean()


@law("variance over seeds, over the Gaussian process', at the end", expected=VARIANCE, where="NTK regime", **SAYS)
def variance(table: pd.DataFrame) -> Estimate | None:
    """1: mean over the same of Var F/C."""
    found = Ensemble.of(table)
    return found and found.beside.variance()


@law("mean output at bits that are 0, of inputs with two ones", expected=NEGATIVE, where="sign-based features", **SAYS)
def sign(table: pd.DataFrame) -> Estimate | None:
    """Below 0, where it is the nearest to it: the signs of the mean are the image."""
    found = Ensemble.of(table)
    return average(found.outputs[:, found.hardest].mean(1)) if found and found.hardest.any() else None


@law("networks needed for the hardest bits, over the Gaussian process'", expected=NUMBER, where="N ~ σ²/μ²", **SAYS)
def number(table: pd.DataFrame) -> Estimate | None:
    """1: σ²/μ², which the number of networks that are exact together is in proportion to."""
    found = Ensemble.of(table)
    return found and found.needed()


@law("bits that several networks have wrong, over the Gaussian process'", expected=WRONG, where="ensembles", **SAYS)
def together(table: pd.DataFrame) -> Estimate | None:
    """1: of ensembles of a twentieth of the networks each."""
    found = Ensemble.of(table)
    if found is None or len(found.outputs) < GROUPS:
        return None
    size = len(found.outputs) // GROUPS
    return average(found.measured(size) / found.wrong(size))


@law("networks needed for one input against k, exponent, of the process", expected=GROWS, where="N ~ k ln k", **SAYS)
def against_bits(table: pd.DataFrame) -> Estimate | None:
    """1 at large k, of the largest σ²/μ² over inputs; no seed plays a part in it, and its error is that of rounding."""
    if Ensemble.of(table) is None:
        return None
    found = np.polyfit(np.log(INPUTS), np.log([hardest(k) for k in INPUTS]), 1)[0]
    return Estimate(float(found), ROUNDING, len(INPUTS))


def hardest(k: int) -> float:
    """Largest σ²/μ² over inputs and bits of the Gaussian process of k bits: networks needed, but for a logarithm."""
    x = torch.eye(k, dtype=torch.float64)
    tests = torch.ones(k, k, dtype=torch.float64).tril()[1:]  # two ones, three, …: one input of each number
    phi = scaled(Relu())
    train, with_train = infinite_kernels(phi, 1, x), infinite_kernels(phi, 1, tests, x)
    own = infinite_kernels(phi, 1, tests).nngp.diagonal()
    means, variances = gp_prediction((train.ntk, with_train.ntk), (train.nngp, with_train.nngp, own), x, [math.inf])
    return float((variances[0][:, None] / means[0].square()).max())


def sizes(networks: int) -> Iterator[int]:
    """Numbers of networks in an ensemble: 1, 2, 4, … as far as there are several such."""
    size = 1
    while 4 * size <= networks:
        yield size
        size *= 2


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """Share of bits that ensembles have wrong, against the number of their networks, for the atlas."""
    found = Ensemble.of(table)
    if found is None:
        return
    counts = list(sizes(len(found.outputs)))
    each = [found.measured(size) for size in counts]
    errors = [2 * np.std(values, ddof=1) / len(values) ** 0.5 for values in each]
    axes.errorbar(counts, list(map(np.mean, each)), errors, linestyle="", capsize=2, label="networks", **look(0))
    line = np.geomspace(1, 8 * counts[-1])
    axes.plot(line, [found.wrong(size) for size in line], label="Gaussian process", **{**look(1), "marker": ""})
    axes.set(
        xscale="log", yscale="log", xlabel="networks together", ylabel="share of bits wrong, inputs not learnt from"
    )
    axes.legend()
