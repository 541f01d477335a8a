"""Points without force: an outcome of their own, at once, of the member that is there and in every dynamics."""

import copy
from dataclasses import replace

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
from feature_lazy.dynamics.regularisers import Distance, penalty
from feature_lazy.dynamics.state import State
from feature_lazy.dynamics.stationary import around_minimum, due
from feature_lazy.dynamics.system import Flops
from feature_lazy.measure.follow import follow
from feature_lazy.networks.generic import Generic
from tests.arrays import normal, rotation

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


SMOOTH = {"a": normal(4, 6, seed=1), "b": normal(6, 6, seed=2), "c": normal(6, seed=3)}


def test_a_step_of_the_exponential_method_that_leads_nowhere_is_a_step():
    """At rest the way of a step is 0, and what a network does along it no 0/0."""
    x, y = opposite(X[:2], Y[:2])
    net = Generic.around(smooth, SMOOTH, x, last_fan_in=6)
    w0 = net.layout.flatten({name: weight[None] for name, weight in SMOOTH.items()})
    flow = NetworkFlow(net, x, y, Mse(kind="mse"), alpha=w0.new_ones(1), w0=w0)
    training = DYNAMICS["tangent"].prepare(flow, w0)
    state = start(training.system, training.method.stepper, training.y0, training.dt, 0)
    state = replace(state, way=torch.ones_like(state.way))  # of before: what an error is held against
    trial = training.method.stepper.step(training.system, state)
    assert float(trial.error) < 1e-10  # rounding, over a tolerance of 1e-2
    here, half = torch.tensor([0]), torch.full_like(trial.error, 0.5)
    for y in (trial.y, trial.dense.at(here, half)):
        torch.testing.assert_close(y, state.y, rtol=0, atol=1e-14)
    torch.testing.assert_close(trial.dense.outputs(here, half), state.outputs, rtol=0, atol=1e-14)


def test_opposite_labels_among_others_end_where_all_of_the_force_is_rounding():
    """Once the others are fit by far; t is then far from where doubles end."""
    x, y = opposite(X, Y)
    found = follow(smooth, SMOOTH, (x, y), alpha=0.1, times=[], t_end=1e20)
    assert found.outcome is Outcome.STATIONARY
    assert 1 < float(found.t[-1]) < 1e20
    margins = found.F_train[-1] * y
    assert float(margins[2:].min()) > 1
    # Between −1 and 1 the two push equally: soft hinges are straight there, up to e^{−20}.
    assert float(margins[0]) == pytest.approx(-float(margins[1]), abs=1e-12)
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


def bowl(curvatures, at, steps=1024, way=1.0):
    """−∇ of a quadratic with some curvatures, turned, and a state beside its extremum, at places along its axes."""
    turned = rotation(len(curvatures))
    hessian = turned @ torch.diag(torch.tensor(curvatures, dtype=torch.float64)) @ turned.T

    def evaluate(y, member):
        return -(y - 1) @ hessian, y[:, :2]

    y = 1 + torch.tensor([at], dtype=torch.float64) @ turned.T
    state = start(Flat(evaluate), method("rk32", 1e-2).stepper, y, torch.ones(1), 1)
    return evaluate, replace(state, steps=state.steps + steps, way=state.way + way)


class Flat:
    """A system that costs nothing."""

    flops = Flops()

    def __init__(self, evaluate):
        self.evaluate = evaluate


STIFF = [1e4, 30.0, 1.0, 1e-2]


@pytest.mark.parametrize(
    ("curvatures", "at", "more", "found"),
    [
        (STIFF, [1e-3, 0, 1e-4, 0], {}, True),
        (STIFF, [1e-4, 1e-4, 1e-4, 1e-3], {}, True),
        (STIFF, [1e-3, 0, 0, 0.5], {}, False),  # far along a slow direction, of which the force shows 5e-4
        (STIFF, [0.5, 0, 0, 0], {}, False),
        ([1e4, 30.0, 1.0, -1e-2], [1e-3, 0, 0, 1e-4], {}, False),  # a saddle that it has begun to leave
        (STIFF, [1e-3, 0, 1e-4, 0], {"steps": 1000}, False),  # not asked
        (STIFF, [1e-3, 0, 1e-4, 0], {"steps": 256}, False),
        (STIFF, [1e-3, 0, 1e-4, 0], {"way": 1e-3}, False),
    ],
)
def test_around_a_minimum_and_not_elsewhere(curvatures, at, more, found):
    assert around_minimum(*bowl(curvatures, at, **more), never).tolist() == [found]


