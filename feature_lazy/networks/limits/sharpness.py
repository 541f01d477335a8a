"""The largest eigenvalue of the Fisher matrix of a wide network at the start, from what patterns have in common.

Karakida, Akaho and Amari 2019 (arXiv:1906.02926): for patterns x ~ N(0, 1), which have no correlation, Θ has one value
on its diagonal, K₁, and one beside it, K₂, and Θ/T the eigenvalue ((T − 1)K₂ + K₁)/T.
"""

import torch

from feature_lazy.networks.activations import Scaled
from feature_lazy.networks.limits.dual import expectations
from feature_lazy.networks.parametrisation import Exponents, Role

TOLERANCE = 1e-6


def mean_field_sharpness(activation: Scaled, depth: int, n: int, patterns: int, parametrisation: Exponents) -> float:
    """λ_max of Θ/T to leading order in the width n, of a fully connected network without biases on x ~ N(0, 1).

    Args:
        activation: φ with E φ² = 1.
        depth: L, hidden layers.
        n: their width.
        patterns: T.
        parametrisation: how weights are scaled with n.
    """
    same, other = _entries(activation, depth, n, parametrisation)
    return ((patterns - 1) * other + same) / patterns


def _entries(activation: Scaled, depth: int, n: int, parametrisation: Exponents) -> list[float]:
    """K = Σ_l g_l² q_l Π_{m > l} (g_m s_m)² E φ′φ′ of a pattern with itself, and of two without correlation.

    q_l = E φφ of the inputs of layer l; g is the gain and s the standard deviation of a layer's weights beside NTK,
    where both are 1: in µP and mean field that of the output's, g s = 1/√n, is in the share of every layer below.
    """
    rho = torch.tensor([[1.0], [0.0]], dtype=torch.float64)
    known = expectations(activation, TOLERANCE)
    one = known.marginals(torch.ones(1, dtype=torch.float64))
    inputs, slopes = [rho], []
    for _ in range(depth):
        value, slope = known.joint(one, one, inputs[-1])
        inputs.append(value.clamp(max=1))  # rounding
        slopes.append(slope)
    roles = [Role.INPUT, *[Role.HIDDEN] * (depth - 1), Role.OUTPUT]
    total, back = torch.zeros_like(rho), torch.ones_like(rho)
    for layer in range(depth, -1, -1):
        total += parametrisation.gain(roles[layer], n) ** 2 * back * inputs[layer]
        if layer:
            passed = parametrisation.gain(roles[layer], n) * parametrisation.std(roles[layer], n)
            back = back * passed**2 * slopes[layer - 1]
    return total.flatten().tolist()
