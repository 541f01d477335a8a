"""Choose between an explicit and a stiff method while a run goes on, each member for itself."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from feature_lazy.dynamics.state import State
from feature_lazy.dynamics.step import SingleMethod, Trial
from feature_lazy.dynamics.steppers.focus import active, first_share, focused, in_groups, n_patterns
from feature_lazy.dynamics.steppers.rk32 import GRADIENTS, RungeKutta32
from feature_lazy.dynamics.steppers.rkc2 import Chebyshev2
from feature_lazy.dynamics.steppers.tangent import TangentExponential, step_flops
from feature_lazy.dynamics.system import System, has_tangent

EXPLICIT, STIFF = 0, 1
CHOICE, DT, WORK, CALLS, TRIALS, ACTIVE, SHARE, OWN = 0, 1, 3, 5, 7, 9, 10, 11
"""Columns of the memory: the method in use; the step that each would take; what one costs, in evaluations on the same
patterns and in calls; the steps that each has tried; the number of active patterns; the share of the push that may be
left out; and the methods' own."""
FIRST_STEP = 0.1
"""First step of the explicit method over ``State.dt``."""
LAZY_STEP = 2.0
"""First step of the stiff method over that and the laziness: where a run is lazy it is tried far out."""
DEEP, DEEPEST = 10.0, 1e4
"""Laziness between which that step grows as its square root only, and from which on it does not grow."""
CURIOSITY = 1.03
"""Growth of the idle method's step with every step of the other: it is tried again when it may have become better."""
CALL_FLOPS = 1.5e6
"""What an evaluation costs however small it is: the flops of a core in the tenth of a millisecond that it takes."""
EXPECTED_CALLS = 80
"""Calls that the exponential integrator is expected to take, before its first step."""
KERNEL_LIMIT = 40.0
"""Gradients that one step of the exponential integrator may cost; beyond it the stiff method is Chebyshev's."""
MAX_OUTPUTS = 4000
"""Outputs on the training set, P·C, up to which kernels of a batch of members are made."""


