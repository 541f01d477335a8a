"""Optimisers: options of the group ``dynamics`` that update weights from minibatch gradients."""

from __future__ import annotations

import copy
import logging
import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from feature_lazy.dynamics.regularisers import pulls_to_zero
from feature_lazy.settings.groups import Dynamics
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option, preset

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.dynamics.choices import Training
    from feature_lazy.dynamics.flow import NetworkFlow
    from feature_lazy.settings.config import Config

log = logging.getLogger(__name__)

TIMED = ("lr_width", "decay", "t_end")
"""Keys of ``sgd`` that are of a time."""
FEWEST = 10
"""Updates of a run to ``t_end``, at least."""


@dataclass
class Optimiser(Dynamics):
    """Updates of the weights from minibatch gradients.

    You write these: ``update``, with ``slots`` for what it remembers, and ``unit`` where a time belongs to it.
    """

    lr: float = key(1e-2, "learning rate", gt=0)
    units: str = key("authors", "of sgd's lr and adam's ε: authors, or article", choices=("authors", "article"))
    batch: int = key(32, "patterns in a minibatch", ge=1)
    batch_seed: int = key(0, "decides the order of the patterns, for all members, α and widths", ge=0)
    replacement: bool = key(
        False, "draw each pattern from all of them, rather than one order of them after another", later=True
    )
    updates: int = key(100_000, "where training ends at the latest", ge=1)
    check_every: int = key(0, "updates between two looks at the whole training set; 0: an epoch", ge=0)

    weight_decay: float = key(
        0.0,
        "decoupled: an update takes lr × weight_decay of each trained weight off, beside its step; for centred=false",
        ge=0,
        later=True,
    )

    schedule: str = key(
        "constant",
        "lr over the updates: constant, or down to 0 at ``updates`` in a line or a cosine",
        choices=("constant", "linear", "cosine"),
        later=True,
    )
    warmup: int = key(0, "first updates, over which lr grows from 0 in a line", ge=0, later=True)

    slots = 0
    """Vectors of the size of the weights that it keeps, behind the weights in the state."""

    def factor(self, k: int) -> float:
        """Of ``lr`` at update k = 1, 2, …, by ``warmup`` and ``schedule``; t goes on as if it were 1."""
        grown = min(1.0, k / self.warmup) if self.warmup else 1.0
        gone = max(0, k - 1 - self.warmup) / max(1, self.updates - self.warmup)
        falling = {"constant": 1.0, "linear": 1 - gone, "cosine": (1 + math.cos(math.pi * gone)) / 2}
        return grown * falling[self.schedule]

    def at(self, k: int) -> Self:
        """The optimiser of update k: itself, with the learning rate of its schedule."""
        factor = self.factor(k)
        return self if factor == 1 else self.with_rate(self.lr * factor)

    def with_rate(self, lr: float) -> Self:
        """The same with another learning rate."""
        found = copy.copy(self)
        found.lr = lr
        return found

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
        if self.warmup >= self.updates:
            yield f"dynamics.warmup={self.warmup}: must be below dynamics.updates={self.updates}."

    @abstractmethod
    def update(self, y: Tensor, gradient: Tensor, k: Tensor, scale: Tensor, flow: NetworkFlow) -> Tensor:
        """The state after an update.

        Args:
            y: the state, (M, (1 + slots)·N): weights, then what is remembered, which begins as 0.
            gradient: ∇𝓛 on the minibatch, (M, N).
            k: number of the update, 1, 2, …, (M,).
            scale: α/√h of each of these members where ``units`` are the authors', else 1, (M,) float64.
            flow: the network's flow on the minibatch, of these members: ``flow.gradient(w)`` is ∇𝓛 at other weights.
        """

    def prepare(self, flow: NetworkFlow, w0: Tensor) -> Training:
        from feature_lazy.dynamics.minibatch import prepare

        return prepare(self, flow, w0)


