"""One job: from its configuration to stored runs."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from feature_lazy.core.errors import FeatureLazyError
from feature_lazy.core.imports import lasting
from feature_lazy.core.memory import within_memory
from feature_lazy.runs.stopping import StoppedError
from feature_lazy.settings.cells import Cell, cells, columns
from feature_lazy.settings.config import Config

log = logging.getLogger(__name__)


class SeveralError(FeatureLazyError):
    """Jobs of a batch failed."""


@dataclass(frozen=True)
class Job:
    """Cells that are trained together, and which of their runs are wanted.

    Attributes:
        config: the job's configuration.
        run_ids: the runs that are wanted.
        others: configurations that are trained in the same batch, see ``runs.together``.
    """

    config: Config
    run_ids: tuple[str, ...]
    others: tuple[Config, ...] = ()

    @property
    def configs(self) -> tuple[Config, ...]:
        """All configurations."""
        return (self.config, *self.others)

    @property
    def cells(self) -> list[Cell]:
        """The cells that are wanted."""
        return [cell for config in self.configs for cell in cells(config) if cell.run_id in self.run_ids]

    def on(self, threads: int) -> "Job":
        """The same on so many threads, where it does not say on how many."""
        made = [config if config.threads else replace(config, threads=threads) for config in self.configs]
        return Job(made[0], self.run_ids, tuple(made[1:]))


def train_config(config: Config, only: Collection[str] | None = None, others: Sequence[Config] = ()) -> list[str]:
    """Train the cells of a configuration that are not done, and return the run ids of all that are stored.

    Args:
        config: the job.
        only: ids of the runs to train; all if omitted.
        others: configurations to train in the same batch, see ``runs.together``. Where the batch fails, each of them is
            trained by itself, so that one which fails takes no other with it.

    Raises:
        FeatureLazyError: an error that the user can mend; the runs have it in ``error.txt``.
        StoppedError: a signal, or the end of the job's time; the state is kept.
    """
    from feature_lazy.runs.changed import beside
    from feature_lazy.runs.failures import recorded
    from feature_lazy.runs.plan import write_plans
    from feature_lazy.runs.store import Store

    configs = [config, *others]
    if only is None:  # who asks for some runs has looked
        with recorded(Store(config.output_dir), [cell for one in configs for cell in cells(one)]):
            settled = beside(configs)
            if changed := [new for new, old in zip(settled, configs, strict=True) if new is not old]:
                write_plans(changed)
            configs = settled
    if len(configs) == 1:
        return _train(configs, only)
    try:
        return _train(configs, only)
    except StoppedError:
        raise
    except Exception as error:
        log.warning("%s\nSo the %d jobs of this batch are trained one by one.", error, len(configs))
    return _one_by_one(configs, only)


def _one_by_one(configs: Sequence[Config], only: Collection[str] | None) -> list[str]:
    """Train each job by itself.

    Raises:
        SeveralError: some failed, once all have had their turn.
        StoppedError: see ``train_config``.
    """
    ids: list[str] = []
    failed: list[str] = []
    for config in configs:
        try:
            ids += _train([config], only)
        except StoppedError:
            raise
        except Exception as error:
            failed.append(str(error) if isinstance(error, FeatureLazyError) else f"{type(error).__name__}: {error}")
    if failed:
        why = "\n".join(dict.fromkeys(failed))
        raise SeveralError(f"{len(failed)} of {len(configs)} jobs failed:\n{why}")
    return ids


def _train(configs: Sequence[Config], only: Collection[str] | None) -> list[str]:
    """Train one batch."""
    with lasting("torch"):
        import torch  # two seconds; here and not above, so that --help and the parent of a sweep need not wait

        from feature_lazy.runs.batch import build
        from feature_lazy.runs.failures import recorded
        from feature_lazy.runs.progress import progress_for
        from feature_lazy.runs.store import Store
        from feature_lazy.runs.train import run

    config, *others = configs
    wanted = [cell for one in configs for cell in cells(one)]
    facts = [columns(one, cells(one)[0].seed) for one in configs]
    with recorded(Store(config.output_dir), wanted), within_memory():
        batch = build(config, others)
    if config.threads:
        torch.set_num_threads(config.threads)
    alphas = sorted({one["sqrt_h_alpha"] for one in facts})
    span = "…".join(f"{x:g}" for x in dict.fromkeys((alphas[0], alphas[-1])))
    progress = progress_for(wanted, f"√hα={span} h={facts[0]['h']}", config.dataset.n_train)
    try:
        runs = run(batch, progress, only)
    finally:
        progress.close()
    return [finished.run_id for finished in runs]
