"""Steps on the active patterns: the same flow, for less work, and never without noticing a pattern that is left out."""

from dataclasses import replace

import pytest
import torch

from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.integrate import start
from feature_lazy.dynamics.losses import Mse, SoftHinge
from feature_lazy.dynamics.losses import push as push_of
from feature_lazy.dynamics.steppers.focus import (
    AIM,
    ALLOWED,
    FALL,
    MOST,
    RISE,
    Focused,
    active,
    first_share,
    step_on,
)
from feature_lazy.dynamics.steppers.rk32 import RungeKutta32
from feature_lazy.dynamics.steppers.tangent import TangentExponential
from feature_lazy.dynamics.system import Flops
from feature_lazy.networks.activations import Softplus, scaled
from feature_lazy.networks.fully_connected import FullyConnected

P, D, TOLERANCE = 24, 6, 1e-2
NETWORK = FullyConnected(D, [9, 8], scaled(Softplus(5.0)))
RANDOM = torch.Generator().manual_seed(0)
X = torch.randn(P, D, dtype=torch.float64, generator=RANDOM)
Y = torch.tensor([1.0, -1.0] * (P // 2), dtype=torch.float64)
W0 = torch.cat([NETWORK.layout.flatten({k: v[None] for k, v in NETWORK.init(s).items()}) for s in range(2)])
ALPHA = torch.tensor([2.0, 3.0], dtype=torch.float64)
BOTH = torch.arange(2)
METHODS = pytest.mark.parametrize("stepper", [RungeKutta32(TOLERANCE), TangentExponential(TOLERANCE)], ids=repr)


def flow_at(margins, loss=SoftHinge()):  # noqa: B008
    """A flow with the given margins F·y (2, P) at W0: f₀ is chosen so."""
    flow = NetworkFlow(NETWORK, X, Y, loss, alpha=ALPHA, w0=W0)
    flow.f0 = flow.f0 - margins * Y / ALPHA[:, None]
    return flow


def begin(flow, dt, stepper=RungeKutta32(TOLERANCE)):  # noqa: B008
    return start(flow, stepper, W0, torch.full((2,), dt, dtype=torch.float64), 0)


SHARE = torch.full((2,), first_share(TOLERANCE), dtype=torch.float64)


# Six patterns push; the share of one with m = 3 is e^{−20·2} = 4e-18 and less.
MARGINS = torch.cat([torch.full((2, 6), 0.9), torch.full((2, P - 6), 3.0)], dim=1).double()


def counted(flow, share=SHARE):
    return active(flow, begin(flow, 0.1).outputs, BOTH, share).tolist()


def test_active_patterns_are_those_that_push():
    assert counted(flow_at(MARGINS)) == [6, 6]
    some = MARGINS.clone()
    some[1, 6:11] = 1.2  # eleven push
    assert counted(flow_at(some)) == [6, 11]
    # A square loss pushes always.
    assert counted(flow_at(MARGINS, Mse())) == [P, P]


def test_patterns_that_push_little_are_counted_by_what_they_push_together():
    weak = MARGINS.clone()
    weak[:, 6:12] = 1.7  # e^{−20·0.7}/6/0.88 = 1.6e-7 each, six together 9e-7
    assert counted(flow_at(weak), torch.tensor([5e-7, 1e-6]).double()) == [9, 6]


def test_restricted_flow_is_the_flow_of_its_patterns():
    flow, patterns = flow_at(MARGINS), torch.tensor([[0, 3, 7, 20], [1, 2, 5, 23]])
    state = begin(flow, 0.1)
    part = flow.restricted(BOTH, patterns)
    velocity, outputs = part.evaluate(W0, BOTH)
    torch.testing.assert_close(outputs, state.outputs.gather(1, patterns), rtol=1e-12, atol=1e-12)
    jacobian = torch.stack([flow.linearise(W0, BOTH).pull_back(e.expand(2, P)) for e in torch.eye(P).double()], dim=1)
    chosen = jacobian.gather(1, patterns[:, :, None].expand(-1, -1, jacobian.shape[2]))
    b = push_of(flow.loss, outputs, Y[patterns], P)  # over P, not over the four
    torch.testing.assert_close(velocity, torch.einsum("epn,ep->en", chosen, b), rtol=1e-11, atol=1e-14)
    theta = flow.linearise(W0, BOTH).kernel()
    expected = torch.stack([theta[e][patterns[e]][:, patterns[e]] for e in range(2)])
    torch.testing.assert_close(part.linearise(W0, BOTH).kernel(), expected, rtol=1e-12, atol=1e-12)


@METHODS
def test_step_on_active_patterns_is_the_step_of_the_flow(stepper):
    flow, cut = flow_at(MARGINS), Focused(stepper, TOLERANCE)
    whole, part = stepper.step(flow, begin(flow, 0.02, stepper)), cut.step(flow, begin(flow, 0.02, cut))
    # What is left out pushes by less than e^{−20·1.5} of the rest, also at the end of the step. The exponential
    # integrator solves in function space in steps that depend on the patterns, to a tenth of its tolerance at worst.
    atol = 1e-9 if isinstance(stepper, RungeKutta32) else 1e-7
    torch.testing.assert_close(part.outputs, whole.outputs, rtol=0, atol=atol)
    torch.testing.assert_close(part.y, whole.y, rtol=0, atol=atol)
    theta = torch.tensor([0.3, 0.8], dtype=torch.float64)
    torch.testing.assert_close(part.dense.at(BOTH, theta), whole.dense.at(BOTH, theta), rtol=0, atol=atol)
    found = part.dense.outputs(BOTH, theta)
    torch.testing.assert_close(found, flow.outputs(part.dense.at(BOTH, theta), BOTH), rtol=0, atol=1e-12)
    assert (part.flops < 0.6 * whole.flops).all()


@METHODS
def test_pattern_that_begins_to_push_is_noticed(stepper):
    """Left out by force at m = 1.3, where it has a share of e^{−20·0.3}/6 and more, of 1e-3 that are allowed."""
    margins = MARGINS.clone()
    margins[:, 6] = torch.tensor([1.3, 1.2])
    flow = flow_at(margins)
    state = begin(flow, 1e-6, stepper)  # so short that nothing else is wrong with the step
    found, next_share = step_on(flow, stepper, state, 6, SHARE, TOLERANCE)
    push = flow.force(BOTH).push(state.outputs).abs()
    share = push[:, 6] / push.sum(1)
    assert share[0] < ALLOWED * TOLERANCE < share[1]
    assert found.error[0] < 0.1  # its own, which is rounding: what is left out is 0.4 of what is allowed
    assert found.error[1] == 1  # rejected, and not for its length
    wanted = SHARE * AIM * ALLOWED * TOLERANCE / share
    torch.testing.assert_close(next_share, wanted, rtol=1e-3, atol=0)


def test_share_that_may_be_left_out_follows_what_was():
    flow, stepper = flow_at(MARGINS), Focused(RungeKutta32(TOLERANCE), TOLERANCE)
    state, shares = begin(flow, 1e-6, stepper), []
    for _ in range(4):
        trial = stepper.step(flow, state)
        state = replace(state, memory=trial.memory)
        shares.append(float(trial.memory[0, 0]))
    most = MOST * ALLOWED * TOLERANCE
    assert shares == pytest.approx([min(most, first_share(TOLERANCE) * RISE**k) for k in range(1, 5)])
    # Nothing that is left out may be lost to a number that is none.
    stuck = step_on(flow, RungeKutta32(TOLERANCE), begin(flow, torch.nan), 6, SHARE, TOLERANCE)
    assert stuck[0].error.isinf().all()
    torch.testing.assert_close(stuck[1], SHARE * FALL)


def test_members_with_active_sets_of_different_size_stay_in_order():
    margins = MARGINS.clone()
    margins[0] = 0.9
    flow = flow_at(margins)
    stepper = Focused(RungeKutta32(TOLERANCE), TOLERANCE)
    state = begin(flow, 0.02, stepper)
    trial = stepper.step(flow, state)
    for m in range(2):
        alone = stepper.step(flow, state.select(torch.tensor([m])))
        torch.testing.assert_close(trial.y[m], alone.y[0], rtol=0, atol=1e-13)
        torch.testing.assert_close(trial.flops[m], alone.flops[0])
        rows, theta = torch.tensor([m]), torch.tensor([0.4], dtype=torch.float64)
        inside = alone.dense.at(torch.tensor([0]), theta)
        torch.testing.assert_close(trial.dense.at(rows, theta), inside, rtol=0, atol=1e-13)


def test_a_flow_that_cannot_be_cut_is_followed_whole():
    class Plain:
        flops = Flops(evaluate=1.0, outputs=1.0)

        def evaluate(self, y, member):
            return -y, y.clone()

        def outputs(self, y, member):
            return y.clone()

    stepper = Focused(RungeKutta32(TOLERANCE), TOLERANCE)
    state = start(Plain(), stepper, torch.ones(1, 3, dtype=torch.float64), torch.tensor([0.1]), 0)
    found, expected = stepper.step(Plain(), state), RungeKutta32(TOLERANCE).step(Plain(), replace(state))
    assert torch.equal(found.y, expected.y)
