"""Train the cells of an experiment that are not done yet, and store each as it finishes."""

import logging
from collections.abc import Collection

import torch

from feature_lazy.runs.batch import TrainingBatch
from feature_lazy.runs.batches import plan_batches
from feature_lazy.runs.build import Experiment
from feature_lazy.runs.plan import finished_runs
from feature_lazy.runs.progress import Progress, Silent
from feature_lazy.runs.reading import Run
from feature_lazy.runs.stopping import Stop
from feature_lazy.runs.store import Claims
from feature_lazy.runs.tracking import HURRY, PATIENCE
from feature_lazy.settings.cells import Cell

log = logging.getLogger(__name__)


def run(experiment: Experiment, progress: Progress | None = None, only: Collection[str] | None = None) -> list[Run]:
    """Train what is not done, store it, and return the runs of the experiment in the order of its cells.

    A run that another process trains now is left to it, and is not among those returned.

    Args:
        experiment: from ``build``.
        progress: who is told of every observation and of every member that finishes.
        only: ids of the runs to train; all if omitted.

    Raises:
        ConfigError: the dtype cannot resolve F = α(f − f₀) at this α.
        StoreError: a results folder that cannot be written, or a stored run that is damaged.
        StoppedError: a signal, or the end of the job's time; the state is kept.
    """
    store = experiment.store
    store.prepare()
    wanted = [cell for cell in experiment.cells if only is None or cell.run_id in only]
    done = finished_runs(store, wanted)
    pending = [cell for cell in wanted if cell.run_id not in done]
    if done:
        log.info("%d of %d runs are already done in %s", len(done), len(wanted), store.root)
    ours: list[Cell] = []
    if pending:
        with torch.no_grad(), store.claim(cell.run_id for cell in pending) as claims:
            ours = _ours(experiment, pending, claims)
            _train(experiment, ours, claims, progress or Silent())
    trained = {cell.run_id: store.load(cell.run_id) for cell in ours}
    runs = {**finished_runs(store, pending), **trained, **done}
    return [runs[cell.run_id] for cell in wanted if cell.run_id in runs]


def _ours(experiment: Experiment, pending: list[Cell], claims: Claims) -> list[Cell]:
    """The cells that this process trains: those it holds, but for what another one has finished meanwhile."""
    for cell in pending:
        if cell.run_id in claims.elsewhere:
            owner = claims.elsewhere[cell.run_id] or "another process"
            log.info("%s is left to %s, which trains it", cell.label, owner)
        elif experiment.store.is_done(cell.run_id):
            claims.give_back(cell.run_id)
    return [cell for cell in pending if cell.run_id in claims.runs]


def _train(experiment: Experiment, cells: list[Cell], claims: Claims, progress: Progress) -> None:
    with Stop(experiment.checkpoint_margin) as stop:
        try:
            for plan in plan_batches(experiment.store, cells, experiment.cells) if cells else []:
                TrainingBatch(experiment, plan, claims.runs, progress, stop).train()
                if stop.asked():
                    return
        finally:
            # Inside: a signal that is obeyed afterwards may end the process at once.
            experiment.tracker.close(HURRY if stop.asked() else PATIENCE)
