"""The dynamics that can be chosen, each as the system that the one integrator follows."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from feature_lazy.core.errors import ConfigError
from feature_lazy.dynamics.events import converged
from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.integrate import Limits, Method, finish, start
from feature_lazy.dynamics.linearised import LinearisedFlow
from feature_lazy.dynamics.model import LinearisedModel, Model, NetworkModel
from feature_lazy.dynamics.momentum import MomentumFlow, relaxation_time
from feature_lazy.dynamics.outcome import Outcome
from feature_lazy.dynamics.state import State
from feature_lazy.dynamics.step import norm
from feature_lazy.dynamics.system import WeightSystem


@dataclass(frozen=True)
class Training:
    """A dynamics made ready for some members.

    Attributes:
        system: what is integrated.
        method: how.
        y0: state at t = 0, (M, D).
        dt: first step to try, (M,) float64.
        model: what the weights of a state predict.
        t_end: where each member ends at the latest, (M,) float64; None: nowhere.
        rest: which members have come to rest, (M,) bool; None: none does.
        hyper: columns of what a state (M, D) has beside weights, such as a hyperparameter: name → (M,).
    """

    system: WeightSystem
    method: Method
    y0: Tensor
    dt: Tensor
    model: Model
    t_end: Tensor | None = None
    rest: Callable[[State], Tensor] | None = None
    hyper: Callable[[Tensor], Mapping[str, Tensor]] | None = None

    @classmethod
    def along(
        cls, flow: NetworkFlow, system: WeightSystem, method: Method, y0: Tensor, dt: Tensor, model: Model
    ) -> "Training":
        """Follow a flow, which ends where it comes to rest if it has a penalty."""
        return cls(system, method, y0, dt, model, *ends(flow, system))

    def record(self, state: State, flow: NetworkFlow) -> dict[str, float | str]:
        """What the training of one member has cost, in gradients of ``flow`` too, and what its method says of it."""
        return {
            **{name: int(getattr(state, name)) for name in ("steps", "rejected", "gradients", "kernels")},
            "gradient_equivalents": float(state.flops) / flow.flops.evaluate,
            **self.method.stepper.report(state),
        }


class Choice(Protocol):
    """How weights move; everything else about a run is the same for all of them."""

    def prepare(self, flow: NetworkFlow, w0: Tensor) -> Training:
        """Make it ready for members with the initial weights w0 (M, N)."""
        ...


def ends(flow: NetworkFlow, system: WeightSystem) -> tuple[Tensor | None, Callable[[State], Tensor] | None]:
    """Where members end at the latest, (M,) float64, and which have come to rest: of a flow with a penalty R.

    Rest is where the velocity is below tol·‖∇R‖. Since 𝓛 bends by λ at least where the loss is convex in w, weights are
    then within tol·‖w − c‖ of their end.
    """
    penalty = flow.penalty
    if penalty is None:
        return None, None

    def rest(state: State) -> Tensor:
        pull = penalty.pull(system.weights(state.y), state.member)
        return norm(state.velocity) < penalty.tol * norm(pull)

    return torch.full_like(flow.alpha, penalty.lifetime, dtype=torch.float64), rest


def sqrt_h_alpha(flow: NetworkFlow) -> Tensor:
    """√h·α of each member, h the fan-in of the output layer: (M,) float64."""
    return flow.alpha.double() * math.sqrt(flow.architecture.last_fan_in)


def time_scale(flow: NetworkFlow) -> Tensor:
    """Natural time min(1, √h·α) of each member, in the article's t: (M,) float64 (eq. 19)."""
    return sqrt_h_alpha(flow).clamp(max=1.0)


@dataclass(frozen=True)
class GradientFlow:
    """ẇ = −∇𝓛 (eq. 7).

    Attributes:
        method: stepper and controller.
        dt_init: first step to try, over min(1, √h·α).
    """

    method: Method
    dt_init: float = 1.0

    def prepare(self, flow: NetworkFlow, w0: Tensor) -> Training:
        return Training.along(flow, flow, self.method, w0, self.dt_init * time_scale(flow), _network(flow))


@dataclass(frozen=True)
class MomentumDynamics:
    """τv̇ = −v − ∇𝓛, ẇ = v, with τ = c·min(√h·α, κ), from rest (Fig. 14).

    Attributes:
        method: stepper and controller; not the exponential integrator, which this system does not offer.
        c: τ over √h·α, 1e-3 in the article.
        kappa: √h·α up to which τ grows, 1e3 in the article.
        dt_init: first step to try, over τ.
    """

    method: Method
    c: float = 1e-3
    kappa: float = 1e3
    dt_init: float = 1.0

    def prepare(self, flow: NetworkFlow, w0: Tensor) -> Training:
        tau = relaxation_time(self.c, self.kappa, sqrt_h_alpha(flow))
        system = MomentumFlow(flow, tau.to(w0))
        return Training.along(flow, system, self.method, system.at_rest(w0), self.dt_init * tau, _network(flow))


@dataclass(frozen=True)
class FrozenKernel:
    """Gradient flow under the kernel of one moment of training, from F(w₀) (App. A, eqs. 25–28).

    At t = 0 this is the linearised network. For another moment the network is trained up to it first.

    Attributes:
        method: stepper and controller, of the training before as well.
        time: when the kernel is taken, in the article's t; infinite: when training has converged.
        dt_init: first step to try, over min(1, √h·α).
    """

    method: Method
    time: float = 0.0
    dt_init: float = 1.0

    def prepare(self, flow: NetworkFlow, w0: Tensor) -> Training:
        """See ``Choice.prepare``.

        Raises:
            ConfigError: a moment that is none, or that the training before did not reach.
        """
        if not self.time >= 0:
            raise ConfigError(f"time={self.time}: the kernel is taken at a time of at least 0, or inf for the end.")
        frozen = w0 if self.time == 0 else self._trained(flow, w0)
        model = LinearisedModel(_network(flow), w0, frozen)
        system = LinearisedFlow(flow, w0, frozen)
        # The kernel's own scale: that of a trained network may be far from 1.
        dt = self.dt_init / system.rate().clamp(min=1e-300)
        return Training.along(flow, system, self.method, w0, dt, model)

    def _trained(self, flow: NetworkFlow, w0: Tensor) -> Tensor:
        scale = time_scale(flow)
        latest, rest = ends(flow, flow)
        end = latest if math.isinf(self.time) else torch.full_like(scale, self.time)
        limits = Limits(1e-12, scale, t_end=end, max_steps=1_000_000, rest=rest)
        events = [converged(flow.loss, flow.labels, terminal=rest is None)]
        state = start(flow, self.method.stepper, w0, self.dt_init * scale, len(events))
        ended = finish(flow, self.method, state, limits, events=events)
        for outcome, t in zip(ended.outcomes, ended.state.t.tolist(), strict=True):
            if outcome not in (Outcome.T_END, Outcome.CONVERGED, Outcome.STATIONARY):
                raise ConfigError(
                    f"dynamics=frozen_kernel: the training before ended at t = {t:.3g} with {outcome}, so there is "
                    "no kernel to freeze; use dynamics.at=start, or a time before."
                )
        return ended.state.y


def _network(flow: NetworkFlow) -> NetworkModel:
    return NetworkModel(flow.architecture, flow.memory_limit)
