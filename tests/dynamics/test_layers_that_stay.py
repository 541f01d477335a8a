"""Training of some weights only: the others are constants of the network, of its gradient and of its kernel."""

import pytest
import torch

from feature_lazy.core.errors import ConfigError, NumericalError
from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.flows import GradientFlowOption
from feature_lazy.dynamics.losses import Mse, SoftHinge
from feature_lazy.dynamics.optimisers import Adam, Sgd
from feature_lazy.kernels import TangentOperator, jacobian_kernel, kernel_on_disk, layer_kernels, tangent_kernel
from feature_lazy.kernels.first_order import first_order
from feature_lazy.measure.follow import follow
from feature_lazy.networks.activations import Softplus, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.networks.layout import Layout, partly
from feature_lazy.settings.checks import validate
from feature_lazy.settings.overrides import composed
from tests.arrays import normal
from tests.dynamics.test_flow import ALL, ALPHA, NETWORK, W0, P, X, Y, elsewhere
from tests.kernels.test_first_order import UNKNOWN

CHOICES = [["W0"], ["last"], ["W0", "W2"]]
NAMES = {"W0": ["W0"], "last": ["W2"]}
LAYOUT = NETWORK.layout
PARAMS = LAYOUT.unflatten(elsewhere())


def trained(choice):
    return [name for one in choice for name in NAMES.get(one, [one])]


def mask(choice):
    """1 where a weight is trained, (N,)."""
    parts = [
        torch.full((size,), float(name in trained(choice)))
        for name, size in zip(LAYOUT.shapes, LAYOUT.sizes, strict=True)
    ]
    return torch.cat(parts).double()


@pytest.mark.parametrize("net", [NETWORK, UNKNOWN], ids=["layers", "function"])
@pytest.mark.parametrize("choice", CHOICES, ids=",".join)
def test_gradient_and_first_order_are_those_of_the_trained_weights(net, choice):
    part, m = partly(net, choice), mask(choice)
    options = {"alpha": ALPHA, "w0": W0}
    velocity, outputs = NetworkFlow(part, X, Y, SoftHinge(), **options).evaluate(elsewhere(), ALL)
    whole, same = NetworkFlow(net, X, Y, SoftHinge(), **options).evaluate(elsewhere(), ALL)
    torch.testing.assert_close(velocity, whole * m)
    assert not velocity[:, m == 0].any()
    torch.testing.assert_close(outputs, same)
    linear = first_order(part, part.layout.unflatten(elsewhere()), X, 1e9)
    every = first_order(net, PARAMS, X, 1e9)
    a, v = normal(3, P, seed=1), normal(3, LAYOUT.size, seed=2)
    torch.testing.assert_close(linear.pull_back(a), every.pull_back(a) * m)
    torch.testing.assert_close(linear.push_forward(v), every.push_forward(v * m))


@pytest.mark.parametrize("net", [NETWORK, UNKNOWN], ids=["layers", "function"])
@pytest.mark.parametrize("choice", CHOICES, ids=",".join)
def test_kernels_are_sums_over_the_trained_weights(net, choice, tmp_path):
    part, parts = partly(net, choice), layer_kernels(NETWORK, PARAMS, X)
    expected = sum(parts[name] for name in trained(choice))
    torch.testing.assert_close(tangent_kernel(part, PARAMS, X), expected)
    torch.testing.assert_close(jacobian_kernel(part, PARAMS, X), expected)
    torch.testing.assert_close(first_order(part, PARAMS, X, 1e9).kernel(1e9), expected)
    one = {name: weight[:1] for name, weight in PARAMS.items()}
    operator = TangentOperator(part, one, X)
    torch.testing.assert_close(torch.from_numpy(operator @ torch.eye(P, dtype=torch.float64).numpy()), expected[0])
    tiles = kernel_on_disk(part, one, X, path=tmp_path, tile=4)
    torch.testing.assert_close(tiles.to_dense(), expected[:1])
    if net is NETWORK:
        assert list(layer_kernels(part, PARAMS, X)) == trained(choice)


def test_last_is_the_output_layer_with_its_bias():
    biased = FullyConnected(4, [3, 3], scaled(Softplus(5.0)), bias=0.1)
    assert partly(biased, ["last"]).layout.trained == ["W2", "B2"]
    assert Layout({"body.weight": (2,), "head.weight": (2,), "head.bias": (1,)}).last == ["head.weight", "head.bias"]
    assert Layout({"u": (2,), "v": (2,)}).last == ["v"]


