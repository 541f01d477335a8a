"""The integration loop on systems with known solutions."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from feature_lazy.dynamics.dense import Search, locate
from feature_lazy.dynamics.events import Event
from feature_lazy.dynamics.integrate import Method
from feature_lazy.dynamics.methods import FINE
from feature_lazy.dynamics.outcome import Outcome
from feature_lazy.dynamics.steppers.article import ArticleController, ArticleEuler
from tests.dynamics.conftest import (
    ExactStepper,
    FixedStep,
    Flow,
    Linear,
    Scripted,
    assert_same_bits,
    column,
    follow,
    slope,
)

# A slow, a fast and two rotating directions: not symmetric, not normal.
SYSTEM = Linear([[-0.5, 0.2, 0.0, 0.0], [0.0, -3.0, 0.5, 0.0], [0.0, 0.0, -0.2, 2.0], [0.1, 0.0, -2.0, -0.2]])
Y0 = torch.tensor([[1.0, -2.0, 0.5, 1.0]], dtype=torch.float64)
ARTICLE = Method(ArticleEuler(), ArticleController())


def test_dense_output_has_order_four():
    """Cubic Hermite between exact states: error C·dt⁴."""
    steps, times = [8, 16, 32, 64], np.linspace(0.0123, 0.9876, 30)
    errors = []
    for n in steps:
        samples, _ = follow(SYSTEM, Y0, Method(ExactStepper(SYSTEM), FixedStep()), dt=1 / n, times=times, max_steps=n)
        assert len(samples) == 31
        errors.append(max(float((y - SYSTEM.exact(Y0, t)).norm()) for t, y in samples))
    assert slope(1 / np.array(steps), errors) == pytest.approx(4, abs=0.2)


script = st.lists(st.tuples(st.booleans(), st.sampled_from([0.5, 1.0, 2.0])), min_size=1, max_size=40)


@given(script, st.lists(st.integers(1, 400), max_size=20))
def test_every_time_is_reported_once_and_exactly(script, sixteenths):
    """Whatever is accepted or rejected, and also where times fall on the ends of steps."""
    times = [k / 16 for k in sixteenths]
    method = Method(ExactStepper(SYSTEM), Scripted(script))
    samples, finished = follow(SYSTEM, Y0, method, dt=0.125, times=times, max_steps=len(script), dt_floor=0.0)
    outcome, state = finished[0]
    assert outcome is Outcome.MAX_STEPS
    assert [t for t, _ in samples] == [0.0, *sorted({t for t in times if t <= state.t})]
    torch.testing.assert_close(state.y, SYSTEM.exact(Y0, state.t), rtol=1e-10, atol=1e-12)
    assert state.steps == sum(accepted for accepted, _ in script)
    assert state.rejected == len(script) - state.steps
    assert state.gradients == 1 + len(script)


def test_events_are_located_within_a_step():
    """y = e^{-t} falls below 1/2 at ln 2 and ends at 1/10, at ln 10."""
    events = [
        Event("half", lambda outputs: outputs[:, 0] - 0.5),
        Event("never", lambda outputs: outputs[:, 0] + 1),
        Event("tenth", lambda outputs: outputs[:, 0] - 0.1, terminal=True),
    ]
    decay = Linear([[-1.0]])
    method = Method(ExactStepper(decay), FixedStep())
    samples, finished = follow(decay, column(1.0), method, dt=0.01, times=[2.0, 2.3025, 2.3030], events=events)
    outcome, state = finished[0]
    assert outcome is Outcome.CONVERGED
    # Bisection leaves at most dt/2¹² = 2.5e-6; Hermite's dt⁴ is below it.
    assert state.event_times[0].tolist() == pytest.approx([np.log(2), np.nan, np.log(10)], abs=2.5e-6, nan_ok=True)
    assert state.t == state.event_times[0, 2]
    assert state.outputs.item() < 0.1  # the event has happened in the final state
    assert state.outputs.item() == pytest.approx(0.1, abs=2.5e-7)
    assert torch.equal(state.outputs, state.y)
    assert [t for t, _ in samples] == [0.0, 2.0, 2.3025]  # nothing beyond the end


class Counted:
    """A step in which the outputs fall by given curves, one for each row; counts how often it is asked."""

    def __init__(self, *curves):
        self.curves, self.asked = curves, 0

    def at(self, rows, theta):
        self.asked += 1
        return torch.stack([self.curves[r](x) for r, x in zip(rows.tolist(), theta, strict=True)])[:, None]

    outputs = at


def located(search, *curves):
    """Where the curves turn negative, and how often it was asked."""
    dense, rows = Counted(*curves), torch.arange(len(curves))
    sign = Event("sign", lambda outputs: outputs[:, 0])
    ends = [sign.value(dense.at(rows, torch.full((len(rows),), float(end), dtype=torch.float64))) for end in (0, 1)]
    dense.asked = 0
    return locate(dense, rows, sign, tuple(ends), search).tolist(), dense.asked


def decay(rate, share):
    """A curve that falls like e^{-rate θ}, or like -e^{|rate| θ}, and is zero at a share of the step."""
    return lambda theta: np.sign(rate) * (torch.exp(-rate * theta) - np.exp(-rate * share))


@given(st.lists(st.tuples(st.floats(-20, -0.1) | st.floats(0.1, 100), st.floats(0.001, 0.999)), min_size=1, max_size=4))
def test_secants_end_where_halvings_end(curves):
    """Each row as alone, too; every fourth point at least halves what is left."""
    curves = [decay(rate, share) for rate, share in curves]
    halved, _ = located(Search(22), *curves)
    found, asked = located(FINE, *curves)
    assert found == halved == [located(FINE, curve)[0][0] for curve in curves]
    assert asked <= 4 * 22


def test_secants_ask_seldom():
    """For the half of a loss that falls by e² within a step, and for one that has fallen in its first hundredth."""
    assert [located(Search(22), decay(rate, share))[1] for rate, share in ((2, 0.35), (70, 0.01))] == [22, 22]
    asked = [located(FINE, decay(rate, share))[1] for rate, share in ((2, 0.35), (70, 0.01))]
    assert asked == [6, 13]


def test_infinite_velocity_ends_as_non_finite():
    blown = Flow(lambda y: torch.where(y < 1, torch.ones_like(y), torch.full_like(y, torch.inf)))
    _, finished = follow(blown, column(0.0), ARTICLE)
    outcome, state = finished[0]
    assert outcome is Outcome.NON_FINITE
    assert state.y.isfinite().all()  # the last state that was accepted
    assert state.t == pytest.approx(1, abs=1e-8)


def test_broken_from_the_start_ends_as_non_finite():
    _, finished = follow(Flow(lambda y: y * torch.nan), column(1.0), ARTICLE)
    assert finished[0][0] is Outcome.NON_FINITE


def test_kink_ends_as_dt_floor():
    _, finished = follow(Flow(lambda y: -y.sign()), column(1 / 3), ARTICLE)
    outcome, state = finished[0]
    assert outcome is Outcome.DT_FLOOR
    assert state.t == pytest.approx(1 / 3, abs=1e-8)
    assert state.dt < 1e-10


def test_rest_is_no_error():
    """A member whose velocity is exactly zero goes on without 0/0, and with growing steps."""
    _, finished = follow(Flow(torch.zeros_like), column(1.0), ARTICLE, max_steps=5)
    outcome, state = finished[0]
    assert outcome is Outcome.MAX_STEPS
    assert (state.steps, state.rejected) == (5, 0)
    assert state.dt.item() == pytest.approx(0.1 * 1.1**5)


def test_members_end_in_their_own_way_and_do_not_disturb_each_other():
    """One meets a kink, one an infinity, one converges and one runs out of steps: each as if it were alone."""
    laws = [
        lambda y: -y.sign(),
        lambda y: torch.where(y < 0.4, torch.ones_like(y), torch.inf),
        lambda y: -y,
        lambda y: -torch.cos(y),
    ]

    class Members(Flow):
        """Each member has its own law, found by ``member`` and not by its row."""

        def __init__(self, order):
            self.order = order

        def evaluate(self, y, member):
            velocity = [laws[self.order[m]](row) for m, row in zip(member.tolist(), y, strict=True)]
            return torch.stack(velocity), self.outputs(y, member)

    end = Event("end", lambda outputs: (outputs[:, 0] - 0.6).abs() - 0.05, terminal=True)
    y0 = column(0.35, 0.35, 0.9, -0.5)
    arguments = {"events": [end], "max_steps": 1000}
    _, together = follow(Members([0, 1, 2, 3]), y0, ARTICLE, **arguments)
    assert [together[m][0] for m in range(4)] == ["dt_floor", "non_finite", "converged", "max_steps"]
    assert len({int(state.steps) for _, state in together.values()}) == 4  # they leave one after the other
    for m in range(4):
        _, alone = follow(Members([m]), y0[m : m + 1], ARTICLE, **arguments)
        assert alone[0][0] is together[m][0]
        assert_same_bits(replace(alone[0][1], member=torch.tensor([m])), together[m][1])


@pytest.mark.parametrize("cuts", [[1], [2, 3], [50, 57, 200]], ids=str)
def test_stopped_by_steps_and_continued_is_bit_for_bit_the_same(cuts):
    event = Event("end", lambda outputs: outputs.norm(dim=1) - 0.3, terminal=True)
    half = Event("half", lambda outputs: outputs.norm(dim=1) - 1.2)
    arguments = {"times": [0.1, 0.5, 1.0, 2.0], "events": [half, event]}
    expected_samples, expected = follow(SYSTEM, Y0, ARTICLE, **arguments)
    assert expected[0][0] is Outcome.CONVERGED
    assert expected[0][1].steps > max(cuts)
    state, samples = None, []
    for cut in [*cuts, float("inf")]:
        part, finished = follow(SYSTEM, Y0, ARTICLE, **arguments, state=state, max_steps=cut)
        samples += part
        outcome, state = finished[0]
        assert outcome is (Outcome.CONVERGED if cut == float("inf") else Outcome.MAX_STEPS)
        assert outcome.resumable == (cut < float("inf"))
    assert_same_bits(state, expected[0][1])
    assert [t for t, _ in samples] == [t for t, _ in expected_samples]
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(samples, expected_samples, strict=True))


def test_continued_without_a_larger_budget_stops_at_once():
    _, first = follow(SYSTEM, Y0, ARTICLE, max_steps=7)
    samples, again = follow(SYSTEM, Y0, ARTICLE, max_steps=7, state=first[0][1])
    assert samples == []
    assert again[0][0] is Outcome.MAX_STEPS
    assert_same_bits(again[0][1], first[0][1])


def test_time_budget_makes_at_least_one_step():
    _, expected = follow(SYSTEM, Y0, ARTICLE, max_steps=20)
    state = None
    for _ in range(20):
        _, finished = follow(SYSTEM, Y0, ARTICLE, state=state, time_budget=0.0)
        outcome, state = finished[0]
        assert outcome is Outcome.TIME_BUDGET
        assert outcome.resumable
    assert_same_bits(state, expected[0][1])
