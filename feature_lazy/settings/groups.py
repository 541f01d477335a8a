"""Bases of the options, one for each configuration group: what an option must say of itself, and what it may.

You write these: a class with its keys as fields, ``@option(group, name)`` above it, and the methods that the base marks
as abstract. Everything else has a default. Methods see the whole ``Config`` where a rule joins several groups. The base
of ``observe`` stands in ``settings.observing``, those of ``alpha``, ``width`` and ``seed`` with their options in
``settings.scales``.
"""

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from omegaconf import MISSING

from feature_lazy.core.margins import margins
from feature_lazy.settings.critical import Critical, critical_problems
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import options

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from feature_lazy.data.prepare import Dataset
    from feature_lazy.dynamics.choices import Training
    from feature_lazy.dynamics.flow import NetworkFlow
    from feature_lazy.measure.moment import Moment
    from feature_lazy.networks.base import Initialised
    from feature_lazy.networks.layout import Layout
    from feature_lazy.runs.tracking.interface import Tracker
    from feature_lazy.settings.config import Config
    from feature_lazy.settings.scales import Width


@dataclass
class Option(ABC):  # noqa: B024 - what is abstract differs from group to group
    """One choice of a configuration group."""

    kind: str = dataclasses.field(default=MISSING, kw_only=True)

    option_name = ""
    """What is written on the command line; ``@option`` sets it."""
    version = 1
    """Raised when the option's results change beyond rounding: part of a run's identity from 2 on."""

    def problems(self, config: "Config") -> Iterator[str]:
        """What is wrong with a configuration in which this option is chosen, beside the ranges of its keys.

        One line each, with key, value and what is allowed. Every key is within its range when this is asked.
        """
        return iter(())

    def own_code(self) -> list[str]:
        """Import paths of the user's own code that the option runs: its source is part of a run's identity."""
        return []

    @classmethod
    def smallest(cls) -> list[str]:
        """Overrides, beside the choice of the option itself, of the smallest job that uses it: for the shared tests."""
        return []


@dataclass
class Data(Option):
    """Patterns with labels, balanced."""

    n_train: int = key(1000, "P, training patterns, even", ge=2)
    n_test: int = key(2000, "P_test, test patterns, even", ge=2)
    n_valid: int = key(0, "validation patterns, the ones after the test patterns; 0: none", ge=0, later=True)
    seed: int = key(0, "decides the split, for all members, α and widths", ge=0)
    content: str = key(
        "", "fingerprint that the patterns must have; filled in where your own have changed; empty: any", later=True
    )

    own_labels = False
    """Whether the patterns come with labels of their own, so that ``labels`` has no say."""

    of_files = False
    """Whether ``content`` is the SHA-256 of files, which is compared when they are read."""

    @property
    def patterns_used(self) -> int:
        """Patterns in all: to train on, to test on and to validate on."""
        return self.n_train + self.n_test + self.n_valid

    @abstractmethod
    def build(self, labels: "Labels") -> "Dataset":
        """The patterns, split and labelled, in float64 on the CPU.

        Raises:
            DataError: data that are missing, or not what they should be.
        """

    def missing(self) -> str:
        """A sentence on files that are needed and not on this machine; empty if there are none."""
        return ""

    def settled(self) -> "Data":
        """The same data, known by their content where an identity has that."""
        return self

    @property
    def class_names(self) -> Sequence[int]:
        """The classes among which ``labels`` chooses; none where the labels are the set's own."""
        return ()

    def room(self, labels: "Labels") -> float:
        """How many patterns there are in balanced classes, of a set that is finite."""
        return math.inf

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Shape of one pattern; None where only the data themselves say it, or where nothing is chosen."""
        return None

    @property
    def name(self) -> str:
        """How tables and figures call the patterns."""
        return self.kind

    @property
    def shaped_by(self) -> str:
        """The key that decides of what shape patterns are, with its value."""
        return f"dataset={self.kind}"

    @property
    def labelled_by(self) -> str:
        """The key that decides of what kind labels are, where they are the set's own, with its value."""
        return f"dataset={self.kind}"


