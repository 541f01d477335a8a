"""A regulariser is a term of 𝓛 for every flow: closed forms of linear models, and one law for all methods."""

import math

import numpy as np
import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.dynamics.choices import FrozenKernel, GradientFlow, MomentumDynamics
from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.flows import GradientFlowOption
from feature_lazy.dynamics.integrate import Method, start
from feature_lazy.dynamics.losses import Mse, SoftHinge
from feature_lazy.dynamics.methods import method
from feature_lazy.dynamics.outcome import Outcome
from feature_lazy.dynamics.regularisers import L2, Distance, OutputL2
from feature_lazy.dynamics.steppers.path import Path
from feature_lazy.dynamics.steppers.rk32 import RungeKutta32
from feature_lazy.dynamics.steppers.tangent import TangentExponential
from feature_lazy.kernels import tangent_kernel
from feature_lazy.measure.follow import follow
from feature_lazy.networks.layout import partly
from tests.arrays import normal
from tests.dynamics.conftest import FixedStep, slope
from tests.dynamics.conftest import follow as followed
from tests.dynamics.test_flow import ALL, ALPHA, NETWORK, W0, P, X, Y, elsewhere, flow

LAMBDA = 0.3
TEST = normal(5, X.shape[1], seed=7)
REGULARISERS = {"distance": Distance(LAMBDA), "l2": L2(LAMBDA), "output": OutputL2(LAMBDA)}


def regularised(loss, regulariser, **options):
    return flow(loss, regulariser=regulariser, centred=regulariser.towards_start, **options)


def term(name, w):
    """R, written out once more."""
    if name == "distance":
        return LAMBDA / 2 * (w - W0).square().sum(1)
    part = w if name == "l2" else NETWORK.layout.unflatten(w)["W2"].flatten(1)
    return LAMBDA / 2 * part.square().sum(1)


@pytest.mark.parametrize("name", REGULARISERS)
def test_velocity_is_minus_the_gradient_of_loss_and_regulariser(name):
    regulariser, w = REGULARISERS[name], elsewhere().requires_grad_()
    plain = flow(SoftHinge(), centred=regulariser.towards_start)
    velocity, outputs = regularised(SoftHinge(), regulariser).evaluate(w.detach(), ALL)
    (gradient,) = torch.autograd.grad(term(name, w).sum(), w)
    expected, same = plain.evaluate(w.detach(), ALL)
    torch.testing.assert_close(velocity, expected - gradient, rtol=1e-12, atol=1e-12)
    assert torch.equal(outputs, same)


def ridge(theta, train, rate):
    """F where Ḟ = −(1/P) Θ (F − y) − λF = 0: kernel regression with the ridge λP; on any patterns Θ_*,train a."""
    return theta @ torch.linalg.solve(train + rate * P * torch.eye(P, dtype=torch.float64), Y)


@pytest.mark.parametrize(("stepper", "close"), [("tangent", 1e-8), ("auto", 1e-6), ("rkc2", 1e-6), ("rk32", 1e-6)])
@pytest.mark.parametrize("member", [0, 2])
def test_linearised_network_with_distance_ends_at_ridge_regression(stepper, close, member):
    """What e⁻²⁰ leaves is 2e-9, and the last step, far out in time, errs by as much (measured: 1.6e-9 and 2.6e-9).

    Explicit methods jitter about the end as far as their tolerance lets them.
    """
    how = FrozenKernel(method(stepper, 1e-5))
    weights = {name: w[member] for name, w in NETWORK.layout.unflatten(W0).items()}
    options = {"alpha": float(ALPHA[member]), "test": TEST, "loss": Mse()}
    run = follow(NETWORK, weights, (X, Y), dynamics=how, regulariser=Distance(LAMBDA, tol=1e-8), **options)
    theta = tangent_kernel(NETWORK, NETWORK.layout.unflatten(W0[member : member + 1]), torch.cat([X, TEST]))[0]
    assert math.isnan(run.t_stop)  # no pattern reaches its target
    if close < 1e-6:
        assert run.outcome is Outcome.STATIONARY
    for found, rows in ((run.F_train[-1], theta[:P, :P]), (run.F_test[-1], theta[P:, :P])):
        torch.testing.assert_close(found, ridge(rows, theta[:P, :P], LAMBDA), rtol=close, atol=close)


