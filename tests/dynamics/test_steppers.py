"""Every method of integration: its order, its stability, and that members and budgets leave no trace in it."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from feature_lazy.dynamics.control import PER_OCTAVE, SmoothController
from feature_lazy.dynamics.events import Event, converged, half_loss
from feature_lazy.dynamics.integrate import Method, start
from feature_lazy.dynamics.losses import SoftHinge
from feature_lazy.dynamics.methods import STEPPERS, method
from feature_lazy.dynamics.outcome import Outcome
from feature_lazy.dynamics.state import State
from feature_lazy.dynamics.steppers import auto
from feature_lazy.dynamics.steppers.article import ArticleEuler
from feature_lazy.dynamics.steppers.auto import Auto
from feature_lazy.dynamics.steppers.rk32 import RungeKutta32
from feature_lazy.dynamics.steppers.rkc2 import Chebyshev2
from feature_lazy.dynamics.steppers.tangent import TangentExponential
from tests.dynamics.conftest import FixedStep, Flow, Linear, assert_same_bits, column, error_at, follow, slope, trial
from tests.dynamics.test_flow import ALL, W0, Y, elsewhere, flow
from tests.dynamics.test_integrate import SYSTEM, Y0

METHODS = {name: method(name, 1e-2, eps_gradient=1e-3) for name in ("article", *STEPPERS)}
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
LOSS = SoftHinge()
COMPARED = ("y", "velocity", "outputs", "error", "order", "gradients", "kernels", "flops", "memory")
EVENTS = [half_loss(LOSS, Y), converged(LOSS, Y)]


# At the end of the steps, and in the middle of one: dense output must not cost an order.
@pytest.mark.parametrize("t", [1.0, 0.7890123])
@pytest.mark.parametrize(
    ("stepper", "order"), [(ArticleEuler(), 1), (RungeKutta32(1e-2), 3), (Chebyshev2(1e-2), 2)], ids=str
)
def test_order_on_a_linear_system(stepper, order, t):
    steps = [16, 32, 64, 128]  # powers of two, so that they add up to the end exactly
    errors = [error_at(SYSTEM, Y0, stepper, t, SYSTEM.exact(Y0, t), n=n) for n in steps]
    # error = C·dtᵏ·(1 + O(dt)), and dt·‖A‖ = 0.2 … 0.02.
    assert slope(1 / np.array(steps), errors) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize(("eps_gradient", "eps_output"), [(1e-2, 1e3), (1e3, 1e-2), (0.05, 0.5)])
def test_article_bounds_gradient_and_output(eps_gradient, eps_output):
    """Eqs. 8–9 by hand: y' = −y from (3, 4) with dt = 0.1 ends at 0.9 y, and so does the velocity."""
    decay, y0 = Linear([[-1.0, 0.0], [0.0, -1.0]]), torch.tensor([[3.0, 4.0]], dtype=torch.float64)
    stepper = ArticleEuler(eps_gradient, eps_output)
    found = stepper.step(decay, start(decay, stepper, y0, torch.tensor([0.1], dtype=torch.float64), 0))
    gradient, output = 0.5**2 / (5 * 4.5), 0.4
    assert found.error.item() == pytest.approx(max(gradient / eps_gradient, output / eps_output), rel=1e-12)


@cache
def truth(member, end, t):
    """Weights at t, by the third order method in steps eight times finer than the finest that it is to judge."""
    one = torch.tensor([member])
    method = Method(RungeKutta32(1e-2), FixedStep())
    samples, _ = follow(flow(LOSS, one), W0[one], method, dt=end / 512, times=[t], max_steps=512)
    return samples[-1][1]


@pytest.mark.parametrize(("member", "end"), [(0, 0.02), (1, 0.25)])
@pytest.mark.parametrize(
    ("stepper", "order"), [(RungeKutta32(1e-2), 3), (Chebyshev2(1e-2), 2), (TangentExponential(1e-6), 3)], ids=str
)
def test_order_on_a_network_that_learns_features(stepper, order, member, end):
    one, t, steps = torch.tensor([member]), 0.789 * end, [8, 16, 32, 64]
    expected = truth(member, end, t)
    errors = [error_at(flow(LOSS, one), W0[one], stepper, t, expected, end=end, n=n) for n in steps]
    assert slope(1 / np.array(steps), errors) == pytest.approx(order, abs=0.2)


def test_chebyshev_is_stable_and_cheap_where_explicit_methods_are_not():
    """Rates 1 … 1e4 in steps of 0.05: dt·ρ = 500, where Euler grows by a factor of 500 in every step."""
    stiff = Linear(np.diag([-1.0, -30.0, -1e3, -1e4]))
    y0 = torch.ones(1, 4, dtype=torch.float64)
    method = Method(Chebyshev2(1e-2), SmoothController())
    _, finished = follow(stiff, y0, method, dt=1e-5, t_end=torch.ones(1, dtype=torch.float64), max_steps=1000)
    outcome, state = finished[0]
    assert outcome is Outcome.T_END
    torch.testing.assert_close(state.y, stiff.exact(y0, 1.0), rtol=0, atol=5e-3)
    # An explicit method of order 3 needs dt < 2.5/ρ: 4000 steps of three gradients.
    assert state.gradients < 1500