@dataclass
class Labels(Option):
    """Rule from classes to y: ±1 for one output, where it says nothing else.

    Patterns of the classes follow each other in a *cycle*, which is repeated. Where the labels of a cycle alternate,
    every even number of patterns has as many of each label.
    """

    several = False
    """Whether labels are classes, with an output for each."""
    real = False
    """Whether labels are real numbers."""
    choose_classes = True
    """Whether ``dataset.classes`` says which classes are used; else the rule does."""

    @property
    def chosen_by(self) -> str:
        """Keys that say which labels, with their values, after ``labels=…``; empty if there are none."""
        return ""

    def unit(self, names: Sequence[int]) -> int:
        """The number that the sizes of both sets are multiples of, so that the labels are balanced."""
        return 2

    def n_outputs(self, names: Sequence[int]) -> int:
        """Outputs that a network needs for these labels."""
        return 1

    @abstractmethod
    def in_use(self, names: Sequence[int]) -> list[int]:
        """The classes that are used, ascending, of those that were chosen.

        Raises:
            DataError: classes that the rule cannot label.
        """

    def cycle(self, names: Sequence[int]) -> list[int]:
        """Order in which the classes in use follow each other: ascending, if the rule says nothing else."""
        return list(names)

    def settled(self) -> "Labels":
        """The same labels, known by what they are made of where an identity has that."""
        return self

    def labelled(self, data: "Data") -> "Dataset":
        """Patterns of a set with these labels: what a rule of patterns, and not of classes alone, makes itself."""
        return data.build(self)

    @abstractmethod
    def values(self, classes: "np.ndarray", names: Sequence[int], targets: "np.ndarray | None") -> "np.ndarray":
        """Labels y (N,) of patterns in the order of the cycle, of float64, or of int64 where they are classes.

        Args:
            classes: class of each pattern, (N,).
            names: the classes in use.
            targets: real numbers that the set itself has for its patterns, (N,), if any.
        """


@dataclass
class Architecture(Option):
    """The network f(w, x)."""

    one_width = False
    """Whether the network has a single width, so that ``width=geometric`` means nothing to it."""
    adapters: ClassVar[tuple[str, ...]] = ()
    """Keys that add weights which change nothing as they begin: a stored run to start from may be without them."""
    unread: ClassVar[Mapping[str, str]] = {}
    """Groups that mean nothing to the network, with what it does instead: none of them is to be chosen for it."""
    check_widths: ClassVar[tuple[int, ...]] = ()
    """Values of ``width.h`` at which a coordinate check measures it; none where its layers are not known."""

    @classmethod
    def ignores(cls, written: str, group: str) -> str:
        """What is wrong with a key of a group that it does not read, as somebody has written it."""
        return (
            f"{written}: architecture={cls.option_name} {cls.unread[group]}; leave {group} out, which changes nothing."
        )

    @property
    def growing(self) -> int:
        """Number of widths that the network asks for: of hidden layers, or of blocks."""
        return 1

    def last_fan_in(self, width: "Width") -> int:
        """Fan-in of the output layer: the h in √h·α."""
        return width.of(self.growing)[-1]

    @property
    def hidden_layers(self) -> int | None:
        """L; None where the layers are not known."""
        return None

    @property
    def infinite(self) -> bool:
        """Whether it has kernels of infinite width that are known (``networks.limits``)."""
        return not self.no_limit

    @property
    def no_limit(self) -> str:
        """Why it has no kernels of infinite width that are known, and what to do; empty: it has."""
        return "its kernels of infinite width are not known"

    @property
    def bias_variance(self) -> float:
        """Variance that biases add to preactivations at initialisation."""
        return 0.0

    @abstractmethod
    def build(self, config: "Config", data: "Dataset") -> "Initialised":
        """The network for patterns such as these, in their dtype and on their device.

        Raises:
            ConfigError: a network that does not fit patterns or labels.
        """


@dataclass
class Parametrisation(Option):
    """How weights are scaled with the width n (Tensor Programs IV)."""

    exponents: ClassVar[Any]
    """``Exponents`` of n in factors, initial weights and the learning rate."""


