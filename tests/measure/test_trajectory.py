"""Following one network from Python: a network of ours, a pure function and a module give the same trajectory."""

import pytest
import torch
from torch import nn

from feature_lazy import follow
from feature_lazy.core.errors import ConfigError
from feature_lazy.dynamics.choices import FrozenKernel, GradientFlow
from feature_lazy.dynamics.losses import Mse
from feature_lazy.dynamics.methods import method
from feature_lazy.dynamics.optimisers import Sgd
from feature_lazy.dynamics.outcome import Outcome
from feature_lazy.kernels import jacobian_kernel, tangent_kernel
from feature_lazy.networks.activations import Softplus, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from tests.dynamics.test_flow import NETWORK, W0, X, Y

WEIGHTS = {name: weight[0] for name, weight in NETWORK.layout.unflatten(W0[:1]).items()}
ACT = scaled(Softplus(5.0))  # a quadrature: once, and not in each forward pass
TEST = torch.randn(3, X.shape[1], dtype=torch.float64, generator=torch.Generator().manual_seed(5))


def function(weights, x):
    return NETWORK.apply({name: weight[None] for name, weight in weights.items()}, x)[0]


class Net(nn.Module):
    """The same network, written as a user would."""

    def __init__(self):
        super().__init__()
        for name, weight in WEIGHTS.items():
            setattr(self, name, nn.Parameter(weight.clone()))

    def forward(self, x):
        for name in ("W0", "W1"):
            weight = getattr(self, name)
            x = ACT.factor * ACT.shape(x @ weight.T / weight.shape[1] ** 0.5)
        return x @ self.W2.T / self.W2.shape[1] ** 0.5  # (P, 1)


@pytest.mark.parametrize("alpha", [0.3, 30.0])
def test_three_ways_to_give_a_network(alpha):
    times = [0.05, 0.2]
    flow = GradientFlow(method("rk32", 1e-3))
    arguments = {"alpha": alpha, "test": TEST, "times": times, "dynamics": flow}
    ours = follow(NETWORK, WEIGHTS, (X, Y), **arguments)
    assert ours.outcome is Outcome.CONVERGED
    assert ours.t.tolist() == [0.0, *times, ours.t_stop]
    assert ours.t_half < ours.t_stop
    assert (ours.F_train[0] == 0).all()
    assert (ours.F_train[-1] * Y).min() > 1
    for other in (follow(function, WEIGHTS, (X, Y), **arguments), follow(Net(), None, (X, Y), **arguments)):
        # Only the first step differs, which is found from the fan-in: the same to the tolerance.
        torch.testing.assert_close(other.F_train, ours.F_train, rtol=1e-2, atol=5e-3)
        torch.testing.assert_close(other.F_test, ours.F_test, rtol=1e-2, atol=5e-3)
        torch.testing.assert_close(other.kernel(-1, TEST), ours.kernel(-1, TEST), rtol=2e-2, atol=1e-6)
    trained = NETWORK.layout.flatten({name: weight[None] for name, weight in ours.weights(-1).items()})
    torch.testing.assert_close(trained, ours.w[-1:], rtol=0, atol=0)


def test_default_is_auto_and_says_what_it_chose():
    lazy = follow(NETWORK, WEIGHTS, (X, Y), alpha=1e3)
    assert lazy.record["auto/choice"] == "tangent"
    assert lazy.record["auto/tangent_steps"] == lazy.record["kernels"] > 0
    assert "tangent: steps of" in lazy.record["auto/why"]
    assert len(lazy.t) > 8
    # Without known layers there is no kernel to step with.
    assert follow(function, WEIGHTS, (X, Y), alpha=1e3).record["kernels"] == 0


def test_other_dynamics_and_losses():
    frozen = follow(NETWORK, WEIGHTS, (X, Y), alpha=1.0, dynamics=FrozenKernel(method("auto", 1e-2)), test=TEST)
    assert frozen.outcome is Outcome.CONVERGED
    assert torch.equal(frozen.kernel(0, TEST), frozen.kernel(-1, TEST))
    sgd = follow(function, WEIGHTS, (X, Y), alpha=0.1, dynamics=Sgd(lr=0.1, batch=4, updates=30))
    assert sgd.outcome is Outcome.T_END
    ended = follow(NETWORK, WEIGHTS, (X, Y), alpha=1.0, loss=Mse(), t_end=0.7)
    assert (ended.outcome, float(ended.t[-1])) == (Outcome.T_END, pytest.approx(0.7))


