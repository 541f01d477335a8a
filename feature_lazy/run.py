"""Train the cells of an experiment that are not done yet, and store each as it finishes."""

import logging
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from feature_lazy.build import Experiment
from feature_lazy.cells import Cell
from feature_lazy.dynamics import (
    Event,
    Finished,
    NetworkFlow,
    Outcome,
    Samples,
    State,
    converged,
    half_loss,
    integrate,
    start,
)
from feature_lazy.errors import ConfigError
from feature_lazy.observables import Observer, Scalars, rms
from feature_lazy.plan import finished_runs
from feature_lazy.progress import Progress, Silent
from feature_lazy.provenance import provenance
from feature_lazy.runs import Run

log = logging.getLogger(__name__)


def run(experiment: Experiment, progress: Progress | None = None) -> list[Run]:
    """Train what is not done, store it, and return all runs of the experiment in the order of its cells.

    Args:
        experiment: from ``build``.
        progress: who is told of every observation and of every member that finishes.

    Raises:
        ConfigError: the dtype cannot resolve F = α(f − f₀) at this α.
        StoreError: a results folder that cannot be written, or a stored run that is damaged.
    """
    store = experiment.store
    store.prepare()
    done = finished_runs(store, experiment.cells)
    pending = [cell for cell in experiment.cells if cell.run_id not in done]
    if done:
        log.info("%d of %d runs are already done in %s", len(done), len(experiment.cells), store.root)
    if pending:
        with torch.no_grad():
            _Batch(experiment, pending, progress or Silent()).train()
    return [done.get(cell.run_id) or store.load(cell.run_id) for cell in experiment.cells]


class _Batch:
    """The cells that are trained together now, with what has been recorded of each."""

    def __init__(self, experiment: Experiment, cells: Sequence[Cell], progress: Progress) -> None:
        self.experiment, self.cells, self.progress = experiment, list(cells), progress
        self.started = time.time()
        data = experiment.dataset
        self.w0 = experiment.w0(self.cells)
        self.flow = NetworkFlow(
            experiment.architecture,
            data.x_train,
            data.y_train,
            experiment.loss,
            alpha=self.w0.new_full((len(self.cells),), experiment.alpha),
            w0=self.w0,
            memory_limit=experiment.memory_limit,
        )
        _check_precision(experiment, self.flow.f0)
        self.training = experiment.dynamics.prepare(self.flow, self.w0)
        self.observer = Observer(
            self.training.model,
            experiment.architecture.layout,
            data,
            experiment.loss,
            alpha=self.flow.alpha,
            w0=self.w0,
            n_test=experiment.observation.n_test,
            kernel=experiment.observation.kernel,
        )
        self.events: list[Event] = [half_loss(experiment.loss, data.y_train), converged(experiment.loss, data.y_train)]
        self.histories: list[list[dict[str, float]]] = [[] for _ in self.cells]

    def train(self) -> None:
        """Follow the flow to the end of every member."""
        experiment, training, tracker = self.experiment, self.training, self.experiment.tracker
        state = self._state()
        for cell in self.cells:
            tracker.start(cell)
        times = [experiment.observation.times] * len(self.cells)
        limits = experiment.limits(training)
        for event in integrate(training.system, training.method, state, times, self.events, limits):
            if isinstance(event, Samples):
                self._record(event.member, event.t, self._observe(event.member, event.y))
            else:
                self._finish(event)

    def _state(self) -> State:
        """The state to go on from: a checkpoint for the members that have one, else t = 0."""
        training = self.training
        state = start(training.system, training.method.stepper, training.y0, training.dt, len(self.events))
        rows = []
        for member, cell in enumerate(self.cells):
            row = state.select(torch.tensor([member], device=self.w0.device))
            if (saved := self.experiment.store.load_checkpoint(cell.run_id)) is not None:
                self.histories[member], arrays = saved
                tensors = {name: torch.from_numpy(array).to(self.w0.device) for name, array in arrays.items()}
                row = State(**{**tensors, "member": row.member})
                log.info("%s continues at t = %.4g", cell.label, float(row.t))
            rows.append(row)
        return State.concatenate(rows)

    def _observe(self, member: Tensor, y: Tensor) -> Scalars:
        """Observe states whose kernel is due by the number of observations that their member has had before."""
        numbers = [len(history) for history in self.histories]
        due = []
        for index in member.tolist():
            due.append(numbers[index] % self.experiment.observation.kernel.every == 0)
            numbers[index] += 1
        return self.observer.observe(member, self.training.system.weights(y), torch.tensor(due, device=member.device))

    def _record(self, member: Tensor, t: Tensor, scalars: Scalars) -> None:
        columns = {"t": t, **scalars}
        for row, index in enumerate(member.tolist()):
            values = {name: float(column[row]) for name, column in columns.items()}
            self.experiment.tracker.log(self.cells[index], len(self.histories[index]), values)
            self.histories[index].append(values)
            self.progress.observed(self.cells[index], values)

    def _finish(self, event: Finished) -> None:
        for row, outcome in enumerate(event.outcomes):
            state = event.state.select(torch.tensor([row], device=self.w0.device))
            if outcome.resumable:
                self._store(state, outcome, {}, state.tensors())
                continue
            w = self.training.system.weights(state.y)
            scalars = self.observer.observe(state.member, w)
            self._record(state.member, state.t, scalars)
            kernels = self.experiment.observation.final_kernels and outcome is not Outcome.NON_FINITE
            final, outputs = self.observer.final(state.member, w, kernels=kernels)
            self._store(state, outcome, scalars | final, outputs)

    def _store(self, state: State, outcome: Outcome, scalars: Scalars, arrays: dict[str, Tensor]) -> None:
        member = int(state.member)
        cell = self.cells[member]
        summary: dict[str, Any] = {
            "outcome": str(outcome),
            "t": float(state.t),
            **{e.name: float(t) for e, t in zip(self.events, state.event_times[0], strict=True)},
            **self.training.record(state, self.flow),
            **{name: float(value) for name, value in scalars.items()},
        }
        description = {
            "config": cell.config,
            "columns": cell.columns,
            "summary": summary,
            "provenance": provenance(self.started, self.w0.device, len(self.cells)),
        }
        plain = {name: (value[0] if not outcome.resumable else value).cpu().numpy() for name, value in arrays.items()}
        done = not outcome.resumable
        self.experiment.store.save(cell.run_id, description, self.histories[member], plain, done=done)
        self.experiment.tracker.finish(cell, summary)
        self.progress.finished(cell, summary)


def _check_precision(experiment: Experiment, f0: Tensor) -> None:
    """Refuse a dtype in which F = α(f − f₀) drowns in rounding; F is of order 1 when training stops (spec §3).

    Raises:
        ConfigError: rounding is larger than ``precision_tol``.
    """
    lost = experiment.alpha * torch.finfo(f0.dtype).eps * float(rms(f0).max())
    if lost > experiment.precision_tol:
        raise ConfigError(
            f"dtype={str(f0.dtype).removeprefix('torch.')}: at α = {experiment.alpha:g} rounding of f − f₀ puts an "
            f"error of about {lost:.1e} into F, more than dynamics.precision_tol={experiment.precision_tol:g}; "
            "use dtype=float64 or a smaller α."
        )
