"""Sharpness check: how λ_max of the Fisher matrix at the start grows with the width, normalised in several ways.

Karakida, Akaho and Amari 2019 (arXiv:1906.02926), with as many patterns as units, in the standard parametrisation.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from feature_lazy.core.errors import ConfigError
from feature_lazy.kernels.exact import tangent_kernel
from feature_lazy.kernels.normalisation import (
    LEAST_OUTPUTS,
    MIDDLE,
    NORMALISATIONS,
    largest_eigenvalue,
    middle_largest,
    normalised_kernel,
)
from feature_lazy.networks.activations import Scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.networks.parametrisation import STANDARD

TOLERANCE, ERRORS = 0.3, 4.0
"""What an exponent may be off: an independent calculation at 40 … 240 units has 0.72 … 0.85 for 1, and −0.23 for 0."""


@dataclass(frozen=True)
class Growth:
    """λ_max over widths.

    Attributes:
        name: of the normalisation.
        values: at each width, the mean over seeds.
        measured: exponent of the width, the mean of the seeds' own slopes on log axes.
        error: its standard error over seeds.
        expected: 1, or 0: then it is an upper limit, which is approached from above.
    """

    name: str
    values: list[float]
    measured: float
    error: float
    expected: float

    @property
    def agrees(self) -> bool:
        """Whether measurement and theory agree."""
        above = self.measured - self.expected
        return (abs(above) if self.expected else above) <= max(TOLERANCE, ERRORS * self.error)


def sharpness_check(networks: Sequence[FullyConnected], x: Sequence[Tensor], *, seeds: int = 8) -> list[Growth]:
    """Measure λ_max as it is and under each normalisation over networks that differ in their width only.

    Args:
        networks: of increasing width, two or more, in the standard parametrisation.
        x: patterns of each, (h, d): as many as it is wide.
        seeds: initialisations of each width, two or more.

    Returns:
        One growth for each normalisation that the number of outputs allows.

    Raises:
        ConfigError: another parametrisation, other numbers of patterns, or fewer than two widths or seeds.
    """
    if len(networks) < 2 or seeds < 2:
        raise ConfigError("a sharpness check needs two or more widths, and two or more seeds.")
    for net, patterns in zip(networks, x, strict=True):
        if net.parametrisation is not STANDARD:
            raise ConfigError("a sharpness check is of the paper's weights: set parametrisation=standard.")
        if len(patterns) != net.last_fan_in:
            raise ConfigError(
                f"{len(patterns)} patterns for a width of {net.last_fan_in}: λ_max rests where both grow alike; take "
                "as many patterns as units."
            )
    several = networks[0].n_outputs >= LEAST_OUTPUTS
    names = [name for name in (*NORMALISATIONS, MIDDLE) if several or name != "last_layer_norm"]
    found = [_largest(net, patterns, names, seeds) for net, patterns in zip(networks, x, strict=True)]
    widths = np.log([net.last_fan_in for net in networks])
    return [_growth(name, widths, np.array([one[name] for one in found]), networks[0].activation) for name in names]


def _growth(name: str, log_widths: np.ndarray, values: np.ndarray, activation: Scaled) -> Growth:
    """Of values (widths, seeds)."""
    slopes = np.polyfit(log_widths, np.log(values), 1)[0]
    rests = name in ("last_mean", "last_batch_norm") or (name == MIDDLE and odd(activation))
    error = float(slopes.std(ddof=1) / math.sqrt(values.shape[1]))
    return Growth(name, values.mean(1).tolist(), float(slopes.mean()), error, 0.0 if rests else 1.0)


def odd(activation: Scaled) -> bool:
    """Whether φ(−z) = −φ(z): then units under batch norm have nothing in common over patterns."""
    z = torch.linspace(0.1, 3, 30, dtype=torch.float64)
    return torch.allclose(activation(-z), -activation(z))


@torch.no_grad()
def _largest(net: FullyConnected, x: Tensor, names: Sequence[str], seeds: int) -> dict[str, list[float]]:
    """λ_max of each normalisation, for every seed."""
    found: dict[str, list[float]] = {name: [] for name in names}
    for seed in range(seeds):
        params = {name: weight[None].to(x) for name, weight in net.init(seed).items()}
        theta, f = tangent_kernel(net, params, x), net.apply(params, x)
        for name in names:
            if name == MIDDLE:
                largest = middle_largest(net, net.layout.flatten(params), x)
            else:
                largest = largest_eigenvalue(normalised_kernel(theta, f, net.n_outputs, name))
            found[name].append(float(largest) / len(x))
    return found
