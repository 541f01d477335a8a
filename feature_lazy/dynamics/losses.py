"""Losses per pattern ℓ(F, y), each written once; derivatives come from autograd, or from a closed form beside it.

Labels say which kind of outputs they are for: y = ±1, floating point, for one output with the margin m = F·y; class
ranks 0 … C − 1, integers, for C outputs with the margin m = F_y − max_{c≠y} F_c. The C outputs of a pattern lie side by
side. ``stop_margin`` is the margin beyond which a pattern counts as fit: 1 in the article; a loss that only approaches
m = 1 stops a tolerance below it. Real labels have ``SquaredError`` and a margin of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from feature_lazy.core.errors import ConfigError
from feature_lazy.core.margins import own_class
from feature_lazy.networks.activations import softplus
from feature_lazy.settings.groups import Loss
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.settings.groups import Labels


def push(loss: Loss, outputs: Tensor, labels: Tensor, n_train: int) -> Tensor:
    """−∂ℓ/∂F/P, how the loss pushes each output: F (M, k·C) and y (k,) or (M, k) of k of the P patterns → (M, k·C)."""
    return loss.slope(outputs, labels) / -n_train


def check_slope(loss: Loss, outputs: Tensor, labels: Tensor) -> None:
    """Refuse a closed form of ∂ℓ/∂F that is not the derivative of ℓ, on outputs of this shape and these labels.

    Raises:
        ConfigError: they differ by more than rounding.
    """
    import torch

    if type(loss).slope is Loss.slope:
        return
    at = 3 * (2.4 * torch.arange(outputs.shape[1]).to(outputs)).sin()[None]  # all over [-3, 3], for labels in any order
    own, true = loss.slope(at, labels), Loss.slope(loss, at, labels)
    worst = (own - true).abs().argmax()
    own, true = float(own.flatten()[worst]), float(true.flatten()[worst])
    if not abs(own - true) <= torch.finfo(at.dtype).eps ** 0.5 * (1 + abs(true)):
        raise ConfigError(
            f"loss={loss.kind}: its slope is {own:.6g} where the derivative of its ℓ is {true:.6g}, at "
            f"F = {float(at.flatten()[worst]):.6g}. Mend it, or leave it out: autograd then takes its place."
        )


@dataclass(frozen=True)
class LossForce:
    """See ``Force``: that of a loss on k of the patterns.

    Attributes:
        loss: ℓ.
        labels: y, (k,) or (M, k).
        n_train: P.
    """

    loss: Loss
    labels: Tensor
    n_train: int

    def push(self, outputs: Tensor) -> Tensor:
        return push(self.loss, outputs, self.labels, self.n_train)

    def curvatures(self, outputs: Tensor) -> Tensor:
        return self.loss.curvatures(outputs, self.labels) / self.n_train


@option("loss", "soft_hinge")
class SoftHinge(Loss):
    """ℓ = sp_β(1 − m) = ln(1 + e^{β(1 − m)})/β: the article's loss, β = 20."""

    beta: float = key(20.0, "β of the soft hinge", gt=0)

    @property
    def curvature(self) -> float:
        """β/4, at m = 1."""
        return self.beta / 4

    def __call__(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return softplus(1 - outputs * labels, self.beta)

    def slope(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """See ``Loss.slope``: −y·σ(β(1 − m))."""
        return -labels * (self.beta * (1 - outputs * labels)).sigmoid()

    def curvatures(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """See ``Loss.curvatures``: β·σ(1 − σ) at the same."""
        at = (self.beta * (1 - outputs * labels)).sigmoid()
        return self.beta * at * (1 - at)


@option("loss", "hinge")
class Hinge(Loss):
    """ℓ = max(0, 1 − m). Its gradient jumps: for minibatch dynamics; a flow is expected to end in ``dt_floor``."""

    smooth = False
    curvature = math.inf

    def __call__(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return (1 - outputs * labels).relu()


@option("loss", "quadratic_hinge")
class QuadraticHinge(Loss):
    """ℓ = ½ max(0, 1 − m)²; m = 1 is only approached, so training stops at m > 1 − margin_tol."""

    margin_tol: float = key(0.01, "training stops at m > 1 − margin_tol", gt=0)

    curvature = 1.0

    @property
    def stop_margin(self) -> float:
        """1 − margin_tol."""
        return 1 - self.margin_tol

    def __call__(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return 0.5 * (1 - outputs * labels).relu() ** 2


@option("loss", "mse")
class Mse(Loss):
    """ℓ = ½ (c − m)² with target c; the authors use c = 1.1, so that m > 1 is reached.

    For classes ℓ = ½ Σ_k (c·Y_k − F_k)², Y the one-hot vector of the class: at the target the margin is c too. The sum
    over classes has no 1/C, so that each output obeys the law of a single one, dF/dt = −(1/P) Θ (F − c·Y). Targets less
    their mean over classes, c·(Y_k − 1/C) (Lee et al. 2020, *Finite versus infinite neural networks*), would shift all
    outputs of a pattern alike where they do not share weights, which no margin sees.
    """

    target: float = key(1.0, "c; the authors use 1.1, so that m > 1 is reached", gt=0)
    margin_tol: float = key(0.01, "training stops at m > min(1, c − margin_tol)", gt=0)

    takes = ("one", "classes", "real")
    curvature = 1.0
    likelihood = True

    @property
    def stop_margin(self) -> float:
        """1 if the target lies beyond 1 by margin_tol, else target − margin_tol: a margin that is reached."""
        return min(1.0, self.target - self.margin_tol)

    def for_labels(self, labels: Labels) -> Loss:
        return SquaredError(self.margin_tol) if labels.real else self

    def misfits(self, what: str, labels: str) -> Iterator[str]:
        yield from super().misfits(what, labels)
        if what == "real" and self.target != 1:
            yield f"loss.target={self.target}: {labels} are the targets themselves; it must be 1."

    def __call__(self, outputs: Tensor, labels: Tensor) -> Tensor:
        if labels.is_floating_point():
            return 0.5 * (self.target - outputs * labels) ** 2
        own, each = own_class(outputs, labels)
        return 0.5 * ((self.target * own.to(each) - each) ** 2).sum(-1)


@option("loss", "cross_entropy")
class CrossEntropy(Loss):
    """ℓ = −ln(e^{F_y}/Σ_k e^{F_k}), for classes: it pushes beyond every margin, so that each one is reached."""

    stop_margin: float = key(1.0, "training stops at m above it, where ℓ is about e^(−m)", gt=0, later=True)  # type: ignore[assignment]

    takes = ("classes",)
    curvature = 0.5
    """∂²ℓ/∂F² = diag(p) − ppᵀ; its largest eigenvalue is ½, where two classes share p (Böhning 1992)."""
    likelihood = True

    @classmethod
    def smallest(cls) -> list[str]:
        return ["labels=classes"]

    def __call__(self, outputs: Tensor, labels: Tensor) -> Tensor:
        own, each = own_class(outputs, labels)
        return -each.log_softmax(-1).masked_fill(~own, 0).sum(-1)

    def curvatures(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """See ``Loss.curvatures``: 2p(1 − p), by sums over rows (Gershgorin)."""
        p = outputs.unflatten(-1, (labels.shape[-1], -1)).softmax(-1)
        return (2 * p * (1 - p)).flatten(-2)


@dataclass
class SquaredError(Loss):
    """ℓ = ½ (y − F)² for real labels y: what ``Mse`` with c = 1 is for y = ±1.

    Its margin is 1 − |y − F|, which is F·y for y = ±1 and F·y ≤ 1; training stops when every pattern is fit to
    margin_tol.
    """

    margin_tol: float = 0.01

    takes = ("real",)
    curvature = 1.0
    likelihood = True

    @property
    def stop_margin(self) -> float:
        """1 − margin_tol."""
        return 1 - self.margin_tol

    def margin(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return 1 - (labels - outputs).abs()

    def __call__(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return 0.5 * (labels - outputs) ** 2
