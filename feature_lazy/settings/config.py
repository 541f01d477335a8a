"""The typed configuration: one job. Its groups are chosen among the options of the registry."""

from dataclasses import dataclass, field, fields
from typing import Any, cast

from feature_lazy.settings import registry
from feature_lazy.settings.groups import (
    Activation,
    Architecture,
    Data,
    Dynamics,
    Labels,
    Loss,
    Observable,
    Parametrisation,
    Prior,
    Regulariser,
    Tracking,
)
from feature_lazy.settings.key import key
from feature_lazy.settings.observing import Observe
from feature_lazy.settings.scales import Alpha, Seed, Width


def group(name: str, default: str, *, science: bool = True, later: bool = False) -> Any:
    """A configuration group: a field whose value is one of the group's options.

    Args:
        name: of the group, which is the field's.
        default: the option that is chosen where nobody chooses.
        science: whether the option can change what is computed.
        later: a group that came after runs had been stored: at its default option with default keys it is no part of a
            run's identity.
    """
    metadata = {"group": name, "default": default, "science": science, "later": later}
    return field(default_factory=lambda: registry.find(name, default)(), metadata=metadata)


ALSO = "observe/also"
"""The group that takes any number of options: each stands in ``observe.also`` under its name."""


def default_option(name: str) -> str | None:
    """The option of a group that is chosen where nobody chooses; of ``observe/also`` there is none."""
    return next((f.metadata["default"] for f in fields(Config) if f.name == name), None)


def base(name: str) -> type:
    """What all options of a group are."""
    return Observable if name == ALSO else next(cast(type, f.type) for f in fields(Config) if f.name == name)


@dataclass
class Config:
    """One job: one α, one width, and the seeds that are trained together."""

    dataset: Data = group("dataset", "digits")
    labels: Labels = group("labels", "parity")
    architecture: Architecture = group("architecture", "fully_connected")
    parametrisation: Parametrisation = group("parametrisation", "ntk")
    activation: Activation = group("activation", "softplus")
    prior: Prior = group("prior", "fixed", later=True)
    loss: Loss = group("loss", "soft_hinge")
    regulariser: Regulariser = group("regulariser", "none", later=True)
    dynamics: Dynamics = group("dynamics", "gradient_flow")
    alpha: Alpha = group("alpha", "rescaled")
    width: Width = group("width", "uniform")
    seed: Seed = group("seed", "single")
    observe: Observe = group("observe", "log")
    tracking: Tracking = group("tracking", "none", science=False)
    options: list[str] = key([], "import paths of modules that declare options of your own", science=False)
    centred: bool | str = key(
        True,
        "F = α(f − f₀), eq. 6; false: F = αf (Fig. 15); parent: F = α(f − f₀) + F of the run that seed=from_run names",
        later=True,
    )
    dtype: str = key("float64", "precision of the training", choices=("float64", "float32"))
    device: str = key("cpu", "cpu, cuda or cuda:N", science=False)
    batch: str = key(
        "1",
        "networks that are trained together, of jobs of a sweep that differ in alpha.value or seed alone: at most so "
        "many, or auto, as many as pay; 1: each job by itself",
        science=False,
    )
    threads: int = key(0, "CPU threads; 0: all cores, shared among parallel jobs", ge=0, science=False)
    memory_limit: str = key("1GiB", "for one chunk of patterns, such as 500MB or 2GiB", science=False)
    checkpoint_every: float = key(300.0, "seconds between two checkpoints", gt=0, science=False)
    checkpoint_margin: float = key(60.0, "seconds kept for the last one before a job ends", ge=0, science=False)
    output_dir: str = key("results", "folder of the stored runs", science=False)

    @property
    def h(self) -> int:
        """Fan-in of the output layer: the h in √h·α."""
        return self.architecture.last_fan_in(self.width)

    @property
    def labelled_by(self) -> str:
        """What decides of what kind labels are, and so how many outputs there are, with its value."""
        return self.dataset.labelled_by if self.dataset.own_labels else f"labels={self.labels.kind}"

    def leaves(self, name: str) -> bool:
        """Whether a group is left at its default option."""
        chosen = next(f.metadata["default"] for f in fields(self) if f.name == name)
        return isinstance(getattr(self, name), registry.find(name, chosen))
