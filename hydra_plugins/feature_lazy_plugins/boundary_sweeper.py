"""Find the α at which the kernel change crosses a value, of all combinations of the other choices at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import CompactHydraException
from omegaconf import OmegaConf

from feature_lazy.core.errors import FeatureLazyError
from feature_lazy.core.files import write_atomically
from feature_lazy.core.redaction import clean
from feature_lazy.launch.boundary import Lost, Search, Target, check, save, show, stored
from feature_lazy.runs.changed import beside
from feature_lazy.settings.checks import validate
from feature_lazy.settings.config import Config
from hydra_plugins.feature_lazy_plugins._checking import Checking

ALPHA = "alpha.value"


@dataclass
class BoundarySweeperConf:
    """Keys of the sweeper."""

    _target_: str = "hydra_plugins.feature_lazy_plugins.boundary_sweeper.BoundarySweeper"
    quantity: str = "kernel/change"  # or kernel/change_test, kernel/change_train
    level: float = 1.0  # the value that it crosses
    low: float = 1.0  # alpha.value at which it is likely above
    high: float = 1e3  # alpha.value at which it is likely below
    resolution: float = 0.2  # width of the 95 % interval of ln α* that is enough
    max_runs: int = 200  # runs that each search may ask for in one command
    params: dict[str, str] = field(default_factory=dict)  # choices; every combination is a search


class BoundarySweeper(Checking, BasicSweeper):
    """Searches all combinations of the other choices side by side, in rounds: one launch trains what all ask for.

    Stored runs are taken first, so a command that is repeated goes on where it was, and trains nothing when all is
    known.
    """

    def __init__(self, params: dict[str, str], quantity: str, max_runs: int, **target: float) -> None:
        """Keep what is looked for; see ``BoundarySweeperConf``."""
        super().__init__(max_batch_size=None, params=params)
        self.quantity, self.max_runs, self.target = quantity, max_runs, target

    def sweep(self, arguments: list[str]) -> Any:
        """See ``Sweeper.sweep``.

        Raises:
            CompactHydraException: a search that cannot begin, before anything starts; at the end, one without answer.
        """
        assert self.config is not None
        searches = self._searches(self._combinations(arguments))
        sweep_dir = Path(str(self.config.hydra.sweep.dir))
        try:
            write_atomically(sweep_dir / "multirun.yaml", OmegaConf.to_yaml(self.config).encode(), below=sweep_dir)
        except OSError as error:
            raise CompactHydraException(f"{sweep_dir} cannot be written ({error.strerror}).") from error
        try:
            returns = list(self._rounds(searches))
            for root in dict.fromkeys(search.readings.root for search in searches):
                save(root, [search for search in searches if search.readings.root == root])
        except FeatureLazyError as error:
            raise CompactHydraException(clean(str(error))) from error
        show(searches)
        lost = sum(isinstance(search.state, Lost) for search in searches)
        if lost:
            raise CompactHydraException(f"{lost} of {len(searches)} searches found no boundary; see above.")
        return returns

    def _combinations(self, arguments: Sequence[str]) -> list[list[str]]:
        assert self.hydra_context is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        [combinations] = self.split_arguments(parser.parse_overrides([*self._parse_config(), *arguments]), None)
        return combinations

    def _searches(self, combinations: Sequence[list[str]]) -> list[Search]:
        """A search for each combination.

        Raises:
            CompactHydraException: every problem once.
        """
        problems: dict[str, None] = dict.fromkeys(self._misfits(combinations[0]))
        searches: list[Search] = []
        for overrides in [] if problems else combinations:
            at = partial(self._at, overrides)
            try:
                target = Target(**self.target)
                for end in (target.low, target.high):
                    validate(at(end))
                check(at(target.low), self.quantity)
                searches.append(Search(overrides, at, self.quantity, target, self.max_runs))
            except FeatureLazyError as error:
                problems |= dict.fromkeys(str(error).splitlines())
        if problems:
            raise CompactHydraException(clean("\n".join(["Nothing was started:", *problems])))
        return searches

    def _at(self, overrides: Sequence[str], alpha: float) -> Config:
        [config] = beside([self.composer.typed(_job(overrides, alpha))])
        return config

    def _misfits(self, overrides: Sequence[str]) -> Iterator[str]:
        """What no search can do, whatever its values."""
        assert self.config is not None
        for one in overrides:
            if one.partition("=")[0] == ALPHA:
                yield f"{one}: the search chooses it; set hydra.sweeper.low and hydra.sweeper.high."
        launcher = self.config.hydra.launcher
        for key, value in (("wait", False), ("dry_run", True)):
            if launcher.get(key) is value:
                yield f"hydra.launcher.{key}={str(value).lower()}: a search has to wait for its runs; leave it out."

    def _rounds(self, searches: Sequence[Search]) -> Iterator[Sequence[JobReturn]]:
        """Launch what all searches ask for, until none asks."""
        assert self.launcher is not None
        runs = {root: stored(root) for root in {search.readings.root for search in searches}}
        for search in searches:
            search.begin(runs[search.readings.root])
        jobs = 0
        while open_ones := [search for search in searches if search.asks]:
            batch: list[Sequence[str]] = [
                _job(search.overrides, alpha) for search in open_ones for alpha in search.asks
            ]
            self.validate_batch_is_legal(batch)
            results = iter(self.launcher.launch(batch, initial_job_idx=jobs))
            jobs += len(batch)
            for search in open_ones:
                own = [next(results) for _ in search.asks]
                search.answer([str(one._return_value) for one in own if one.status is JobStatus.FAILED])
                yield own


def _job(overrides: Sequence[str], alpha: float) -> list[str]:
    return [*overrides, f"{ALPHA}={alpha!r}"]


ConfigStore.instance().store(
    group="hydra/sweeper", name="feature_lazy_boundary", node=BoundarySweeperConf, provider="feature_lazy"
)
