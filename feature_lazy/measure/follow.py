"""Follow one network from Python, without configuration, store or command line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from feature_lazy.core.arrays import number, numbers
from feature_lazy.core.shown import table
from feature_lazy.dynamics.choices import Choice, GradientFlow, Training, time_scale
from feature_lazy.dynamics.events import converged, half_loss
from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.integrate import Ended, Limits, finish, start
from feature_lazy.dynamics.methods import method
from feature_lazy.dynamics.model import Model
from feature_lazy.dynamics.outcome import Outcome
from feature_lazy.dynamics.own_optimiser import CustomOptimiser
from feature_lazy.dynamics.times import GivenTimes, LogTimes, ObservationTimes
from feature_lazy.measure.given import AnyLoss, AnyNetwork, Given, chosen, patterns
from feature_lazy.measure.precision import check_precision
from feature_lazy.networks.layout import Layout, partly
from feature_lazy.settings.groups import Dynamics, Regulariser
from feature_lazy.settings.objects import own


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

    def __repr__(self) -> str:
        """One line."""
        end = f"t = {self.t[-1]:.4g}, {len(self.t)} moments, {self.record['steps']:.0f} steps"
        sizes = f"F_train {tuple(self.F_train.shape)}, w {tuple(self.w.shape)}"
        return f"Trajectory: {self.outcome} at {end}; {sizes}"

    def _repr_html_(self) -> str:
        """A short table, for notebooks."""
        rows = {
            "t_half": self.t_half,
            "t_stop": self.t_stop,
            "weights/change": float((self.w[-1] - self.w[0]).norm() / self.w[0].norm()),
            "F_train, root mean square": float(self.F_train[-1].square().mean().sqrt()),
            "method": self.record.get("auto/choice", ""),
        }
        return table(repr(self), ["", ""], list(rows.items()))

    def weights(self, index: int) -> dict[str, Tensor]:
        """Named weights at moment ``index``."""
        return {name: weight[0] for name, weight in self.layout.unflatten(self.w[index][None]).items()}

    def kernel(self, index: int, x: Tensor) -> Tensor:
        """Tangent kernel Θ on patterns x (P, …) at moment ``index`` (eq. 5).

        (P, P), or (P·C, P·C) of a network with C outputs, those of a pattern side by side.
        """
        zero = torch.tensor([0], device=self.w.device)
        with torch.no_grad():
            return self.model.kernel(self.w[index][None], zero, patterns(x, "patterns").flatten(1))[0]


MAX_STEPS = 1_000_000
"""Where a training that gets nowhere is given up."""
MEMORY = 2.0**30
"""Bytes for one chunk of patterns or block of a kernel."""


@torch.no_grad()
def follow(  # noqa: PLR0913 - a choice each, with a default
    network: AnyNetwork,
    weights: Mapping[str, Any] | None,
    train: tuple[Any, Any],
    *,
    alpha: float,
    test: Any = None,
    loss: AnyLoss = None,
    dynamics: Choice | str | type[torch.optim.Optimizer] | None = None,
    regulariser: Regulariser | str | None = None,
    times: Sequence[float] | None = None,
    t_end: float | None = None,
) -> Trajectory:
    """Train one network and return its trajectory.

    Args:
        network: a network of this package, a module, or a pure function of (weights, patterns (P, …)) → (P,) or (P, C).
            ``networks.generic.Generic.around`` takes the fan-in of its output layer, on which only the first step
            depends.
        weights: initial weights by name; None: those that the module has now.
        train: patterns (P, …) and labels (P,): y = ±1, classes 0 … C − 1 as integers for C outputs, or real numbers for
            the loss ``mse``.
        alpha: output scale α of F = α(f − f₀).
        test: patterns (P_test, …).
        loss: ℓ(F, y) per pattern, or its name, or a function as ``loss=custom`` takes; default: the soft hinge of the
            article, β = 20, and cross-entropy for classes.
        dynamics: how the weights move, from ``feature_lazy.dynamics.choices``, or an option of the group
            ``dynamics`` or its name, whose ``train`` says which weights move, or a class of ``torch.optim``, with the
            learning rate of ``dynamics=custom``; default: gradient flow by ``auto``.
        regulariser: a term of 𝓛, an option of the group ``regulariser`` or its name; training then ends where it comes
            to rest.
        times: observation times; default: eight per factor of ten.
        t_end: where training ends if not all patterns are fit before.

    Arrays may be tensors, NumPy's or lists, weights too; nothing of what is given is changed.

    Raises:
        ConfigError: a network that cannot be trained, arguments out of their range, labels that are not for network or
            loss, names of weights or a regulariser that do not fit, or a dtype that cannot resolve F at this α.
        DataError: what are no arrays of finite real numbers.
    """
    alpha = number(alpha, "alpha", gt=0)
    t_end = None if t_end is None else number(t_end, "t_end", gt=0)
    given, moving = Given.of(network, weights, train, loss), _moving(dynamics)
    architecture = partly(given.network, moving.train) if isinstance(moving, Dynamics) else given.network
    x, n_outputs = given.x.flatten(1), architecture.n_outputs
    x_test = None if test is None else given.more(test, "test patterns").flatten(1)
    w0 = architecture.layout.flatten({name: weight[None] for name, weight in given.weights.items()})
    term = None if regulariser is None else chosen("regulariser", regulariser, Regulariser)
    flow = NetworkFlow(
        architecture,
        x,
        given.y,
        given.loss,
        alpha=w0.new_tensor([alpha]),
        w0=w0,
        memory_limit=MEMORY,
        regulariser=term,
    )
    check_precision(alpha, flow.f0, getattr(moving, "precision_tol", Dynamics.precision_tol))
    when = LogTimes(8, 1e-3 * float(time_scale(flow))) if times is None else GivenTimes(numbers(times, "times", ge=0))
    training = moving.prepare(flow, w0)
    if t_end is None and training.t_end is None and flow.penalty is None:
        given.check_fit()
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
        F_train=predictor(x),
        F_test=None if x_test is None else predictor(x_test),
        w=w,
        outcome=ended.outcomes[0],
        t_half=float(state.event_times[0, 0]),
        t_stop=float(state.event_times[0, 1]),
        record=training.record(state, flow),
        layout=architecture.layout,
        model=training.model,
    )


def _moving(dynamics: Any) -> Choice:
    """The dynamics that are meant: an option, its name, or anything that can be made ready; None: gradient flow.

    Raises:
        ConfigError: something else.
    """
    if dynamics is None:
        return GradientFlow(method("auto", 1e-2))
    if isinstance(dynamics, type) and issubclass(dynamics, torch.optim.Optimizer):
        dynamics = CustomOptimiser(target=own(dynamics))
    if isinstance(dynamics, str | type | Dynamics) or not hasattr(dynamics, "prepare"):
        return chosen("dynamics", dynamics, Dynamics)
    return dynamics


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
