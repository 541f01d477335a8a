"""Coordinate check: how sizes and first updates of a network's layers grow with its width n, against theory.

A parametrisation is right if what is measured follows the exponents of the abc-theory (Yang & Hu 2021, Tensor Programs
IV; the check is that of Yang et al. 2022, Tensor Programs V). First updates are speeds at t = 0 under gradient flow, as
α‖ż‖, in which α drops out: F = 0 there.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from feature_lazy.architectures.base import GaussianNetwork
from feature_lazy.dynamics import NetworkFlow
from feature_lazy.errors import ConfigError
from feature_lazy.losses import Loss
from feature_lazy.preactivations import layer_speeds

TOLERANCE, ERRORS = 0.15, 4.0
"""What a measured exponent may be off: at finite widths by corrections of 1/n, and by this many standard errors."""


@dataclass(frozen=True)
class Coordinate:
    """One quantity over widths.

    Attributes:
        name: ``W0/rms``, ``W0/speed``, …
        values: at each width, the mean over seeds.
        measured: exponent of n, the mean of the seeds' own slopes on log axes.
        error: its standard error over seeds.
        expected: exponent that theory gives.
    """

    name: str
    values: list[float]
    measured: float
    error: float
    expected: float

    @property
    def agrees(self) -> bool:
        """Whether measurement and theory agree."""
        return abs(self.measured - self.expected) <= max(TOLERANCE, ERRORS * self.error)


def coordinate_check(
    networks: Sequence[GaussianNetwork], x: Tensor, y: Tensor, loss: Loss, *, seeds: int = 8
) -> list[Coordinate]:
    """Measure sizes and first updates of every layer over networks that differ in their width only.

    Args:
        networks: of increasing width, two or more.
        x: patterns (P, d), trained on and measured on.
        y: labels ±1, (P,).
        loss: ℓ.
        seeds: initialisations of each width, two or more.

    Returns:
        One coordinate for each ``…/rms`` and ``…/speed``, layer by layer; the last layer is the output.

    Raises:
        ConfigError: fewer than two networks or seeds, or networks that differ in more than their width.
    """
    names = [list(net.layout.shapes) for net in networks]
    if len(networks) < 2 or seeds < 2 or any(other != names[0] for other in names):
        raise ConfigError("a coordinate check needs two or more widths of one network, and two or more seeds.")
    log_n = np.log([net.last_fan_in for net in networks])
    sizes = [[_sizes(net, x, y, loss, seed) for seed in range(seeds)] for net in networks]
    theory = expected(networks[0])
    found = []
    for name, exponent in theory.items():
        logs = np.log([[one[name] for one in row] for row in sizes])  # (widths, seeds)
        slopes = np.polyfit(log_n, logs, 1)[0]
        values = np.exp(logs).mean(axis=1).tolist()
        error = float(slopes.std(ddof=1) / math.sqrt(seeds))
        found.append(Coordinate(name, values, float(slopes.mean()), error, exponent))
    return found


def expected(net: GaussianNetwork) -> dict[str, float]:
    """Exponents of n that theory gives for each ``W…/rms`` and ``W…/speed``."""
    rule, roles = net.parametrisation, net.roles
    # A layer moves with its own weights and with all that lie before it, whichever is faster.
    speeds = dict(zip(roles, accumulate((rule.own_speed(role) for role in roles.values()), max), strict=True))
    weights = [name for name in roles if name.startswith("W")]
    last = weights[-1]
    result: dict[str, float] = {}
    for name in weights:
        result[f"{name}/rms"] = rule.output if name == last else 0.0
        result[f"{name}/speed"] = rule.output_speed(set(roles.values())) if name == last else speeds[name]
    return result


@torch.no_grad()
def _sizes(net: GaussianNetwork, x: Tensor, y: Tensor, loss: Loss, seed: int) -> dict[str, float]:
    w0 = net.layout.flatten({name: weight[None] for name, weight in net.init(seed).items()}).to(x)
    flow = NetworkFlow(net, x, y, loss, alpha=w0.new_ones(1), w0=w0)
    velocity, _ = flow.evaluate(w0, torch.tensor([0], device=w0.device))
    return {name: float(value) for name, value in layer_speeds(net, w0, velocity, x).items()}
