"""The one integration loop: step, accept or reject, report, and let finished members leave the batch."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from feature_lazy.core.memory import chunks
from feature_lazy.dynamics.dense import Search, locate
from feature_lazy.dynamics.events import Event
from feature_lazy.dynamics.messages import Advanced, Finished, Samples
from feature_lazy.dynamics.outcome import Outcome
from feature_lazy.dynamics.state import State
from feature_lazy.dynamics.step import Controller, Stepper, Trial, norm
from feature_lazy.dynamics.system import Settling, System
from feature_lazy.dynamics.times import GivenTimes, ObservationTimes


@dataclass(frozen=True)
class Method:
    """How to step: the stepper proposes, the controller disposes.

    Attributes:
        stepper: proposes.
        controller: disposes.
        search: how the moment of an event is looked for within a step.
    """

    stepper: Stepper[Any]
    controller: Controller
    search: Search = field(default_factory=Search)


@dataclass(frozen=True)
class Limits:
    """Where to give up.

    Attributes:
        dt_floor: smallest step of each member of the batch as a fraction of max(t, time_scale).
        time_scale: natural time of each member of the batch, (M,) float64.
        max_steps: trial steps of a member, rejected ones included; resumable.
        time_budget: seconds of this call; resumable.
        t_end: where each member of the batch ends at the latest, (M,) float64; None: nowhere.
        rest: which members have come to rest, (M,) bool; None: none does.
    """

    dt_floor: float
    time_scale: Tensor
    t_end: Tensor | None = None
    max_steps: float = float("inf")
    time_budget: float = float("inf")
    rest: Callable[[State], Tensor] | None = None


def start(system: System, stepper: Stepper[Any], y0: Tensor, dt: Tensor, n_events: int) -> State:
    """The state at t = 0 of all members: y0 (M, D), first step to try dt (M,)."""
    member = torch.arange(len(y0), device=y0.device)
    velocity, outputs = system.evaluate(y0, member)
    t = torch.zeros(len(y0), dtype=torch.float64, device=y0.device)
    count = torch.zeros_like(member)
    return State(
        member=member,
        t=t,
        dt=dt.to(t),
        y=y0,
        velocity=velocity,
        outputs=outputs,
        event_times=t.new_full((len(y0), n_events), torch.nan),
        steps=count,
        rejected=count,
        gradients=count + 1,
        kernels=count,
        flops=t + system.flops.evaluate,
        after_rejection=torch.zeros_like(member, dtype=torch.bool),
        last_dt=t + torch.nan,
        last_error=t + torch.nan,
        way=t.new_zeros(len(y0), 2),
        memory=t.new_zeros(len(y0), stepper.memory),
    )


@dataclass(frozen=True)
class Ended:
    """All members of a batch at their ends.

    Attributes:
        state: last states, by ``State.member``.
        outcomes: how each ended, in the same order.
        t: times of each member's samples, t = 0 first.
        y: states of each member's samples.
    """

    state: State
    outcomes: list[Outcome]
    t: list[list[Tensor]]
    y: list[list[Tensor]]


def finish(
    system: System,
    method: Method,
    state: State,
    limits: Limits,
    *,
    events: Sequence[Event] = (),
    times: ObservationTimes | None = None,
) -> Ended:
    """Follow every member to its end, in one call: ``integrate`` for who does not need to listen.

    Args:
        system: the flow.
        method: stepper and controller.
        state: from ``start``.
        limits: floors and budgets.
        events: in the order of ``State.event_times``.
        times: observation times of every member; t = 0 alone if omitted.
    """
    members, ends, outcomes = len(state), [], {}
    t: list[list[Tensor]] = [[] for _ in range(members)]
    y: list[list[Tensor]] = [[] for _ in range(members)]
    for event in integrate(system, method, state, [times or GivenTimes([])] * members, events, limits):
        if isinstance(event, Samples):
            for row, member in enumerate(event.member.tolist()):
                t[member].append(event.t[row])
                y[member].append(event.y[row])
        elif isinstance(event, Finished):
            ends.append(event.state)
            outcomes |= dict(zip(event.state.member.tolist(), event.outcomes, strict=True))
    last = State.concatenate(ends)
    return Ended(last.select(last.member.argsort()), [outcomes[member] for member in sorted(outcomes)], t, y)


def integrate(
    system: System,
    method: Method,
    state: State,
    times: Sequence[ObservationTimes],
    events: Sequence[Event],
    limits: Limits,
) -> Iterator[Samples | Finished | Advanced]:
    """Follow every member until an event, a floor or a budget ends it.

    Args:
        system: the flow.
        method: stepper and controller.
        state: from ``start``, or rows of an earlier ``Finished`` with a resumable outcome.
        times: observation times of each member of the batch, by ``State.member``; t = 0 is always observed.
        events: in the order of ``State.event_times``.
        limits: floors and budgets.

    Yields:
        ``Samples`` as steps pass observation times, ``Finished`` when members leave, and ``Advanced`` before each step,
        until none is left.
    """
    deadline = time.monotonic() + limits.time_budget
    fresh = state.steps + state.rejected == 0
    if fresh.any():
        yield Samples(state.member[fresh], state.t[fresh], state.y[fresh])
    for look, outcome in _BEFORE_A_STEP:
        leaving = look(system, state, events, limits) if len(state) else torch.zeros_like(fresh[:0])
        if leaving.any():
            gone = state.select(leaving)
            yield Finished(_met(gone, events) if outcome is Outcome.CONVERGED else gone, [outcome] * len(gone))
            state = state.select(~leaving)
    while len(state):
        yield Advanced(state)
        wanted = method.stepper.begin(system, state)
        state = _within(wanted, limits)
        trial = method.stepper.step(system, state)
        accepted, dt = method.controller.decide(trial, state)
        # A step cut short at t_end says nothing against the step that was wanted.
        dt = torch.where(accepted & (state.dt < wanted.dt), torch.maximum(dt, wanted.dt), dt)
        event_times = _find_events(state, trial, accepted, events, method.search)
        t_stop = _terminal_times(event_times, events)
        yield from _samples(state, trial, accepted, t_stop, times)
        state = _advance(replace(state, event_times=event_times), trial, accepted, dt, t_stop)
        resting = _resting(system, state, events, limits)
        outcomes = _outcomes(state, trial, accepted, resting, t_stop, limits=limits, deadline=deadline)
        ended = [row for row, outcome in enumerate(outcomes) if outcome is not None]
        if ended:
            rows = torch.tensor(ended, device=state.t.device)
            yield Finished(state.select(rows), [outcome for outcome in outcomes if outcome is not None])
            staying = torch.ones_like(accepted).index_fill(0, rows, value=False)
            state = state.select(staying)


def _broken(system: System, state: State, events: Sequence[Event], limits: Limits) -> Tensor:
    return ~(state.velocity.isfinite().all(1) & state.outputs.isfinite().all(1))


def _resting(system: System, state: State, events: Sequence[Event], limits: Limits) -> Tensor:
    """Members (M,) at a point without force, or at rest by the limits, short of every terminal event."""
    rest = torch.zeros_like(state.after_rejection) if limits.rest is None else limits.rest(state)
    if isinstance(system, Settling):
        rest = rest | system.stationary(state)
    return rest & ~_fit(state, events) if bool(rest.any()) else rest


def _arrived(system: System, state: State, events: Sequence[Event], limits: Limits) -> Tensor:
    """Members (M,) beyond a terminal event, without a force that would make a step."""
    fit = _fit(state, events)
    return fit & system.stationary(state) if isinstance(system, Settling) and bool(fit.any()) else fit & False


def _fit(state: State, events: Sequence[Event]) -> Tensor:
    ended = [event.value(state.outputs) < 0 for event in events if event.terminal]
    return torch.stack([torch.zeros_like(state.after_rejection), *ended]).any(0)


def _met(state: State, events: Sequence[Event]) -> State:
    """The same members at their ends, with the times of events that they have met before a first step."""
    times = state.event_times.clone()
    for index, event in enumerate(events):
        now = times[:, index].isnan() & (event.value(state.outputs) < 0)
        times[:, index] = torch.where(now, state.t, times[:, index])
    return replace(state, event_times=times)


def _spent(system: System, state: State, events: Sequence[Event], limits: Limits) -> Tensor:
    return state.steps + state.rejected >= limits.max_steps


_BEFORE_A_STEP = (
    (_broken, Outcome.NON_FINITE),
    (_arrived, Outcome.CONVERGED),
    (_resting, Outcome.STATIONARY),
    (_spent, Outcome.MAX_STEPS),
)
"""Why members leave before their first step here, in this order."""


def _within(state: State, limits: Limits) -> State:
    """The same state with steps that do not pass t_end."""
    if limits.t_end is None:
        return state
    return replace(state, dt=torch.minimum(state.dt, limits.t_end[state.member] - state.t))


def _find_events(state: State, trial: Trial, accepted: Tensor, events: Sequence[Event], search: Search) -> Tensor:
    """Event times (M, events) after this step: old ones kept, new ones located within the step."""
    found = state.event_times
    for index, event in enumerate(events):
        after = event.value(trial.outputs)
        new = accepted & found[:, index].isnan() & (after < 0)
        if new.any():
            rows = new.nonzero()[:, 0]
            ends = event.value(state.outputs)[rows], after[rows]
            theta = locate(trial.dense, rows, event, ends, search)
            found = found.clone()
            found[rows, index] = state.t[rows] + theta * state.dt[rows]
    return found


def _terminal_times(event_times: Tensor, events: Sequence[Event]) -> Tensor:
    """Time of the first terminal event of each member, infinite if there was none: (M,)."""
    terminal = [index for index, event in enumerate(events) if event.terminal]
    if not terminal:
        return torch.full_like(event_times.sum(1), torch.inf)
    return event_times[:, terminal].nan_to_num(nan=torch.inf).amin(1)


def _samples(
    state: State, trial: Trial, accepted: Tensor, t_stop: Tensor, times: Sequence[ObservationTimes]
) -> Iterator[Samples]:
    """States at the observation times that accepted steps passed, up to the terminal event.

    A long step passes many times: they come in parts of at most E states, so that memory stays that of the batch.
    """
    columns = (state.member, accepted, state.t, torch.minimum(state.t + state.dt, t_stop))
    found = [
        (row, t)
        for row, (member, ok, t0, t1) in enumerate(zip(*(c.tolist() for c in columns), strict=True))
        if ok
        for t in times[member].between(t0, t1)
    ]
    for part in chunks(len(found), len(state)):
        rows = torch.tensor([row for row, _ in found[part]], device=state.t.device)
        t = state.t.new_tensor([t for _, t in found[part]])
        theta = (t - state.t[rows]) / state.dt[rows]
        yield Samples(state.member[rows], t, trial.dense.at(rows, theta))


def _advance(state: State, trial: Trial, accepted: Tensor, dt: Tensor, t_stop: Tensor) -> State:
    """The next state: accepted rows move on, rejected rows stay, rows with a terminal event stop at it."""
    moved = {"t": state.t + state.dt, "y": trial.y, "velocity": trial.velocity, "outputs": trial.outputs}
    if not accepted.all():
        for name, value in moved.items():
            mask = accepted if value.dim() == 1 else accepted[:, None]
            moved[name] = torch.where(mask, value, getattr(state, name))
    ended = t_stop.isfinite()
    if ended.any():
        rows = ended.nonzero()[:, 0]
        theta = (t_stop[rows] - state.t[rows]) / state.dt[rows]
        moved["t"] = torch.where(ended, t_stop, moved["t"])
        moved["y"] = moved["y"].index_copy(0, rows, trial.dense.at(rows, theta))
        moved["outputs"] = moved["outputs"].index_copy(0, rows, trial.dense.outputs(rows, theta))
    gone = torch.stack([norm(trial.y - state.y), norm(trial.outputs - state.outputs)], dim=1).nan_to_num(0, 0, 0)
    return replace(
        state,
        dt=dt,
        steps=state.steps + accepted,
        rejected=state.rejected + ~accepted,
        gradients=state.gradients + trial.gradients,
        kernels=state.kernels + trial.kernels,
        flops=state.flops + trial.flops,
        after_rejection=~accepted,
        last_dt=torch.where(accepted, state.dt, state.last_dt),
        last_error=torch.where(accepted, trial.error, state.last_error),
        way=state.way + gone * accepted[:, None],
        memory=trial.memory,
        **moved,
    )


def _outcomes(
    state: State,
    trial: Trial,
    accepted: Tensor,
    resting: Tensor,
    t_stop: Tensor,
    *,
    limits: Limits,
    deadline: float,
) -> list[Outcome | None]:
    """Why each member leaves now, or None."""
    late = time.monotonic() > deadline
    floor = limits.dt_floor * torch.maximum(state.t, limits.time_scale[state.member])
    stuck = ~accepted & (state.dt < floor)
    spent = state.steps + state.rejected >= limits.max_steps
    # t + (t_end - t) may miss t_end by a rounding error.
    arrived = torch.zeros_like(spent) if limits.t_end is None else state.t >= limits.t_end[state.member] * (1 - 1e-14)
    columns = (t_stop.isfinite(), resting, arrived, stuck, trial.error.isfinite(), spent)
    outcomes: list[Outcome | None] = []
    for ended, still, at_end, is_stuck, finite, out_of_steps in zip(*(c.tolist() for c in columns), strict=True):
        if ended or still or at_end:
            outcomes.append(Outcome.CONVERGED if ended else Outcome.STATIONARY if still else Outcome.T_END)
        elif is_stuck:
            outcomes.append(Outcome.DT_FLOOR if finite else Outcome.NON_FINITE)
        elif out_of_steps:
            outcomes.append(Outcome.MAX_STEPS)
        else:
            outcomes.append(Outcome.TIME_BUDGET if late else None)
    return outcomes