def never(outputs, member):
    return torch.zeros_like(member, dtype=torch.bool)


@pytest.mark.parametrize("penalised", [False, True])
def test_what_is_about_to_be_over_goes_on_to_its_end(penalised):
    """Beside a minimum where all is fit, 0.985 where 0.99 is asked for; a penalty has an end of its own."""
    x, y = X[:3], torch.tensor([1.0, -1, 1], dtype=torch.float64)
    net = Generic.around(lambda w, x: x @ w["a"] / 2, {"a": normal(4)}, x, last_fan_in=4)
    w = 2 * torch.linalg.pinv(x) @ (0.985 * y)
    flow = NetworkFlow(net, x, y, Mse(kind="mse"), alpha=torch.ones(1).double(), w0=0 * w[None])
    system = flow if not penalised else copy.copy(flow)
    if penalised:
        system.penalty = penalty(Distance(kind="distance", strength=1e-3), net.layout, w[None], centred=True)
    state = start(system, method("rk32", 1e-2).stepper, w[None], torch.ones(1), 1)
    state = replace(state, steps=state.steps + 512, way=state.way + 10)
    assert around_minimum(system.evaluate, state, never).tolist() == [True]
    assert system.stationary(state).tolist() == [False]


def test_each_member_is_looked_at_alone():
    evaluate, state = bowl(STIFF, [1e-3, 0, 0, 0])
    _, far = bowl(STIFF, [1e-3, 0, 0, 0.5])
    assert around_minimum(evaluate, State.concatenate([far, state, far]), never).tolist() == [False, True, False]


def test_looks_thin_out_and_a_run_that_goes_on_pays_little():
    steps = torch.arange(1, 4097)
    evaluate, state = bowl(STIFF, [0, 0, 0, 0.5])
    counted = state.select(torch.zeros(4096, dtype=torch.int64))
    looked = steps[due(replace(counted, steps=steps))]
    assert looked[:9].tolist() == [16, 32, 48, 64, 80, 96, 112, 128, 160]
    assert [int(((looked > n) & (looked <= 2 * n)).sum()) for n in (256, 512, 1024, 2048)] == [4] * 4
    asked = []

    def counting(y, member):
        asked.append(len(y))
        return evaluate(y, member)

    around_minimum(counting, state, never)
    assert asked == [1]


@pytest.mark.parametrize(("name", "alpha", "steps"), [("rk32", 1.0, 512), ("tangent", 100.0, 12)])
def test_steps_around_a_minimum_that_fits_nothing_end(name, alpha, steps):
    """A mean square that cannot be 0: a step of Runge and Kutta's at the edge of where it is stable goes around, and
    one that is exact for a linear model grows, with no way but rounding."""
    x = normal(20, 2, seed=5)
    y = (x[:, 0] + normal(20, seed=6)).sign()

    def neuron(w, x):
        return torch.tanh(x @ w["a"] / 2)

    net = Generic.around(neuron, {"a": normal(2, seed=1)}, x, last_fan_in=1)
    w0 = normal(1, 2, seed=1)
    loss = Mse(kind="mse")
    flow = NetworkFlow(net, x, y, loss, alpha=w0.new_full((1,), alpha), w0=w0)
    training = DYNAMICS[name].prepare(flow, w0)
    state = start(training.system, training.method.stepper, training.y0, training.dt, 0)
    found = finish(training.system, training.method, state, Limits(1e-10, torch.ones_like(training.dt), max_steps=600))
    assert found.outcomes == [Outcome.STATIONARY]
    assert int(found.state.steps) <= steps