def weights_at(system, stepper, tolerance, t, y0=W0):
    """Weights (3, N) at t, followed with a tolerance."""
    _, ends = followed(system, y0, method(stepper, tolerance), dt=0.01, t_end=torch.full((3,), t, dtype=torch.float64))
    assert {outcome for outcome, _ in ends.values()} == {Outcome.T_END}
    return torch.cat([ends[member][1].y for member in range(3)])


@pytest.mark.parametrize("name", REGULARISERS)
@pytest.mark.parametrize("stepper", ["tangent", "rkc2", "auto"])
def test_every_stepper_follows_the_same_flow(name, stepper):
    """At a time where R has acted, λt = 1: the tolerance bounds the error over the way gone (GLOBAL_ERROR)."""
    system = regularised(Mse(), REGULARISERS[name])
    expected = weights_at(system, "rk32", 1e-4, 1 / LAMBDA)
    found = weights_at(system, stepper, 1e-2, 1 / LAMBDA)
    assert bool(((found - expected).norm(dim=1) < 1e-2 * (expected - W0).norm(dim=1)).all())


# A tolerance so small that the solution in function space is no part of the error.
STEPPER = TangentExponential(1e-9)
DTS = [0.04, 0.02, 0.01]


def one_step(dt, regulariser):
    """A step of the exponential integrator from weights that are away from c, and the flow."""
    system = NetworkFlow(
        NETWORK, X, Y, SoftHinge(), alpha=ALPHA[1:2], w0=W0[1:2], regulariser=regulariser, centred=False
    )
    state = start(system, STEPPER, elsewhere()[1:2], torch.tensor([dt], dtype=torch.float64), 0)
    return system, STEPPER.step(system, state)


@pytest.mark.parametrize("regulariser", [Distance(5.0), L2(1.0)], ids=["distance", "l2"])
@pytest.mark.parametrize("fraction", [0.5, 1.0])
def test_exponential_step_is_of_third_order_inside_as_at_its_end(regulariser, fraction):
    """A local error of fourth order in dt of the weights, and of third of what the step knows of the outputs."""
    missed, outputs = [], []
    for dt in DTS:
        system, trial = one_step(dt, regulariser)
        there = trial.dense.at(torch.tensor([0]), torch.tensor([fraction], dtype=torch.float64))
        how = Method(RungeKutta32(1e-2), FixedStep())
        samples, _ = followed(
            system, elsewhere()[1:2], how, dt=fraction * dt / 128, times=[fraction * dt], max_steps=129
        )
        missed.append(float((there - samples[-1][1]).norm()))
        outputs.append(float(trial.dense.mismatch.norm()))
    # Measured: 3.5 to 3.8 for the weights.
    assert slope(np.array(DTS), missed) > 3.35
    assert slope(np.array(DTS), outputs) > 2.65


@pytest.mark.parametrize("rest", [[], [100.0]], ids=["fine", "long last interval"])
@pytest.mark.parametrize("power", [1, 2])
def test_moments_of_a_path_that_decays(rest, power):
    """ċ = (u·a)ᵏ(ȧ + λa) − λc, in closed form for a = 1 − e^{−s} and λ = 1, where ȧ + λa = 1.

    k = 1: c = 1 − (1 + s)e^{−s}, ċ = s·e^{−s}; k = 2: c = 1 − 2s·e^{−s} − e^{−2s}.

    Simpson's rule is off by 1e-10 in an interval of 1/20, and by 2⁴ times that where rates are doubled; where the path
    rests, one may be of any length.
    """
    times = torch.tensor([*(k / 20 for k in range(201)), *rest], dtype=torch.float64)
    left, none = torch.exp(-times), torch.zeros(1, dtype=torch.float64)
    path = Path([times], [1 - left[:, None]], [left[:, None]], none, none, none > -1, decay=1.0)
    one = torch.ones(1, 1, dtype=torch.float64)
    expected = 1 - (1 + times) * left if power == 1 else 1 - 2 * times * left - left**2
    torch.testing.assert_close(path.moments(one, power)[0][:, 0], expected, rtol=0, atol=1e-8 * power**4)
    slopes = path.slopes(0, one[0], expected[:, None], power)[:, 0]
    torch.testing.assert_close(slopes, (1 - left) ** power - expected, rtol=1e-12, atol=1e-12)


