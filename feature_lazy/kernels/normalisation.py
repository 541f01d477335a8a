"""The kernel of a network whose outputs are normalised, from its own: Θ → AΘAᵀ, A the Jacobian of the normalisation.

Karakida, Akaho and Amari 2019 (arXiv:1906.02926): over the patterns, that takes what is common to all of them out of
the Fisher matrix; over the outputs of one pattern it does not.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from feature_lazy.kernels.spectrum import top_eigenvalues

PATTERNS, OUTPUTS = 1, 2
"""Axes of (M, P, C, …) over which means are taken."""
NORMALISATIONS = {
    "none": None,
    "last_mean": (PATTERNS, False),
    "last_batch_norm": (PATTERNS, True),
    "last_layer_norm": (OUTPUTS, True),
}
"""Of the outputs f: none; f − f̄ and (f − f̄)/σ with mean and standard deviation of each output over the patterns; or
(f − f̄)/σ with those of each pattern over its outputs. By name, the axis and whether there is a σ."""
LEAST_OUTPUTS = 3
"""Of one output layer norm leaves nothing, and of two their order alone."""


def normalised_kernel(theta: Tensor, f: Tensor, n_outputs: int, normalisation: str) -> Tensor:
    """The kernel of normalised outputs, with gradients through their means and standard deviations.

    Args:
        theta: Θ, (M, P·C, P·C).
        f: outputs on the same patterns, (M, P·C).
        n_outputs: C.
        normalisation: one of ``NORMALISATIONS``.

    Returns:
        AΘAᵀ, (M, P·C, P·C); not finite where a standard deviation is 0, as of a single output under layer norm.
    """
    how = NORMALISATIONS[normalisation]
    if how is None:
        return theta
    rows = _jacobian(f.unflatten(1, (-1, n_outputs)), *how)
    return rows(rows(theta).mT).mT


def _jacobian(f: Tensor, axis: int, scaled: bool) -> Callable[[Tensor], Tensor]:
    """A as it acts on the rows of a matrix (M, P·C, n), for outputs f (M, P, C)."""
    centred = f - f.mean(axis, keepdim=True)
    sd = centred.square().mean(axis, keepdim=True).sqrt()[..., None]
    unit = centred[..., None] / sd

    def act(matrix: Tensor) -> Tensor:
        u = matrix.unflatten(1, f.shape[1:])
        u = u - u.mean(axis, keepdim=True)
        if scaled:
            u = (u - unit * (unit * u).mean(axis, keepdim=True)) / sd
        return u.flatten(1, 2)

    return act


def largest_eigenvalue(theta: Tensor) -> Tensor:
    """λ_max of each member, (M, n, n) → (M,); NaN of one that is not finite."""
    found = theta.new_full((len(theta),), torch.nan)
    finite = theta.isfinite().all(dim=(1, 2))
    if bool(finite.any()):
        found[finite] = top_eigenvalues(theta[finite], 1)[:, 0]
    return found
