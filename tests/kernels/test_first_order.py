"""A network to first order: by passes as by its layers, and the flow under a frozen kernel that needs no kernel."""

import pytest
import torch

from feature_lazy.dynamics.choices import FrozenKernel, GradientFlow
from feature_lazy.dynamics.events import converged
from feature_lazy.dynamics.flow import KERNELS_HELD, NetworkFlow
from feature_lazy.dynamics.linearised import LinearisedFlow
from feature_lazy.dynamics.losses import Mse, SoftHinge
from feature_lazy.dynamics.methods import method
from feature_lazy.dynamics.outcome import Outcome
from feature_lazy.dynamics.steppers.auto import Auto
from feature_lazy.dynamics.steppers.rkc2 import Chebyshev2
from feature_lazy.dynamics.steppers.tangent import TangentExponential
from feature_lazy.kernels.first_order import MatrixFree, first_order
from feature_lazy.kernels.layerwise import Linearisation
from feature_lazy.networks.generic import Generic
from tests.arrays import normal
from tests.dynamics.conftest import follow
from tests.dynamics.test_flow import ALL, ALPHA, NETWORK, W0, P, X, Y, elsewhere, flow

ONE = torch.tensor([1])
PARAMS = NETWORK.layout.unflatten(elsewhere())
# Rounding of sums over some ten weights.
CLOSE = {"rtol": 1e-10, "atol": 1e-11}
OWN = torch.stack([X[[0, 3, 4]], X[[1, 2, 5]], X[[5, 0, 1]]])


def function(weights, x):
    return NETWORK.apply({name: weight[None] for name, weight in weights.items()}, x)[0]


UNKNOWN = Generic.around(function, {name: weight[0] for name, weight in PARAMS.items()}, X)


def unknown_flow(loss, members=ALL, **options):
    return NetworkFlow(UNKNOWN, X, Y, loss, alpha=ALPHA[members], w0=W0[members], **options)


def test_layers_are_used_where_they_are_shown():
    assert isinstance(first_order(NETWORK, PARAMS, X, 1e9), Linearisation)
    assert isinstance(first_order(UNKNOWN, PARAMS, X, 1e9), MatrixFree)


@pytest.mark.parametrize("limit", [1e9, 2e4, 1.0])
@pytest.mark.parametrize("x", [X, OWN], ids=["shared", "own"])
def test_passes_give_what_the_layers_give(x, limit):
    linear, free = (first_order(net, PARAMS, x, limit) for net in (NETWORK, UNKNOWN))
    some = torch.tensor([[2, 0], [1, 2], [0, 1]])
    members = torch.tensor([2, 0])
    pairs = [(linear, free), (linear.on(some), free.on(some)), (linear.select(members), free.select(members))]
    for expected, found in pairs:
        e, p = expected.outputs.shape
        v, a = normal(e, W0.shape[1], seed=3), normal(e, p, seed=4)
        torch.testing.assert_close(found.outputs, expected.outputs, **CLOSE)
        torch.testing.assert_close(found.push_forward(v), expected.push_forward(v), **CLOSE)
        torch.testing.assert_close(found.pull_back(a), expected.pull_back(a), **CLOSE)
        torch.testing.assert_close(found.kernel(limit), expected.kernel(limit), **CLOSE)


def test_frozen_flow_is_the_same_without_known_layers():
    known, unknown = (LinearisedFlow(system, W0, elsewhere()) for system in (flow(), unknown_flow(SoftHinge())))
    member, patterns = torch.tensor([2, 0]), torch.tensor([[0, 2, 5], [1, 2, 3]])
    y = W0[member] + 0.1 * normal(2, W0.shape[1], seed=6) / ALPHA[member, None]
    zero = torch.arange(2)
    for one, other, rows in [
        (known, unknown, member),
        (known.restricted(member, patterns), unknown.restricted(member, patterns), zero),
    ]:
        for found, expected in zip(other.evaluate(y, rows), one.evaluate(y, rows), strict=True):
            torch.testing.assert_close(found, expected, **CLOSE)
        torch.testing.assert_close(other.kernel(rows), one.kernel(rows), **CLOSE)
        a, b = (system.linearise(y, rows).pull_back(normal(2, one.flow.x.shape[-2])) for system in (one, other))
        torch.testing.assert_close(a, b, **CLOSE)
    torch.testing.assert_close(unknown.rate(), known.rate(), **CLOSE)


