"""Who observes a batch: asks every observable when it is due, of one moment that they share. Nothing here writes."""

import copy
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from torch import Tensor

from feature_lazy.core.errors import ConfigError
from feature_lazy.measure.moment import Moment, Setting
from feature_lazy.measure.quantities import QUANTITIES
from feature_lazy.measure.quantities.components import Components
from feature_lazy.measure.quantities.fit import Fit, Outputs
from feature_lazy.measure.quantities.kernel import FinalKernels, KernelProbe
from feature_lazy.measure.quantities.weights import Preactivations, StoredWeights, Told, Weights
from feature_lazy.networks.functional import explained
from feature_lazy.settings.groups import Observable
from feature_lazy.settings.observing import KernelObservation

Row = dict[str, float]
"""What was observed of one state, by name."""

DEFAULT = "the default set"


EVERY = {"ends": sys.maxsize, "all": 1}
"""Cadence of stored weights; the first observation and the last are always due."""


def default_set(kernel: KernelObservation, weights: str = "none") -> list[Observable]:
    """What is observed whatever else is chosen; ``weights`` as in ``observe.weights``."""
    probe = KernelProbe(
        every=kernel.every,
        patterns=kernel.probe,
        layers=kernel.layers,
        eigenvalues=kernel.eigenvalues,
        matrices=kernel.matrices,
        lga_without=tuple(kernel.lga_without),
    )
    return [
        *(Fit(), Outputs(), Weights()),
        *([probe] if kernel.probe else []),
        *([Components(count=kernel.components)] if kernel.components else []),
        Preactivations(),
        Told(),
        *([FinalKernels()] if kernel.final else []),
        *([StoredWeights(every=EVERY[weights])] if weights in EVERY else []),
    ]


