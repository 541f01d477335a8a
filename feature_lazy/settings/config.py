"""The typed configuration. YAML under ``conf/`` only fills it; ranges stand beside the fields.

Each Hydra group is a dataclass, or a family of them (``families``), one for each option that has keys of its own.
``kind`` names the member. Fields marked ``science=False`` say how, where or how long, never what is computed:
they are no part of a run's identity.
"""

from dataclasses import dataclass, field

from feature_lazy.settings.dataset_config import (
    Cifar10,
    Cifar10Colour,
    ClassLabels,
    CustomData,
    Dataset,
    Digits,
    DownloadedImages,
    EmnistBalanced,
    EmnistLetters,
    FashionMnist,
    Images,
    Kmnist,
    Labels,
    Mnist,
    Mnist1d,
    Mnist5k,
    OneVsRestLabels,
    PairLabels,
    ParityLabels,
    Pca,
    RandomLabels,
    RegressionLabels,
    SparseParity,
    Spheres,
    Stripe,
    Synthetic,
    TeacherStudent,
)
from feature_lazy.settings.dynamics_config import (
    Adam,
    Dynamics,
    Flow,
    FrozenKernel,
    GradientFlow,
    Minibatch,
    MomentumFlow,
    Sgd,
)
from feature_lazy.settings.families import (
    FAMILIES,
    Activation,
    Alpha,
    Architecture,
    Cnn,
    CrossEntropy,
    CustomArchitecture,
    EnsembleSeed,
    Erf,
    FullyConnected,
    GeometricWidth,
    Hinge,
    Loss,
    Mse,
    QuadraticHinge,
    RawAlpha,
    Relu,
    RescaledAlpha,
    Seed,
    SingleSeed,
    SoftHinge,
    Softplus,
    Tanh,
    UniformWidth,
    WideResnet,
    Width,
)
from feature_lazy.settings.key import option
from feature_lazy.settings.tracking_config import (
    CustomTracking,
    JsonlTracking,
    NoTracking,
    SeveralTracking,
    TensorboardTracking,
    Tracked,
    Tracking,
    TrackioTracking,
    WandbTracking,
)

__all__ = [
    "FAMILIES",
    "Activation",
    "Adam",
    "Alpha",
    "Architecture",
    "Cifar10",
    "Cifar10Colour",
    "ClassLabels",
    "Cnn",
    "Config",
    "CrossEntropy",
    "CustomArchitecture",
    "CustomData",
    "CustomTracking",
    "Dataset",
    "Digits",
    "DownloadedImages",
    "Dynamics",
    "EmnistBalanced",
    "EmnistLetters",
    "EnsembleSeed",
    "Erf",
    "FashionMnist",
    "Flow",
    "FrozenKernel",
    "FullyConnected",
    "GeometricWidth",
    "GradientFlow",
    "Hinge",
    "Images",
    "JsonlTracking",
    "KernelObservation",
    "Kmnist",
    "Labels",
    "Loss",
    "Minibatch",
    "Mnist",
    "Mnist1d",
    "Mnist5k",
    "MomentumFlow",
    "Mse",
    "NoTracking",
    "Observe",
    "OneVsRestLabels",
    "PairLabels",
    "Parametrisation",
    "ParityLabels",
    "Pca",
    "QuadraticHinge",
    "RandomLabels",
    "RawAlpha",
    "RegressionLabels",
    "Relu",
    "RescaledAlpha",
    "Seed",
    "SeveralTracking",
    "Sgd",
    "SingleSeed",
    "SoftHinge",
    "Softplus",
    "SparseParity",
    "Spheres",
    "Stripe",
    "Synthetic",
    "Tanh",
    "TeacherStudent",
    "TensorboardTracking",
    "Tracked",
    "Tracking",
    "TrackioTracking",
    "UniformWidth",
    "WandbTracking",
    "WideResnet",
    "Width",
]


@dataclass
class Parametrisation:
    """How weights are scaled with the width (Tensor Programs IV)."""

    kind: str = option("ntk", "name of the parametrisation", choices=("ntk", "mean_field", "standard", "mup"))


@dataclass
class KernelObservation:
    """The tangent kernel on a probe set, over time."""

    probe: int = option(128, "test patterns of the probe set: the first ones; 0: no kernel", ge=0)
    every: int = option(1, "at every how many observations, the first and the last always", ge=1)
    layers: bool = option(False, "each weight's part of the kernel: its change and its share of the trace")
    eigenvalues: int = option(0, "how many of the largest eigenvalues are recorded", ge=0)
    final: bool = option(True, "kernel change on the whole train and test sets at the end")
    matrices: bool = option(False, "store Θ of the probe set at the start and at the end (Fig. 8a–b)", later=True)


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

    dataset: Dataset = field(default_factory=Digits)
    labels: Labels = field(default_factory=ParityLabels)
    architecture: Architecture = field(default_factory=FullyConnected)
    parametrisation: Parametrisation = field(default_factory=Parametrisation)
    activation: Activation = field(default_factory=Softplus)
    loss: Loss = field(default_factory=SoftHinge)
    dynamics: Dynamics = field(default_factory=GradientFlow)
    alpha: Alpha = field(default_factory=RescaledAlpha)
    width: Width = field(default_factory=UniformWidth)
    seed: Seed = field(default_factory=SingleSeed)
    observe: Observe = field(default_factory=Observe)
    tracking: Tracking = field(default_factory=NoTracking, metadata={"science": False})
    centred: bool = option(True, "F = α(f − f₀), eq. 6; false: F = αf (Fig. 15)", later=True)
    dtype: str = option("float64", "precision of the training", choices=("float64", "float32"))
    device: str = option("cpu", "cpu, cuda or cuda:N", science=False)
    threads: int = option(0, "CPU threads; 0: all cores, shared among parallel jobs", ge=0, science=False)
    memory_limit: str = option("1GiB", "for one chunk of patterns, such as 500MB or 2GiB", science=False)
    checkpoint_every: float = option(300.0, "seconds between two checkpoints", gt=0, science=False)
    checkpoint_margin: float = option(60.0, "seconds kept for the last one before a job ends", ge=0, science=False)
    output_dir: str = option("results", "folder of the stored runs", science=False)
