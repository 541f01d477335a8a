"""Coordinate check: how sizes and first updates of a network's layers grow with its width n, against theory.

A parametrisation is right if what is measured follows the exponents of the abc-theory (Yang & Hu 2021, Tensor Programs
IV; the check is that of Yang et al. 2022, Tensor Programs V). First updates are speeds at t = 0 under gradient flow, as
α‖ż‖, in which α drops out: F = 0 there.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from feature_lazy.core.errors import ConfigError
from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.measure.given import labels, patterns
from feature_lazy.networks.base import GaussianNetwork
from feature_lazy.networks.parametrisation import Exponents, Role
from feature_lazy.networks.preactivations import layer_speeds
from feature_lazy.settings.groups import Loss

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
        expected: exponent that theory gives for n → ∞.
        lowest: the exponent without fixed layers. Where they make the limit, as the 16 channels of a residual network
            do, it is reached once n is far above their number times the depth, and from this side.
    """

    name: str
    values: list[float]
    measured: float
    error: float
    lowest: float
    expected: float

    @property
    def agrees(self) -> bool:
        """Whether measurement and theory agree."""
        allowed = max(TOLERANCE, ERRORS * self.error)
        return self.lowest - allowed <= self.measured <= self.expected + allowed


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
        DataError: patterns or labels that are no arrays of finite real numbers.
        ConfigError: labels that are not for network or loss, fewer than two networks or seeds, or networks that differ
            in more than their width.
    """
    names = [list(net.layout.shapes) for net in networks]
    if len(networks) < 2 or seeds < 2 or any(other != names[0] for other in names):
        raise ConfigError("a coordinate check needs two or more widths of one network, and two or more seeds.")
    x = patterns(x, "patterns")
    y = labels(y, x, networks[0].n_outputs, loss)
    log_n = np.log([net.last_fan_in for net in networks])
    sizes = [[_sizes(net, x, y, loss, seed) for seed in range(seeds)] for net in networks]
    found = []
    for name, exponents in expected(networks[0]).items():
        logs = np.log([[one[name] for one in row] for row in sizes])  # (widths, seeds)
        slopes = np.polyfit(log_n, logs, 1)[0]
        values = np.exp(logs).mean(axis=1).tolist()
        error = float(slopes.std(ddof=1) / math.sqrt(seeds))
        found.append(Coordinate(name, values, float(slopes.mean()), error, *exponents))
    return found


def expected(net: GaussianNetwork) -> dict[str, tuple[float, float]]:
    """Exponents of n of each ``W…/rms`` and ``W…/speed``: without fixed layers, and with them, as for n → ∞."""
    rule, roles = net.parametrisation, net.roles
    *hidden, last = (name for name in roles if name.startswith("W"))
    result: dict[str, tuple[float, float]] = {}
    before: list[Role] = []  # of what a layer moves with: its own weights and all that lie before it
    for name, role in roles.items():
        before.append(role)
        if name in hidden:
            result[f"{name}/rms"] = (0.0, 0.0)
            result[f"{name}/speed"] = (_fastest(rule, _growing(before)), _fastest(rule, before))
    result[f"{last}/rms"] = (rule.output, rule.output)
    result[f"{last}/speed"] = (rule.output_speed(set(_growing(before))), rule.output_speed(set(before)))
    return result


def _growing(roles: list[Role]) -> list[Role]:
    """Without fixed layers, unless there is nothing else."""
    return [role for role in roles if role is not Role.FIXED] or roles


def _fastest(rule: Exponents, roles: list[Role]) -> float:
    return max(rule.own_speed(role) for role in roles)


@torch.no_grad()
def _sizes(net: GaussianNetwork, x: Tensor, y: Tensor, loss: Loss, seed: int) -> dict[str, float]:
    w0 = net.layout.flatten({name: weight[None] for name, weight in net.init(seed).items()}).to(x)
    flow = NetworkFlow(net, x, y, loss, alpha=w0.new_ones(1), w0=w0)
    velocity, _ = flow.evaluate(w0, torch.tensor([0], device=w0.device))
    return {name: float(value) for name, value in layer_speeds(net, w0, velocity, x).items()}
