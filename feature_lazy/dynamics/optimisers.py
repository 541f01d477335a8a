"""Optimisers: options of the group ``dynamics`` that update weights from minibatch gradients."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from feature_lazy.dynamics.regularisers import pulls_to_zero
from feature_lazy.settings.groups import Dynamics
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.dynamics.choices import Training
    from feature_lazy.dynamics.flow import NetworkFlow
    from feature_lazy.settings.config import Config


@dataclass
class Optimiser(Dynamics):
    """Updates of the weights from minibatch gradients.

    You write these: ``update``, with ``slots`` for what it remembers, and ``unit`` where a time belongs to it.
    """

    lr: float = key(1e-2, "learning rate", gt=0)
    units: str = key("authors", "of sgd's lr and adam's ε: authors, or article", choices=("authors", "article"))
    batch: int = key(32, "patterns in a minibatch", ge=1)
    batch_seed: int = key(0, "decides the order of the patterns, for all members, α and widths", ge=0)
    updates: int = key(100_000, "where training ends at the latest", ge=1)
    check_every: int = key(0, "updates between two looks at the whole training set; 0: an epoch", ge=0)

    weight_decay: float = key(
        0.0,
        "decoupled: an update takes lr × weight_decay of each trained weight off, beside its step; for centred=false",
        ge=0,
        later=True,
    )

    slots = 0
    """Vectors of the size of the weights that it keeps, behind the weights in the state."""

    def unit(self, scale: Tensor) -> Tensor:
        """Time that an update takes, (M,) float64: t counts updates if an optimiser says nothing else.

        Args:
            scale: α/√h of each member where ``units`` are the authors', else 1, (M,) float64.
        """
        import torch

        return torch.ones_like(scale)

    def rate(self, scale: Tensor) -> Tensor:
        """Learning rate of an update in the article's units, (M,) float64: what ``weight_decay`` is multiplied by.

        Args:
            scale: as in ``unit``.
        """
        import torch

        return torch.full_like(scale, self.lr)

    def problems(self, config: Config) -> Iterator[str]:
        if self.weight_decay and config.centred is True:
            yield pulls_to_zero(f"dynamics.weight_decay={self.weight_decay:g}")

    @abstractmethod
    def update(self, y: Tensor, gradient: Tensor, k: Tensor, scale: Tensor, flow: NetworkFlow) -> Tensor:
        """The state after an update.

        Args:
            y: the state, (M, (1 + slots)·N): weights, then what is remembered, which begins as 0.
            gradient: ∇𝓛 on the minibatch, (M, N).
            k: number of the update, 1, 2, …, (M,).
            scale: α/√h of each of these members where ``units`` are the authors', else 1, (M,) float64.
            flow: the network's flow on the minibatch, for whatever needs more than the gradient.
        """

    def prepare(self, flow: NetworkFlow, w0: Tensor) -> Training:
        from feature_lazy.dynamics.minibatch import prepare

        return prepare(self, flow, w0)


@option("dynamics", "sgd")
class Sgd(Optimiser):
    """Stochastic gradient descent, w ← w − lr·∇𝓛; t = lr × updates; lr in the authors' units is lr·√h/α."""

    def unit(self, scale: Tensor) -> Tensor:
        return self.lr * scale

    def rate(self, scale: Tensor) -> Tensor:
        return self.unit(scale)

    def update(self, y: Tensor, gradient: Tensor, k: Tensor, scale: Tensor, flow: NetworkFlow) -> Tensor:
        return y.addcmul(gradient, self.unit(scale)[:, None].to(y), value=-1)


@option("dynamics", "adam")
class Adam(Optimiser):
    """Adam (Kingma and Ba 2015, algorithm 1); t = updates; lr has no units, ε in the authors' units is ε·α/√h."""

    lr: float = key(1e-3, "learning rate: the size of a change of one weight", gt=0)
    eps: float = key(1e-8, "ε", gt=0)

    slots = 2
    betas = (0.9, 0.999)
    """Decay of the means of the gradient and of its square."""

    def update(self, y: Tensor, gradient: Tensor, k: Tensor, scale: Tensor, flow: NetworkFlow) -> Tensor:
        import torch

        w, m, v = y.chunk(3, dim=1)
        b1, b2 = self.betas
        m, v = torch.lerp(m, gradient, 1 - b1), torch.lerp(v, gradient.square(), 1 - b2)
        # Bias corrections in float64; at single precision 1 − β₂ᵏ would lose half of its digits.
        one, two = ((1 - b ** k.double()).to(y)[:, None] for b in (b1, b2))
        eps = (self.eps / scale)[:, None].to(y)
        step = self.lr * (m / one) / ((v / two).sqrt() + eps)
        return torch.cat([w - step, m, v], dim=1)
