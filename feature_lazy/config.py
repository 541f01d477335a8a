"""The typed configuration. YAML under ``conf/`` only fills it; ranges stand beside the fields.

Each Hydra group is a dataclass, or a family of them (``families``), one for each option that has keys of its own.
``kind`` names the member. Fields marked ``science=False`` say how, where or how long, never what is computed:
they are no part of a run's identity.
"""

from dataclasses import dataclass, field

from feature_lazy.families import (
    FAMILIES,
    Activation,
    Alpha,
    EnsembleSeed,
    Erf,
    GeometricWidth,
    Hinge,
    Loss,
    Mse,
    NoTracking,
    QuadraticHinge,
    RawAlpha,
    Relu,
    RescaledAlpha,
    Seed,
    SingleSeed,
    SoftHinge,
    Softplus,
    Tanh,
    Tracking,
    UniformWidth,
    WandbTracking,
    Width,
)
from feature_lazy.keys import kind, option

__all__ = [
    "FAMILIES",
    "Activation",
    "Alpha",
    "Architecture",
    "Config",
    "Dataset",
    "Dynamics",
    "EnsembleSeed",
    "Erf",
    "GeometricWidth",
    "Hinge",
    "KernelObservation",
    "Loss",
    "Mse",
    "NoTracking",
    "Observe",
    "QuadraticHinge",
    "RawAlpha",
    "Relu",
    "RescaledAlpha",
    "Seed",
    "SingleSeed",
    "SoftHinge",
    "Softplus",
    "Tanh",
    "Tracking",
    "UniformWidth",
    "WandbTracking",
    "Width",
]


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