@dataclass
class Activation(Option):
    """φ(z) = a·φ₀(z), with a such that E φ(z)² = 1 for z ~ N(0, 1) (eq. 10), or that depth is critical; or 1."""

    _: KW_ONLY
    scale: str = key(
        "unit",
        "a of φ = a·φ₀; unit: E φ² = 1; critical: of arXiv:2106.10165; none: 1",
        choices=("unit", "critical", "none"),
        later=True,
    )

    smooth = True
    """Whether φ₀ has no kink: patterns that flip over one keep the kernel from its limit far into the lazy regime."""
    dual = None
    """Closed forms of E φ₀(u)φ₀(v) and E φ₀′(u)φ₀′(v), for kernels of infinite width; see ``networks.activations``."""
    by_surrogate = False
    """Whether what passes back is the slope of a surrogate, and not φ₀′: no gradient, and in ``dual`` u has φ₀′ and v
    the surrogate's slope, so that the kernel of infinite width is not symmetric."""
    critical: ClassVar[Critical | None] = None
    """What ``scale=critical`` means; None where there is no critical point, or none is known."""
    steepest: ClassVar[float | None] = None
    """sup |φ₀′| in closed form, for Lipschitz constants; None: the largest on a grid."""
    moment: ClassVar[float | None] = None
    """E φ₀(z)²: in closed form, for what is too steep or too fast for quadrature, or what quadrature gives, since that
    takes a quarter of a second; None: by quadrature."""

    @abstractmethod
    def shape(self, z: "Tensor") -> "Tensor":
        """φ₀ elementwise."""

    def problems(self, config: "Config") -> Iterator[str]:
        if self.scale == "critical":
            yield from critical_problems(self.kind, self.critical, config.architecture)


@dataclass
class Loss(Option):
    """ℓ(F, y) per pattern, a function of the margin m = F·y; of all outputs for classes.

    An option of this group is the loss itself. Derivatives come from autograd; an option that knows its first one in
    closed form may say so by ``slope``, which costs a quarter of that, and where its curvature is small by
    ``curvatures``, which saves steps of the exponential integrator up to a third of their work.
    """

    smooth = True
    """Whether the gradient has no jumps."""
    takes = ("one",)
    """Labels that the loss takes: ``one`` output with y = ±1, ``classes`` with an output each, ``real`` numbers."""

    only_with = ""
    """The labels without which it is not defined, such as ``labels=distilled``."""

    curvature = math.inf
    """Largest eigenvalue of ∂²ℓ/∂F², infinite at a kink or where it is not known."""
    likelihood = False
    """Whether e^{−ℓ}, up to a constant, is a distribution with natural parameters F: ∂²ℓ/∂F² is its Fisher matrix."""

    @property
    def stop_margin(self) -> float:
        """Training stops when every training pattern has a margin above this one."""
        return 1.0

    def margin(self, outputs: "Tensor", labels: "Tensor") -> "Tensor":
        """What is held against ``stop_margin``, for outputs F (…, P·C) and labels y (P,), shape (…, P)."""
        return margins(outputs, labels)

    def for_labels(self, labels: "Labels") -> "Loss":
        """The loss for labels of this kind."""
        return self

    def problems(self, config: "Config") -> Iterator[str]:
        labels = config.labels
        if not config.dataset.own_labels:
            what = "real" if labels.real else "classes" if labels.several else "one"
            yield from self.misfits(what, f"labels={labels.kind}")

    def misfits(self, what: str, labels: str) -> Iterator[str]:
        """What is wrong with the loss for such labels: one of ``takes``, and the key that asks for them."""
        if what in self.takes:
            return
        known = {name: loss for name, loss in options("loss").items() if loss.only_with in ("", labels)}
        fit = " or ".join(sorted(f"loss={name}" for name, loss in known.items() if what in loss.takes))
        match what:
            case "classes":
                yield f"loss={self.kind}: is for one output; with {labels} use {fit}."
            case "real":
                yield f"loss={self.kind}: {labels} are real numbers; use {fit}."
            case _:
                yield f"loss={self.kind}: is for classes, such as those of labels=classes; with {labels} use another."

    @abstractmethod
    def __call__(self, outputs: "Tensor", labels: "Tensor") -> "Tensor":
        """ℓ for outputs F (…, P·C) and labels y (P,), pattern by pattern, shape (…, P)."""

    def slope(self, outputs: "Tensor", labels: "Tensor") -> "Tensor":
        """∂ℓ/∂F at the same, (…, P·C)."""
        import torch

        leaf = outputs.detach().requires_grad_()
        with torch.enable_grad():
            total = self(leaf, labels).sum()  # a scalar, for the reason in networks.preactivations
        return torch.autograd.grad(total, leaf)[0]

    def curvatures(self, outputs: "Tensor", labels: "Tensor") -> "Tensor":
        """c ≥ 0 with ∂²ℓ/∂F² below diag(c) at the same, (…, P·C): ``curvature``, unless an option knows better."""
        return outputs.new_full((), self.curvature).expand_as(outputs)


