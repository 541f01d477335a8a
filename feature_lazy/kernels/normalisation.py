"""The kernel of a network whose outputs are normalised, from its own: Θ → AΘAᵀ, A the Jacobian of the normalisation.

Karakida, Akaho and Amari 2019 (arXiv:1906.02926): over the patterns, that takes what is common to all of them out of
the Fisher matrix; over the outputs of one pattern it does not. Under batch norm in the hidden layers, ``MIDDLE``,
patterns depend on each other in the forward pass: the kernel is then that of another network.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from feature_lazy.kernels.lanczos import extremes, rademacher
from feature_lazy.kernels.spectrum import top_eigenvalues
from feature_lazy.networks.fully_connected import FullyConnected

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
MIDDLE = "middle_batch_norm"
"""Batch norm of the hidden layers' preactivations, without scale and shift."""
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


def batch_normalised(net: FullyConnected) -> FullyConnected:
    """The network with batch norm before each φ, over the patterns that it is given; biases then do nothing."""
    shape = net.activation.shape

    def normalised(z: Tensor) -> Tensor:
        centred = z - z.mean(-2, keepdim=True)
        return shape(centred / centred.square().mean(-2, keepdim=True).sqrt())

    return replace(net, activation=replace(net.activation, shape=normalised, dual=None))


def middle_largest(net: FullyConnected, w: Tensor, x: Tensor) -> Tensor:
    """λ_max of Θ under ``MIDDLE``, with gradients through the statistics, by products with JJᵀ.

    Args:
        net: the network without it.
        w: weights, (M, N).
        x: all patterns that statistics are over, (P, d).

    Returns:
        (M,), good to 10⁻⁴; NaN of a member that is not finite.
    """
    other, layout = batch_normalised(net), net.layout
    start = rademacher(1, x.new_empty(len(x) * net.n_outputs), "normalisation")[0]

    def of(own: Tensor) -> Tensor:
        with torch.enable_grad():
            v = own.detach().clone().requires_grad_()
            f = other.apply(layout.unflatten(v[None]), x)[0]
            if not bool(f.isfinite().all()):
                return own.new_tensor(torch.nan)
            u = torch.zeros_like(f, requires_grad=True)
            # Linear in u, so that its derivative by u along a weight change is J's. Products, as in ``Curvature``.
            back = torch.autograd.grad((f * u).sum(), v, create_graph=True)[0]

        def product(a: Tensor) -> Tensor:
            with torch.enable_grad():
                moved = torch.autograd.grad((f * a[0]).sum(), v, retain_graph=True)[0]
                moved = layout.scattered(layout.gathered(moved[None]))[0]
                return torch.autograd.grad((back * moved).sum(), u, retain_graph=True)[0][None]

        return extremes(product, start, 1)[0]

    return torch.stack([of(own) for own in w])


def largest_eigenvalue(theta: Tensor) -> Tensor:
    """λ_max of each member, (M, n, n) → (M,); NaN of one that is not finite."""
    found = theta.new_full((len(theta),), torch.nan)
    finite = theta.isfinite().all(dim=(1, 2))
    if bool(finite.any()):
        found[finite] = top_eigenvalues(theta[finite], 1)[:, 0]
    return found
