"""Choose between an explicit and a stiff method while a run goes on, each member for itself."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from feature_lazy.dynamics.flow import TangentSystem
from feature_lazy.dynamics.rk32 import GRADIENTS, RungeKutta32
from feature_lazy.dynamics.rkc2 import Chebyshev2
from feature_lazy.dynamics.state import State
from feature_lazy.dynamics.step import Dense, Stepper, Trial
from feature_lazy.dynamics.tangent import TangentExponential, step_flops

EXPLICIT, STIFF = 0, 1
CHOICE, DT, COST, OWN = 0, 1, 3, 5
"""Columns of the memory: the method in use, the step that each would take, what one costs, and the methods' own."""
FIRST_STEP = (0.1, 10.0)
"""First step of each method over ``State.dt``: the stiff one is tried far out, where it pays if a run is lazy."""
CURIOSITY = 1.05
"""Growth of the idle method's step with every step of the other: it is tried again when it may have become better."""
CALL_FLOPS = 5e6
"""What an evaluation costs however small it is: the flops of a core in the fifth of a millisecond that it takes."""
EXPECTED_CALLS = 200
"""Of the exponential integrator, before its first step."""
KERNEL_LIMIT = 40.0
"""Gradients that one step of the exponential integrator may cost; beyond it the stiff method is Chebyshev's."""
MAX_PATTERNS = 4000
"""Training patterns up to which P × P kernels of a batch of members fit into memory."""


@dataclass(frozen=True)
class Auto:
    """Takes the method that covers more time for its cost, by the step and the cost that each has last had.

    Explicit: Bogacki–Shampine. Stiff: the exponential integrator, or Runge–Kutta–Chebyshev where the kernel is too
    dear (its cost grows as P², the gradient's as P). A trial of the other method is a step like any other.

    Attributes:
        tolerance: of both methods.
    """

    tolerance: float

    @property
    def memory(self) -> int:
        """Own columns and those of the Chebyshev method."""
        return OWN + Chebyshev2.memory

    def begin(self, system: TangentSystem, state: State) -> State:
        """Choose for each member, and set its step."""
        memory = torch.where((state.memory[:, COST] == 0)[:, None], self._fresh(system, state), state.memory)
        used = state.memory[:, COST] > 0
        choice = memory[:, CHOICE].long()
        dt = memory[:, DT : DT + 2].clone()
        rows = torch.arange(len(state), device=dt.device)
        idle = 1 - choice
        grown = torch.ones_like(state.dt).masked_fill(used & ~state.after_rejection, CURIOSITY)
        dt[rows, choice] = torch.where(used, state.dt, dt[rows, choice])
        dt[rows, idle] = dt[rows, idle] * grown
        choice = (dt / memory[:, COST : COST + 2]).argmax(1)
        switched = choice != memory[:, CHOICE].long()
        memory = torch.cat([choice[:, None].double(), dt, memory[:, COST:]], dim=1)
        # What the other method did is no forecast for this one.
        last_dt, last_error = (torch.where(switched, torch.nan, last) for last in (state.last_dt, state.last_error))
        return replace(state, dt=dt[rows, choice], memory=memory, last_dt=last_dt, last_error=last_error)

    def step(self, system: TangentSystem, state: State) -> Trial:
        """See ``Stepper.step``; the members of each method go together."""
        choice = state.memory[:, CHOICE]
        groups = [(choice == EXPLICIT).nonzero()[:, 0], (choice == STIFF).nonzero()[:, 0]]
        steppers: list[Stepper[TangentSystem]] = [
            RungeKutta32(self.tolerance),
            self._stiff(system, state.outputs.shape[1]),
        ]
        parts: list[tuple[Tensor, Trial]] = []
        for rows, stepper in zip(groups, steppers, strict=True):
            if len(rows):
                part = state.select(rows)
                own = part.memory[:, OWN : OWN + stepper.memory]
                parts.append((rows, stepper.step(system, replace(part, memory=own))))
        return _merge(state, parts)

    def _stiff(self, system: TangentSystem, n_patterns: int) -> Stepper[TangentSystem]:
        affordable = step_flops(system) <= KERNEL_LIMIT * system.flops.evaluate and n_patterns <= MAX_PATTERNS
        if affordable and math.isfinite(system.stiffness):
            return TangentExponential(self.tolerance)
        return Chebyshev2(self.tolerance)

    def _fresh(self, system: TangentSystem, state: State) -> Tensor:
        """Memory before the first step: costs from the flops of the methods."""
        explicit = GRADIENTS * system.flops.evaluate + system.flops.outputs
        exponential = isinstance(self._stiff(system, state.outputs.shape[1]), TangentExponential)
        explicit += CALL_FLOPS * (GRADIENTS + 1)
        stiff = (
            step_flops(system) + CALL_FLOPS * EXPECTED_CALLS
            if exponential
            else FIRST_STEP[STIFF] / FIRST_STEP[EXPLICIT] * explicit
        )
        first = [EXPLICIT, *FIRST_STEP, explicit, stiff, *[0.0] * Chebyshev2.memory]
        memory = state.t.new_tensor(first).repeat(len(state), 1)
        memory[:, DT : DT + 2] *= state.dt[:, None]
        return memory


@dataclass(frozen=True)
class MergedDense:
    """Dense output of members that took different methods: row → (part, row in the part)."""

    parts: list[Dense]
    part: Tensor
    place: Tensor

    def _gather(self, name: str, rows: Tensor, theta: Tensor) -> Tensor:
        found: list[tuple[Tensor, Tensor]] = []
        for index, dense in enumerate(self.parts):
            mine = (self.part[rows] == index).nonzero()[:, 0]
            if len(mine):
                found.append((mine, getattr(dense, name)(self.place[rows[mine]], theta[mine])))
        order = torch.cat([mine for mine, _ in found]).argsort()
        return torch.cat([values for _, values in found])[order]

    def at(self, rows: Tensor, theta: Tensor) -> Tensor:
        """See ``Dense.at``."""
        return self._gather("at", rows, theta)

    def outputs(self, rows: Tensor, theta: Tensor) -> Tensor:
        """See ``Dense.outputs``."""
        return self._gather("outputs", rows, theta)


def _merge(state: State, parts: list[tuple[Tensor, Trial]]) -> Trial:
    """One trial of all members, with what each method has learned in its columns of the memory."""
    everyone = torch.cat([rows for rows, _ in parts])
    order = everyone.argsort()
    joined = {
        name: torch.cat([getattr(trial, name) for _, trial in parts])[order]
        for name in ("y", "velocity", "outputs", "error", "order", "gradients", "kernels", "flops", "calls")
    }
    memory = state.memory.clone()
    part, place = torch.empty_like(everyone), torch.empty_like(everyone)
    for index, (rows, trial) in enumerate(parts):
        part[rows], place[rows] = index, torch.arange(len(rows), device=rows.device)
        memory[rows, COST + memory[rows, CHOICE].long()] = trial.flops + CALL_FLOPS * trial.calls
        memory[rows, OWN : OWN + trial.memory.shape[1]] = trial.memory
    dense = parts[0][1].dense if len(parts) == 1 else MergedDense([trial.dense for _, trial in parts], part, place)
    return Trial(**joined, dense=dense, memory=memory)
