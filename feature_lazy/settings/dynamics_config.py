"""The options of the configuration group ``dynamics``."""

from dataclasses import dataclass

from omegaconf import MISSING

from feature_lazy.settings.key import kind, option


@dataclass
class Dynamics:
    """How the weights move."""

    kind: str = MISSING
    max_steps: int = option(1_000_000, "budget: steps of one member; resumable", ge=1, science=False)
    time_budget: float = option(1e9, "budget: seconds of this job; resumable", gt=0, science=False)
    precision_tol: float = option(1e-3, "refuse a dtype with α·ε·rms(f) above this", gt=0)


@dataclass
class Flow(Dynamics):
    """A flow, followed by the integrator."""

    stepper: str = option(
        "auto",
        "rk32: accuracy limited; rkc2: stiff; tangent: lazy; auto: chooses among them while a run goes on",
        choices=("auto", "rk32", "rkc2", "tangent"),
    )
    tolerance: float = option(1e-2, "error of a step over its change, for every stepper but article", gt=0)
    dt_init: float = option(1.0, "first step to try, over the flow's natural time, min(1, √h·α) of the network", gt=0)
    dt_floor: float = option(1e-10, "smallest step, over max(t, min(1, √h·α))", gt=0)
    t_end: float = option(
        0.0,
        "end at the latest, over min(1, √h·α), without what frozen_kernel trains before; 0: where every pattern is fit",
        ge=0,
        later=True,
    )


@dataclass
class GradientFlow(Flow):
    """ẇ = −∇𝓛 (eq. 7)."""

    kind: str = kind("gradient_flow")
    stepper: str = option(
        "auto",
        "article: Euler under eqs. 8–9; rk32: accuracy limited; rkc2: stiff; tangent: lazy; auto: by measured progress",
        choices=("auto", "article", "rk32", "rkc2", "tangent"),
    )
    eps_gradient: float = option(1e-4, "ε_∇ of eq. 8, for stepper=article", gt=0)
    eps_output: float = option(0.1, "ε_F of eq. 9, for stepper=article", gt=0)
    controller: str = option(
        "authors",
        "for stepper=article; authors: dt × 1.1 or / 10; smooth: the same bounds in fewer steps",
        choices=("authors", "smooth"),
    )


@dataclass
class MomentumFlow(Flow):
    """τv̇ = −v − ∇𝓛, ẇ = v, with τ = c·min(√h·α, κ) (Fig. 14)."""

    kind: str = kind("momentum_flow")
    stepper: str = option("auto", "rk32, rkc2, or auto", choices=("auto", "rk32", "rkc2"))
    c: float = option(1e-3, "τ over √h·α", gt=0)
    kappa: float = option(1e3, "κ: √h·α up to which τ grows", gt=0)


@dataclass
class FrozenKernel(Flow):
    """Gradient flow under the tangent kernel of one moment, from F = 0; at the start: the linearised network."""

    kind: str = kind("frozen_kernel")
    at: str = option("start", "when the kernel is taken", choices=("start", "end", "time"))
    time: float = option(1.0, "t at which the kernel is taken, with at=time", gt=0)


@dataclass
class Minibatch(Dynamics):
    """Updates from minibatch gradients."""

    lr: float = option(1e-2, "learning rate", gt=0)
    units: str = option("authors", "of sgd's lr and adam's ε: authors, or article", choices=("authors", "article"))
    batch: int = option(32, "patterns in a minibatch", ge=1)
    batch_seed: int = option(0, "decides the order of the patterns, for all members, α and widths", ge=0)
    updates: int = option(100_000, "where training ends at the latest", ge=1)
    check_every: int = option(0, "updates between two looks at the whole training set; 0: an epoch", ge=0)


@dataclass
class Sgd(Minibatch):
    """w ← w − lr·∇𝓛; t = lr × updates; lr in the authors' units is lr·√h/α."""

    kind: str = kind("sgd")


@dataclass
class Adam(Minibatch):
    """Adam; t = updates; lr has no units, ε in the authors' units is ε·α/√h."""

    kind: str = kind("adam")
    lr: float = option(1e-3, "learning rate: the size of a change of one weight", gt=0)
    eps: float = option(1e-8, "ε", gt=0)
