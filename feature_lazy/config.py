"""The typed configuration. YAML under ``conf/`` only fills it; ranges stand beside the fields.

Each Hydra group is a dataclass, or a family of them with one member for each option that has keys of its own.
``kind`` names the member. Fields marked ``science=False`` say how, where or how long, never what is computed:
they are no part of a run's identity.
"""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING


def option(
    default: Any,
    doc: str,
    *,
    gt: float | None = None,
    ge: float | None = None,
    choices: tuple[str, ...] | None = None,
    science: bool = True,
) -> Any:
    """Declare a configuration key.

    Args:
        default: its default, or a list for a list.
        doc: what it means, for ``--help`` and the documentation.
        gt: values must be greater than this.
        ge: values must be at least this.
        choices: the allowed words.
        science: whether the value can change what is computed.
    """
    metadata = {"doc": doc, "gt": gt, "ge": ge, "choices": choices, "science": science}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def kind(name: str) -> Any:
    """Declare which member of a family of options a dataclass is; it is chosen with ``group=name`` and never set."""
    return field(default=name, metadata={"doc": "the option itself", "choices": (name,), "science": True})


@dataclass
class Dataset:
    """Real data: balanced, on the sphere |x|² = d, labelled ±1 by the parity of the class (section 2)."""

    kind: str = option("digits", "name of the data set", choices=("digits", "mnist5k"))
    n_train: int = option(500, "P, training patterns, even", ge=2)
    n_test: int = option(1000, "P_test, test patterns, even", ge=2)
    seed: int = option(0, "decides the split, for all members, α and widths", ge=0)


@dataclass
class Architecture:
    """The fully connected network of eqs. 11–14."""

    kind: str = kind("fully_connected")
    depth: int = option(3, "L, hidden layers", ge=1)


@dataclass
class Activation:
    """φ, scaled to E φ(z)² = 1 (eq. 10)."""

    kind: str = MISSING


@dataclass
class Softplus(Activation):
    """a·sp_β."""

    kind: str = kind("softplus")
    beta: float = option(5.0, "β of ln(1 + e^{βz})/β", gt=0)


@dataclass
class Relu(Activation):
    """√2·max(0, z)."""

    kind: str = kind("relu")


@dataclass
class Tanh(Activation):
    """a·tanh(z)."""

    kind: str = kind("tanh")


@dataclass
class Erf(Activation):
    """a·erf(z)."""

    kind: str = kind("erf")


@dataclass
class Loss:
    """ℓ(F, y) per pattern, a function of the margin m = F·y."""

    kind: str = MISSING


@dataclass
class SoftHinge(Loss):
    """sp_β(1 − m)."""

    kind: str = kind("soft_hinge")
    beta: float = option(20.0, "β of the soft hinge", gt=0)


@dataclass
class Hinge(Loss):
    """max(0, 1 − m)."""

    kind: str = kind("hinge")


@dataclass
class QuadraticHinge(Loss):
    """½ max(0, 1 − m)²."""

    kind: str = kind("quadratic_hinge")
    margin_tol: float = option(0.01, "training stops at m > 1 − margin_tol", gt=0)


@dataclass
class Mse(Loss):
    """½ (c − m)²."""

    kind: str = kind("mse")
    target: float = option(1.0, "c; the authors use 1.1, so that m > 1 is reached", gt=0)
    margin_tol: float = option(0.01, "training stops at m > min(1, c − margin_tol)", gt=0)


@dataclass
class Dynamics:
    """Gradient flow ẇ = −∇𝓛 (eq. 7)."""

    kind: str = kind("gradient_flow")
    stepper: str = option(
        "auto",
        "article: Euler under eqs. 8–9; rk32: accuracy limited; rkc2: stiff; tangent: lazy; auto: by measured progress",
        choices=("auto", "article", "rk32", "rkc2", "tangent"),
    )
    tolerance: float = option(1e-2, "error of a step over its change, for every stepper but article", gt=0)
    eps_gradient: float = option(1e-4, "ε_∇ of eq. 8, for stepper=article", gt=0)
    eps_output: float = option(0.1, "ε_F of eq. 9, for stepper=article", gt=0)
    dt_init: float = option(1.0, "first step to try, over min(1, √h·α)", gt=0)
    dt_floor: float = option(1e-10, "smallest step, over max(t, min(1, √h·α))", gt=0)
    precision_tol: float = option(1e-3, "refuse a dtype with α·ε·rms(f) above this", gt=0)
    max_steps: int = option(1_000_000, "budget: steps of one member; resumable", ge=1, science=False)
    time_budget: float = option(1e9, "budget: seconds of this job; resumable", gt=0, science=False)


