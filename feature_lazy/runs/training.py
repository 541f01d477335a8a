"""Train some cells together from where they are, and store each as it finishes."""

import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from feature_lazy.dynamics.events import Event, converged, half_loss
from feature_lazy.dynamics.integrate import integrate, start
from feature_lazy.dynamics.messages import Advanced, Finished, Samples
from feature_lazy.dynamics.outcome import Outcome
from feature_lazy.dynamics.state import State
from feature_lazy.dynamics.system import Telling
from feature_lazy.measure.moment import Moment
from feature_lazy.measure.observer import Observer, Row
from feature_lazy.measure.precision import check_precision
from feature_lazy.networks.base import Implicit
from feature_lazy.runs.batch import Batch
from feature_lazy.runs.batches import BatchPlan
from feature_lazy.runs.history import History
from feature_lazy.runs.progress import Progress
from feature_lazy.runs.provenance import Provenance
from feature_lazy.runs.resumption import check_inputs, check_outputs, inputs
from feature_lazy.runs.stopping import Stop
from feature_lazy.runs.store import OpenRun, Shadow, Together

log = logging.getLogger(__name__)


class BatchTraining:
    """The cells that are trained together now, with what has been recorded of each."""

    def __init__(
        self, batch: Batch, plan: BatchPlan, runs: Mapping[str, OpenRun], progress: Progress, stop: Stop
    ) -> None:
        """Compute what stays: initial weights, f₀ and Θ₀ of all members.

        Args:
            batch: what is trained.
            plan: which cells, and from where.
            runs: the runs among them that this process holds; the others are done, and trained along.
            progress: who is told.
            stop: who may ask to stop.

        Raises:
            ConfigError: the dtype cannot resolve F = α(f − f₀) at this α, or weights that their seed does not decide.
        """
        self.batch, self.plan, self.progress, self.stop = batch, plan, progress, stop
        self.cells = list(plan.cells)
        self.ids = [cell.run_id for cell in self.cells]
        self.runs = [runs.get(run_id) or Shadow(batch.store.path(run_id)) for run_id in self.ids]
        data = batch.dataset
        self.w0 = batch.w0(self.cells)
        self.flow = batch.flow(self.cells, self.w0)
        for run, weights, f in zip(self.runs, self.w0, self.flow.initial, strict=True):
            run.inputs = inputs(batch.content, weights, f)
        # Of F = αf nothing cancels: what is taken off is 0, and passes.
        for alpha in dict.fromkeys(cell.alpha for cell in self.cells):
            f0 = self.flow.f0[[cell.alpha == alpha for cell in self.cells]]
            f0 = f0[f0.isfinite().all(1)] if self._implicit else f0
            if len(f0):  # a member without an equilibrium has an outcome of its own
                check_precision(alpha, f0, batch.precision_tol)
        self.training = batch.dynamics.prepare(self.flow, self.w0)
        taken = ["run_id", "outcome", *self.cells[0].columns]
        self.setting = batch.setting(self.flow, self.training, self.w0, self.cells)
        self.observer = Observer(self.setting, batch.observation.default, batch.observation.also, taken)
        self.events: list[Event] = [
            half_loss(batch.loss, data.y_train, data.n_outputs),
            converged(batch.loss, data.y_train, terminal=self.flow.penalty is None),
        ]
        self.provenance = Provenance(self.w0.device, len(self.cells))
        self.newest: dict[int, Path] = {}
        self.saved_at = time.monotonic()

    def train(self) -> None:
        """Follow the flow to the end of every member, or until something asks to stop.

        Raises:
            StoreError: a run that cannot be written, or that another process has taken over.
        """
        batch, training = self.batch, self.training
        latest = self._begin()
        rows = self._rows()
        times = [batch.times(cell) for cell in self.cells]
        limits = batch.limits(training, self.cells)
        for event in self.stop.over(integrate(training.system, training.method, latest, times, self.events, limits)):
            if isinstance(event, Samples):
                self._record(self._moment(event.member, event.y, event.t), self._numbers(event.member))
            elif isinstance(event, Finished):
                self._finish(event)
                latest = latest.select(~torch.isin(latest.member, event.state.member))
            elif bool((event.state.steps + event.state.rejected).any()):
                # Before its first step a state is observed as a fresh one is: it has no observations to keep.
                latest, rows = event.state, self._rows()
                self._checkpoint_if_due(event)
        if self.stop.asked() and len(latest):
            # Observations made during the step that was left belong to a state that nobody has.
            for run, count in zip(self.runs, rows, strict=True):
                run.history.back_to(count)
            self._pause(latest, [Outcome.INTERRUPTED] * len(latest))
        elif all(self.batch.store.is_done(run_id) for run_id in self.ids):
            self._drop_checkpoints()

    def _begin(self) -> State:
        """Open all runs, and the state to go on from: that of the plan, else t = 0.

        Raises:
            DifferentError: a run was begun with something else than there is now; none has been touched.
        """
        batch, training, saved = self.batch, self.training, self.plan.saved
        going_on = self._saved()
        initial = start(training.system, training.method.stepper, training.y0, training.dt, len(self.events))
        states = []
        for member, (cell, run) in enumerate(zip(self.cells, self.runs, strict=True)):
            if saved and cell.run_id not in saved:
                continue  # it had left the batch before
            row = going_on.get(member) or initial.select(torch.tensor([member], device=self.w0.device))
            history = saved[cell.run_id][1] if saved else History()
            if saved:
                log.info("%s continues at t = %.4g", cell.label, float(row.t))
            states.append(row)
            if isinstance(run, OpenRun):
                # What was not chosen is of a moment that not all members have: it must not outlast its observations.
                batch.store.drop_checkpoints(cell.run_id, [saved[cell.run_id][0].path] if saved else [])
                recorded = {"quantities": batch.observation.quantities} if batch.observation.also else {}
                provenance = self.provenance.begin(run.path)
                run.begin({**cell.description, **recorded, "provenance": provenance}, history)
                batch.tracker.start(cell, history.rows)
            else:
                run.history = history
        return State.concatenate(states)

    def _saved(self) -> dict[int, State]:
        """The states to go on from, by member.

        Raises:
            DifferentError: one belongs to something else than there is now.
        """
        states: dict[int, State] = {}
        for member, (run_id, run) in enumerate(zip(self.ids, self.runs, strict=True)):
            if run_id in self.plan.saved:
                checkpoint, _ = self.plan.saved[run_id]
                check_inputs(run.path, checkpoint.moment.inputs, run.inputs)
                tensors = {name: torch.from_numpy(a.copy()).to(self.w0.device) for name, a in checkpoint.arrays.items()}
                states[member] = State(**{**tensors, "member": torch.tensor([member], device=self.w0.device)})
        if states:
            paths = [self.runs[member].path for member in states]
            check_outputs(State.concatenate(list(states.values())), self.training, self.flow, paths)
        return states

    @property
    def _implicit(self) -> bool:
        network = self.batch.architecture
        return isinstance(network, Implicit) and network.implicit

    def _rows(self) -> list[int]:
        return [len(run.history) for run in self.runs]

    def _moment(self, member: Tensor, y: Tensor, t: Tensor, *, failed: bool = False) -> Moment:
        system = self.training.system
        told = system.told(y) if isinstance(system, Telling) else {}
        return Moment(self.setting, member, system.weights(y), t, failed=failed, told=told)

    def _numbers(self, member: Tensor) -> list[int]:
        """How many observations the member of each state has had before it."""
        had, numbers = self._rows(), []
        for index in member.tolist():
            numbers.append(had[index])
            had[index] += 1
        return numbers

    def _record(self, moment: Moment, numbers: Sequence[int] | None = None) -> list[Row]:
        """Observe what is due, and add it; all is due without numbers."""
        observed, series = self.observer.observe(moment, numbers), self.observer.series(moment, numbers)
        for index, t, values, arrays in zip(moment.member.tolist(), moment.t.tolist(), observed, series, strict=True):
            row, run, cell = {"t": t, **values}, self.runs[index], self.cells[index]
            if isinstance(run, OpenRun):
                self.batch.tracker.log(cell, len(run.history), row)
                self.progress.observed(cell, row)
            run.observe(row, {name: array.cpu().numpy() for name, array in arrays.items()})
        return observed

    def _finish(self, event: Finished) -> None:
        paused = [row for row, outcome in enumerate(event.outcomes) if outcome.resumable]
        for row, outcome in enumerate(event.outcomes):
            if row not in paused:
                self._complete(event.state.select(torch.tensor([row], device=self.w0.device)), outcome)
        if paused:
            rows = torch.tensor(paused, device=self.w0.device)
            self._pause(event.state.select(rows), [event.outcomes[row] for row in paused])

    def _complete(self, state: State, outcome: Outcome) -> None:
        """Observe a member's last state, and store the run for good."""
        # Finite weights bound its outputs, so nothing else makes them NaN.
        if outcome is Outcome.NON_FINITE and self._implicit:
            outcome = Outcome.NO_EQUILIBRIUM
        moment = self._moment(state.member, state.y, state.t, failed=outcome.broken)
        [last] = self._record(moment)
        self.newest.pop(int(state.member), None)
        run = self.runs[int(state.member)]
        if not isinstance(run, OpenRun):
            return
        final, arrays = self.observer.end(moment)
        summary = self._summary(state, outcome, last | final | self.observer.over(run.history.rows))
        run.finish(
            summary,
            {k: v[0].cpu().numpy() for k, v in arrays.items()},
            self.provenance.end(run.description["provenance"]),
        )
        self._tell(state, summary)

    def _pause(self, state: State, outcomes: list[Outcome]) -> None:
        """Keep members that go on another time."""
        self._checkpoint(state)
        for row, outcome in enumerate(outcomes):
            one = state.select(torch.tensor([row], device=self.w0.device))
            run = self.runs[int(one.member)]
            if isinstance(run, OpenRun):
                summary = self._summary(one, outcome, {})
                run.pause(summary, self.provenance.end(run.description["provenance"]))
                self._tell(one, summary)

    def _tell(self, state: State, summary: dict[str, Any]) -> None:
        cell = self.cells[int(state.member)]
        self.batch.tracker.finish(cell, summary)
        self.progress.finished(cell, summary)

    def _summary(self, state: State, outcome: Outcome, scalars: Row) -> dict[str, Any]:
        return {
            "outcome": str(outcome),
            "t": float(state.t),
            **{e.name: float(t) for e, t in zip(self.events, state.event_times[0], strict=True)},
            **self.training.record(state, self.flow),
            **scalars,
        }

    def _checkpoint_if_due(self, event: Advanced) -> None:
        if time.monotonic() - self.saved_at >= self.batch.checkpoint_every:
            self._checkpoint(event.state)

    def _checkpoint(self, state: State) -> None:
        """Keep the state of members that are trained together, then forget the moments before.

        A member that has left keeps its state until then: the others would need it to go on as they were.
        """
        stamp = uuid.uuid4().hex
        together = Together(self.ids, [self.ids[member] for member in state.member.tolist()])
        for row, member in enumerate(state.member.tolist()):
            tensors = state.select(torch.tensor([row], device=self.w0.device)).tensors()
            arrays = {name: tensor.cpu().numpy() for name, tensor in tensors.items()}
            self.newest[member] = self.runs[member].checkpoint(stamp, together, arrays)
        self._drop_checkpoints()
        self.saved_at = time.monotonic()

    def _drop_checkpoints(self) -> None:
        """Remove all states of this batch but the newest of each member that is not done."""
        for member, run_id in enumerate(self.ids):
            keep = [self.newest[member]] if member in self.newest else []
            self.batch.store.drop_checkpoints(run_id, keep)
