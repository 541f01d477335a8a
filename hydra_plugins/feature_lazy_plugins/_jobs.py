"""The jobs of a sweep, whichever launcher runs them: composed once, and done ones known."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import CompactHydraException
from omegaconf import DictConfig, OmegaConf

from feature_lazy.core.errors import FeatureLazyError
from feature_lazy.core.redaction import clean
from feature_lazy.core.words import counted
from feature_lazy.runs.changed import beside
from feature_lazy.runs.failures import reason as stored_reason
from feature_lazy.runs.plan import asked, finished_runs, unobserved
from feature_lazy.runs.reading import Run
from feature_lazy.runs.store import Store
from feature_lazy.settings.cells import cells
from feature_lazy.settings.config import Config
from hydra_plugins.feature_lazy_plugins._composer import Composer

log = logging.getLogger(__name__)


class Planning:
    """A launcher to which the sweeper hands what it has composed, and which writes down what it is to train.

    Attributes:
        composer: the sweeper's, None before.
    """

    composer: Composer | None = None


@dataclass
class Told(JobReturn):
    """A result whose failure has been said: who asks for its value ends the process, and Hydra says nothing again."""

    @property
    def return_value(self) -> Any:
        if self.status is JobStatus.FAILED:
            raise SystemExit(1)
        return super().return_value

    @return_value.setter
    def return_value(self, value: Any) -> None:
        self._return_value = value


class SweepJob:
    """One job of a sweep: its typed configuration, and what Hydra composes when it is its turn."""

    def __init__(self, number: int, overrides: Sequence[str], composer: Composer) -> None:
        """Compose the typed configuration."""
        self.number, self.overrides, self.composer = number, overrides, composer
        self.config: Config = composer.typed(overrides)
        self.cells = cells(self.config)
        self.done: dict[str, Run] = {}

    def composed(self) -> DictConfig:
        """The whole configuration, Hydra's node included."""
        config = self.composer.composed(self.overrides)
        if self.config.dataset.content:
            OmegaConf.update(config, "dataset.content", self.config.dataset.content)
        return config

    def take(self, config: Config) -> None:
        """Train another configuration in place of the one that was composed."""
        self.config, self.cells = config, cells(config)

    def settle(self) -> JobReturn:
        """The result if it needs no training, because all is done, or a stored run is damaged; else UNKNOWN."""
        result = JobReturn(overrides=list(self.overrides))
        try:
            self.done = finished_runs(Store(self.config.output_dir), self.cells)
            if len(self.done) == len(self.cells):
                result.status, result.return_value = JobStatus.COMPLETED, [cell.run_id for cell in self.cells]
        except FeatureLazyError as error:
            # Of a kind that Hydra shows without a traceback: the sentence says it all.
            result.status, result.return_value = JobStatus.FAILED, CompactHydraException(clean(str(error)))
        return result


def results_of(jobs: Sequence[SweepJob], together: JobReturn) -> list[JobReturn]:
    """The result of each job of a batch, by what is stored; what failed says why in its own runs."""
    if len(jobs) == 1:
        return [together]
    found = [job.settle() for job in jobs]
    for job, result in zip(jobs, found, strict=True):
        if result.status is not JobStatus.UNKNOWN:
            continue
        store = Store(job.config.output_dir)
        reasons = [why for cell in job.cells if (why := stored_reason(store.path(cell.run_id)))]
        if reasons or together.status is JobStatus.FAILED:
            result.status = JobStatus.FAILED
            result.return_value = CompactHydraException(reasons[0]) if reasons else together._return_value
        else:  # a budget is no failure
            result.status, result.return_value = JobStatus.COMPLETED, [cell.run_id for cell in job.cells]
    return found


def settled(jobs: Sequence[SweepJob]) -> list[JobReturn]:
    """The result of each job, as far as it is known; where a user's own data have changed, of runs on those of now."""
    try:
        for job, config in zip(jobs, beside([job.config for job in jobs]), strict=True):
            job.take(config)
    except FeatureLazyError as error:
        # A damaged run is named by its own job; data that cannot be made fail in each.
        log.warning("Whether the data have changed since is not known: %s", error)
    return [job.settle() for job in jobs]


def warn_of_missing_data(jobs: Sequence[SweepJob], results: Sequence[JobReturn]) -> None:
    """Say which files jobs that are to be trained need, and this machine does not have."""
    todo = [job for job, result in zip(jobs, results, strict=True) if result.status is JobStatus.UNKNOWN]
    for sentence in dict.fromkeys(missing for job in todo if (missing := job.config.dataset.missing())):
        log.warning("%s Jobs that do not find it fail.", sentence)


def warn_of_unobserved(jobs: Sequence[SweepJob]) -> None:
    """Say which runs of a sweep, settled before, lack observables that it asks for."""
    wanted = [(asked(job.config.observe), job.done.get(cell.run_id)) for job in jobs for cell in job.cells]
    for sentence in unobserved(wanted):
        log.warning("%s", sentence)


def say_failures(results: Sequence[JobReturn]) -> list[JobReturn]:
    """Log why jobs failed, each reason once, and return the results as ``Told``."""
    reasons: dict[str, list[JobReturn]] = {}
    for result in results:
        if result.status is JobStatus.FAILED:
            reasons.setdefault(reason(result), []).append(result)
    for why, failed in reasons.items():
        more = f", and {counted(len(failed) - 1, 'other job')}" if len(failed) > 1 else ""
        log.error("Failed: %s%s\n  %s", " ".join(failed[0].overrides or ()), more, why)
    if reasons:
        number = sum(map(len, reasons.values()))
        log.error("%d of %s failed; repeat the command to train what is missing.", number, counted(len(results), "job"))
    return [Told(**{f.name: getattr(result, f.name) for f in fields(JobReturn)}) for result in results]


def reason(result: JobReturn) -> str:
    """Why a job failed, indented to stand below its overrides."""
    return f"{result._return_value}".replace("\n", "\n  ")
