"""Run a sweep on a SLURM cluster: settings of ``submitit_slurm``, and runs that outlast whatever happens to a job."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus, configure_log, setup_globals
from hydra.errors import CompactHydraException
from hydra_plugins.hydra_submitit_launcher.config import SlurmQueueConf
from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher as StockLauncher

from feature_lazy.core.errors import FeatureLazyError, StoreError
from feature_lazy.core.redaction import clean
from feature_lazy.core.words import counted
from feature_lazy.launch.slurm.campaign import Campaign
from feature_lazy.launch.slurm.preview import preview
from feature_lazy.launch.slurm.settings import Settings
from feature_lazy.launch.slurm.site import KINDS, site
from feature_lazy.runs.failures import reason as stored_reason
from feature_lazy.runs.job import Job
from feature_lazy.runs.plan import write_plans
from feature_lazy.runs.store import Store
from feature_lazy.runs.survey import BUDGETS
from feature_lazy.settings.cells import Cell
from hydra_plugins.feature_lazy_plugins._composer import Composer
from hydra_plugins.feature_lazy_plugins._jobs import (
    Planning,
    SweepJob,
    reason,
    settled,
    warn_of_missing_data,
    warn_of_unobserved,
)

log = logging.getLogger(__name__)


@dataclass
class SlurmLauncherConf(SlurmQueueConf):
    """Keys of the stock launcher, and ours."""

    _target_: str = "hydra_plugins.feature_lazy_plugins.slurm_launcher.SlurmLauncher"
    submitit_folder: str = "${hydra.sweep.dir}/slurm/%A"
    max_num_timeout: int = 2  # time-outs in a row that may pass without progress
    pack: int = 1  # cells of one job; members of an ensemble count one by one
    side_by_side: int = 1  # cells of one job that are trained at once, on one GPU if there is one
    wait: bool = True  # false: submit, say how to follow, and return
    dry_run: bool = False  # true: show cells, jobs and node-hours, and submit nothing
    site_problem: str = ""  # filled in where the site file cannot be read


class SlurmLauncher(Planning, StockLauncher):
    """Composes every job once, skips what is done or in the queue, submits the rest, and loses no result."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """See ``Launcher.launch``; jobs come back in order, failed ones as failed.

        Raises:
            CompactHydraException: nothing, or not all, could be submitted.
        """
        assert self.config is not None
        assert self.hydra_context is not None
        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        composer = self.composer or Composer(self.hydra_context.config_loader, self.config)
        jobs = [SweepJob(initial_job_idx + i, overrides, composer) for i, overrides in enumerate(job_overrides)]
        try:
            settings = Settings.of(self.params)
            results = settled(jobs)
            warn_of_unobserved(jobs)
            warn_of_missing_data(jobs, results)
            for root in dict.fromkeys(job.config.output_dir for job in jobs):
                here = [
                    (job, result) for job, result in zip(jobs, results, strict=True) if job.config.output_dir == root
                ]
                _Sweep(Path(root), settings, [job for job, _ in here], [result for _, result in here]).launch()
        except FeatureLazyError as error:
            raise CompactHydraException(clean(str(error))) from error
        return results


class _Sweep:
    """The jobs of one results folder; their results are filled in as they become known."""

    def __init__(self, root: Path, settings: Settings, jobs: Sequence[SweepJob], results: Sequence[JobReturn]) -> None:
        self.store, self.settings, self.jobs = Store(root), settings, jobs
        self.runs = {cell.run_id for job in jobs for cell in job.cells}
        self.open = [(j, r) for j, r in zip(jobs, results, strict=True) if r.status is JobStatus.UNKNOWN]
        self.failed = [(j, r) for j, r in zip(jobs, results, strict=True) if r.status is JobStatus.FAILED]
        parts = [Job(job.config, tuple(c.run_id for c in self._missing(job))) for job, _ in self.open]
        self.campaign = Campaign(root, settings, parts)

    def _missing(self, job: SweepJob) -> list[Cell]:
        return [cell for cell in job.cells if not self.store.is_done(cell.run_id)]

    def launch(self) -> None:
        """Submit, and wait if that is wanted.

        Raises:
            SlurmError: SLURM refuses.
            StoreError: the results folder cannot be written.
        """
        missing = {run_id for part in self.campaign.parts for run_id in part.run_ids}
        log.info("%s, %d already done", counted(len(self.runs), "run"), len(self.runs - missing))
        jobs = self.campaign.jobs() if missing else []
        if self.settings.dry_run:
            preview(self.store.root, jobs, self.settings)
            return self._settle(lambda job: [])
        if jobs:
            self.campaign.check(jobs)
        write_plans([job.config for job in self.jobs])
        if jobs:
            self.campaign.submit(jobs)
            log.info("%s", self.campaign.announcement())
        if not self.settings.wait:
            return self._settle(lambda job: sorted({self.campaign.assigned[c.run_id].job for c in self._missing(job)}))
        if missing:
            self._wait()
        for job, result in self.open:
            self._finish(job, result)
        report([(job, result) for job, result in (*self.failed, *self.open) if result.status is JobStatus.FAILED])
        return None

    def _wait(self) -> None:
        """Wait for the jobs.

        Raises:
            KeyboardInterrupt: a person does not want to; the jobs go on.
        """
        try:
            self.campaign.wait(self.runs)
        except KeyboardInterrupt:
            log.warning("The jobs go on.")
            raise

    def _settle(self, value: Callable[[SweepJob], list[str]]) -> None:
        for job, result in self.open:
            result.status, result.return_value = JobStatus.COMPLETED, value(job)

    def _finish(self, job: SweepJob, result: JobReturn) -> None:
        settled = job.settle()
        result.status, result._return_value = settled.status, settled._return_value
        if result.status is not JobStatus.UNKNOWN:
            return
        reasons = [text for cell in self._missing(job) if (text := self._reason(cell))]
        if reasons:
            result.status = JobStatus.FAILED
            result.return_value = CompactHydraException(clean("; ".join(dict.fromkeys(reasons))))
        else:  # as when they are trained here: a budget is no failure
            result.status, result.return_value = JobStatus.COMPLETED, [cell.run_id for cell in job.cells]

    def _reason(self, cell: Cell) -> str:
        """Why a run is not done; empty if a budget stopped it, which can be raised."""
        standing = self.campaign.standing(cell.run_id)
        try:
            outcome = self.store.load(cell.run_id).summary.get("outcome")
        except StoreError:
            outcome = None
        if outcome in BUDGETS and standing.state.name == "COMPLETED":
            return ""
        why = stored_reason(self.store.path(cell.run_id))
        if why is None:
            why = "it was cancelled" if standing.state.name == "CANCELLED" else "it was left to another process"
        return f"{why} (SLURM job {standing.assignment.job})"


def report(failed: Sequence[tuple[SweepJob, JobReturn]]) -> None:
    """The closing table: which jobs failed, and why."""
    for job, result in failed:
        log.error("Failed: %s\n  %s", " ".join(job.overrides), reason(result))
    if failed:
        number = counted(len(failed), "job")
        log.error("%s failed; train what is missing with feature-lazy retry, or repeat the command.", number)


ConfigStore.instance().store(
    group="hydra/launcher", name="feature_lazy_slurm", node=SlurmLauncherConf, provider="feature_lazy"
)
for kind in KINDS:
    ConfigStore.instance().store(group="hydra/launcher", name=f"site_{kind}", node=site(kind), provider="feature_lazy")
