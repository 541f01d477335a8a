"""Momentum, frozen kernels and minibatch updates, through the same loop as gradient flow."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.linalg import expm

from feature_lazy.core.errors import ConfigError
from feature_lazy.dynamics.choices import FrozenKernel, GradientFlow, MomentumDynamics, sqrt_h_alpha
from feature_lazy.dynamics.events import converged
from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.linearised import LinearisedFlow
from feature_lazy.dynamics.losses import Mse, SoftHinge
from feature_lazy.dynamics.methods import STEPPERS, method
from feature_lazy.dynamics.model import NetworkModel
from feature_lazy.dynamics.momentum import MomentumFlow
from feature_lazy.dynamics.optimisers import Adam, Sgd
from feature_lazy.dynamics.outcome import Outcome
from feature_lazy.dynamics.state import State
from feature_lazy.kernels import tangent_kernel
from tests.dynamics.conftest import assert_same_bits, follow
from tests.dynamics.test_flow import ALL, ALPHA, NETWORK, W0, P, X, Y, elsewhere, flow, network

ONE = torch.tensor([1])
X_TEST = torch.randn(5, X.shape[1], dtype=torch.float64, generator=torch.Generator().manual_seed(7))


def trained(dynamics, loss=None, members=ALL, events=None, **options):
    """Samples of the first member, and outcome and final state of each."""
    loss = loss or SoftHinge()
    system = flow(loss, members)
    training = dynamics.prepare(system, W0[members])
    found = [converged(loss, Y)] if events is None else events
    options = {"t_end": training.t_end} | options
    result = follow(training.system, training.y0, training.method, dt=training.dt, events=found, **options)
    return training, *result


# ---- frozen kernel

END = torch.tensor([31.0], dtype=torch.float64)


def test_push_forward_is_the_adjoint_of_pull_back():
    linear = LinearisedFlow(flow(), W0, elsewhere()).linear
    random = torch.Generator().manual_seed(3)
    v, a = torch.randn(W0.shape, dtype=torch.float64, generator=random), torch.randn(3, P, dtype=torch.float64)
    torch.testing.assert_close((linear.push_forward(v) * a).sum(1), (linear.pull_back(a) * v).sum(1))
    jacobian = torch.stack([torch.func.jacrev(network)(elsewhere())[m, :, m] for m in range(3)])
    torch.testing.assert_close(linear.push_forward(v), torch.einsum("epn,en->ep", jacobian, v))


@pytest.mark.parametrize("name", ["article", *STEPPERS])
def test_frozen_kernel_with_square_loss_has_a_closed_form(name):
    """F(t) = (1 − e^{−Θt/P})y on the training set, and Θ_test,train Θ⁻¹F(t) on any other."""
    how = method(name, 1e-3, eps_gradient=1e-6)
    times = [0.3, 3.0, 30.0]
    training, samples, _ = trained(FrozenKernel(how), Mse(), ONE, times=times, events=[], t_end=END)
    params = NETWORK.layout.unflatten(W0[ONE])
    theta = tangent_kernel(NETWORK, params, X)[0]
    across = tangent_kernel(NETWORK, params, X_TEST, X)[0]
    for t, w in samples[1:4]:
        expected = Y - torch.linalg.matrix_exp(-theta * t / P) @ Y
        zero = torch.tensor([0])
        found = training.system.outputs(w[None], zero)[0]
        f, f0 = (training.model.f(v, zero, X_TEST)[0] for v in (w[None], W0[ONE]))
        # Measured for every stepper: below 1.1 times the tolerance, 1e-3 for the article's rule.
        assert (found - expected).norm() / expected.norm() < 2e-3
        beyond = across @ torch.linalg.solve(theta, expected)
        assert (ALPHA[1] * (f - f0) - beyond).norm() / beyond.norm() < 4e-3


@pytest.mark.parametrize("name", ["tangent", "auto"])
def test_linearised_network_that_is_not_centred_starts_from_its_own_outputs(name):
    """F = α(f₀ + J(w − w₀)): from αf₀ to y on the training set, by Θ_test,train Θ⁻¹(y − αf₀) on any other."""
    training = FrozenKernel(method(name, 1e-4)).prepare(flow(Mse(), ONE, centred=False), W0[ONE])
    zero, options = torch.tensor([0]), {"dt": training.dt, "t_end": 100 * END}
    start = ALPHA[1] * network(W0)[1]
    torch.testing.assert_close(training.system.outputs(W0[ONE], zero)[0], start, rtol=1e-12, atol=1e-12)
    _, finished = follow(training.system, training.y0, training.method, **options)
    w = finished[0][1].y
    params = NETWORK.layout.unflatten(W0[ONE])
    beyond = tangent_kernel(NETWORK, params, X_TEST, X)[0] @ torch.linalg.solve(
        tangent_kernel(NETWORK, params, X)[0], Y - start
    )
    f0 = NETWORK.apply(params, X_TEST)[0]
    found = ALPHA[1] * (training.model.f(w, zero, X_TEST)[0] - f0)
    assert (found - beyond).norm() / beyond.norm() < 1e-3


def test_frozen_kernel_needs_few_kernels():
    """The exponential integrator is exact for it: its steps are limited by how fast they may grow."""
    _, _, finished = trained(FrozenKernel(method("tangent", 1e-2)))
    assert all(outcome is Outcome.CONVERGED for outcome, _ in finished.values())
    assert max(int(state.steps + state.rejected) for _, state in finished.values()) < 12


@pytest.mark.parametrize("at", [2.0, float("inf")])
def test_kernel_of_a_later_time_is_that_of_the_trained_network(at):
    how = method("rk32", 1e-3 if at == 2.0 else 1e-2)
    _, samples, finished = trained(GradientFlow(how), members=ONE, times=[2.0])
    w = samples[1][1][None] if at == 2.0 else finished[0][1].y
    training, _, frozen = trained(FrozenKernel(how, at), members=ONE)
    expected = tangent_kernel(NETWORK, NETWORK.layout.unflatten(w), X)
    found = training.model.kernel(W0[ONE], torch.tensor([0]), X)
    # The step that ends at t = 2 is another one: the same to its tolerance.
    torch.testing.assert_close(found, expected, rtol=3e-3 if at == 2.0 else 1e-9, atol=0)
    assert training.system.outputs(training.y0, torch.tensor([0])).abs().max() == 0
    assert frozen[0][0] is Outcome.CONVERGED


def test_kernel_at_a_time_after_the_end_is_the_last_one():
    how = method("rk32", 1e-2)
    late, end = (FrozenKernel(how, t).prepare(flow(SoftHinge(), ONE), W0[ONE]) for t in (1e6, float("inf")))
    assert torch.equal(late.model.w_frozen, end.model.w_frozen)


def test_training_that_breaks_before_the_kernel_is_named():
    broken = flow(SoftHinge(), ONE)
    broken.alpha = broken.alpha * torch.nan
    with pytest.raises(ConfigError, match=r"non_finite.*dynamics\.at=start"):
        FrozenKernel(method("rk32", 1e-2), 1.0).prepare(broken, W0[ONE])


# ---- momentum


def test_momentum_flow_is_exact_for_a_linear_force():
    """τẅ + ẇ = −Aw from rest: the matrix exponential of the system of first order."""
    a = torch.tensor([[2.0, 0.3], [0.3, 0.5]], dtype=torch.float64)
    tau, t = 0.7, 2.3

    class Spring:
        flops = flow().flops

        def evaluate(self, w, member):
            return -w @ a, w.clone()

        def outputs(self, w, member):
            return w.clone()

    system = MomentumFlow(Spring(), torch.tensor([tau], dtype=torch.float64))
    w0 = torch.tensor([[1.0, -2.0]], dtype=torch.float64)
    samples, _ = follow(system, system.at_rest(w0), method("rk32", 1e-4), dt=0.01, times=[t], max_steps=2000)
    eye = np.eye(2)
    block = np.block([[0 * eye, eye], [-a.numpy() / tau, -eye / tau]])
    expected = expm(block * t) @ np.concatenate([w0[0].numpy(), [0, 0]])
    found = samples[1][1]
    np.testing.assert_allclose(found[:2], expected[:2], atol=1e-4 * 3)
    np.testing.assert_allclose(found[2:] / tau, expected[2:], atol=1e-4 * 3)


def test_relaxation_time_and_its_limit():
    """τ = c·min(√hα, κ); for τ → 0 momentum flow is gradient flow, to first order in τ."""
    x = sqrt_h_alpha(flow())
    how = method("rk32", 1e-4)
    training = MomentumDynamics(how, c=1e-2, kappa=5.0).prepare(flow(), W0)
    torch.testing.assert_close(training.system.tau, 1e-2 * torch.minimum(x, torch.tensor(5.0).double()))
    until = {"members": ONE, "times": [1.0], "t_end": torch.ones(1, dtype=torch.float64)}
    plain = trained(GradientFlow(how), **until)[1][1][1]
    late = [(trained(MomentumDynamics(how, c=c), **until)[1][1][1][: len(plain)] - plain).norm() for c in (4e-2, 2e-2)]
    assert late[0] / late[1] == pytest.approx(2, rel=0.1)


# ---- minibatches

SMALL = {"batch": 4, "updates": 60, "check_every": 7}
OPTIMISERS = pytest.mark.parametrize("name", ["sgd", "adam"])


def plain(name, lr, eps):
    """The optimiser with lr and ε as they stand, of PyTorch's kind."""
    own = {"units": "article", **SMALL}
    return Sgd(lr=lr, **own) if name == "sgd" else Adam(lr=lr, eps=eps, **own)


