"""What one step of the exponential integrator knows of itself: its path, its model of the outputs, its error."""

import numpy as np
import pytest
import torch

from feature_lazy.dynamics.control import SmoothController
from feature_lazy.dynamics.integrate import Method, start
from feature_lazy.dynamics.losses import SoftHinge
from feature_lazy.dynamics.step import relative_error
from feature_lazy.dynamics.steppers.rk32 import RungeKutta32
from feature_lazy.dynamics.steppers.tangent import TangentExponential
from tests.dynamics.conftest import FixedStep, follow, slope
from tests.dynamics.test_flow import W0, flow

LOSS, ONE = SoftHinge(), torch.tensor([1])
# A tolerance so small that the solution in function space is no part of the error.
STEPPER = TangentExponential(1e-6)


def step(dt, system=None, stepper=STEPPER):
    system = flow(LOSS, ONE) if system is None else system
    state = start(system, stepper, W0[ONE], torch.tensor([dt], dtype=torch.float64), 0)
    return state, stepper.step(system, state)


def at(trial, fraction):
    return trial.dense.at(torch.tensor([0]), torch.tensor([fraction], dtype=torch.float64))


def exact(dt, fraction):
    """Weights within a step, by the third order method in 128 steps, whose error is 128⁻³ of the one measured here."""
    times = [fraction * dt]
    method = Method(RungeKutta32(1e-2), FixedStep())
    samples, _ = follow(flow(LOSS, ONE), W0[ONE], method, dt=dt / 128, times=times, max_steps=140)
    return samples[-1][1]


def test_step_is_its_path():
    """The end of the step and its dense output are one thing."""
    _, trial = step(0.1)
    torch.testing.assert_close(at(trial, 1.0), trial.y, rtol=1e-13, atol=1e-13)
    outputs = trial.dense.outputs(torch.tensor([0]), torch.ones(1, dtype=torch.float64))
    torch.testing.assert_close(outputs, trial.outputs, rtol=1e-12, atol=1e-12)


DTS = [0.04, 0.02, 0.01]


@pytest.mark.parametrize("fraction", [0.5, 1.0])
def test_path_is_of_third_order_inside_as_at_its_end(fraction):
    """A local error of fourth order in dt."""
    errors = [float((at(step(dt)[1], fraction) - exact(dt, fraction)).norm()) for dt in DTS]
    assert slope(np.array(DTS), errors) == pytest.approx(4, abs=0.3)


def test_model_of_the_outputs_bends_as_the_network_does():
    """Without the second order of F along the way the model would miss the outputs in second order.

    Its third order is that of the way of the first pass, which misses the weights in third order itself.
    """
    missed = [float(step(dt)[1].dense.mismatch.norm()) for dt in DTS]
    assert slope(np.array(DTS), missed) == pytest.approx(3, abs=0.3)


def test_error_of_a_long_lazy_step_sees_the_way_beside_the_straight_one():
    """There F is all but linear in w, and its mismatch says nothing of the weights.

    Measured on this step: the estimate is a quarter of the error, and 1/31 without what J may do beside the way.
    """
    member, end = torch.tensor([2]), torch.tensor([2.0], dtype=torch.float64)
    system = flow(LOSS, member)
    state = start(system, STEPPER, W0[member], end, 0)
    trial = STEPPER.step(system, state)
    method = Method(RungeKutta32(1e-6), SmoothController())
    _, finished = follow(system, W0[member], method, dt=1e-4, t_end=end, max_steps=200_000)
    error = trial.y - finished[0][1].y
    actual = relative_error(state, trial.y, error, trial.outputs, 0 * trial.outputs)
    assert actual < 8 * trial.error * STEPPER.tolerance
