"""Follow one network from Python, without configuration, store or command line."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from feature_lazy.core.errors import ConfigError
from feature_lazy.dynamics.choices import Choice, GradientFlow, Training, time_scale
from feature_lazy.dynamics.events import converged, half_loss
from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.integrate import Ended, Limits, finish, start
from feature_lazy.dynamics.losses import CrossEntropy, SoftHinge
from feature_lazy.dynamics.methods import method
from feature_lazy.dynamics.model import Model
from feature_lazy.dynamics.outcome import Outcome
from feature_lazy.dynamics.times import GivenTimes, LogTimes, ObservationTimes
from feature_lazy.networks.base import Network
from feature_lazy.networks.functional import of_module
from feature_lazy.networks.generic import Generic
from feature_lazy.networks.layout import Layout, partly
from feature_lazy.settings.groups import Dynamics, Loss, Regulariser


@dataclass(frozen=True)
class Trajectory:
    """One network along its training, at T moments: t = 0, the observation times that it reached, and its end.

    Attributes:
        t: training time in the article's units, (T,) float64.
        F_train: predictor F = α(f − f₀) on the training set (eq. 6), (T, P), or (T, P, C) of a network with C outputs.
        F_test: the same on the test set; None without one.
        w: weights, flat, (T, N).
        outcome: how training ended.
        t_half: time at which half of the loss was left; NaN: never.
        t_stop: time at which every pattern was fit; NaN: never.
        record: steps, gradients, kernels, gradient-equivalents, and what ``auto`` chose and why.
    """

    t: Tensor
    F_train: Tensor
    F_test: Tensor | None
    w: Tensor
    outcome: Outcome
    t_half: float
    t_stop: float
    record: dict[str, float | str]
    layout: Layout
    model: Model

    def weights(self, index: int) -> dict[str, Tensor]:
        """Named weights at moment ``index``."""
        return {name: weight[0] for name, weight in self.layout.unflatten(self.w[index][None]).items()}

    def kernel(self, index: int, x: Tensor) -> Tensor:
        """Tangent kernel Θ on patterns x (P, …) at moment ``index`` (eq. 5).

        (P, P), or (P·C, P·C) of a network with C outputs, those of a pattern side by side.
        """
        zero = torch.tensor([0], device=self.w.device)
        with torch.no_grad():
            return self.model.kernel(self.w[index][None], zero, x.flatten(1))[0]


AnyNetwork = Network | nn.Module | Callable[[Mapping[str, Tensor], Tensor], Tensor]

MAX_STEPS = 1_000_000
"""Where a training that gets nowhere is given up."""
MEMORY = 2.0**30
"""Bytes for one chunk of patterns or block of a kernel."""


@torch.no_grad()
def follow(  # noqa: PLR0913 - a choice each, with a default
    network: AnyNetwork,
    weights: Mapping[str, Tensor] | None,
    train: tuple[Tensor, Tensor],
    *,
    alpha: float,
    test: Tensor | None = None,
    loss: Loss | None = None,
    dynamics: Choice | None = None,
    regulariser: Regulariser | None = None,
    times: Sequence[float] | None = None,
    t_end: float | None = None,
) -> Trajectory:
    """Train one network and return its trajectory.

    Args:
        network: a network of this package, a module, or a pure function of (weights, patterns (P, …)) → (P,) or (P, C).
            ``networks.generic.Generic.around`` takes the fan-in of its output layer, on which only the first step
            depends.
        weights: initial weights by name; None: those that the module has now.
        train: patterns (P, …) and labels (P,): y = ±1, or classes 0 … C − 1 as integers for C outputs.
        alpha: output scale α of F = α(f − f₀).
        test: patterns (P_test, …).
        loss: ℓ(F, y) per pattern; default: the soft hinge of the article, β = 20, and cross-entropy for classes.
        dynamics: how the weights move, from ``feature_lazy.dynamics.choices``, or an option of the group
            ``dynamics``, whose ``train`` says which weights move; default: gradient flow by ``auto``.
        regulariser: a term of 𝓛, an option of the group ``regulariser``; training then ends where it comes to rest.
        times: observation times; default: eight per factor of ten.
        t_end: where training ends if not all patterns are fit before.

    Raises:
        ConfigError: shapes, dtypes, labels, names of weights or a regulariser that do not fit.
    """
    x, y = train
    _check(x, y, test)
    architecture, weights = as_architecture(network, weights, x)
    if isinstance(dynamics, Dynamics):
        architecture = partly(architecture, dynamics.train)
    n_outputs = architecture.n_outputs
    _check_labels(y, n_outputs)
    # Integers would be taken for classes.
    y = y.to(x) if n_outputs == 1 else y
    w0 = architecture.layout.flatten({name: weight.detach()[None] for name, weight in weights.items()})
    loss = loss or default_loss(architecture)
    scale = w0.new_tensor([alpha])
    flow = NetworkFlow(
        architecture, x.flatten(1), y, loss, alpha=scale, w0=w0, memory_limit=MEMORY, regulariser=regulariser
    )
    training = (dynamics or GradientFlow(method("auto", 1e-2))).prepare(flow, w0)
    when = LogTimes(8, 1e-3 * float(time_scale(flow))) if times is None else GivenTimes(times)
    ended = _followed(training, flow, when, t_end)
    [t], [states], state = ended.t, ended.y, ended.state
    if not t or state.t[0] > t[-1]:
        t, states = [*t, state.t[0]], [*states, state.y[0]]
    w = architecture.layout.kept(training.system.weights(torch.stack(states)), w0)

    def predictor(patterns: Tensor) -> Tensor:
        member = torch.zeros(len(w), dtype=torch.long, device=w.device)
        flat = alpha * (training.model.f(w, member, patterns) - training.model.f(w0, member[:1], patterns))
        return flat if n_outputs == 1 else flat.unflatten(1, (-1, n_outputs))

    return Trajectory(
        t=torch.stack(t),
        F_train=predictor(x.flatten(1)),
        F_test=None if test is None else predictor(test.flatten(1)),
        w=w,
        outcome=ended.outcomes[0],
        t_half=float(state.event_times[0, 0]),
        t_stop=float(state.event_times[0, 1]),
        record=training.record(state, flow),
        layout=architecture.layout,
        model=training.model,
    )


def as_architecture(
    network: AnyNetwork, weights: Mapping[str, Tensor] | None, x: Tensor
) -> tuple[Network, Mapping[str, Tensor]]:
    """The network with a member axis, and its initial weights.

    Raises:
        ConfigError: there are no weights, or of another dtype than the patterns.
    """
    if isinstance(network, nn.Module):
        network, own = of_module(network)
        weights = own if weights is None else weights
    if weights is None:
        raise ConfigError("weights=None: only a module has weights of its own; give them by name.")
    dtypes = {x.dtype, *(weight.dtype for weight in weights.values())}
    if len(dtypes) > 1:
        raise ConfigError(f"weights and patterns have different dtypes, {dtypes}: use one, such as float64.")
    return (network if isinstance(network, Network) else Generic.around(network, weights, x)), weights


def default_loss(network: Network) -> Loss:
    """The soft hinge of the article for one output, cross-entropy for several."""
    return SoftHinge() if network.n_outputs == 1 else CrossEntropy()


def _followed(training: Training, flow: NetworkFlow, when: ObservationTimes, t_end: float | None) -> Ended:
    """The one member to its end."""
    scale = time_scale(flow)
    ends = [] if training.t_end is None else [training.t_end]
    if t_end is not None:
        ends.append(torch.full_like(scale, t_end))
    limits = Limits(
        1e-10, scale, t_end=torch.stack(ends).amin(0) if ends else None, max_steps=MAX_STEPS, rest=training.rest
    )
    terminal = flow.penalty is None
    events = [
        half_loss(flow.loss, flow.labels, flow.n_outputs),
        converged(flow.loss, flow.labels, terminal=terminal),
    ]
    state = start(training.system, training.method.stepper, training.y0, training.dt, len(events))
    return finish(training.system, training.method, state, limits, events=events, times=when)


def _check(x: Tensor, y: Tensor, test: Tensor | None) -> None:
    if y.shape != x.shape[:1]:
        raise ConfigError(f"labels have the shape {tuple(y.shape)} for {len(x)} patterns; it must be ({len(x)},).")
    if test is not None and test.shape[1:] != x.shape[1:]:
        raise ConfigError(
            f"test patterns have the shape {tuple(test.shape[1:])}, training patterns {tuple(x.shape[1:])}."
        )


def _check_labels(y: Tensor, n_outputs: int) -> None:
    """Refuse labels that are not for so many outputs.

    Raises:
        ConfigError: other values, or ±1 for several outputs, or classes for one.
    """
    if n_outputs == 1 and not bool((y.abs() == 1).all()):
        raise ConfigError("labels must be +1 or −1 for a network with one output.")
    if n_outputs > 1 and (y.is_floating_point() or bool(((y < 0) | (y >= n_outputs)).any())):
        raise ConfigError(
            f"the network gives {n_outputs} outputs for each pattern: labels must be the classes 0 … {n_outputs - 1}, "
            "integers; for labels ±1 it must give one real number, (P,) or (P, 1)."
        )