@dataclass
class Dynamics(Option):
    """How the weights move."""

    max_steps: int = key(1_000_000, "budget: steps of one member; resumable", ge=1, science=False)
    time_budget: float = key(1e9, "budget: seconds of this job; resumable", gt=0, science=False)
    precision_tol: float = key(1e-3, "refuse a dtype with α·ε·rms(f) above this", gt=0)
    train: list[str] = key(
        ["all"],
        "weights that are trained, by name, last for the output layer; others stay, and kernels leave them out",
        later=True,
        unordered=True,
    )

    smallest_step = 1e-12
    """Smallest step over max(t, min(1, √h·α)); of a dynamics without a step to choose it says nothing."""
    end = 0.0
    """Where training ends at the latest, over min(1, √h·α); 0: nowhere."""
    validates = False
    """Whether the validation set plays a part in it: its flow then has one of the validation loss."""
    by_surrogate = False
    """Whether it takes a step along what passes back, be it a gradient or not, and needs nothing else of it."""
    several_alpha = False
    """Whether members of one batch may have an α each: a batch then does of each what it does of it alone."""

    @abstractmethod
    def prepare(self, flow: "NetworkFlow", w0: "Tensor") -> "Training":
        """Make it ready for members with the initial weights w0 (M, N).

        Raises:
            ConfigError: what it needs before is not there.
        """


@dataclass
class Regulariser(Option):
    """A term R(w) = ½ Σ_i λ_i (w_i − c_i)² of 𝓛, for every dynamics; c is w₀ or 0.

    You write these: ``rates``, and ``towards_start``. A flow under a regulariser does not end where every pattern is
    fit but where it comes to rest.
    """

    towards_start = False
    """Whether c is the initial weights; else it is 0, which is for F = αf."""
    tol = 0.0
    """A flow ends where ‖ẇ‖ < tol·‖∇R‖."""

    @abstractmethod
    def rates(self, layout: "Layout") -> Mapping[str, float]:
        """λ of trained weights, by name; those that are not named have none."""


@dataclass
class Prior(Option):
    """Law of the variance s of the output layer's weights, of which each network has its own.

    You write these: ``scale``.
    """

    @abstractmethod
    def scale(self, seed: int) -> float:
        """s of the network of a seed, above 0: its output layer begins multiplied by √s, and so does f."""


@dataclass
class Observable(Option):
    """What is recorded of a network along its training: numbers, and arrays at the end.

    You write these: ``quantities``, and ``at``, ``series`` or ``end``; ``begin`` where something of t = 0 is needed
    later. All are given a ``Moment`` (``feature_lazy.measure.moment``), which has weights, outputs, kernels and so on
    of M states, computed once for all who ask. A number is a tensor (M,), by the name of its column.

    An observable records; it is no part of a run's identity, and must not change what is trained.
    """

    every: int = key(1, "at every how many observations, the first and the last always", ge=1)

    by_surrogate = True
    """Whether it says something where what passes back is no gradient; a curvature or the limit of Θ does not."""
    quantities: ClassVar[Any] = {}
    """``Quantity`` of each column by its name, or by a pattern such as ``spectrum/eigenvalue_*``."""

    def begin(self, moment: "Moment") -> None:
        """Keep what is needed of all M members at t = 0; also when training goes on, which makes the same of it."""

    def at(self, moment: "Moment") -> "Mapping[str, Tensor]":
        """Numbers of M states, in any order and of any members: name → (M,)."""
        return {}

    def series(self, moment: "Moment") -> "Mapping[str, Tensor]":
        """Arrays of M states, stored with the run at each observation: name → (M, …)."""
        return {}

    def end(self, moment: "Moment") -> "Mapping[str, Tensor] | tuple[Mapping[str, Tensor], dict[str, Tensor]]":
        """Numbers of one member at its end, after ``at``: name → (1,); and, if there are any, arrays: name → (1, …)."""
        return {}

    def over(self, history: "Mapping[str, np.ndarray]") -> "Mapping[str, float]":
        """Numbers of a whole run, of its columns over time, ``t`` too, (observations,): they outlast interruptions."""
        return {}


@dataclass
class Tracking(Option):
    """Where runs are shown; never whether or how they train."""

    averages = False
    """Whether an ensemble is shown as one run, its mean."""

    def each(self) -> "list[Tracking]":
        """The trackers that are meant: itself, unless it stands for several."""
        return [self]

    @abstractmethod
    def maker(self, root: Path) -> "Callable[[], Tracker] | None":
        """What makes the tracker of the runs in a results folder, with the first run; None: there is none."""
