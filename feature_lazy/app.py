"""One Hydra job: from what Hydra composed to stored runs."""

import logging

from hydra.errors import CompactHydraException
from omegaconf import DictConfig

from feature_lazy.errors import FeatureLazyError
from feature_lazy.schema import to_config

log = logging.getLogger(__name__)


def train(cfg: DictConfig) -> list[str]:
    """Train the cells of one job that are not done, and return the run ids of all of them.

    Raises:
        CompactHydraException: an error that the user can mend, as the sentences that Hydra prints without a traceback.
    """
    import torch  # two seconds; here and not above, so that --help and the parent of a sweep need not wait

    from feature_lazy.build import build
    from feature_lazy.cells import columns
    from feature_lazy.progress import progress_for
    from feature_lazy.run import run

    try:
        config = to_config(cfg)
        experiment = build(config)
        if config.threads:
            torch.set_num_threads(config.threads)
        facts = columns(config, experiment.cells[0].seed)
        name = f"√hα={facts['sqrt_h_alpha']:g} h={facts['h']}"
        progress = progress_for(experiment.cells, name, config.dataset.n_train)
        try:
            runs = run(experiment, progress)
        finally:
            progress.close()
    except FeatureLazyError as error:
        log.error("%s", error)
        raise CompactHydraException(str(error)) from error
    except Exception:
        log.exception("The job failed for a reason that it should not have")
        raise
    for finished in runs:
        log.info("%s: %s in %s", finished.columns["seed"], finished.summary["outcome"], finished.path)
    return [finished.run_id for finished in runs]
