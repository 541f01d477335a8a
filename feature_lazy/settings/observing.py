"""When runs are observed, and what of their kernel: the base of ``observe``, beside the observables that it chooses."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from feature_lazy.settings.groups import Observable, Option
from feature_lazy.settings.key import key, part

if TYPE_CHECKING:
    from feature_lazy.dynamics.times import ObservationTimes
    from feature_lazy.settings.config import Config


@dataclass
class KernelObservation:
    """The tangent kernel on a probe set, over time."""

    probe: int = key(
        128, "test patterns of the probe set: the first ones; 0: no kernel", ge=0, at_most="dataset.n_test"
    )
    every: int = key(1, "at every how many observations, the first and the last always", ge=1)
    layers: bool = key(False, "each weight's part of the kernel: its change and its share of the trace")
    eigenvalues: int = key(0, "how many of the largest eigenvalues are recorded", ge=0, at_most="probe")
    final: bool = key(True, "kernel change on the whole train and test sets at the end")
    matrices: bool = key(False, "store Θ of the probe set at the start and at the end (Fig. 8a–b)", later=True)
    lga_without: list[str] = key(
        [],
        "weights without which the label–gradient alignment is recorded too, by name, last for the output layer",
        later=True,
    )
    components: int = key(
        0, "parts of y − F along so many eigenvectors of Θ₀, for mse", ge=0, at_most="dataset.n_train", later=True
    )

    def problems(self, config: "Config") -> Iterator[str]:
        """What is wrong with a configuration that has it, as of an option."""
        if (names := ",".join(self.lga_without)) and not self.layers:
            yield f"observe.kernel.lga_without=[{names}]: needs each weight's part; set observe.kernel.layers=true."
        if self.components:
            chosen = {"loss": ("mse",), "dynamics": ("gradient_flow", "frozen_kernel"), "regulariser": ("none",)}
            for group, kinds in chosen.items():
                if (kind := getattr(config, group).kind) not in kinds:
                    what = f"observe.kernel.components={self.components}: with {group}={kind}"
                    yield f"{what} components do not fall exponentially; use {group}={kinds[0]}."


@dataclass
class Observe(Option):
    """What is recorded, and when: t = 0, then at times of the option, then the end."""

    per_decade: int = key(8, "observation times per factor of ten in t", ge=1)
    first: float = key(1e-3, "first time of the grid, over min(1, √h·α)", gt=0)
    times: list[float] = key([], "observation times t, with observe=times", gt=0)
    n_test: int = key(1000, "test patterns used over time; at the end all are", ge=1)
    kernel: KernelObservation = part(KernelObservation)
    weights: str = key(
        "none",
        "stored weights: none, at the start and the end, or at all observations",
        choices=("none", "ends", "all"),
        science=False,
    )
    also: dict[str, Any] = key({}, "more observables, which observe/also=[…] chooses, with their keys", science=False)

    @abstractmethod
    def when(self, scale: float) -> "ObservationTimes":
        """Observation times of every member; ``scale`` is min(1, √h·α)."""

    def problems(self, config: "Config") -> Iterator[str]:
        yield from self.kernel.problems(config)
        for name, one in self.also.items():
            if isinstance(one, Observable):
                yield from one.problems(config)
            else:  # keys alone: they were added by hand, or an experiment's choice was replaced
                wanted = ",".join([*(name for name, one in self.also.items() if isinstance(one, Observable)), name])
                yield f"observe.also.{name}: it is not chosen; choose it: observe/also=[{wanted}]."
