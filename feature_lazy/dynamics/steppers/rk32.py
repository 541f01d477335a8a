"""The embedded Runge–Kutta pair 3(2) of Bogacki and Shampine (Appl. Math. Lett. 2, 1989), for accuracy."""

from dataclasses import dataclass

import torch

from feature_lazy.dynamics.dense import Hermite
from feature_lazy.dynamics.state import State
from feature_lazy.dynamics.step import SingleMethod, Trial, relative_error
from feature_lazy.dynamics.system import System

GRADIENTS = 3
"""Evaluations of the velocity in a step: the last one is the first of the next step."""


@dataclass(frozen=True)
class RungeKutta32(SingleMethod):
    """Third order, with the embedded second order for the error; stable up to dt·ρ ≈ 2.5.

    Attributes:
        tolerance: bound on the error of a step over the change that it makes, in y and in the outputs.
    """

    tolerance: float

    def step(self, system: System, state: State) -> Trial:
        """See ``Stepper.step``; one pass more gives the outputs that the embedded solution has."""
        dt = state.dt.to(state.y.dtype)[:, None]
        k1 = state.velocity
        k2, _ = system.evaluate(torch.addcmul(state.y, dt / 2, k1), state.member)
        k3, _ = system.evaluate(torch.addcmul(state.y, 0.75 * dt, k2), state.member)
        change = dt * (2 / 9 * k1 + 1 / 3 * k2 + 4 / 9 * k3)
        y = state.y + change
        k4, outputs = system.evaluate(y, state.member)
        error = dt * (-5 / 72 * k1 + 1 / 12 * k2 + 1 / 9 * k3 - 1 / 8 * k4)
        outputs_error = outputs - system.outputs(y - error, state.member)
        ratio = relative_error(state, y, error, outputs, outputs_error)
        return Trial(
            y,
            k4,
            outputs,
            ratio / self.tolerance,
            torch.full_like(ratio, 2.0),
            Hermite(system, state, y, k4),
            gradients=torch.full_like(state.gradients, GRADIENTS),
            kernels=torch.zeros_like(state.kernels),
            flops=torch.full_like(state.flops, GRADIENTS * system.flops.evaluate + system.flops.outputs),
            calls=torch.full_like(state.flops, GRADIENTS + 1),
            memory=state.memory,
        )