def reference(name, lr, eps, updates, member):
    """Weights after each update by torch.optim, from the same minibatches."""
    system = plain(name, lr, eps).prepare(flow(), W0).system
    w = W0[member : member + 1].clone().requires_grad_()
    make = {"sgd": torch.optim.SGD, "adam": lambda p, lr: torch.optim.Adam(p, lr=lr, eps=eps)}[name]
    optimiser, found = make([w], lr=lr), []
    f0 = network(W0)[member]
    for k in range(updates):
        batch = system._patterns(k, w.device)
        out = NETWORK.apply(NETWORK.layout.unflatten(w), X[batch])[0] - f0[batch]
        loss = SoftHinge()(ALPHA[member] * out, Y[batch]).mean() / ALPHA[member] ** 2
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        found.append(w.detach().clone()[0])
    return found


@OPTIMISERS
def test_updates_are_those_of_torch(name):
    lr, eps = (0.05, 1e-8) if name == "sgd" else (3e-3, 1e-4)
    dynamics = plain(name, lr, eps)
    expected = reference(name, lr, eps, 20, 0)
    unit = lr if name == "sgd" else 1.0
    # Every update can be observed, also within a block of seven and on its ends.
    times = [unit * k for k in (1, 3, 7, 8, 19, 20)]
    training, samples, _ = trained(dynamics, events=[], times=times, max_steps=3)
    assert [t for t, _ in samples[1:]] == times
    for (_, y), k in zip(samples[1:], (1, 3, 7, 8, 19, 20), strict=True):
        torch.testing.assert_close(training.system.weights(y[None])[0], expected[k - 1], rtol=1e-10, atol=1e-12)