@pytest.mark.parametrize("name", ["auto", "rk32", "rkc2", "tangent"])
def test_closed_form_without_known_layers(name):
    """F(t) = (I − e^{−Θt/P})y, and Θ_test,train Θ⁻¹F(t) on other patterns."""
    system = unknown_flow(Mse(), ONE)
    training = FrozenKernel(method(name, 1e-3)).prepare(system, W0[ONE])
    end = torch.tensor([4.0], dtype=torch.float64)
    samples, finished = follow(
        training.system, training.y0, training.method, dt=training.dt, times=[0.3, 3.0], t_end=end
    )
    theta = first_order(NETWORK, NETWORK.layout.unflatten(W0[ONE]), torch.cat([X, normal(3, X.shape[1])]), 1e9)
    theta = theta.kernel(1e9)[0]
    zero = torch.tensor([0])
    for t, w in samples[1:3]:
        expected = Y - torch.linalg.matrix_exp(-theta[:P, :P] * t / P) @ Y
        found = training.system.outputs(w[None], zero)[0]
        # As for known layers: measured below 1.1 times the tolerance.
        assert (found - expected).norm() < 2e-3 * expected.norm()
        f, f0 = (training.model.f(v, zero, normal(3, X.shape[1]))[0] for v in (w[None], W0[ONE]))
        beyond = theta[P:, :P] @ torch.linalg.solve(theta[:P, :P], expected)
        assert (ALPHA[1] * (f - f0) - beyond).norm() < 4e-3 * beyond.norm()
    assert (finished[0][1].kernels > 0) == (name == "tangent")


def test_kernel_fits_by_the_memory_limit():
    held = KERNELS_HELD * P**2 * 8
    for limit, fits in ((held, True), (held - 1, False)):
        system = flow(memory_limit=limit)
        frozen = LinearisedFlow(system, W0, W0)
        assert system.kernel_fits is frozen.kernel_fits is fits
        for either in (system, frozen):
            # Its forecast is then that of the method that it would take.
            assert isinstance(Auto(1e-2)._stiff(either, P), TangentExponential if fits else Chebyshev2)
    # On two of the patterns it does.
    assert system.restricted(ALL, torch.tensor([[0, 1]] * 3)).kernel_fits


@pytest.mark.parametrize("dynamics", [FrozenKernel, GradientFlow])
@pytest.mark.parametrize("name", ["auto", "tangent"])
@pytest.mark.parametrize("make", [flow, unknown_flow], ids=["layers", "function"])
def test_no_kernel_is_made_that_does_not_fit(monkeypatch, make, name, dynamics):
    """The flow is followed by products with J and Jᵀ, or by gradients."""

    def refuse(*args):
        raise AssertionError("a kernel was made")

    for linear in (Linearisation, MatrixFree):
        monkeypatch.setattr(linear, "kernel", refuse)
    monkeypatch.setattr("feature_lazy.dynamics.flow.KERNELS_HELD", 1e9)
    members = torch.tensor([1])
    ends = []
    for how in (name, "rk32"):
        training = dynamics(method(how, 1e-2)).prepare(make(Mse(1.1), members, memory_limit=1e9), W0[members])
        end = torch.tensor([2.0], dtype=torch.float64)
        _, finished = follow(training.system, training.y0, training.method, dt=training.dt, t_end=end)
        outcome, state = finished[0]
        assert outcome == "t_end"
        assert int(state.kernels) == 0
        ends.append(state.outputs)
    # Each to its tolerance.
    torch.testing.assert_close(*ends, rtol=2e-2, atol=1e-2)


def test_frozen_kernel_in_a_memory_that_holds_one_pattern():
    members = torch.tensor([2])
    training = FrozenKernel(method("auto", 1e-2)).prepare(flow(SoftHinge(), members, memory_limit=1.0), W0[members])
    events = [converged(SoftHinge(), Y)]
    _, finished = follow(training.system, training.y0, training.method, dt=training.dt, events=events)
    assert finished[0][0] is Outcome.CONVERGED
    assert int(finished[0][1].kernels) == 0