class Observer:
    """Knows a batch and its observables, so that a moment is enough to observe."""

    @torch.no_grad()
    def __init__(
        self,
        setting: Setting,
        default: Sequence[Observable],
        also: Mapping[str, Observable],
        taken: Collection[str] = (),
    ) -> None:
        """Let every observable begin.

        Args:
            setting: what stays along the training.
            default: what is observed in every run.
            also: what was chosen beside it, by name.
            taken: names that a run's table has beside what is observed.

        Raises:
            ConfigError: an observable that fails.
        """
        self.setting = setting
        # Copies: what they keep of t = 0 is of this batch.
        self.observables = [(DEFAULT, copy.copy(one)) for one in default]
        self.observables += [(f"observe/also=[{name}]", copy.copy(one)) for name, one in also.items()]
        ends = [name for name in QUANTITIES if "/" not in name]  # t, steps, t_half and so on
        self.owners = dict.fromkeys([*ends, *taken], DEFAULT)
        # Known before: what has no arrays costs nothing.
        self._with_series = [(name, one) for name, one in self.observables if type(one).series is not Observable.series]
        first = Moment.first(setting)
        for name, one in self.observables:
            with _asking(name, "at t = 0"):
                one.begin(first)

    @torch.no_grad()
    def observe(self, moment: Moment, numbers: Sequence[int] | None = None) -> list[Row]:
        """What is due of each state, in the order of the observables.

        Args:
            moment: the states.
            numbers: how many observations the member of each has had; all is due if omitted, as at the end.

        Raises:
            ConfigError: an observable that fails, or a name that two have.
        """
        rows: list[Row] = [{} for _ in range(len(moment))]
        for name, one, now, places in self._due(self.observables, moment, numbers):
            with _asking(name, f"at t = {float(now.t[0]):.3g}"):
                found = one.at(now)
            for column, values in self._checked(name, found, len(now)).items():
                for place, value in zip(places, values.tolist(), strict=True):
                    rows[place][column] = value
        return rows

    @torch.no_grad()
    def series(self, moment: Moment, numbers: Sequence[int] | None = None) -> list[dict[str, Tensor]]:
        """Arrays over time that are due of each state, as ``observe``.

        Raises:
            ConfigError: an observable that fails, or a name that two have.
        """
        arrays: list[dict[str, Tensor]] = [{} for _ in range(len(moment))]
        for name, one, now, places in self._due(self._with_series, moment, numbers):
            with _asking(name, f"at t = {float(now.t[0]):.3g}"):
                found = one.series(now)
            for column, values in found.items():
                self._own(name, f"the array {column} over time")
                if not isinstance(values, Tensor) or values.shape[:1] != (len(now),):
                    raise ConfigError(
                        f"{name}: the array {column} over time {_shown(values)}; it must be a tensor "
                        f"({len(now)}, …), an array for each state."
                    )
                for place, value in zip(places, values, strict=True):
                    arrays[place][column] = value
        return arrays

    def _due(
        self, observables: Sequence[tuple[str, Observable]], moment: Moment, numbers: Sequence[int] | None
    ) -> Iterator[tuple[str, Observable, Moment, list[int]]]:
        """Observables that are due: each with its name, the states it is due of, and their places in the moment."""
        for name, one in observables:
            due = [numbers is None or number % one.every == 0 for number in numbers or [0] * len(moment)]
            if any(due):
                now = moment if all(due) else moment.select(torch.tensor(due, device=moment.member.device))
                yield name, one, now, [place for place, wanted in enumerate(due) if wanted]

    @torch.no_grad()
    def end(self, moment: Moment) -> tuple[Row, dict[str, Tensor]]:
        """What is measured once, at the end of one member: scalars, and arrays (1, …).

        Raises:
            ConfigError: an observable that fails, or a name that two have.
        """
        scalars: Row = {}
        arrays: dict[str, Tensor] = {}
        for name, one in self.observables:
            with _asking(name, "at the end"):
                found = one.end(moment)
            numbers, more = found if isinstance(found, tuple) else (found, {})
            scalars |= {column: float(value) for column, value in self._checked(name, numbers, len(moment)).items()}
            for column, values in more.items():
                self._own(name, f"the array {column}")
                arrays[column] = values
        return scalars, arrays

    def over(self, rows: Sequence[Mapping[str, float]]) -> Row:
        """What is made of all observations of one member, at its end.

        Raises:
            ConfigError: an observable that fails, or a name that two have.
        """
        names = dict.fromkeys(name for row in rows for name in row)
        history = {name: np.array([row.get(name, np.nan) for row in rows]) for name in names}
        scalars: Row = {}
        for name, one in self.observables:
            with _asking(name, "at the end"):
                found = one.over(history)
            for column, value in found.items():
                self._own(name, column)
                scalars[column] = float(value)
        return scalars

    def _checked(self, name: str, found: Mapping[str, Tensor], states: int) -> Mapping[str, Tensor]:
        """The scalars of an observable, each (M,).

        Raises:
            ConfigError: another shape, complex numbers, or a name that another observable has.
        """
        for column, values in found.items():
            self._own(name, column)
            if not isinstance(values, Tensor) or values.shape != (states,) or values.is_complex():
                raise ConfigError(
                    f"{name}: {column} {_shown(values)}; it must be a tensor ({states},), a real number for each state."
                )
        return found

    def _own(self, name: str, column: str) -> None:
        owner = self.owners.setdefault(column, name)
        if owner != name:
            raise ConfigError(f"{name}: {column} is recorded by {owner} already; give it another name.")


def _shown(values: object) -> str:
    if not isinstance(values, Tensor):
        return f"is {values!r:.60}"
    return f"is {values.dtype}" if values.is_complex() else f"has the shape {tuple(values.shape)}"


def _asking(name: str, when: str) -> AbstractContextManager[None]:
    """Errors of what a user chose are sentences; the default set has none that a user could mend."""
    return nullcontext() if name == DEFAULT else explained(f"{name} fails {when}")
