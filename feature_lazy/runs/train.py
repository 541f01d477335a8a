"""Train the cells of a batch that are not done yet, and store each as it finishes."""

import logging
from collections.abc import Collection

import torch

from feature_lazy.core.memory import within_memory
from feature_lazy.core.words import counted
from feature_lazy.runs.batch import Batch
from feature_lazy.runs.batches import plan_batches
from feature_lazy.runs.failures import recorded
from feature_lazy.runs.plan import finished_runs, unobserved
from feature_lazy.runs.progress import Progress, Silent
from feature_lazy.runs.reading import Run
from feature_lazy.runs.stopping import Stop
from feature_lazy.runs.store import Claims
from feature_lazy.runs.tracking import HURRY, PATIENCE
from feature_lazy.runs.training import BatchTraining
from feature_lazy.settings.cells import Cell

log = logging.getLogger(__name__)


def run(batch: Batch, progress: Progress | None = None, only: Collection[str] | None = None) -> list[Run]:
    """Train what is not done, store it, and return the runs of the batch in the order of its cells.

    What fails leaves its reason in ``error.txt`` of every run that this process holds, or that nobody does. A run that
    another process trains now is left to it, and is not among those returned.

    Args:
        batch: from ``build``.
        progress: who is told of every observation and of every member that finishes.
        only: ids of the runs to train; all if omitted.

    Raises:
        ConfigError: the dtype cannot resolve F = α(f − f₀) at this α.
        StoreError: a results folder that cannot be written, or a stored run that is damaged.
        StoppedError: a signal, or the end of the job's time; the state is kept.
    """
    store = batch.store
    wanted = [cell for cell in batch.cells if only is None or cell.run_id in only]
    with recorded(store, wanted):
        store.prepare()
        done = finished_runs(store, wanted)
    pending = [cell for cell in wanted if cell.run_id not in done]
    if done:
        log.info("%s, %d already done in %s", counted(len(wanted), "run"), len(done), store.root)
        for sentence in unobserved([(batch.observation.asked, done.get(cell.run_id)) for cell in wanted]):
            log.warning("%s", sentence)
    ours: list[Cell] = []
    if pending:
        with recorded(store, pending):
            claimed = store.claim(cell.run_id for cell in pending)
        with torch.no_grad(), claimed as claims, recorded(store, pending, claims.holds), within_memory():
            ours = _ours(batch, pending, claims)
            _train(batch, ours, claims, progress or Silent())
    trained = {cell.run_id: store.load(cell.run_id) for cell in ours}
    runs = {**finished_runs(store, pending), **trained, **done}
    return [runs[cell.run_id] for cell in wanted if cell.run_id in runs]


def _ours(batch: Batch, pending: list[Cell], claims: Claims) -> list[Cell]:
    """The cells that this process trains: those it holds, but for what another one has finished meanwhile."""
    for cell in pending:
        if cell.run_id in claims.elsewhere:
            owner = claims.elsewhere[cell.run_id] or "another process"
            log.info("%s is left to %s, which trains it", cell.label, owner)
        elif batch.store.is_done(cell.run_id):
            claims.give_back(cell.run_id)
    return [cell for cell in pending if cell.run_id in claims.runs]


def _train(batch: Batch, cells: list[Cell], claims: Claims, progress: Progress) -> None:
    with Stop(batch.checkpoint_margin) as stop:
        try:
            for plan in plan_batches(batch.store, cells, batch.cells, batch.most) if cells else []:
                BatchTraining(batch, plan, claims.runs, progress, stop).train()
                if stop.asked():
                    return
        finally:
            # Inside: a signal that is obeyed afterwards may end the process at once.
            batch.tracker.close(HURRY if stop.asked() else PATIENCE)
            if stop.asked():
                claims.close()
