"""Which cells are trained together, and from where: batches that were interrupted go on as they were.

Rounding depends on where in a batch a member stands. For a run that goes on to equal, bit for bit, one that was never
interrupted, its batch is put together again as it was: from the newest moment at which every member then in it has a
checkpoint, members that are done since included.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from feature_lazy.core.memory import chunks
from feature_lazy.runs.history import History
from feature_lazy.runs.store import Checkpoint, Store
from feature_lazy.settings.cells import Cell

log = logging.getLogger(__name__)
Saved = tuple[Checkpoint, History]


@dataclass(frozen=True)
class BatchPlan:
    """Cells to train together.

    Attributes:
        cells: all members that the batch had at its start, in order.
        saved: states of the members still in it, in order of the batch, with their observations; empty: from t = 0.
    """

    cells: Sequence[Cell]
    saved: Mapping[str, Saved] = field(default_factory=dict)


def plan_batches(store: Store, pending: Sequence[Cell], known: Sequence[Cell], most: int) -> list[BatchPlan]:
    """Batches that train every pending cell once.

    Args:
        store: where checkpoints are.
        pending: cells to train.
        known: all cells of the job, those that are done included.
        most: members of a batch that begins anew.

    Raises:
        DamagedRunError: a cell whose checkpoints are all damaged.
    """
    cells = {cell.run_id: cell for cell in known}
    usable = {cell.run_id for cell in pending} | {run_id for run_id in cells if store.is_done(run_id)}
    saved = {cell.run_id: store.checkpoints(cell.run_id) for cell in pending}
    fresh = [cell for cell in pending if _begins_anew(cell.run_id, saved)]
    left = {cell.run_id: cell for cell in pending if cell not in fresh}
    plans = [BatchPlan(fresh[part]) for part in chunks(len(fresh), most)]
    while left:
        run_id, cell = next(iter(left.items()))
        plan = _as_it_was(store, saved[run_id], cells, usable)
        if plan is None:
            log.info(
                "%s goes on alone: not all members of its batch can, so that its last digits may differ", cell.label
            )
            plan = BatchPlan([cell], {run_id: saved[run_id][0]})
        plans.append(plan)
        for member in plan.saved:
            left.pop(member, None)
    return plans


def _begins_anew(run_id: str, saved: Mapping[str, Sequence[Saved]]) -> bool:
    """Whether a run has no checkpoint, or only the first of its batch, which a kill left before every member had it."""
    return all(
        any(stamp not in _stamps(saved[other]) for other in checkpoint.moment.alive if other in saved)
        for checkpoint, _ in saved[run_id]
        for stamp in [checkpoint.moment.stamp]
    )


def _stamps(options: Sequence[Saved]) -> set[str]:
    return {checkpoint.moment.stamp for checkpoint, _ in options}


def _as_it_was(store: Store, options: Sequence[Saved], cells: Mapping[str, Cell], usable: set[str]) -> BatchPlan | None:
    """The batch of a run's newest checkpoint that every other member then in it has too.

    Nobody else may train one of them meanwhile: they are ``usable``, which is to say ours or done.
    """
    for checkpoint, _ in options:
        moment = checkpoint.moment
        if not (set(moment.batch) <= set(cells) and set(moment.alive) <= usable):
            continue
        found = {run_id: _at(store, run_id, moment.stamp) for run_id in moment.alive}
        whole = {run_id: saved for run_id, saved in found.items() if saved is not None}
        if len(whole) == len(found):
            return BatchPlan([cells[run_id] for run_id in moment.batch], whole)
    return None


def _at(store: Store, run_id: str, stamp: str) -> Saved | None:
    """A run's checkpoint of one moment."""
    return next((saved for saved in store.checkpoints(run_id) if saved[0].moment.stamp == stamp), None)
