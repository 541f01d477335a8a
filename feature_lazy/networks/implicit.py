"""Fixed points z = φ(z)Aᵀ + u of a network whose layers share one weight, and their derivatives without unrolling.

With s = φ′(z) and v = ∂f/∂z at the fixed point, the signal b = ∂f/∂u, in which every layer has its part, is the fixed
point of b = v + s ⊙ bA, and the gradient by A is Σ b φ(z)ᵀ (Bai, Kolter and Koltun 2019, arXiv:1909.01377, Theorem 1).
It is linear and again differentiable, so that second derivatives and products with the Jacobian are exact as well.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

Step = Callable[[Tensor], Tensor]
ROUNDINGS = 10
"""A tolerance is at least this many roundings of the dtype."""
HISTORY, RIDGE = 5, 1e-12
"""Steps that Anderson's method combines, and its ridge over the mean square of what it combines."""


@dataclass(frozen=True)
class Solver:
    """How a fixed point z = step(z) is found, for each pattern of each member by itself.

    Attributes:
        kind: ``iterate``, or ``anderson``: the combination of the last steps whose residual is least (Walker and Ni
            2011).
        tol: change ‖step(z) − z‖ over ‖step(z)‖ at which a pattern has its z.
        max_iter: steps; a pattern that is not there by then has NaN.
    """

    kind: str = "iterate"
    tol: float = 1e-12
    max_iter: int = 500

    def __call__(self, step: Step, start: Tensor) -> Tensor:
        """The fixed point from a start (…, n); a row stays once it is there, so that no row depends on others."""
        z, there = start, torch.zeros_like(start[..., 0], dtype=torch.bool)
        tol = max(self.tol, ROUNDINGS * torch.finfo(start.dtype).eps)
        combine = _Anderson() if self.kind == "anderson" else lambda z, after: after
        for _ in range(self.max_iter):
            after = step(z)
            done = (after - z).norm(dim=-1) <= tol * after.norm(dim=-1)
            z = torch.where(there[..., None], z, torch.where(done[..., None], after, combine(z, after)))
            there = there | done
            if bool(there.all()):
                return z
        return z.masked_fill(~there[..., None], torch.nan)


class _Anderson:
    """The next z from the last few and what a step made of them."""

    def __init__(self) -> None:
        self._z: list[Tensor] = []
        self._after: list[Tensor] = []

    def __call__(self, z: Tensor, after: Tensor) -> Tensor:
        """Σ aᵢ·step(zᵢ), Σ aᵢ = 1, with the least ‖Σ aᵢ(step(zᵢ) − zᵢ)‖."""
        self._z, self._after = [*self._z, z][-HISTORY:], [*self._after, after][-HISTORY:]
        values = torch.stack(self._after, dim=-2)
        residuals = values - torch.stack(self._z, dim=-2)
        products = residuals @ residuals.mT
        # Over their size: what is combined falls by many orders along the way.
        size = products.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None]
        ridge = RIDGE * torch.eye(products.shape[-1], dtype=z.dtype, device=z.device)
        system = torch.where(size > 0, products / size, 0.0).nan_to_num() + ridge
        a = torch.linalg.solve(system, system.new_ones(*system.shape[:-1], 1))
        return ((a / a.sum(-2, keepdim=True)) * values).sum(-2)


def equilibrium(injected: Tensor, weight: Tensor, phi: Step, solver: Solver) -> Tensor:
    """z = φ(z)Aᵀ + u for u (M, P, h) and A (M, h, h), from z = u, with its derivatives by both: (M, P, h).

    Rows of patterns without a fixed point, or whose signal has none, are NaN.
    """
    return _Equilibrium.apply(injected, weight, phi, solver)  # type: ignore[no-any-return]


class _Equilibrium(Function):
    """See ``equilibrium``."""

    @staticmethod
    def forward(injected: Tensor, weight: Tensor, phi: Step, solver: Solver) -> Tensor:
        return solver(lambda z: phi(z) @ weight.mT + injected, injected)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _, weight, ctx.phi, ctx.solver = inputs
        ctx.save_for_backward(weight, output)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        weight, z = ctx.saved_tensors
        slope = torch.func.grad(lambda at: ctx.phi(at).sum())(z)
        b = _Signal.apply(grads[0], slope, weight, ctx.solver)
        return b, b.mT @ ctx.phi(z), None, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Tensor, int]:
        tensors = _in_front(info, in_dims[:2], args[:2])
        return _Equilibrium.apply(*tensors, *args[2:]), 0


class _Signal(Function):
    """b = v + s ⊙ bA for v and s (M, P, h): (M, P, h)."""

    @staticmethod
    def forward(direct: Tensor, slope: Tensor, weight: Tensor, solver: Solver) -> Tensor:
        return solver(lambda b: direct + slope * (b @ weight), direct)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _, slope, weight, ctx.solver = inputs
        ctx.save_for_backward(slope, weight, output)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """With c = ∂f/∂v = g + (s ⊙ c)Aᵀ, of which e = s ⊙ c is a fixed point of the same kind."""
        slope, weight, b = ctx.saved_tensors
        e = _Signal.apply(slope * grads[0], slope, weight.mT, ctx.solver)
        c = grads[0] + e @ weight.mT
        return c, c * (b @ weight), b.mT @ e, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Tensor, int]:
        tensors = _in_front(info, in_dims[:3], args[:3])
        return _Signal.apply(*tensors, *args[3:]), 0


def _in_front(info: Any, in_dims: tuple[int | None, ...], tensors: tuple[Tensor, ...]) -> list[Tensor]:
    """The same with the axis of a ``vmap`` first."""
    return [
        one.expand(info.batch_size, *one.shape) if axis is None else one.movedim(axis, 0)
        for one, axis in zip(tensors, in_dims, strict=True)
    ]