def test_a_block_is_no_longer_than_training():
    assert float(Sgd(lr=0.1, units="article", batch=4, updates=5, check_every=70).prepare(flow(), W0).dt[0]) == 0.5


def test_minibatches_go_through_the_training_set():
    system = Sgd(lr=0.1, batch=4).prepare(flow(), W0).system
    first = torch.cat([system._patterns(k, X.device) for k in range(3)])
    assert sorted(first[:P].tolist()) == list(range(P))
    assert sorted(first[P : 2 * P].tolist()) == list(range(P))  # 12 = 2 P: a batch reaches into the next order
    other = replace(system, seed=1)
    assert torch.cat([other._patterns(k, X.device) for k in range(3)]).tolist() != first.tolist()


def test_units_of_the_authors():
    """lr = lr_authors·α/√h; ε = ε_authors·√h/α."""
    h = NETWORK.last_fan_in
    sgd = Sgd(lr=0.1).prepare(flow(), W0)
    torch.testing.assert_close(sgd.system.unit, 0.1 * ALPHA / h**0.5)
    adam = Adam(lr=1e-3, eps=1e-8).prepare(flow(), W0)
    torch.testing.assert_close(adam.system.optimiser.eps / adam.system.scale, 1e-8 * h**0.5 / ALPHA)
    assert adam.system.unit.tolist() == [1, 1, 1]


@OPTIMISERS
def test_minibatch_members_together_are_each_alone_and_budgets_leave_no_trace(name):
    dynamics = {"sgd": Sgd, "adam": Adam}[name](lr=0.02, **SMALL)
    _, _, whole = trained(dynamics)
    for m in range(3):
        _, _, alone = trained(dynamics, members=torch.tensor([m]))
        assert whole[m][0] is alone[0][0]
        torch.testing.assert_close(whole[m][1].y, alone[0][1].y, rtol=1e-10, atol=1e-10)
    _, _, cut = trained(dynamics, max_steps=2)
    state = State.concatenate([cut[m][1] for m in range(3)])
    _, _, resumed = trained(dynamics, state=state)
    for m in range(3):
        assert_same_bits(resumed[m][1], whole[m][1])


def test_minibatch_training_ends_with_a_name():
    _, _, finished = trained(Sgd(lr=1e-3, **SMALL))
    assert {outcome for outcome, _ in finished.values()} == {Outcome.T_END}
    assert all(int(state.gradients) == 1 + 60 for _, state in finished.values())  # 8 blocks of 7, and one of 4
    _, _, finished = trained(Sgd(lr=1e200, **SMALL), Mse())
    assert {outcome for outcome, _ in finished.values()} == {Outcome.NON_FINITE}


def test_stop_is_at_the_update_that_fits_the_last_pattern():
    first, zero = torch.tensor([0]), torch.tensor([0])
    dynamics = Adam(lr=5e-2, **(SMALL | {"updates": 5000}))
    training, _, finished = trained(dynamics, members=first)
    outcome, state = finished[0]
    assert outcome is Outcome.CONVERGED
    assert (state.outputs * Y).min() > 1
    # Found by bisection, to the update: one update before, a pattern was not fit.
    before = trained(dynamics, members=first, times=[float(int(state.t) - 1)])[1][-1][1]
    assert (training.system.outputs(before[None], zero) * Y).min() <= 1


def test_network_model_is_the_network():
    model = NetworkModel(NETWORK, 5000.0)
    torch.testing.assert_close(model.f(W0, ALL, X), network(W0), rtol=1e-12, atol=1e-12)
    assert isinstance(flow(), NetworkFlow)
