"""Updates of weights, of their answer to a hyperparameter, and of that.

Of one hyperparameter a best response by gated rows, W + diag(Uη)V (MacKay et al. 2019, section 3.2), is any straight
line w + ηv: v, of the size of w, is that line. It is kept around η = ln λ as it is, so that w are the network's weights
at λ, and go along when λ does. Means over ε are those of ε = ±σ, which have its mean and variance: nothing is drawn.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from feature_lazy.core.errors import ConfigError
from feature_lazy.dynamics.choices import Training
from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.integrate import Method
from feature_lazy.dynamics.model import NetworkModel
from feature_lazy.dynamics.system import Flops
from feature_lazy.dynamics.updates import AcceptFinite, Updates, Work
from feature_lazy.settings.checks import check_option

if TYPE_CHECKING:
    from feature_lazy.systems.self_tuning.option import SelfTuning

NODES = (1.0, -1.0)
"""ε over σ."""


@dataclass(frozen=True)
class SelfTuningTraining:
    """A network that tunes λ: what the integrator sees as a system. The state is (w, v, ln λ, ln σ), 2N + 2 numbers.

    Attributes:
        loss: the network's gradient flow without R.
        pull: the same with R at the strength that was set.
        valid: that of the validation loss.
        strength: the strength that was set.
        option: learning rates, and how many updates of which.
        unit: time of an update of the weights, (M,) float64.
    """

    loss: NetworkFlow
    pull: NetworkFlow
    valid: NetworkFlow
    strength: float
    option: SelfTuning
    unit: Tensor

    @property
    def flops(self) -> Flops:
        """Those of the whole training set."""
        return Flops(evaluate=self.loss.flops.evaluate, outputs=self.loss.flops.outputs)

    @property
    def work(self) -> Work:
        """Gradients at both ε, on the training set and now and then on the validation set."""
        validation = self.valid.flops.evaluate / self.option.train_steps
        return Work(gradients=len(NODES), flops=len(NODES) * (self.loss.flops.evaluate + validation))

    def begin(self, w0: Tensor) -> Tensor:
        """The state at t = 0, (M, 2N + 2): v is 0."""
        numbers = w0.new_tensor([math.log(self.strength), math.log(self.option.scale)]).expand(len(w0), 2)
        return torch.cat([w0, torch.zeros_like(w0), numbers], dim=1)

    def weights(self, y: Tensor) -> Tensor:
        """Those of the network at λ, (M, N)."""
        return y[:, : (y.shape[1] - 2) // 2]

    def told(self, y: Tensor) -> dict[str, Tensor]:
        """See ``Telling.told``: λ and σ."""
        return {"hyper/strength": y[:, -2].exp(), "hyper/scale": y[:, -1].exp()}

    def outputs(self, y: Tensor, member: Tensor) -> Tensor:
        """See ``System.outputs``."""
        return self.loss.outputs(self.weights(y), member)

    def evaluate(self, y: Tensor, member: Tensor) -> tuple[Tensor, Tensor]:
        """No velocity, which updates do not have: 0, and F on the training set (M, P·C)."""
        return torch.zeros_like(y), self.outputs(y, member)

    def updates(self, y: Tensor, member: Tensor, first: Tensor, count: int) -> Tensor:
        """See ``UpdateSystem.updates``; after every ``train_steps`` of the weights one of λ and σ."""
        n = (y.shape[1] - 2) // 2
        for done in range(1, count + 1):
            w, v, eta, rho = y.split([n, n, 1, 1], dim=1)
            w, v = self._trained(w, v, eta, rho, member)
            due = ((first + done) % self.option.train_steps == 0)[:, None]
            moved, spread = self._tuned(w, v, eta, rho, member) if bool(due.any()) else (eta, rho)
            moved, spread = torch.where(due, moved, eta), torch.where(due, spread, rho)
            y = torch.cat([w + (moved - eta) * v, v, moved, spread], dim=1)
        return y

    def _trained(self, w: Tensor, v: Tensor, eta: Tensor, rho: Tensor, member: Tensor) -> tuple[Tensor, Tensor]:
        """w and v after an update: −lr times the mean of ∇𝓛(λe^ε, w + εv), and of ε/σ² times it."""
        assert self.pull.penalty is not None
        sigma, steps = rho.exp(), []
        for node in NODES:
            at = w + node * sigma * v
            strength = (eta + node * sigma).exp() / self.strength
            steps.append(self.loss.evaluate(at, member)[0] + strength * self.pull.penalty.pull(at, member))
        up, down = steps
        # ε/σ², not ε: v then has the curvature of w, whatever σ.
        return w + self.option.lr * (up + down) / 2, v + self.option.lr * (up - down) / (2 * sigma)

    def _tuned(self, w: Tensor, v: Tensor, eta: Tensor, rho: Tensor, member: Tensor) -> tuple[Tensor, Tensor]:
        """ln λ and ln σ after an update: −tune_lr times the slopes of the validation loss less τ ln σ."""
        sigma, option = rho.exp(), self.option
        square = self.valid.alpha[member, None] ** 2  # of the loss itself, not over α²
        up, down = (
            -square * (self.valid.evaluate(w + node * sigma * v, member)[0] * v).sum(1, keepdim=True) for node in NODES
        )
        spread = rho
        if option.entropy:
            spread = rho - option.tune_lr * (sigma * (up - down) / 2 - option.entropy)
            spread = spread.clamp(max=math.log(option.scale))
        # Beyond, an update of the weights at λe^σ would be unstable.
        most = -math.log(option.lr) - spread.exp()
        return torch.minimum(eta - option.tune_lr * (up + down) / 2, most), spread


def prepare(option: SelfTuning, flow: NetworkFlow, w0: Tensor) -> Training:
    """Make self-tuning ready for members with the initial weights w0 (M, N).

    Raises:
        ConfigError: a value that the option's keys do not allow, no regulariser, or no validation set.
    """
    check_option(option, "dynamics")
    if flow.penalty is None:
        raise ConfigError("dynamics=self_tuning: there is no regulariser whose strength it tunes.")
    if flow.valid is None:
        raise ConfigError("dynamics=self_tuning: there is no validation set to tune on; set dataset.n_valid.")
    loss = copy.copy(flow)
    loss.penalty = None
    unit = torch.full_like(flow.alpha, option.lr, dtype=torch.float64)
    system = SelfTuningTraining(loss, flow, flow.valid, float(flow.penalty.rates.max()), option, unit)
    model, method = NetworkModel(flow.architecture, flow.memory_limit), Method(Updates(), AcceptFinite())
    block = min(option.check_every, option.updates)
    return Training(system, method, system.begin(w0), block * unit, model, option.updates * unit)