@dataclass(frozen=True)
class Auto:
    """Takes the method that covers more time for its cost, by the step and the cost that each has last had.

    Explicit: Bogacki–Shampine. Stiff: the exponential integrator, or Runge–Kutta–Chebyshev where the kernel is too
    dear (its cost grows as (P·C)², the gradient's as P). A trial of the other method is a step like any other.

    Attributes:
        tolerance: of both methods.
    """

    tolerance: float

    @property
    def memory(self) -> int:
        """Own columns and those of the Chebyshev method."""
        return OWN + Chebyshev2.memory

    def begin(self, system: System, state: State) -> State:
        """Choose for each member, and set its step."""
        used = state.memory[:, WORK] > 0
        memory = torch.where(used[:, None], state.memory, self._fresh(system, state))
        memory[:, ACTIVE] = active(system, state.outputs, state.member, memory[:, SHARE]).double()
        choice = memory[:, CHOICE].long()
        dt = memory[:, DT : DT + 2].clone()
        rows = torch.arange(len(state), device=dt.device)
        idle = 1 - choice
        # Where accuracy limits the explicit method it limits the other as well; the steps of the stiff one say nothing
        # about an explicit method, which stability limits.
        trend = torch.where(choice == EXPLICIT, state.dt / dt[rows, choice], 1.0)
        grown = trend * torch.where(state.after_rejection, 1.0, CURIOSITY)
        dt[rows, idle] *= torch.where(used, grown, 1.0)
        dt[rows, choice] = torch.where(used, state.dt, dt[rows, choice])
        evaluation = system.flops.evaluate * memory[:, ACTIVE, None] / n_patterns(system, state.outputs)
        cost = memory[:, WORK : WORK + 2] * evaluation + memory[:, CALLS : CALLS + 2] * CALL_FLOPS
        choice = (dt / cost).argmax(1)
        switched = choice != memory[:, CHOICE].long()
        memory[:, CHOICE], memory[:, DT : DT + 2] = choice.double(), dt
        # What the other method did is no forecast for this one.
        last_dt, last_error = (torch.where(switched, torch.nan, last) for last in (state.last_dt, state.last_error))
        return replace(state, dt=dt[rows, choice], memory=memory, last_dt=last_dt, last_error=last_error)

    def report(self, state: State) -> dict[str, float | str]:
        """Which method took how many steps, rejected ones included, and what spoke for the last choice."""
        memory = state.memory[0]
        kernels = bool(state.kernels[0])
        names = ("rk32", "tangent" if kernels else "rkc2")
        dt, work, calls, trials = (memory[i : i + 2].tolist() for i in (DT, WORK, CALLS, TRIALS))
        why = "; ".join(
            f"{name}: steps of {step:.2g} for {cost:.2g} evaluations in {call:.0f} calls"
            for name, step, cost, call in zip(names, dt, work, calls, strict=True)
        )
        counts = {f"auto/{name}_steps": count for name, count in zip(names, trials, strict=True)}
        return {**counts, "auto/choice": names[int(memory[CHOICE])], "auto/why": why}

    def step(self, system: System, state: State) -> Trial:
        """See ``Stepper.step``; members with one method and active sets of one size go together."""
        steppers: list[SingleMethod] = [RungeKutta32(self.tolerance), self._stiff(system, state.outputs.shape[1])]
        n = n_patterns(system, state.outputs)

        def step(part: State, key: int) -> Trial:
            count, choice = divmod(key, 2)
            stepper, memory = steppers[choice], part.memory.clone()
            own = slice(OWN, OWN + stepper.memory)
            mine, share = replace(part, memory=memory[:, own]), memory[:, SHARE]
            trial, memory[:, SHARE] = focused(system, stepper, mine, count, share, self.tolerance)
            memory[:, WORK + choice] = trial.flops / (system.flops.evaluate * count / n)
            memory[:, CALLS + choice] = trial.calls
            memory[:, TRIALS + choice] += 1
            memory[:, own] = trial.memory
            return replace(trial, memory=memory)

        return in_groups(state, 2 * state.memory[:, ACTIVE].long() + state.memory[:, CHOICE].long(), step)

    def _stiff(self, system: System, n_outputs: int) -> SingleMethod:
        # A kernel from a Jacobian asks more of a network than gradients do: it is left to whoever names the method.
        if has_tangent(system) and system.flops.linearise and math.isfinite(system.stiffness):
            affordable = step_flops(system) <= KERNEL_LIMIT * system.flops.evaluate
            if affordable and n_outputs <= MAX_OUTPUTS and system.kernel_fits:
                return TangentExponential(self.tolerance)
        return Chebyshev2(self.tolerance)

    def _fresh(self, system: System, state: State) -> Tensor:
        """Memory before the first step: costs from the flops of the methods."""
        explicit = GRADIENTS + system.flops.outputs / system.flops.evaluate
        dt = FIRST_STEP * torch.stack([state.dt, state.dt], dim=1)
        if has_tangent(system):
            lazy = system.laziness(state.member)
            far = LAZY_STEP * lazy.clamp(max=DEEP) * (lazy / DEEP).clamp(1.0, DEEPEST / DEEP).sqrt()
            dt[:, STIFF] = state.dt * far.clamp(min=FIRST_STEP)
        # What Chebyshev's method costs is not known before: as much as explicit steps over the same time.
        ratio = dt[:, STIFF] / dt[:, EXPLICIT]
        work, calls = ratio * explicit, ratio * (GRADIENTS + 1)
        tangent = isinstance(self._stiff(system, state.outputs.shape[1]), TangentExponential)
        if tangent and has_tangent(system):
            work = torch.full_like(ratio, step_flops(system) / system.flops.evaluate)
            calls = torch.full_like(ratio, EXPECTED_CALLS)
        memory = state.t.new_zeros(len(state), self.memory)
        memory[:, SHARE], memory[:, DT : DT + 2] = first_share(self.tolerance), dt
        memory[:, WORK], memory[:, WORK + STIFF] = explicit, work
        memory[:, CALLS], memory[:, CALLS + STIFF] = GRADIENTS + 1, calls
        return memory
