"""Whether a user's own function is one of each of its numbers, or of each pattern: said before training."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from feature_lazy.core.drawn import disturbed
from feature_lazy.core.errors import ConfigError
from feature_lazy.core.explained import explained

STEP = 1e-5
"""Of the central differences that derivatives are held against: their error is about STEP² and ε/STEP, below 1e-9."""
CLOSE = 1e-6
"""Of the size of a derivative: far above the error of differences, far below what a forgotten factor makes."""
POINTS = (-2.37, -1.61, -0.83, -0.29, 0.17, 0.71, 1.13, 1.93, 2.71, 3.17)
"""Where a function is asked: of no symmetry, and at no number at which a kink is likely."""


def check_activation(key: str, phi: Callable[[Tensor], Tensor]) -> None:
    """Refuse what is no differentiable function of each number of a tensor by itself.

    Args:
        key: what asks for it, with its value.
        phi: φ₀.

    Raises:
        ConfigError: it fails, returns something else than a tensor of the shape of z, writes into z, depends on
            anything but each number, has no derivative, one that is 0 everywhere, or another one than its values say.
    """
    if isinstance(phi, nn.Module) and any(True for _ in phi.parameters()):
        raise ConfigError(f"{key}: it has weights of its own, which nothing would train; put it into your own network.")
    z = torch.tensor(POINTS, dtype=torch.float64).view(2, 5)
    check_pointwise(key, phi, z, z.shape, "z", "number")
    with explained(f"{key}: it does not run under torch.func.vmap", "No .item() and no branch that depends on values."):
        torch.func.vmap(phi)(z)


def check_pointwise(
    key: str, call: Callable[..., Any], points: Tensor, shape: tuple[int, ...], what: str, each: str, *more: Tensor
) -> None:
    """Refuse a function that is not one of each point by itself, or has no derivative.

    Args:
        key: what asks for it, with its value.
        call: of the points, and of ``more``.
        points: where it is asked, float64; the axes of ``shape`` tell the points apart.
        shape: what it must return.
        what: how messages call the points.
        each: how messages call one of them.
        more: further arguments, of the axes of ``shape``.

    Raises:
        ConfigError: see ``check_activation``.
    """
    given = points.clone()
    with explained(f"{key}: it fails on {what} of the shape {tuple(points.shape)}, {points.dtype}"):
        values = call(given, *more)
        with disturbed():
            again = call(points.clone(), *more)
    if not isinstance(values, Tensor) or values.shape != shape or values.dtype != points.dtype:
        found = f"{values.dtype} {tuple(values.shape)}" if isinstance(values, Tensor) else type(values).__name__
        raise ConfigError(f"{key}: it returns {found}; it must return a tensor {tuple(shape)} of {points.dtype}.")
    if not torch.equal(given, points):
        raise ConfigError(f"{key}: it writes into {what}; it must return a new tensor.")
    values = values.detach()
    if not bool(values.isfinite().all()):
        raise ConfigError(f"{key}: it gives infinities or NaN at moderate {what}.")
    if not torch.equal(values, again):
        raise ConfigError(f"{key}: it gives other values when it is asked again: no random numbers, and no memory.")
    axes, rest = len(shape), points.shape[len(shape) :]
    flat = [points.reshape(-1, *rest), *(one.reshape(-1) for one in more)]
    one_axis = (1,) * axes
    alone = torch.stack(
        [call(*(one[i].reshape(*one_axis, *one.shape[1:]) for one in flat)).sum() for i in range(len(flat[0]))]
    )
    if not torch.allclose(alone.detach(), values.flatten(), rtol=1e-9, atol=1e-12):
        raise ConfigError(f"{key}: it gives a {each} another value among others than alone; each must be by itself.")
    _check_derivative(key, call, points, what, *more)


def _check_derivative(key: str, call: Callable[..., Any], points: Tensor, what: str, *more: Tensor) -> None:
    leaf = points.clone().requires_grad_()
    with torch.enable_grad(), explained(f"{key}: it cannot be differentiated"):
        values = call(leaf, *more)
        found = torch.autograd.grad(values.sum(), leaf, allow_unused=True)[0] if values.requires_grad else None
    if found is None:
        raise ConfigError(
            f"{key}: it has no derivative by {what}: look for .detach(), .item(), torch.no_grad() and NumPy."
        )
    # Along one direction at a time, so that each point's own derivative is seen.
    for index in range(points.numel()):
        moved = torch.zeros_like(points).flatten()
        moved[index] = STEP
        moved = moved.view_as(points)
        difference = float(((call(points + moved, *more) - call(points - moved, *more)) / (2 * STEP)).sum())
        own = float(found.flatten()[index])
        if not abs(own - difference) <= CLOSE * (1 + abs(difference)):
            raise ConfigError(
                f"{key}: its derivative at {float(points.flatten()[index]):g} is {own:.6g}, and its values say "
                f"{difference:.6g}: it is not differentiable there, or stops the gradient on the way."
            )
    if not bool(found.abs().sum() > 0):
        raise ConfigError(f"{key}: its derivative is 0 wherever it is asked, so nothing would be trained.")
