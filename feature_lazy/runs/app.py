"""One job: from its configuration to stored runs."""

import logging
from collections.abc import Collection
from pathlib import Path
from typing import Any

from feature_lazy.core.errors import FeatureLazyError
from feature_lazy.settings.config import Config

log = logging.getLogger(__name__)


def train(cfg: Any) -> list[str]:
    """Train the cells of one Hydra job that are not done, and return the run ids of all of them.

    Args:
        cfg: what Hydra composed.

    Raises:
        CompactHydraException: an error that the user can mend, as the sentences that Hydra prints without a traceback.
    """
    from hydra.core.hydra_config import HydraConfig
    from hydra.errors import CompactHydraException
    from hydra.types import RunMode

    from feature_lazy.runs.plan import write_plan
    from feature_lazy.settings.checks import validate
    from feature_lazy.settings.schema import to_config

    try:
        config = to_config(cfg)
        validate(config)
        if not HydraConfig.initialized() or HydraConfig.get().mode != RunMode.MULTIRUN:
            write_plan(Path(config.output_dir), [config])  # the plan of a sweep has all of its jobs
        return train_config(config)
    except FeatureLazyError as error:
        log.error("%s", error)
        raise CompactHydraException(str(error)) from error
    except Exception:
        log.exception("The job failed for a reason that it should not have")
        raise


def train_config(config: Config, only: Collection[str] | None = None) -> list[str]:
    """Train the cells of a configuration that are not done, and return the run ids of all that are stored.

    Args:
        config: the job.
        only: ids of the runs to train; all if omitted.

    Raises:
        FeatureLazyError: an error that the user can mend; the runs have it in ``error.txt``.
    """
    import torch  # two seconds; here and not above, so that --help and the parent of a sweep need not wait

    from feature_lazy.runs.build import build
    from feature_lazy.runs.failures import recorded
    from feature_lazy.runs.progress import progress_for
    from feature_lazy.runs.store import Store
    from feature_lazy.runs.train import run
    from feature_lazy.settings.cells import cells, columns

    wanted = cells(config)
    facts = columns(config, wanted[0].seed)
    with recorded(Store(config.output_dir), wanted):
        experiment = build(config)
        if config.threads:
            torch.set_num_threads(config.threads)
        progress = progress_for(wanted, f"√hα={facts['sqrt_h_alpha']:g} h={facts['h']}", config.dataset.n_train)
        try:
            runs = run(experiment, progress, only)
        finally:
            progress.close()
    for finished in runs:
        log.info("%s: %s in %s", finished.columns["seed"], finished.summary.get("outcome"), finished.path)
    return [finished.run_id for finished in runs]
