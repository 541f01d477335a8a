"""Losses per pattern: values by hand, derivatives, and the margin at which training stops."""

import math

import pytest
import torch

from feature_lazy import follow
from feature_lazy.core.errors import ConfigError
from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.losses import Hinge, Mse, QuadraticHinge, SoftHinge, SquaredError
from feature_lazy.dynamics.outcome import Outcome
from feature_lazy.settings.checks import validate
from feature_lazy.settings.groups import Loss
from tests.dynamics.test_flow import NETWORK, W0, X, Y

# Loss, F, y, value.
BY_HAND = [
    (SoftHinge(), 1.0, 1.0, math.log(2) / 20),
    (SoftHinge(), -1.0, -1.0, math.log(2) / 20),
    (SoftHinge(beta=2.0), 0.0, -1.0, math.log(1 + math.e**2) / 2),
    # Far below the margin it is the hinge, far above it is e^{-β(m-1)}/β.
    (SoftHinge(), -9.0, 1.0, 10.0),
    (SoftHinge(), -2.0, -1.0, math.exp(-20) / 20),
    (Hinge(), 0.25, 1.0, 0.75),
    (Hinge(), 0.25, -1.0, 1.25),
    (Hinge(), 2.0, 1.0, 0.0),
    (QuadraticHinge(), 0.25, 1.0, 0.5 * 0.75**2),
    (QuadraticHinge(), 1.0, -1.0, 0.5 * 2.0**2),
    (QuadraticHinge(), -3.0, -1.0, 0.0),
    (Mse(), 0.25, 1.0, 0.5 * 0.75**2),
    (Mse(target=1.1), -1.3, -1.0, 0.5 * 0.2**2),
    (Mse(target=1.1), 1.0, -1.0, 0.5 * 2.1**2),
    (SquaredError(), 0.5, -1.25, 0.5 * 1.75**2),
]


def tensor(value):
    return torch.tensor([[value]], dtype=torch.float64)


@pytest.mark.parametrize(("loss", "output", "label", "value"), BY_HAND)
def test_value(loss, output, label, value):
    assert loss(tensor(output), tensor(label)[0]).item() == pytest.approx(value, rel=1e-14)


@pytest.mark.parametrize(
    "loss", [SoftHinge(), Hinge(), QuadraticHinge(), Mse(1.1), SquaredError()], ids=lambda loss: type(loss).__name__
)
@pytest.mark.parametrize("label", [1.0, -1.0])
def test_derivative_is_the_central_difference(loss, label):
    outputs = torch.linspace(-2.95, 2.95, 60, dtype=torch.float64, requires_grad=True)  # no kink among them
    labels = torch.full((60,), label, dtype=torch.float64)
    derivative = torch.autograd.grad(loss(outputs, labels).sum(), outputs)[0]
    torch.testing.assert_close(loss.slope(outputs.detach(), labels), derivative, rtol=1e-12, atol=1e-15)
    step = 1e-6
    difference = (loss(outputs + step, labels) - loss(outputs - step, labels)) / (2 * step)
    # Rounding of ℓ ≤ 9 by 1e-16·9/step = 1e-9; truncation β²·step²/60 is below it.
    torch.testing.assert_close(derivative, difference, rtol=0, atol=4e-9)


class Tilted(SoftHinge):
    """Its slope forgets y."""

    def slope(self, outputs, labels):
        return super().slope(outputs, labels) * labels


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_slope_that_is_not_the_derivative_is_refused(dtype):
    """By the flow, in a sentence; one of no more than rounding is taken, and so is none."""
    x, y, w0 = X.to(dtype), Y.to(dtype), W0.to(dtype)
    for loss in (SoftHinge(), SoftHinge(beta=200.0), Hinge()):
        NetworkFlow(NETWORK, x, y, loss, alpha=w0.new_ones(len(w0)), w0=w0)
    with pytest.raises(ConfigError, match=r"its slope is \S+ where the derivative of its ℓ is \S+, at F = "):
        NetworkFlow(NETWORK, x, y, Tilted(), alpha=w0.new_ones(len(w0)), w0=w0)


def test_keeps_members_and_patterns_apart():
    outputs, labels = torch.tensor([[0.5, 0.5, 2.0], [-1.0, 0.0, 3.0]]), torch.tensor([1.0, -1.0, 1.0])
    assert Hinge()(outputs, labels).tolist() == [[0.5, 1.5, 0.0], [2.0, 1.0, 0.0]]


def test_stop_margins():
    assert SoftHinge().stop_margin == 1
    assert Hinge().stop_margin == 1
    assert QuadraticHinge(margin_tol=0.02).stop_margin == 1 - 0.02
    assert Mse(target=1.0, margin_tol=0.03).stop_margin == 1 - 0.03
    assert Mse(target=1.1).stop_margin == 1  # the authors' choice: m > 1 is reached
    assert Mse(target=0.5, margin_tol=0.01).stop_margin == 0.49
    assert SquaredError(margin_tol=0.02).stop_margin == 1 - 0.02


def test_squared_error_is_mse_for_signs():
    outputs, labels = torch.linspace(-3, 3, 50).double(), torch.tensor([1.0, -1.0]).double().repeat(25)
    assert torch.equal(SquaredError()(outputs, labels), Mse()(outputs, labels))
    # Its margin is F·y up to the label, and falls again beyond it.
    margin = outputs * labels
    torch.testing.assert_close(SquaredError().margin(outputs, labels), torch.where(margin <= 1, margin, 2 - margin))
    assert torch.equal(Mse().margin(outputs, labels), margin)


class Exponential(Loss):
    """A user's own loss, whose curvature has no bound, so that it declares none."""

    def __call__(self, outputs, labels):
        return torch.exp(-outputs * labels)


def test_a_loss_of_unknown_curvature_is_followed_without_the_kernel(configure):
    """The exponential integrator bounds its inner steps by the largest curvature."""
    weights = {name: weight[0] for name, weight in NETWORK.layout.unflatten(W0[:1]).items()}
    run = follow(NETWORK, weights, (X, Y), alpha=1e3, loss=Exponential())
    assert (run.outcome, run.record["kernels"]) == (Outcome.CONVERGED, 0)
    config = configure("dynamics.stepper=tangent")
    for loss, message in ((Exponential(kind="own"), "loss=own does not say it"), (Hinge(), "loss=hinge has one")):
        config.loss = loss
        with pytest.raises(ConfigError, match=rf"^dynamics.stepper=tangent: needs a loss .*, and {message}; use auto"):
            validate(config)
