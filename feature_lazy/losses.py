"""Losses per pattern ℓ(F, y), each written once; every derivative comes from autograd.

With the margin m = F·y, y = ±1. ``stop_margin`` is the margin beyond which a pattern counts as fit: 1 in the
article; a loss that only approaches m = 1 stops a tolerance below it (spec §1 and §3). Real labels have
``SquaredError`` and a margin of its own.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from feature_lazy.activations import softplus


class Loss(Protocol):
    """A loss per pattern and the margin at which training on it stops."""

    @property
    def curvature(self) -> float:
        """Largest ∂²ℓ/∂F², infinite at a kink."""
        ...

    @property
    def stop_margin(self) -> float:
        """Training stops when every training pattern has F·y above this margin."""
        ...

    def margin(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """What is held against ``stop_margin``, for outputs F (…, P) and labels y (P,), elementwise."""
        ...

    def __call__(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """ℓ for outputs F (…, P) and labels y (P,), elementwise, shape (…, P)."""
        ...


def push(loss: Loss, outputs: Tensor, labels: Tensor, n_train: int) -> Tensor:
    """−∂ℓ/∂F/P, how the loss pushes each output: F (E, k) and y (k,) or (E, k), some of the P patterns → (E, k)."""
    leaf = outputs.detach().requires_grad_()
    with torch.enable_grad():
        values = loss(leaf, labels)
    return torch.autograd.grad(values, leaf, torch.full_like(values, -1 / n_train))[0]


class Signed:
    """Labels are ±1."""

    def margin(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """See ``Loss.margin``: m = F·y."""
        return outputs * labels


@dataclass(frozen=True)
class SoftHinge(Signed):
    """ℓ = sp_β(1 − m) = ln(1 + e^{β(1 − m)})/β: the article's loss, β = 20."""

    beta: float = 20.0
    stop_margin: float = 1.0

    @property
    def curvature(self) -> float:
        """β/4, at m = 1."""
        return self.beta / 4

    def __call__(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """See ``Loss.__call__``."""
        return softplus(1 - outputs * labels, self.beta)


@dataclass(frozen=True)
class Hinge(Signed):
    """ℓ = max(0, 1 − m). Its gradient jumps: for minibatch dynamics; a flow is expected to end in ``dt_floor``."""

    stop_margin: float = 1.0
    curvature: float = math.inf

    def __call__(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """See ``Loss.__call__``."""
        return torch.relu(1 - outputs * labels)


@dataclass(frozen=True)
class QuadraticHinge(Signed):
    """ℓ = ½ max(0, 1 − m)²; m = 1 is only approached, so training stops at m > 1 − margin_tol."""

    margin_tol: float = 0.01
    curvature: float = 1.0

    @property
    def stop_margin(self) -> float:
        """1 − margin_tol."""
        return 1 - self.margin_tol

    def __call__(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """See ``Loss.__call__``."""
        return 0.5 * torch.relu(1 - outputs * labels) ** 2


@dataclass(frozen=True)
class Mse(Signed):
    """ℓ = ½ (c − m)² with target c; the authors use c = 1.1, so that m > 1 is reached."""

    target: float = 1.0
    margin_tol: float = 0.01
    curvature: float = 1.0

    @property
    def stop_margin(self) -> float:
        """1 if the target lies beyond 1 by margin_tol, else target − margin_tol: a margin that is reached."""
        return min(1.0, self.target - self.margin_tol)

    def __call__(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """See ``Loss.__call__``."""
        return 0.5 * (self.target - outputs * labels) ** 2


@dataclass(frozen=True)
class SquaredError:
    """ℓ = ½ (y − F)² for real labels y: what ``Mse`` with c = 1 is for y = ±1.

    Its margin is 1 − |y − F|, which is F·y for y = ±1 and F·y ≤ 1; training stops when every pattern is fit to
    margin_tol.
    """

    margin_tol: float = 0.01
    curvature: float = 1.0

    @property
    def stop_margin(self) -> float:
        """1 − margin_tol."""
        return 1 - self.margin_tol

    def margin(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """See ``Loss.margin``."""
        return 1 - (labels - outputs).abs()

    def __call__(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """See ``Loss.__call__``."""
        return 0.5 * (labels - outputs) ** 2