@every_method
def test_step_of_a_batch_is_that_of_each_member(method):
    """A batch is a way to compute, and must not show in the result: different α, clocks and stiffness in one batch."""
    w, dt, theta = (
        elsewhere(),
        torch.tensor([0.003, 0.02, 0.5], dtype=torch.float64),
        torch.tensor([0.3], dtype=torch.float64),
    )
    system = flow(LOSS)

    def stepped(rows):
        state = start(system, method.stepper, w, dt, 0).select(rows)
        trial = method.stepper.step(system, method.stepper.begin(system, state))
        inside = torch.cat([trial.dense.at(torch.tensor([row]), theta) for row in range(len(rows))])
        return {"inside": inside, **{name: getattr(trial, name) for name in COMPARED}}

    together = stepped(ALL)
    for m in range(3):
        for name, value in stepped(torch.tensor([m])).items():
            # Rounding, amplified by α ≤ 30 in F and by the differences that estimate an error.
            torch.testing.assert_close(together[name][m : m + 1], value, rtol=1e-9, atol=1e-11, msg=name)


@every_method
def test_stopped_and_continued_is_bit_for_bit_the_same(method, monkeypatch):
    system = flow(LOSS)
    # A first step that is hopelessly long, and a dear kernel: ``auto`` changes its mind within these few steps.
    system.flops = replace(system.flops, linearise=10 * system.flops.linearise)
    system.laziness = lambda member: torch.ones_like(member, dtype=torch.float64)
    monkeypatch.setattr(auto, "FIRST_STEP", 1.0)
    monkeypatch.setattr(auto, "LAZY_STEP", 1e4)
    monkeypatch.setattr(auto, "CALL_FLOPS", 0.0)
    _, whole = follow(system, W0, method, dt=0.01, events=EVENTS, max_steps=14)
    state, last, choices = None, {}, []
    for cut in (1, 2, 5, 9, 13, 14):
        _, finished = follow(system, W0, method, dt=0.01, events=EVENTS, state=state, max_steps=cut)
        last |= {m: row for m, (_, row) in finished.items()}
        choices.append([last[m].memory[:, :1] for m in range(3)])
        going = [row for outcome, row in finished.values() if outcome is Outcome.MAX_STEPS]
        state = State.concatenate(going) if going else state
    for m in range(3):
        assert_same_bits(last[m], whole[m][1])
    if isinstance(method.stepper, Auto):
        assert any(len({float(c[m]) for c in choices}) == 2 for m in range(3))


@given(
    st.lists(st.floats(0, 1e6) | st.just(np.inf), min_size=1, max_size=4),
    st.floats(1e-9, 1e9),
    st.booleans(),
    st.floats(1e-3, 1) | st.just(np.nan),
)
def test_smooth_controller(errors, dt, after_rejection, last_error):
    """Accepted below 1; factors stay within bounds; a rejected step shrinks; no growth right after a rejection."""
    controller = SmoothController()
    state, tried = trial(Flow(torch.zeros_like), column(*[1.0] * len(errors)), dt, errors)
    flags = torch.full((len(errors),), after_rejection)
    last = torch.full((len(errors),), last_error, dtype=torch.float64)
    last_dt = torch.where(last.isnan(), torch.nan, state.dt)
    state = type(state)(**{**state.tensors(), "after_rejection": flags, "last_error": last, "last_dt": last_dt})
    accepted, new = controller.decide(tried, state)
    for error, ok, factor in zip(errors, accepted.tolist(), (new / state.dt).tolist(), strict=True):
        assert ok == (error < 1)
        # Down to the next step of the grid, and no farther.
        assert controller.shrink * 2 ** (-1 / PER_OCTAVE) * (1 - 1e-12) <= factor
        assert factor <= controller.grow * (1 + 1e-12)
        assert ok or factor <= controller.safety
        assert not after_rejection or factor <= 1


def test_steps_of_members_together_are_those_of_each_alone():
    """To the last bit, also where a step that was rejected stays where it is on the grid."""
    controller = SmoothController()
    sizes = np.exp2(np.linspace(-40, 20, 97)).tolist()

    def twice(sizes):
        for after_rejection in (False, True):
            state, tried = trial(Flow(torch.zeros_like), column(*[1.0] * len(sizes)), 1.0, [1e-6] * len(sizes))
            flags = torch.full((len(sizes),), after_rejection)
            state = replace(state, dt=torch.tensor(sizes, dtype=torch.float64), after_rejection=flags)
            sizes = controller.decide(tried, state)[1].tolist()
        return sizes

    assert twice(sizes) == [twice([size])[0] for size in sizes]


def test_event_of_no_member_leaves_all_running():
    never = Event("never", lambda outputs: outputs.abs().sum(1) + 1, terminal=True)
    _, finished = follow(SYSTEM, Y0, METHODS["rk32"], events=[never], max_steps=10)
    assert finished[0][0] is Outcome.MAX_STEPS
