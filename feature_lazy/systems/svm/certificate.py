"""How far a pattern may move in every coordinate without a change of sign: a bound for the kernel of one ReLU layer."""

import math

import numpy as np

LOWEST = -0.42974
"""Just below the minimum of H, −0.429738 at u = ``WHERE``."""
WHERE = -0.7940998648
HALVINGS = 40


def kernel_shape(u: np.ndarray) -> np.ndarray:
    """H(u), with Θ(x, x′) = ‖x‖‖x′‖ H(u)/(πd) for u = x·x′/(‖x‖‖x′‖): one hidden layer of √2·ReLU without biases."""
    return 2 * u * (math.pi - np.arccos(u)) + np.sqrt(1 - u**2)


def bounds(x: np.ndarray, others: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """The least and the largest that Θ(x + e, x′) can be, for all |e_i| ≤ radius: each (P,).

    ‖x + e‖ lies within √d·radius of ‖x‖, and (x + e)·x′ within radius·‖x′‖₁ of x·x′. H falls to u = −0.794 and rises
    from there.

    Args:
        x: a pattern, (d,).
        others: x′, (P, d).
        radius: of the ball in the largest norm, smaller than ‖x‖/√d.
    """
    d = len(x)
    size, lengths = float(np.linalg.norm(x)), np.linalg.norm(others, axis=1)
    shift = math.sqrt(d) * radius
    low, high = max(size - shift, 0.0), size + shift
    products, moved = others @ x, radius * np.abs(others).sum(1)
    # u = (x·x′)/(‖x‖‖x′‖) over both intervals: at a corner.
    corners = [(products + side * moved) / (norm * lengths) for side in (-1, 1) for norm in (max(low, 1e-300), high)]
    least, most = (np.clip(part, -1, 1) for part in (np.min(corners, axis=0), np.max(corners, axis=0)))
    ends = np.stack([kernel_shape(least), kernel_shape(most)])
    bottom = np.where((least <= WHERE) & (most >= WHERE), LOWEST, ends.min(0))
    top = ends.max(0)
    scale = lengths / (math.pi * d)
    return scale * np.where(bottom < 0, high, low) * bottom, scale * np.where(top > 0, high, low) * top


def certified_radius(x: np.ndarray, others: np.ndarray, weights: np.ndarray) -> float:
    """The largest radius, by bisection, at which Σ_i a_i Θ(x + e, x_i) provably keeps its sign; 0 if there is none.

    Args:
        x: a pattern, (d,).
        others: training patterns, (P, d).
        weights: a, (P,).
    """
    sign = np.sign(sum(weights * bounds(x, others, 0.0)[0]))

    def kept(radius: float) -> bool:
        least, most = bounds(x, others, radius)
        pull = sign * weights
        return bool((pull * np.where(pull > 0, least, most)).sum() > 0)

    low, high = 0.0, float(np.linalg.norm(x)) / math.sqrt(len(x))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if kept(middle) else (low, middle)
    return low
