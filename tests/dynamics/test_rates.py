"""Bounds on the rates of the flow under a frozen kernel: never below the largest, and near it."""

from types import SimpleNamespace

import pytest
import torch

from feature_lazy.dynamics.frozen import SAFETY, FrozenKernelFlow
from feature_lazy.dynamics.losses import CrossEntropy, LossForce, Mse, SoftHinge
from feature_lazy.dynamics.steppers.focus import CHEAPEST, focused
from feature_lazy.dynamics.steppers.rk32 import RungeKutta32
from feature_lazy.dynamics.steppers.tangent import TangentExponential
from tests.dynamics.test_focus import BOTH, MARGINS, SHARE, TOLERANCE, begin, flow_at

P, C = 12, 3
RANDOM = torch.Generator().manual_seed(3)


def randn(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=RANDOM)


LABELS = {1: randn(P).sign(), C: torch.arange(P) % C}
LOSSES = pytest.mark.parametrize(("loss", "c"), [(SoftHinge(), 1), (Mse(), 1), (CrossEntropy(), C)])


def hessian(loss, outputs, labels):
    """∂²ℓ/∂F² of all outputs, by autograd."""
    return torch.autograd.functional.hessian(lambda f: loss(f, labels).sum(), outputs)


@LOSSES
def test_curvature_is_below_its_bounds(loss, c):
    for _ in range(20):
        outputs = 3 * randn(P * c)
        over = loss.curvatures(outputs, LABELS[c]).diag() - hessian(loss, outputs, LABELS[c])
        assert torch.linalg.eigvalsh(over)[0] > -1e-13


def test_curvature_of_the_soft_hinge_is_known():
    outputs = randn(P)
    torch.testing.assert_close(
        SoftHinge().curvatures(outputs, LABELS[1]).diag(), hessian(SoftHinge(), outputs, LABELS[1])
    )


@LOSSES
@pytest.mark.parametrize("signs", ["positive", "both"])
def test_largest_rate_is_below_its_bound(loss, c, signs):
    """And all but it where Θ has no negative entry and the bound has been asked for a few times."""
    root = randn(2, P * c, 2 * P * c)
    root = root.abs() if signs == "positive" else root
    theta, members = root @ root.mT, torch.arange(2)
    flow = FrozenKernelFlow(theta, 2 * randn(2, P * c), lambda _: LossForce(loss, LABELS[c], P), decay=0.1)
    for _ in range(6):
        bound = flow.rate(flow.outputs0, members)
        assert torch.equal(flow.rate(flow.outputs0[1:], members[1:]) <= bound[1:] * (1 + 1e-12), torch.tensor([True]))
    for row in range(2):
        rates = torch.linalg.eigvals(hessian(loss, flow.outputs0[row], LABELS[c]) @ theta[row]).real / P + 0.1
        assert bound[row] > rates.max()
        if signs == "positive" and c == 1:
            assert bound[row] < 1.02 * SAFETY * rates.max()


def test_loss_without_curvature_has_no_rates():
    """Where c is 0 everywhere the next bound is one again."""
    theta, members = randn(1, P, P).abs(), torch.tensor([0])
    theta = theta + theta.mT
    force = SimpleNamespace(push=torch.zeros_like, curvatures=torch.zeros_like)
    flow = FrozenKernelFlow(theta, randn(1, P), lambda _: force)
    assert flow.rate(flow.outputs0, members).item() == 0
    force.curvatures = torch.ones_like
    assert flow.rate(flow.outputs0, members).item() >= SAFETY * torch.linalg.eigvalsh(theta[0])[-1] * (1 - 1e-12)


@pytest.mark.parametrize(
    ("stepper", "ease"), [(RungeKutta32(TOLERANCE), 1.0), (TangentExponential(TOLERANCE), CHEAPEST**-0.5)]
)
def test_step_on_few_patterns_may_err_less(stepper, ease):
    """Where steps are cheap: a quarter of the patterns, twice the error over its bound."""
    flow = flow_at(MARGINS)
    state = begin(flow, 0.1, stepper)
    patterns = torch.arange(6).expand(2, 6)
    part = SimpleNamespace(**{**state.__dict__, "outputs": state.outputs[:, :6]})
    plain = stepper.step(flow.restricted(BOTH, patterns), type(state)(**part.__dict__)).error
    trial, _ = focused(flow, stepper, state, 6, SHARE, TOLERANCE)
    torch.testing.assert_close(trial.error, plain * ease, rtol=1e-9, atol=0)