@dataclass
class Alpha:
    """Output scale, the knob between the regimes."""

    kind: str = MISSING
    value: float = option(1.0, "α, or √h·α with alpha=rescaled", gt=0)


@dataclass
class RawAlpha(Alpha):
    """α itself."""

    kind: str = kind("raw")


@dataclass
class RescaledAlpha(Alpha):
    """√h·α, with h the fan-in of the output layer."""

    kind: str = kind("rescaled")


@dataclass
class Width:
    """Width of the hidden layers."""

    kind: str = MISSING
    h: int = option(100, "width of the first hidden layer", ge=1)


@dataclass
class UniformWidth(Width):
    """Every hidden layer has width h."""

    kind: str = kind("uniform")


@dataclass
class GeometricWidth(Width):
    """Hidden layer l = 0, 1, … has width round(h·growth^l)."""

    kind: str = kind("geometric")
    growth: float = option(1.0, "growth from layer to layer", gt=0)


@dataclass
class Seed:
    """Initialisation of the weights, and of nothing else."""

    kind: str = MISSING


@dataclass
class SingleSeed(Seed):
    """One network."""

    kind: str = kind("single")
    value: int = option(0, "seed of the initialisation", ge=0)


@dataclass
class EnsembleSeed(Seed):
    """Networks with the seeds first, first + 1, …, trained together."""

    kind: str = kind("ensemble")
    members: int = option(3, "number of networks", ge=1)
    first: int = option(0, "seed of the first network", ge=0)


@dataclass
class KernelObservation:
    """The tangent kernel on a probe set, over time."""

    probe: int = option(128, "test patterns of the probe set: the first ones; 0: no kernel", ge=0)
    final: bool = option(True, "kernel change on the whole train and test sets at the end")


@dataclass
class Observe:
    """What is recorded, and when: t = 0, then every 10^{k/per_decade}, then the end."""

    kind: str = option("log", "log: a log-spaced grid; times: the listed ones", choices=("log", "times"))
    per_decade: int = option(8, "observation times per factor of ten in t", ge=1)
    first: float = option(1e-3, "first time of the grid, over min(1, √h·α)", gt=0)
    times: list[float] = option([], "observation times t, with observe=times", gt=0)
    n_test: int = option(1000, "test patterns used over time; at the end all are", ge=1)
    kernel: KernelObservation = field(default_factory=KernelObservation)


@dataclass
class Tracking:
    """Where runs are shown; never whether or how they train."""

    kind: str = MISSING


@dataclass
class NoTracking(Tracking):
    """Stored runs only."""

    kind: str = kind("none")


@dataclass
class WandbTracking(Tracking):
    """Weights & Biases, one run for each cell."""

    kind: str = kind("wandb")
    mode: str = option("offline", "offline writes files to sync later", choices=("offline", "online"))
    project: str = option("feature_lazy", "project name")
    entity: str | None = option(None, "team or user; null: the account's default")
    group: str | None = option(None, "groups runs; null: the name of output_dir")


@dataclass
class Config:
    """One job: one α, one width, and the seeds that are trained together."""

    dataset: Dataset = field(default_factory=Dataset)
    architecture: Architecture = field(default_factory=Architecture)
    activation: Activation = field(default_factory=Softplus)
    loss: Loss = field(default_factory=SoftHinge)
    dynamics: Dynamics = field(default_factory=Dynamics)
    alpha: Alpha = field(default_factory=RescaledAlpha)
    width: Width = field(default_factory=UniformWidth)
    seed: Seed = field(default_factory=SingleSeed)
    observe: Observe = field(default_factory=Observe)
    tracking: Tracking = field(default_factory=NoTracking, metadata={"science": False})
    dtype: str = option("float64", "precision of the training", choices=("float64", "float32"))
    device: str = option("cpu", "cpu, cuda or cuda:N", science=False)
    threads: int = option(0, "CPU threads; 0: all cores, shared among parallel jobs", ge=0, science=False)
    memory_limit: str = option("1GiB", "for one chunk of patterns, such as 500MB or 2GiB", science=False)
    output_dir: str = option("results", "folder of the stored runs", science=False)


FAMILIES: dict[str, tuple[type, ...]] = {
    "activation": (Softplus, Relu, Tanh, Erf),
    "loss": (SoftHinge, Hinge, QuadraticHinge, Mse),
    "alpha": (RescaledAlpha, RawAlpha),
    "width": (UniformWidth, GeometricWidth),
    "seed": (SingleSeed, EnsembleSeed),
    "tracking": (NoTracking, WandbTracking),
}
"""Groups whose options differ in their keys: every member of each family."""
