"""The gradient flow of a network: its gradient, its law in function space, its members and its lazy limit."""

import pytest
import torch

from feature_lazy.dynamics.events import converged, half_loss
from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.integrate import Method
from feature_lazy.dynamics.losses import Hinge, Mse, QuadraticHinge, SoftHinge
from feature_lazy.dynamics.methods import STEPPERS
from feature_lazy.dynamics.methods import method as method_of
from feature_lazy.dynamics.outcome import Outcome
from feature_lazy.dynamics.steppers.article import ArticleController, ArticleEuler
from feature_lazy.kernels import tangent_kernel
from feature_lazy.networks.activations import Softplus, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from tests.dynamics.conftest import follow

D, P = 4, 6
NETWORK = FullyConnected(D, [7, 5], scaled(Softplus(5.0)))
X = torch.randn(P, D, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
Y = torch.tensor([1.0, -1.0] * (P // 2), dtype=torch.float64)
W0 = torch.cat([NETWORK.layout.flatten({k: v[None] for k, v in NETWORK.init(seed).items()}) for seed in range(3)])
ALPHA = torch.tensor([0.1, 1.0, 30.0], dtype=torch.float64)
ALL = torch.arange(3)
ARTICLE = Method(ArticleEuler(), ArticleController())


def flow(loss=SoftHinge(), members=ALL, **options):  # noqa: B008
    return NetworkFlow(NETWORK, X, Y, loss, alpha=ALPHA[members], w0=W0[members], **options)


def elsewhere():
    """Weights off the initial ones, so that F ≠ 0: by an amount that leaves every F of order 1."""
    step = torch.randn(W0.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    return W0 + 0.3 * step / ALPHA[:, None].clamp(min=1)


def network(w):
    return NETWORK.apply(NETWORK.layout.unflatten(w), X)


def objective(loss, w):
    """𝓛 = 1/(α²P) Σ ℓ(α(f − f₀), y), written out once more (eqs. 6–7)."""
    predictor = ALPHA[:, None] * (network(w) - network(W0))
    return loss(predictor, Y).sum(1) / (ALPHA**2 * P)


@pytest.mark.parametrize("loss", [SoftHinge(), QuadraticHinge(), Mse(1.1)], ids=lambda loss: type(loss).__name__)
def test_velocity_is_minus_the_gradient_of_the_loss(loss):
    w, step = elsewhere(), 1e-5
    velocity, outputs = flow(loss).evaluate(w, ALL)
    torch.testing.assert_close(outputs, ALPHA[:, None] * (network(w) - network(W0)), rtol=1e-12, atol=1e-12)
    direction = torch.randn(w.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    difference = (objective(loss, w + step * direction) - objective(loss, w - step * direction)) / (2 * step)
    # Central difference: rounding 1e-16/step = 1e-11, and step² times a third derivative of up to β²α = 1e4: 1e-6.
    torch.testing.assert_close((-velocity * direction).sum(1), difference, rtol=1e-5, atol=1e-9)


def test_outputs_move_by_the_tangent_kernel():
    """dF/dt(x) = −(1/P) Σ_ν Θ(x, x_ν) ∂ℓ/∂F_ν, without α: flow and kernel hold the same gradient."""
    w, loss = elsewhere(), SoftHinge()
    velocity, outputs = flow(loss).evaluate(w, ALL)
    jacobian = torch.stack([torch.func.jacrev(network)(w)[m, :, m] for m in range(3)])
    rate = torch.einsum("epn,en->ep", jacobian, velocity)
    slope = torch.func.grad(lambda predictor: loss(predictor, Y).sum())(outputs)
    theta = tangent_kernel(NETWORK, NETWORK.layout.unflatten(w), X)
    expected = -torch.einsum("epq,eq->ep", theta, slope) / P
    torch.testing.assert_close(ALPHA[:, None] * rate, expected, rtol=1e-11, atol=1e-11)


def test_starts_at_zero_and_knows_members_by_their_number():
    w = elsewhere()
    assert (flow().outputs(W0, ALL) == 0).all()
    velocity, outputs = flow().evaluate(w, ALL)
    some = torch.tensor([2, 0])
    for found, expected in zip(flow().evaluate(w[some], some), (velocity[some], outputs[some]), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(flow().outputs(w[some], some), outputs[some], rtol=1e-12, atol=1e-13)


# In bytes: one pattern at a time, and chunks of uneven sizes.
@pytest.mark.parametrize("memory_limit", [1, 6500, 15000])
def test_chunks_change_nothing_but_rounding(memory_limit):
    w = elsewhere()
    chunked = flow(memory_limit=memory_limit)
    for found, expected in zip(chunked.evaluate(w, ALL), flow().evaluate(w, ALL), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(chunked.outputs(w, ALL), flow().outputs(w, ALL), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["article", *STEPPERS])
def test_members_together_are_each_alone(name):
    """Different α, clocks and ends in one batch; F = α(f − f₀) amplifies rounding by α, and steps add it up."""
    loss = SoftHinge()
    events, method = [half_loss(loss, Y), converged(loss, Y)], method_of(name, 1e-1, eps_gradient=1e-3)
    _, together = follow(flow(loss), W0, method, dt=0.01, events=events)
    ends = set()
    for m in range(3):
        one = torch.tensor([m])
        _, alone = follow(flow(loss, one), W0[one], method, dt=0.01, events=events)
        (outcome, state), (expected_outcome, expected) = together[m], alone[0]
        assert outcome is expected_outcome is Outcome.CONVERGED
        tolerance = max(1e-10, 100 * torch.finfo(torch.float64).eps * float(ALPHA[m]))
        for name in ("y", "outputs", "t", "event_times"):
            found, value = getattr(state, name), getattr(expected, name)
            torch.testing.assert_close(found, value, rtol=tolerance, atol=tolerance)
        ends.add(int(state.steps))
    assert len(ends) >= 2


def test_end_is_where_the_last_pattern_is_fit():
    loss = QuadraticHinge()
    _, finished = follow(flow(loss), W0, ARTICLE, dt=0.01, events=[half_loss(loss, Y), converged(loss, Y)])
    for outcome, state in finished.values():
        assert outcome is Outcome.CONVERGED
        margin = (state.outputs * Y).min().item()
        # Located to dt/2¹² of a step in which F moves by less than 0.1.
        assert loss.stop_margin < margin < loss.stop_margin + 0.1 / 2**12
        assert 0 < state.event_times[0, 0] < state.event_times[0, 1] == state.t[0]


def test_hinge_ends_at_its_kink():
    """A pattern that passes m = 1 changes the gradient by about 1/P of it, far above ε_∇ whatever dt."""
    _, finished = follow(flow(Hinge()), W0, ARTICLE, dt=0.01, events=[converged(Hinge(), Y)])
    assert [finished[m][0] for m in range(3)] == [Outcome.DT_FLOOR] * 3


def test_lazy_limit_has_a_closed_form():
    """For α → ∞ the kernel stays put, and with ℓ = ½(1 − Fy)² F(t) = (1 − e^{−Θt/P}) y."""
    alpha = torch.tensor([1e5], dtype=torch.float64)
    system = NetworkFlow(NETWORK, X, Y, Mse(), alpha=alpha, w0=W0[:1])
    times = [0.3, 3.0, 30.0]
    method = Method(ArticleEuler(eps_gradient=1e-5), ArticleController())
    samples, _ = follow(system, W0[:1], method, dt=1e-4, times=times, events=[converged(Mse(), Y)], max_steps=20_000)
    theta = tangent_kernel(NETWORK, NETWORK.layout.unflatten(W0[:1]), X)[0]
    assert [t for t, _ in samples[1:]] == times
    for t, w in samples[1:]:
        expected = Y - torch.linalg.matrix_exp(-theta * t / P) @ Y
        found = alpha * (network(w[None])[0] - network(W0[:1])[0])
        # Measured: 4e-4. Euler in steps that change the gradient by √ε_∇ = 3e-3 may be off by half of that.
        torch.testing.assert_close(found, expected, rtol=0, atol=1.5e-3)
