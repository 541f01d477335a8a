"""The gradient flow of a network."""

import copy
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from feature_lazy.core.memory import COPIES_PER_ACTIVATION, chunk_size, chunks
from feature_lazy.dynamics.losses import LossForce, check_slope
from feature_lazy.dynamics.regularisers import penalty
from feature_lazy.dynamics.state import State
from feature_lazy.dynamics.stationary import around_minimum, without_force
from feature_lazy.dynamics.system import Flops
from feature_lazy.kernels.factors import kernel_flops
from feature_lazy.kernels.first_order import FirstOrder, first_order
from feature_lazy.networks.base import Layered, LayerShape, Network
from feature_lazy.networks.outputs import places, span
from feature_lazy.settings.groups import Loss, Regulariser
from feature_lazy.settings.scales import CROSSOVER, rescaled

CACHE = 4 * 2**20
"""Bytes of activations of the members that are done at once on a CPU: measured, benchmarks/members.py."""
STATES_HELD = 20
"""Copies of the weights of each member while a step works with it, about: state, stages, what is kept, what is new."""
KERNELS_HELD = 2
"""Copies of Θ of each member while a step works with it: all members', and those of the members in the step."""


def outputs_in_chunks(architecture: Network, w: Tensor, x: Tensor, memory_limit: float) -> Tensor:
    """f(w, x) for flat weights w (M, N) and patterns x (P, d) or (M, P, d), chunk by chunk: shape (M, P·C)."""
    together = member_chunk(architecture, w, x.shape[-2])
    if together < len(w):
        parts = [
            outputs_in_chunks(architecture, w[part], x if x.dim() == 2 else x[part], memory_limit)
            for part in chunks(len(w), together)
        ]
        return torch.cat(parts)
    params, n = architecture.layout.unflatten(w), x.shape[-2]
    size = chunk_size(n, _bytes_per_pattern(architecture, w), memory_limit)
    return torch.cat([architecture.apply(params, x[..., chunk, :]) for chunk in chunks(n, size)], dim=1)


def member_chunk(architecture: Network, w: Tensor, n: int) -> int:
    """How many of the members w (M, N) to do at once on n patterns.

    Small networks gain from being done together; large ones only drive each other out of a processor's cache.
    """
    if w.device.type != "cpu":
        return len(w)
    return chunk_size(len(w), n * architecture.activations_per_pattern * w.element_size(), CACHE)


def members_that_pay(architecture: Network, x: Tensor, memory_limit: float) -> int:
    """How many members to follow at once on patterns x (P, d): as many as memory holds, where that pays.

    Where a processor does one member at a time anyway, see ``member_chunk``, a batch saves nothing. Elsewhere the whole
    of a step's own work, which does not grow with the members, is shared by all of them.
    """
    size, net = x.element_size(), architecture
    if x.device.type == "cpu" and 2 * len(x) * net.activations_per_pattern * size > CACHE:
        return 1
    held = KERNELS_HELD * (len(x) * net.n_outputs) ** 2 + STATES_HELD * net.layout.size
    return chunk_size(sys.maxsize, held * size, memory_limit)


def _flops(net: Network, n: int) -> Flops:
    """Cost of a network on n patterns; without known layers every product costs a gradient, and Θ the Jacobian."""
    gradients = n * (2 * net.forward_flops + net.signal_flops)
    passes = Flops(gradients, n * net.forward_flops)
    if not isinstance(net, Layered):
        return replace(passes, kernel=gradients + 1.0 * (net.n_outputs * n) ** 2 * net.layout.size, pull_back=gradients)
    return replace(
        passes,
        linearise=n * (net.forward_flops + net.n_outputs * net.signal_flops),
        kernel=kernel_flops(_trained(net), n, net.n_outputs),
        pull_back=n * net.forward_flops,
    )


def _trained(net: Layered) -> list[LayerShape]:
    """The layers that make the kernel."""
    return [layer for name, layer in zip(net.layout.shapes, net.layers, strict=True) if name not in net.layout.fixed]


def _bytes_per_pattern(architecture: Network, w: Tensor) -> int:
    return COPIES_PER_ACTIVATION * len(w) * architecture.activations_per_pattern * w.element_size()


@dataclass(frozen=True)
class NetworkTangent:
    """A network's linearisation on the training set, with its output scale."""

    linear: FirstOrder
    outputs: Tensor
    alpha: Tensor
    memory_limit: float

    def kernel(self) -> Tensor:
        return self.linear.kernel(self.memory_limit)

    def pull_back(self, a: Tensor) -> Tensor:
        return self.linear.pull_back(a / self.alpha[:, None])

    def push_forward(self, v: Tensor) -> Tensor:
        return self.alpha[:, None] * self.linear.push_forward(v)

    def select(self, rows: Tensor) -> "NetworkTangent":
        return NetworkTangent(self.linear.select(rows), self.outputs[rows], self.alpha[rows], self.memory_limit)


