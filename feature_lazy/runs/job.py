"""One job: from its configuration to stored runs."""

import logging
from collections.abc import Collection
from dataclasses import dataclass

from feature_lazy.core.imports import lasting
from feature_lazy.core.memory import within_memory
from feature_lazy.settings.cells import Cell, cells, columns
from feature_lazy.settings.config import Config

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """Cells that are trained together, and which of their runs are wanted.

    Attributes:
        config: the job's configuration.
        run_ids: the runs that are wanted.
    """

    config: Config
    run_ids: tuple[str, ...]

    @property
    def cells(self) -> list[Cell]:
        """The cells that are wanted."""
        return [cell for cell in cells(self.config) if cell.run_id in self.run_ids]


def train_config(config: Config, only: Collection[str] | None = None) -> list[str]:
    """Train the cells of a configuration that are not done, and return the run ids of all that are stored.

    Args:
        config: the job.
        only: ids of the runs to train; all if omitted.

    Raises:
        FeatureLazyError: an error that the user can mend; the runs have it in ``error.txt``.
    """
    with lasting("torch"):
        import torch  # two seconds; here and not above, so that --help and the parent of a sweep need not wait

        from feature_lazy.runs.batch import build
        from feature_lazy.runs.changed import beside
        from feature_lazy.runs.failures import recorded
        from feature_lazy.runs.plan import write_plans
        from feature_lazy.runs.progress import progress_for
        from feature_lazy.runs.store import Store
        from feature_lazy.runs.train import run

    if only is None:  # who asks for some runs has looked
        with recorded(Store(config.output_dir), cells(config)):
            [now] = beside([config])
            if now is not config:
                write_plans([now])
            config = now
    wanted = cells(config)
    facts = columns(config, wanted[0].seed)
    with recorded(Store(config.output_dir), wanted), within_memory():
        batch = build(config)
    if config.threads:
        torch.set_num_threads(config.threads)
    progress = progress_for(wanted, f"√hα={facts['sqrt_h_alpha']:g} h={facts['h']}", config.dataset.n_train)
    try:
        runs = run(batch, progress, only)
    finally:
        progress.close()
    for finished in runs:
        log.info("%s: %s in %s", finished.columns["seed"], finished.summary.get("outcome"), finished.path)
    return [finished.run_id for finished in runs]
