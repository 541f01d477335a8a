"""Points without force: an outcome of their own, at once, of the member that is there and in every dynamics."""

import pytest
import torch

from feature_lazy.dynamics.choices import FrozenKernel, GradientFlow, MomentumDynamics
from feature_lazy.dynamics.events import converged
from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.integrate import Limits, finish, start
from feature_lazy.dynamics.losses import Hinge, Mse, SoftHinge
from feature_lazy.dynamics.methods import method
from feature_lazy.dynamics.optimisers import Adam, Sgd
from feature_lazy.dynamics.outcome import Outcome
from feature_lazy.measure.follow import follow
from feature_lazy.measure.regime import regime
from feature_lazy.networks.generic import Generic
from tests.arrays import normal

X = normal(6, 4)
Y = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, 1.0], dtype=torch.float64)
DYNAMICS = {
    **{name: GradientFlow(method(name, 1e-2)) for name in ("auto", "rk32", "rkc2", "tangent", "article")},
    "momentum": MomentumDynamics(method("auto", 1e-2)),
    "frozen": FrozenKernel(method("auto", 1e-2)),
    "frozen at the end": FrozenKernel(method("auto", 1e-2), torch.inf),
    "sgd": Sgd(lr=0.1, batch=2, kind="sgd"),
    "adam": Adam(batch=2, kind="adam"),
}
every_dynamics = pytest.mark.parametrize("name", DYNAMICS)


def relu(w, x):
    return torch.relu(x @ w["a"] / 2 + w["b"]) @ w["c"]


WEIGHTS = {"a": normal(4, 5, seed=1), "b": normal(5, seed=2), "c": normal(5, seed=3)}
DEAD = {**WEIGHTS, "b": WEIGHTS["b"] - 100}
ZERO = {name: torch.zeros_like(weight) for name, weight in WEIGHTS.items()}


def ended(choice, members, x=X, y=Y, loss=None, alpha=1.0, max_steps=20_000, **more):
    """All members, trained together to their ends."""
    net = Generic.around(relu, WEIGHTS, x, last_fan_in=5)
    w0 = torch.cat([net.layout.flatten({name: weight[None] for name, weight in one.items()}) for one in members])
    loss = loss or SoftHinge()
    flow = NetworkFlow(net, x, y, loss, alpha=w0.new_full((len(w0),), alpha), w0=w0, **more)
    training = choice.prepare(flow, w0)
    events = [converged(loss, y)]
    state = start(training.system, training.method.stepper, training.y0, training.dt, len(events))
    limits = Limits(1e-10, torch.ones_like(training.dt), t_end=training.t_end, max_steps=max_steps)
    return finish(training.system, training.method, state, limits, events=events)


@every_dynamics
@pytest.mark.parametrize(("weights", "x"), [(DEAD, X), (ZERO, X), (WEIGHTS, 0 * X)], ids=["dead", "zero", "patterns"])
def test_it_is_an_outcome_at_once(name, weights, x):
    if x is not X:
        weights = {**weights, "b": 0 * weights["b"]}
    found = ended(DYNAMICS[name], [weights], x)
    assert found.outcomes == [Outcome.STATIONARY]
    assert float(found.state.t) == 0
    assert int(found.state.steps + found.state.rejected) == 0


@pytest.mark.parametrize("name", ["auto", "momentum", "frozen", "sgd", "adam"])
def test_one_member_leaves_and_the_others_train_as_without_it(name):
    together, alone = ended(DYNAMICS[name], [WEIGHTS, DEAD]), ended(DYNAMICS[name], [WEIGHTS])
    assert together.outcomes == [Outcome.CONVERGED, Outcome.STATIONARY]
    assert alone.outcomes == [Outcome.CONVERGED]
    assert together.state.t.tolist() == [pytest.approx(float(alone.state.t)), 0]
    assert int(together.state.steps[0]) == int(alone.state.steps[0])


def opposite(x, y):
    """The same patterns, and the first two of them equal with opposite labels."""
    x = x.clone()
    x[1] = x[0]
    return x, y


@pytest.mark.parametrize("name", ["auto", "rk32", "frozen"])
def test_opposite_labels_alone_never_move(name):
    x, y = opposite(X[:2], Y[:2])
    found = ended(DYNAMICS[name], [WEIGHTS], x, y)
    assert found.outcomes == [Outcome.STATIONARY]
    assert float(found.state.t) == 0


def smooth(w, x):
    f = torch.nn.functional.softplus
    return f(f(x @ w["a"] / 2) @ w["b"] / 6**0.5) @ w["c"] / 6**0.5


def test_opposite_labels_among_others_end_where_all_of_the_force_is_rounding():
    """Once the others are fit by far; t is then far from where doubles end."""
    x, y = opposite(X, Y)
    weights = {"a": normal(4, 6, seed=1), "b": normal(6, 6, seed=2), "c": normal(6, seed=3)}
    found = follow(smooth, weights, (x, y), alpha=0.1, times=[])
    assert found.outcome is Outcome.STATIONARY
    assert 1 < float(found.t[-1]) < 1e20
    margins = found.F_train[-1] * y
    assert float(margins[2:].min()) > 1
    # Between −1 and 1 the two push equally: soft hinges are straight there, up to e^{−20}.
    assert float(margins[0]) == -float(margins[1])
    assert abs(float(margins[0])) < 1


def test_where_the_loss_is_at_its_stop_it_has_converged():
    """F = αf that fits at t = 0: the hinge has no force, and no pattern is unfit."""
    one = {**WEIGHTS, "a": 0 * WEIGHTS["a"], "b": torch.ones_like(WEIGHTS["b"]), "c": 2 * torch.ones_like(WEIGHTS["c"])}
    found = ended(DYNAMICS["auto"], [one], X, torch.ones_like(Y), Hinge(kind="hinge"), centred=False)
    assert found.outcomes == [Outcome.CONVERGED]
    assert (float(found.state.t), float(found.state.event_times)) == (0, 0)


def test_gradients_that_cancel_in_all_are_no_rest_for_an_optimiser():
    """Of opposite labels each alone pushes: a minibatch of one moves, and one of both does not, now or later."""
    x, y = opposite(X[:2], Y[:2])
    limits = {"max_steps": 40}
    assert ended(Sgd(lr=0.1, batch=1, kind="sgd"), [WEIGHTS], x, y, **limits).outcomes == [Outcome.MAX_STEPS]
    assert ended(Sgd(lr=0.1, batch=2, kind="sgd"), [WEIGHTS], x, y, **limits).outcomes == [Outcome.MAX_STEPS]


@pytest.mark.parametrize("alpha", [1e-2, 1.0, 1e6, 1e12])
@pytest.mark.parametrize("loss", [SoftHinge(), Hinge(kind="hinge"), Mse(kind="mse")], ids=str)
def test_training_that_goes_on_is_never_taken_for_it(alpha, loss):
    """Up to an α at which a thousandth of F is rounding."""
    outcome = ended(DYNAMICS["rk32"], [WEIGHTS], X, Y, loss, alpha, max_steps=400).outcomes[0]
    assert outcome is not Outcome.STATIONARY


def test_python_says_so_too():
    trajectory = follow(relu, DEAD, (X, Y), alpha=1.0, test=X)
    assert trajectory.outcome is Outcome.STATIONARY
    assert trajectory.t.tolist() == [0]
    x, y = opposite(X[:2], Y[:2])
    found = regime(relu, WEIGHTS, (x, y), (X, None), alpha=1.0, others=[10.0])
    assert {row.outcome for row in found.rows} == {"stationary"}
    assert "ended with stationary before every pattern was fit" in found.words