@option("dynamics", "sgd")
class Sgd(Optimiser):
    """Stochastic gradient descent, w ← w − lr·∇𝓛; t = lr × updates; lr in the authors' units is lr·√h/α.

    With momentum v ← μv + ∇𝓛 and w ← w − lr·v, or, with Nesterov's, w ← w − lr·(∇𝓛 + μv): as PyTorch has them.
    """

    by_surrogate = True

    momentum: float = key(0.0, "μ of v ← μv + ∇𝓛, which the weights follow", ge=0, later=True)
    nesterov: bool = key(False, "whether the weights follow ∇𝓛 + μv", later=True)
    lr_width: float = key(1.0, "β of lr·h^(β − 1), the learning rate at width h; 1: lr", ge=0, later=True)
    decay: float = key(
        0.0,
        "δ: an update is u(1 + t)^(−δ) and takes u of t, with u = (lr·h^(β − 1))^(1/(1 − δ)); below 1",
        ge=0,
        later=True,
    )
    t_end: float = key(
        0.0,
        "where training ends at the latest, in t, to a whole number of updates; 0: at ``updates``",
        ge=0,
        later=True,
    )

    @property
    def slots(self) -> int:  # type: ignore[override]
        """v, where there is momentum."""
        return 1 if self.momentum else 0

    def problems(self, config: Config) -> Iterator[str]:
        yield from super().problems(config)
        if self.momentum >= 1:
            yield f"dynamics.momentum={self.momentum}: must be below 1, or the velocity grows without end."
        if self.nesterov and not self.momentum:
            yield "dynamics.nesterov=true: there is no momentum; set dynamics.momentum=0.9."
        timed = [name for name in TIMED if getattr(self, name) != getattr(Sgd, name)]
        if timed and self.units != "article":
            yield f"dynamics.{timed[0]}={getattr(self, timed[0])}: is of the article's t; set dynamics.units=article."
        if self.lr_width > 1:
            yield f"dynamics.lr_width={self.lr_width}: must be at most 1, or updates grow with h."
        if self.decay >= 1:
            yield f"dynamics.decay={self.decay}: must be below 1, or t stands still."
        elif self.t_end and (count := self.t_end / self.at_width(config.h).lr) < FEWEST:
            yield (
                f"dynamics.t_end={self.t_end}: is reached in {count:.3g} updates at h = {config.h}, fewer than "
                f"{FEWEST}, which follow no limit in t; use a smaller dynamics.lr."
            )

    def factor(self, k: int) -> float:
        # ``lr`` is u, of ``at_width``: t = (k − 1)u.
        return super().factor(k) * (1 + (k - 1) * self.lr) ** -self.decay

    def at_width(self, h: int) -> Self:
        """The optimiser at width h: ``lr`` is then the time u of an update, and ``t_end`` in ``updates``.

        γN^(β−1)·(n + 1/u)^(−δ), the step of update n + 1 in arXiv:2007.06352 with γ = lr and N = h, is u(1 + nu)^(−δ).
        """
        found = self.with_rate((self.lr * h ** (self.lr_width - 1)) ** (1 / (1 - self.decay)))
        if self.t_end:
            found.updates = min(self.updates, max(1, round(self.t_end / found.lr)))
        return found

    def prepare(self, flow: NetworkFlow, w0: Tensor) -> Training:
        from feature_lazy.dynamics.minibatch import prepare
        from feature_lazy.networks.layout import layer_of

        if self.lr_width != 1 and len({layer_of(name) for name in flow.architecture.layout.shapes}) > 2:
            log.warning("dynamics.lr_width=%g: its limits are proved for one hidden layer alone", self.lr_width)
        return prepare(self.at_width(flow.architecture.last_fan_in), flow, w0)

    def unit(self, scale: Tensor) -> Tensor:
        return self.lr * scale

    def rate(self, scale: Tensor) -> Tensor:
        return self.unit(scale)

    def update(self, y: Tensor, gradient: Tensor, k: Tensor, scale: Tensor, flow: NetworkFlow) -> Tensor:
        import torch

        step = self.unit(scale)[:, None].to(y)
        if not self.momentum:
            return y.addcmul(gradient, step, value=-1)
        w, v = y.chunk(2, dim=1)
        v = self.momentum * v + gradient
        return torch.cat([w.addcmul(gradient + self.momentum * v if self.nesterov else v, step, value=-1), v], dim=1)


@option("dynamics", "adam")
class Adam(Optimiser):
    """Adam (Kingma and Ba 2015, algorithm 1); t = updates; lr has no units, ε in the authors' units is ε·α/√h."""

    by_surrogate = True

    lr: float = key(1e-3, "learning rate: the size of a change of one weight", gt=0)
    eps: float = key(1e-8, "ε", gt=0)
    betas: list[float] = key([0.9, 0.999], "β₁ and β₂, decay of the means of ∇𝓛 and of its square", ge=0, later=True)

    slots = 2

    def problems(self, config: Config) -> Iterator[str]:
        yield from super().problems(config)
        yield from beta_problems(self.betas)

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


preset(
    "dynamics",
    "adamw",
    of="adam",
    doc="Adam with decoupled weight decay (Loshchilov and Hutter 2019), for centred=false.",
    weight_decay=1e-2,
)


@option("dynamics", "lion")
class Lion(Optimiser):
    """Lion (Chen et al. 2023): w ← w − lr·sign(β₁m + (1 − β₁)∇𝓛), m ← β₂m + (1 − β₂)∇𝓛; t = updates."""

    by_surrogate = True

    lr: float = key(1e-4, "learning rate: the size of a change of one weight", gt=0)
    betas: list[float] = key([0.9, 0.99], "β₁ and β₂", ge=0)

    slots = 1

    def problems(self, config: Config) -> Iterator[str]:
        yield from super().problems(config)
        yield from beta_problems(self.betas)

    def update(self, y: Tensor, gradient: Tensor, k: Tensor, scale: Tensor, flow: NetworkFlow) -> Tensor:
        import torch

        (w, m), (b1, b2) = y.chunk(2, dim=1), self.betas
        step = torch.lerp(gradient, m, b1).sign()
        return torch.cat([w - self.lr * step, torch.lerp(gradient, m, b2)], dim=1)


def beta_problems(betas: Sequence[float]) -> Iterator[str]:
    """What is wrong with two decays."""
    if len(betas) != 2 or max(betas) >= 1:
        yield f"dynamics.betas={list(betas)}: must be two numbers below 1, such as [0.9,0.999]."