@pytest.mark.parametrize("stepper", ["tangent", "auto"])
def test_last_layer_alone_is_regression_on_random_features(stepper):
    """With mse F obeys a linear law, and ends where kernel regression with the last layer's kernel does.

    w stays in the span of the features, so that F on other patterns is as close as F on the training set is to y.
    """
    wide = FullyConnected(4, [40, 40], scaled(Softplus(5.0)))
    weights, test = wide.init(3), normal(5, 4, seed=4)
    how = GradientFlowOption(stepper=stepper, tolerance=1e-4, train=["last"])
    run = follow(wide, weights, (X, Y), alpha=2.0, test=test, loss=Mse(margin_tol=1e-9), dynamics=how)
    params = {name: weight[None] for name, weight in weights.items()}
    theta = layer_kernels(wide, params, torch.cat([X, test]))["W2"][0]
    expected = theta[P:, :P] @ torch.linalg.solve(theta[:P, :P], Y)
    assert run.outcome == "converged"
    torch.testing.assert_close(run.F_test[-1], expected, rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(run.kernel(-1, X), run.kernel(0, X), rtol=1e-12, atol=0)
    end = run.weights(-1)
    assert all(torch.equal(end[name], weights[name]) for name in ("W0", "W1"))


def moved(optimiser, centred=False, choice=("all",), updates=3):
    net = partly(NETWORK, choice)
    flow = NetworkFlow(net, X, Y, Mse(), alpha=ALPHA, w0=W0, centred=centred)
    training = optimiser.prepare(flow, W0)
    first = torch.zeros(3, dtype=torch.int64)
    system = training.system
    return system.weights(system.updates(training.y0, ALL, first, updates))


@pytest.mark.parametrize("optimiser", [Sgd, Adam])
def test_weight_decay_is_decoupled(optimiser):
    """w ← (1 − lr·λ)w beside a step that does not know of it; weights that stay lose nothing."""
    plain, decaying = (
        moved(optimiser(lr=0.1, units="article", batch=6, weight_decay=d), updates=1) for d in (0.0, 0.5)
    )
    torch.testing.assert_close(decaying, plain - 0.05 * W0, rtol=1e-12, atol=1e-12)
    some = moved(optimiser(lr=0.1, units="article", batch=6, weight_decay=0.5), choice=["W1"], updates=3)
    assert bool(((some != W0).any(0) == (mask(["W1"]) > 0)).all())


def test_adam_with_weight_decay_is_that_of_pytorch():
    made = Adam(lr=0.05, eps=1e-3, units="article", batch=P, weight_decay=0.4)
    w = torch.nn.Parameter(W0[1:2].clone())
    theirs = torch.optim.AdamW([w], lr=0.05, eps=1e-3, weight_decay=0.4)
    flow = NetworkFlow(NETWORK, X, Y, Mse(), alpha=ALPHA[1:2], w0=W0[1:2], centred=False)
    for _ in range(4):
        w.grad = -flow.evaluate(w.detach(), torch.tensor([0]))[0]
        theirs.step()
    torch.testing.assert_close(moved(made, updates=4)[1:2], w.detach(), rtol=1e-10, atol=1e-12)


def test_weight_decay_that_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match=r"dynamics.weight_decay=0.5: it pulls f to 0"):
        moved(Sgd(weight_decay=0.5), centred=True)
    with pytest.raises(ConfigError, match=r"dynamics.weight_decay=20: an update would take all of a weight off"):
        moved(Adam(lr=0.05, weight_decay=20.0))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], ["dynamics.train=[]", "nothing would be trained", "W0, W1, W2, last"]),
        (["W7"], ["dynamics.train=[W7]", "no weight 'W7'", "W0, W1, W2, last, or all"]),
        (["all", "W0"], ["no weight 'all'"]),
    ],
)
def test_names_that_no_weight_has_are_refused(names, words):
    weights = {name: weight[0] for name, weight in LAYOUT.unflatten(W0).items()}
    with pytest.raises(ConfigError) as caught:
        follow(NETWORK, weights, (X, Y), alpha=1.0, dynamics=GradientFlowOption(train=names))
    assert all(word in str(caught.value) for word in words)


def test_own_module_by_the_names_of_its_parameters():
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.Tanh(), torch.nn.Linear(6, 1)).double()
    before = {name: value.detach().clone() for name, value in module.named_parameters()}
    for names, expected in ((["0.bias", "2.weight"], {"0.bias", "2.weight"}), (["last"], {"2.weight", "2.bias"})):
        how = GradientFlowOption(stepper="rk32", train=names)
        end = follow(module, None, (X, Y), alpha=3.0, dynamics=how, t_end=0.5).weights(-1)
        assert {name for name, value in before.items() if not torch.equal(value, end[name])} == expected


COMMITTEE = FullyConnected(4, [6], scaled(Softplus(5.0)), readout="ones")


def test_a_readout_of_ones_stays_and_is_no_part_of_the_kernel():
    """f = Σ φ(z)/√h, with the kernel of W0 alone; other weights are those of the network with a drawn readout."""
    weights, plain = COMMITTEE.init(3), FullyConnected(4, [6], scaled(Softplus(5.0)))
    assert torch.equal(weights["W1"], torch.ones(1, 6).double())
    assert torch.equal(weights["W0"], plain.init(3)["W0"])
    params = {name: weight[None] for name, weight in weights.items()}
    z = X @ weights["W0"].T / 2
    torch.testing.assert_close(COMMITTEE.apply(params, X)[0], COMMITTEE.activation(z).sum(1) / 6**0.5)
    torch.testing.assert_close(tangent_kernel(COMMITTEE, params, X), layer_kernels(plain, params, X)["W0"])
    run = follow(COMMITTEE, weights, (X, Y), alpha=1.0, loss=Mse(), t_end=1.0)
    assert torch.equal(run.weights(-1)["W1"], weights["W1"])
    assert not torch.equal(run.weights(-1)["W0"], weights["W0"])


@pytest.mark.parametrize("names", [["W1"], ["last"], ["W0", "W1"]], ids=",".join)
def test_a_readout_of_ones_is_not_trained(names):
    assert partly(COMMITTEE, ["W0"]).layout.trained == ["W0"]
    with pytest.raises(ConfigError, match=r"stays, as architecture\.readout=ones says"):
        partly(COMMITTEE, names)


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (
            ["labels=classes", "loss=cross_entropy"],
            "architecture.readout=ones: with labels=classes all outputs would be",
        ),
        (["observe/also=[limit]"], "Θ∞ of a network whose output layer stays is not known here; leave out limit."),
    ],
)
def test_what_a_readout_of_ones_does_not_fit(overrides, sentence):
    validate(composed(["architecture.readout=ones"]))
    with pytest.raises(ConfigError, match=sentence):
        validate(composed(["architecture.readout=ones", *overrides]))
    with pytest.raises(NumericalError, match="readout=ones"):
        COMMITTEE.limit(X)