def test_images_and_several_shapes():
    images = X.reshape(6, 1, 2, 2)
    conv = nn.Sequential(nn.Conv2d(1, 3, 2, padding=1), nn.Softplus(), nn.Flatten(), nn.Linear(27, 1)).double()
    found = follow(conv, None, (images, Y), alpha=1.0, test=images[:2])
    assert found.outcome is Outcome.CONVERGED
    torch.testing.assert_close(found.F_test, found.F_train[:, :2])
    with torch.no_grad():
        for name, weight in found.weights(-1).items():
            conv.get_parameter(name).copy_(weight)
        f = conv(images)[:, 0]
    first = found.model.f(found.w[:1], torch.tensor([0]), images.flatten(1))[0]
    torch.testing.assert_close(f - first, found.F_train[-1])


@pytest.mark.parametrize("limit", [float("inf"), 3000.0, 1.0])
def test_kernel_from_the_jacobian_is_that_of_the_layers(limit):
    network = FullyConnected(4, [7, 5], ACT)
    params = network.layout.unflatten(W0[:2])
    for other in (None, TEST):
        found = jacobian_kernel(network, params, X, other, memory_limit=limit)
        torch.testing.assert_close(found, tangent_kernel(network, params, X, other), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights": None}, "only a module has weights"),
        ({"train": (X, Y[:4])}, r"labels have the shape \(4,\) for 6 patterns"),
        ({"train": (X, 2 * Y)}, r"labels must be \+1 or −1"),
        ({"train": (X.float(), Y)}, "different dtypes"),
        ({"test": TEST[:, :2]}, r"test patterns have the shape \(2,\)"),
        ({"network": lambda weights, x: x @ weights["W0"].T}, r"must give one real number"),
    ],
)
def test_what_does_not_fit_is_named(arguments, message):
    given = {"network": function, "weights": WEIGHTS, "train": (X, Y), "alpha": 1.0, **arguments}
    with pytest.raises(ConfigError, match=message):
        follow(given.pop("network"), given.pop("weights"), given.pop("train"), **given)


@pytest.mark.parametrize("at", [0.0, 0.1])
def test_frozen_kernel_of_a_module(at):
    """Products with J and Jᵀ through the module are those of the layers that a network of ours shows."""
    arguments = {"alpha": 1.0, "test": TEST, "times": [0.05], "t_end": 0.2}
    arguments["dynamics"] = FrozenKernel(method("rk32", 1e-2), at)
    ours = follow(NETWORK, WEIGHTS, (X, Y), **arguments)
    theirs = follow(Net(), None, (X, Y), **arguments)
    assert theirs.t.tolist() == [0.0, 0.05, 0.2]
    assert theirs.F_test[-1].abs().max() > 0.05
    # At t = 0 the first step is the same, and so are all others; the weights of a later time come by another way.
    close = {"rtol": 1e-9, "atol": 1e-10} if at == 0 else {"rtol": 3e-2, "atol": 1e-2}
    torch.testing.assert_close(theirs.F_train, ours.F_train, **close)
    torch.testing.assert_close(theirs.F_test, ours.F_test, **close)
    torch.testing.assert_close(theirs.kernel(-1, TEST), theirs.kernel(0, TEST), rtol=0, atol=0)


def test_exponential_integrator_takes_a_module_if_named():
    """It makes Θ from the Jacobian, and only the first step that it tries differs; ``auto`` goes without."""
    lazy = {"alpha": 1e3, "dynamics": GradientFlow(method("tangent", 1e-2)), "times": [], "t_end": 0.2}
    ours, theirs = follow(NETWORK, WEIGHTS, (X, Y), **lazy), follow(Net(), None, (X, Y), **lazy)
    assert theirs.record["kernels"] > 0
    torch.testing.assert_close(theirs.F_train[-1], ours.F_train[-1], rtol=1e-2, atol=5e-3)
