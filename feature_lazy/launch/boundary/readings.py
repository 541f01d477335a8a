"""What the runs of a results folder say about one search: the quantity at each α, of each seed."""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from feature_lazy.core.errors import ConfigError, StoreError
from feature_lazy.launch.boundary.crossing import Points
from feature_lazy.runs.changed import data_of
from feature_lazy.runs.reading import MisnamedRunError, Run, load_run
from feature_lazy.runs.sweep import folders
from feature_lazy.settings.cells import Cell, cells, science_key
from feature_lazy.settings.config import Config

log = logging.getLogger(__name__)
QUANTITIES = ("kernel/change", "kernel/change_test", "kernel/change_train")


def check(config: Config, quantity: str) -> None:
    """Refuse a search whose runs would not have the quantity, or could not tell how sure it is.

    Raises:
        ConfigError: a quantity that there is not or that is not measured, or a single seed.
    """
    if quantity not in QUANTITIES:
        raise ConfigError(f"hydra.sweeper.quantity={quantity}: must be one of {', '.join(QUANTITIES)}.")
    kernel = config.observe.kernel
    if not kernel.probe:
        raise ConfigError(f"observe.kernel.probe=0: the runs would have no {quantity}; set patterns of a probe set.")
    if quantity != QUANTITIES[0] and not kernel.final:
        raise ConfigError(f"observe.kernel.final=false: the runs would have no {quantity}; set it to true.")
    if len(cells(config)) < 2:
        raise ConfigError("a boundary has its error bar from seeds: set seed=ensemble, with seed.members=2 or more.")


class Readings:
    """One quantity over its level, by α and seed, of runs that differ in nothing else."""

    def __init__(self, config: Config, quantity: str, level: float) -> None:
        """Take runs of a configuration, at any α of its group ``alpha``."""
        self.quantity, self.level = quantity, level
        self.axis = config.alpha.axis
        self.root, wanted = Path(config.output_dir), cells(config)
        self.seeds = [cell.seed for cell in wanted]
        self._kin = {_kin(cell.config, cell.identity): cell.seed for cell in wanted}
        self._data = data_of(config)
        self._values: dict[float, dict[int, float]] = {}

    def take(self, runs: Iterable[Run]) -> None:
        """Note those runs that belong here and have a value."""
        for run in runs:
            value = run.summary.get(self.quantity)
            kin = _kin(run.config, run.manifest.get("identity", {})) in self._kin
            if (
                kin
                and (self._data is None or "data" not in run.inputs or self._data.agrees(run.inputs["data"]))
                and value is not None
                and np.isfinite(value)
                and value > 0
            ):
                self._values.setdefault(run.columns[self.axis], {})[run.columns["seed"]] = value

    def points(self) -> Points:
        """ln(q/level) at every α at which all seeds have a value."""
        full = {alpha: v for alpha, v in self._values.items() if set(self.seeds) <= set(v)}
        return {alpha: np.log([v[seed] / self.level for seed in self.seeds]) for alpha, v in full.items()}

    def asked(self, wanted: Sequence[Cell]) -> float:
        """Read the runs that were asked for at one α, and return that α.

        Raises:
            StoreError: one that is not complete or damaged, or whose quantity has no logarithm.
        """
        runs = [load_run(self.root / "runs" / cell.run_id) for cell in wanted]
        for run in runs:
            value, where = run.summary.get(self.quantity), f"alpha.value={run.columns[self.axis]:g}"
            if not run.done:
                raise StoreError(f"the run {run.run_id} at {where} is not complete; repeat the command to go on.")
            if value is None or not np.isfinite(value) or not value > 0:
                raise StoreError(
                    f"{self.quantity} is {value} at {where}, seed {run.columns['seed']}, which ended with "
                    f"{run.summary.get('outcome')}: see {run.path}."
                )
            self._values.setdefault(run.columns[self.axis], {})[run.columns["seed"]] = value
        return runs[0].columns[self.axis]


def stored(root: Path) -> list[Run]:
    """The complete runs of a results folder; damaged ones are left out: they are named when they are needed."""
    runs = []
    for name in sorted(folders(root)[0]):
        try:
            runs.append(load_run(root / "runs" / name))
        except MisnamedRunError as error:
            log.warning("%s", error)
        except StoreError:
            continue
    return [run for run in runs if run.done]


def _kin(science: dict[str, Any], identity: dict[str, Any]) -> str:
    """The same for runs that differ in α alone, whether or not that was given as √h·α."""
    rest = {name: value for name, value in science.items() if name != "alpha"}
    return f"{identity.get('version')} {identity.get('options')} {identity.get('code')} {science_key(rest)}"
