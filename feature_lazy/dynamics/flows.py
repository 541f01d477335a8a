"""Flows that the integrator follows: options of the group ``dynamics``."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from feature_lazy.settings.checks import check_option
from feature_lazy.settings.groups import Dynamics
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option, preset

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.dynamics.choices import Training
    from feature_lazy.dynamics.flow import NetworkFlow
    from feature_lazy.dynamics.integrate import Method
    from feature_lazy.settings.config import Config


@dataclass
class Flow(Dynamics):
    """A flow, followed by the integrator."""

    stepper: str = key(
        "auto",
        "rk32: accuracy limited; rkc2: stiff; tangent: lazy; auto: chooses among them while a run goes on",
        choices=("auto", "rk32", "rkc2", "tangent"),
    )
    tolerance: float = key(1e-2, "error of a step over its change, for every stepper but article", gt=0)
    dt_init: float = key(1.0, "first step to try, over the flow's natural time, min(1, √h·α) of the network", gt=0)
    dt_floor: float = key(1e-10, "smallest step, over max(t, min(1, √h·α))", gt=0)
    t_end: float = key(
        0.0,
        "end at the latest, over min(1, √h·α), without what frozen_kernel trains before; 0: where every pattern is fit",
        ge=0,
        later=True,
    )

    several_alpha = True

    @property
    def version(self) -> int:  # type: ignore[override]
        """1 of the article's; 2 since steps are of fewer patterns, exponential ones of third order, t_stop finer.

        3 since rates of exponential steps are bounded where they are, and such steps on few patterns err less.
        """
        return {"article": 1, "rk32": 2, "rkc2": 2}.get(self.stepper, 3)

    @property
    def smallest_step(self) -> float:
        """The key dt_floor."""
        return self.dt_floor

    @property
    def end(self) -> float:
        """The key t_end."""
        return self.t_end

    def method(self) -> Method:
        """Stepper and controller.

        Raises:
            ConfigError: a value that the keys do not allow.
        """
        from feature_lazy.dynamics.methods import method

        check_option(self, "dynamics")
        return method(self.stepper, self.tolerance)

    def problems(self, config: Config) -> Iterator[str]:
        loss = config.loss
        if self.stepper == "tangent" and not (loss.smooth and math.isfinite(loss.curvature)):
            needs, why = (
                ("whose largest curvature is known", "does not say it") if loss.smooth else ("without kinks", "has one")
            )
            yield f"dynamics.stepper=tangent: needs a loss {needs}, and loss={loss.kind} {why}; use auto."


@option("dynamics", "gradient_flow")
class GradientFlowOption(Flow):
    """Gradient flow, ẇ = −∇𝓛 (eq. 7)."""

    stepper: str = key(
        "auto",
        "article: Euler under eqs. 8–9; rk32: accuracy limited; rkc2: stiff; tangent: lazy; auto: by measured progress",
        choices=("auto", "article", "rk32", "rkc2", "tangent"),
    )
    eps_gradient: float = key(1e-4, "ε_∇ of eq. 8, for stepper=article", gt=0)
    eps_output: float = key(0.1, "ε_F of eq. 9, for stepper=article", gt=0)
    controller: str = key(
        "authors",
        "for stepper=article; authors: dt × 1.1 or / 10; smooth: the same bounds in fewer steps",
        choices=("authors", "smooth"),
    )

    def method(self) -> Method:
        from feature_lazy.dynamics.methods import method

        check_option(self, "dynamics")
        rule = {"eps_gradient": self.eps_gradient, "eps_output": self.eps_output}
        return method(self.stepper, self.tolerance, smooth=self.controller == "smooth", **rule)

    def prepare(self, flow: NetworkFlow, w0: Tensor) -> Training:
        from feature_lazy.dynamics.choices import GradientFlow

        return GradientFlow(self.method(), self.dt_init).prepare(flow, w0)


@option("dynamics", "momentum_flow")
class MomentumFlowOption(Flow):
    """Gradient flow with inertia: τv̇ = −v − ∇𝓛, ẇ = v, with τ = c·min(√h·α, κ) (Fig. 14)."""

    stepper: str = key("auto", "rk32, rkc2, or auto", choices=("auto", "rk32", "rkc2"))
    c: float = key(1e-3, "τ over √h·α", gt=0)
    kappa: float = key(1e3, "κ: √h·α up to which τ grows", gt=0)

    def prepare(self, flow: NetworkFlow, w0: Tensor) -> Training:
        from feature_lazy.dynamics.choices import MomentumDynamics

        return MomentumDynamics(self.method(), self.c, self.kappa, self.dt_init).prepare(flow, w0)


@option("dynamics", "frozen_kernel")
class FrozenKernelOption(Flow):
    """Gradient flow under the kernel of one moment of training (App. A, eqs. 25–28).

    It starts from F = 0; with centred=false from αf₀.
    """

    at: str = key(
        "start", "when the kernel is taken: before, at the end of or during training", choices=("start", "end", "time")
    )
    time: float = key(1.0, "t at which the kernel is taken, with at=time", gt=0)

    def prepare(self, flow: NetworkFlow, w0: Tensor) -> Training:
        from feature_lazy.dynamics.choices import FrozenKernel

        how = self.method()  # which refuses a word that is none
        time = {"start": 0.0, "end": math.inf, "time": self.time}[self.at]
        return FrozenKernel(how, time, self.dt_init).prepare(flow, w0)


preset(
    "dynamics",
    "linearised",
    of="frozen_kernel",
    doc="The linearised network f₀ + J₀(w − w₀): the kernel frozen at the start, and the same runs.",
    at="start",
)