def test_that_every_pattern_is_fit_ends_nothing():
    """Under a weak regulariser patterns are fit long before loss and regulariser balance."""
    weights = {name: w[0] for name, w in NETWORK.layout.unflatten(W0[:1]).items()}
    how = GradientFlowOption(stepper="tangent")
    run = follow(NETWORK, weights, (X, Y), alpha=1e4, loss=SoftHinge(), dynamics=how, regulariser=Distance(1e-3))
    assert run.outcome is Outcome.STATIONARY
    assert run.t_stop < run.t[-1]
    # Where the two balance, at every tolerance from 1e-1 to 1e-4; at t_stop the smallest margin is 1.
    assert float((run.F_train[-1] * Y).min()) == pytest.approx(1.0484, abs=1e-4)


def test_exponential_step_ends_where_its_path_does():
    _, trial = one_step(0.1, L2(LAMBDA))
    last = torch.ones(1, dtype=torch.float64)
    torch.testing.assert_close(trial.dense.at(torch.tensor([0]), last), trial.y, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(trial.dense.outputs(torch.tensor([0]), last), trial.outputs, rtol=1e-11, atol=1e-11)


def test_lazy_flow_takes_a_handful_of_kernels_however_long():
    """In the lazy limit the exponential integrator is exact but for its solution in function space."""
    weights = {name: w[0] for name, w in NETWORK.layout.unflatten(W0[:1]).items()}
    how = GradientFlowOption(stepper="tangent")
    run = follow(NETWORK, weights, (X, Y), alpha=1e5, loss=Mse(), dynamics=how, regulariser=Distance(1e-2))
    assert run.outcome is Outcome.STATIONARY
    assert run.t[-1] > 5 / 1e-2
    assert run.record["kernels"] <= 10


@pytest.mark.parametrize("stepper", ["tangent", "rkc2", "rk32", "auto"])
def test_members_together_are_each_alone(stepper):
    together = weights_at(regularised(Mse(), Distance(LAMBDA)), stepper, 1e-2, 1.0)
    for member in range(3):
        one = torch.tensor([member])
        system = regularised(Mse(), Distance(LAMBDA), members=one)
        end = torch.ones(1, dtype=torch.float64)
        _, ends = followed(system, W0[one], method(stepper, 1e-2), dt=0.01, t_end=end)
        torch.testing.assert_close(ends[0][1].y[0], together[member], rtol=1e-9, atol=1e-9)


def test_momentum_flow_comes_to_rest_where_gradient_flow_does():
    weights = {name: w[1] for name, w in NETWORK.layout.unflatten(W0).items()}

    def end(dynamics):
        options = {"alpha": 10.0, "loss": Mse(), "regulariser": Distance(LAMBDA, tol=1e-4)}
        return follow(NETWORK, weights, (X, Y), dynamics=dynamics, **options)

    plain = end(GradientFlow(method("rk32", 1e-4)))
    inert = end(MomentumDynamics(method("rk32", 1e-4), c=0.1))
    assert (plain.outcome, inert.outcome) == (Outcome.STATIONARY, Outcome.STATIONARY)
    torch.testing.assert_close(inert.F_train[-1], plain.F_train[-1], rtol=1e-3, atol=1e-3)  # tol of either, and margin


@pytest.mark.parametrize("name", ["l2", "output"])
def test_pull_to_zero_is_refused_where_it_would_be_a_pull_to_minus_f0(name):
    with pytest.raises(ConfigError, match=f"regulariser={name}: it pulls f to 0.*centred=false.*distance"):
        flow(SoftHinge(), regulariser=REGULARISERS[name])


def test_regulariser_of_weights_that_stay_is_refused():
    net = partly(NETWORK, ["W0"])
    with pytest.raises(ConfigError, match="regulariser=output: the weights that it is about are not trained"):
        NetworkFlow(net, X, Y, Mse(), alpha=ALPHA, w0=W0, regulariser=OutputL2(LAMBDA), centred=False)


def test_range_is_checked_at_every_door():
    with pytest.raises(ConfigError, match=r"regulariser.strength=0.0: must be greater than 0"):
        flow(Mse(), regulariser=Distance(0.0))
