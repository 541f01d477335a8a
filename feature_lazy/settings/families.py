"""Configuration groups whose options have keys of their own: a base and one dataclass for each option."""

from dataclasses import dataclass
from typing import Any

from omegaconf import MISSING

from feature_lazy.settings.dataset_config import DATASETS, LABELS
from feature_lazy.settings.dynamics_config import Adam, FrozenKernel, GradientFlow, MomentumFlow, Sgd
from feature_lazy.settings.key import kind, option
from feature_lazy.settings.tracking_config import TRACKING


@dataclass
class Architecture:
    """The network f(w, x)."""

    kind: str = MISSING


@dataclass
class FullyConnected(Architecture):
    """The fully connected network of eqs. 11–14."""

    kind: str = kind("fully_connected")
    depth: int = option(3, "L, hidden layers", ge=1)
    bias: float = option(0.0, "b of App. J, where it is 0.1; 0: no biases", ge=0)
    authors_output_bias: bool = option(False, "the output's bias as in the authors' code, √h·b")


@dataclass
class Cnn(Architecture):
    """The convolutional network of section 7."""

    kind: str = kind("cnn")
    blocks: int = option(2, "of two convolutions of 5 × 5 each; block i has round(h·growth^i) channels", ge=1)


@dataclass
class WideResnet(Architecture):
    """The wide residual network of App. A; width.h is its widening factor, and h in √h·α is 64 times that."""

    kind: str = kind("wide_resnet")
    depth: int = option(28, "6n + 4 convolutions; 28 in the article", ge=10)


@dataclass
class CustomArchitecture(Architecture):
    """Your own network: a module, or a pair of pure functions (docs/your_own_network.md)."""

    kind: str = kind("custom")
    target: str = option("", "import path of what makes the network, such as mypackage.Net")
    kwargs: dict[str, Any] = option({}, "its keyword arguments; ${width.h} is the h of √h·α")


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
    """ℓ(F, y) per pattern, a function of the margin m = F·y; of all outputs for classes."""

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
    """½ (c − m)²; for classes ½ Σ_k (c·Y_k − F_k)², Y one-hot."""

    kind: str = kind("mse")
    target: float = option(1.0, "c; the authors use 1.1, so that m > 1 is reached", gt=0)
    margin_tol: float = option(0.01, "training stops at m > min(1, c − margin_tol)", gt=0)


@dataclass
class CrossEntropy(Loss):
    """−ln(e^{F_y}/Σ_k e^{F_k}), for classes."""

    kind: str = kind("cross_entropy")


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


FAMILIES: dict[str, tuple[type, ...]] = {
    "dataset": DATASETS,
    "labels": LABELS,
    "architecture": (FullyConnected, Cnn, WideResnet, CustomArchitecture),
    "activation": (Softplus, Relu, Tanh, Erf),
    "loss": (SoftHinge, Hinge, QuadraticHinge, Mse, CrossEntropy),
    "alpha": (RescaledAlpha, RawAlpha),
    "width": (UniformWidth, GeometricWidth),
    "seed": (SingleSeed, EnsembleSeed),
    "dynamics": (GradientFlow, MomentumFlow, FrozenKernel, Sgd, Adam),
    "tracking": TRACKING,
}
"""Groups whose options differ in their keys: every member of each family."""
