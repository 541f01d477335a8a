"""Weights of low rank beside hidden weights that stay: the kernel, its start, what is trained, and what is refused."""

import pytest
import torch

from feature_lazy.core.errors import ConfigError, NumericalError
from feature_lazy.dynamics.losses import Mse
from feature_lazy.kernels import jacobian_kernel, layer_kernels, tangent_kernel
from feature_lazy.measure.follow import follow
from feature_lazy.networks.activations import Tanh, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.networks.layout import partly
from feature_lazy.settings.checks import validate
from tests.arrays import normal
from tests.conftest import composed

X = normal(4, 5)
PLAIN = FullyConnected(5, [6, 7], scaled(Tanh()), n_outputs=2)
LOW = FullyConnected(5, [6, 7], scaled(Tanh()), n_outputs=2, lora=3)


def rows(weights):
    return {name: weight[None] for name, weight in weights.items()}


def test_starts_as_the_network_without():
    weights, plain = LOW.init(0), PLAIN.init(0)
    assert list(weights) == ["W0", "A0", "B0", "W1", "A1", "B1", "W2"]
    assert all(torch.equal(weights[name], plain[name]) for name in plain)
    torch.testing.assert_close(LOW.apply(rows(weights), X), PLAIN.apply(rows(plain), X))
    many = FullyConnected(400, [5], scaled(Tanh()), lora=9).init(0)["A0"]
    assert many.var() == pytest.approx(1 / 9, rel=0.1)  # of 3600 numbers: ± 2.4 %


def test_kernel_is_that_of_the_jacobian_with_b_at_work():
    weights = rows(LOW.init(0))
    weights |= {name: weights[name] + normal(*weights[name].shape, seed=1) for name in ("B0", "B1")}
    exact, jacobian = tangent_kernel(LOW, weights, X), jacobian_kernel(LOW, weights, X)
    torch.testing.assert_close(exact, jacobian, rtol=1e-12, atol=1e-12)
    moved = {**weights, "W0": weights["W0"] + weights["B0"] @ weights["A0"]}
    moved["W1"] = weights["W1"] + weights["B1"] @ weights["A1"]
    whole = {name: moved[name] for name in PLAIN.layout.shapes}
    torch.testing.assert_close(LOW.apply(weights, X), PLAIN.apply(whole, X))
    torch.testing.assert_close(LOW.metric(weights), PLAIN.metric(whole))


def test_mean_of_the_kernel_over_a_is_that_of_the_adapted_weights():
    """400 draws, whose mean is off by 1/√400 of one, and one is off by about √(2/r)."""
    weights, parts = rows(LOW.init(0)), layer_kernels(PLAIN, rows(PLAIN.init(0)), X)
    draws = [normal(*weights[name].shape, seed=seed) / 3**0.5 for seed in range(400) for name in ("A0", "A1")]
    found = [layer_kernels(LOW, {**weights, "A0": a, "A1": b}, X) for a, b in zip(draws[::2], draws[1::2], strict=True)]
    for layer in "01":
        mean = torch.stack([one[f"B{layer}"] for one in found]).mean(0)
        assert (mean - parts[f"W{layer}"]).norm() < 0.08 * parts[f"W{layer}"].norm()
        assert not found[0][f"A{layer}"].any()
    torch.testing.assert_close(found[0]["W2"], parts["W2"])


def test_hidden_weights_stay():
    run = follow(LOW, LOW.init(0), (X, torch.tensor([0, 1, 0, 1])), alpha=1.0, loss=_classes(), t_end=1.0)
    for name, weight in run.weights(-1).items():
        stays = name in {"W0", "W1"}
        assert torch.equal(weight, LOW.init(0)[name]) == stays


def _classes():
    from feature_lazy.dynamics.losses import CrossEntropy

    return CrossEntropy()


def test_refusals():
    with pytest.raises(ConfigError, match=r"architecture\.lora=2: W \+ BA is of networks without biases"):
        validate(composed("architecture.lora=2", "architecture.bias=0.1"))
    with pytest.raises(ConfigError, match="without biases"):
        FullyConnected(5, [6], scaled(Tanh()), bias=0.1, lora=2)
    with pytest.raises(ConfigError, match=r"Θ∞ of W \+ BA is not known here; leave out limit"):
        validate(composed("architecture.lora=2", "observe/also=[limit]"))
    with pytest.raises(NumericalError, match="lora=3"):
        LOW.limit(X)
    with pytest.raises(ConfigError, match=r"W0 stays, as architecture\.lora says"):
        partly(LOW, ["W0", "A0"])
    with pytest.raises(ConfigError, match=r"architecture\.lora=-1"):
        validate(composed("architecture.lora=-1"))
    assert partly(LOW, ["last"]).layout.trained == ["W2"]
    assert partly(LOW, ["A0", "last"]).layout.added == LOW.layout.added


def test_mse_of_one_output_reaches_its_labels():
    net = FullyConnected(5, [20], scaled(Tanh()), lora=2)
    run = follow(net, net.init(0), (X, torch.tensor([1.0, -1, 1, -1]).double()), alpha=1.0, loss=Mse(), t_end=2000.0)
    assert float((run.F_train[-1] - torch.tensor([1.0, -1, 1, -1])).abs().max()) < 0.2