class NetworkFlow:
    """Gradient flow ẇ = −∇𝓛, 𝓛 = 1/(α²P) Σ ℓ(F, y) + R(w), F = α(f(w, x) − f(w₀, x)) (eqs. 6–7, where R = 0).

    A network with C outputs has P·C of them on the training set, flat: only the loss and what picks patterns know C.

    Attributes:
        initial: f(w₀, x) on the whole training set, (M, P·C).
        f0: what is taken off f: the same, or 0 where F is not centred; less what was before, over α.
        before: F of a training before, by patterns, if F goes on from one.
        offset: the same on the training set, (M, P·C).
        valid: the flow of the validation loss, for a dynamics that validates.
        penalty: R, if there is one.
    """

    def __init__(
        self,
        architecture: Network,
        x: Tensor,
        labels: Tensor,
        loss: Loss,
        *,
        alpha: Tensor,
        w0: Tensor,
        memory_limit: float = float("inf"),
        centred: bool = True,
        regulariser: Regulariser | None = None,
    ) -> None:
        """Fix what the flow depends on.

        Args:
            architecture: the network f.
            x: training patterns (P, d).
            labels: y = ±1, or classes for a network with several outputs, (P,).
            loss: ℓ.
            alpha: α of each member, (M,).
            w0: initial weights of each member, (M, N).
            memory_limit: bytes for one chunk of patterns.
            centred: false for F = αf: what is taken off f is then 0.
            regulariser: R; none if omitted.

        Raises:
            ConfigError: a regulariser that does not fit, or a loss whose ``slope`` is not its derivative.
        """
        self.architecture = architecture
        self.x = x
        self.labels = labels
        self.loss = loss
        self.alpha = alpha
        self.memory_limit = memory_limit
        self.n_train, self.n_outputs = len(x), architecture.n_outputs
        self.centred = centred
        self.initial = outputs_in_chunks(architecture, w0, x, memory_limit)
        check_slope(loss, self.initial, labels)
        self.f0 = self.initial if centred else torch.zeros_like(self.initial)
        self.before: Callable[[Tensor], Tensor] | None = None
        self.offset: Tensor | None = None
        self.valid: NetworkFlow | None = None
        self._known: dict[int, Flops] = {}
        self.flops = self._flops(len(x))
        self.penalty = None if regulariser is None else penalty(regulariser, architecture.layout, w0, centred=centred)

    def after(self, before: Callable[[Tensor], Tensor]) -> "NetworkFlow":
        """The flow of F = α(f − f₀) + F of a training before, which is given by patterns (n, d) → (M, n·C)."""
        whole = copy.copy(self)
        whole.before, whole.offset = before, before(self.x)
        whole.f0 = self.f0 - whole.offset / self.alpha[:, None]
        return whole

    def _flops(self, n: int) -> Flops:
        """Those of a flow on n patterns: asked for with every minibatch, and shared by the parts of a flow."""
        if n not in self._known:
            self._known[n] = _flops(self.architecture, n)
        return self._known[n]

    def weights(self, y: Tensor) -> Tensor:
        """See ``WeightSystem.weights``: the state itself."""
        return y

    def stationary(self, state: State) -> Tensor:
        """See ``Settling.stationary``."""
        return without_force(self.evaluate, state) | around_minimum(self.evaluate, state, self.over)

    def over(self, outputs: Tensor, member: Tensor) -> Tensor:
        """Which members (M,) have fit every pattern at F (M, P·C); all under a penalty, which has an end of its own."""
        if self.penalty is not None:
            return torch.ones_like(member, dtype=torch.bool)
        return self.loss.margin(outputs, self._labels(member)).amin(1) >= self.loss.stop_margin

    def on_batch(self, patterns: Tensor) -> "NetworkFlow":
        """The flow of the mean loss of some patterns (B,), the same for all members: −∇𝓛 of a minibatch."""
        part = copy.copy(self)
        part.x, part.labels = self.x[patterns], self.labels[patterns]
        part.f0 = self.f0[:, places(patterns, self.n_outputs)]
        part.n_train, part.flops = len(patterns), self._flops(len(patterns))
        return part

    def of(self, member: Tensor) -> "NetworkFlow":
        """The flow of some members (M,) on the same patterns; its row e is member ``member[e]``."""
        part = copy.copy(self)
        part.f0, part.alpha = self.f0[member], self.alpha[member]
        part.penalty = None if self.penalty is None else self.penalty.restricted(member)
        return part

    def gradient(self, w: Tensor) -> Tensor:
        """∇𝓛 of all members of the flow at any weights (M, N)."""
        return -self.evaluate(w, torch.arange(len(w), device=w.device))[0]

    def restricted(self, member: Tensor, patterns: Tensor) -> "NetworkFlow":
        """See ``TangentSystem.restricted``; row e of the new flow is member ``member[e]``."""
        part = copy.copy(self)
        part.x, part.labels = self.x[patterns], self.labels[patterns]
        part.f0, part.alpha = self.f0[member].gather(1, places(patterns, self.n_outputs)), self.alpha[member]
        part.penalty = None if self.penalty is None else self.penalty.restricted(member)
        part.flops = self._flops(patterns.shape[1])
        return part

    def evaluate(self, y: Tensor, member: Tensor) -> tuple[Tensor, Tensor]:
        """−∇𝓛 (M, N) and F on the training set (M, P·C) at weights y (M, N)."""
        together = member_chunk(self.architecture, y, self.x.shape[-2])
        if together < len(y):
            parts = [self._evaluate(y[part], member[part]) for part in chunks(len(y), together)]
            velocity, outputs = (torch.cat(values) for values in zip(*parts, strict=True))
        else:
            velocity, outputs = self._evaluate(y, member)
        return velocity if self.penalty is None else velocity + self.penalty.pull(y, member), outputs

    def _evaluate(self, y: Tensor, member: Tensor) -> tuple[Tensor, Tensor]:
        """The same without R, for members that are done at once."""
        w = y.detach().requires_grad_()
        velocity = torch.zeros_like(y)
        alpha, f0, x, labels = self.alpha[member, None], self.f0[member], self._x(member), self._labels(member)
        scale = -1 / (self.alpha[member] ** 2 * self.n_train)
        n = x.shape[-2]
        size = chunk_size(n, _bytes_per_pattern(self.architecture, w), self.memory_limit)
        parts = []
        for chunk in chunks(n, size):
            with torch.enable_grad():
                f = self.architecture.apply(self.architecture.layout.unflatten(w), x[..., chunk, :])
                predictor = alpha * (f - f0[:, span(chunk, self.n_outputs)])
                objective = self.loss(predictor, labels[..., chunk]).sum(1) @ scale
            velocity += torch.autograd.grad(objective, w)[0]
            parts.append(predictor.detach())
        return velocity, torch.cat(parts, dim=1)

    def outputs(self, y: Tensor, member: Tensor) -> Tensor:
        """F on the training set (M, P·C)."""
        f = outputs_in_chunks(self.architecture, y, self._x(member), self.memory_limit)
        return self._predictor(f, member)

    def linearise(self, y: Tensor, member: Tensor) -> "NetworkTangent":
        params = self.architecture.layout.unflatten(y)
        linear = first_order(self.architecture, params, self._x(member), self.memory_limit)
        predictor = self._predictor(linear.outputs, member)
        return NetworkTangent(linear, predictor, self.alpha[member], self.memory_limit)

    def force(self, member: Tensor) -> LossForce:
        return LossForce(self.loss, self._labels(member), self.n_train)

    @property
    def kernel_fits(self) -> bool:
        if self.penalty is not None and self.penalty.rate is None:
            return False
        return KERNELS_HELD * (self.x.shape[-2] * self.n_outputs) ** 2 * self.x.element_size() <= self.memory_limit

    @property
    def stiffness(self) -> float:
        return self.loss.curvature / self.n_train

    def laziness(self, member: Tensor) -> Tensor:
        """√h·α over ``CROSSOVER``: the kernel change falls as its inverse (Fig. 5a)."""
        return rescaled(self.alpha[member].double(), self.architecture.last_fan_in) / CROSSOVER

    def _x(self, member: Tensor) -> Tensor:
        """Patterns, shared by all members, (P, d), or those of each, (M, k, d)."""
        return self.x if self.x.dim() == 2 else self.x[member]

    def _labels(self, member: Tensor) -> Tensor:
        """Labels of the patterns, (P,) or (M, k)."""
        return self.labels if self.labels.dim() == 1 else self.labels[member]

    def _predictor(self, f: Tensor, member: Tensor) -> Tensor:
        """F = α(f − f₀) for f (M, P·C): (M, P·C) (eq. 6)."""
        return self.alpha[member, None] * (f - self.f0[member])
