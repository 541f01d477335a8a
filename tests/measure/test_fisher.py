"""Fisher matrices of normalised outputs: against gradients through the statistics themselves."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.kernels import tangent_kernel
from feature_lazy.kernels.normalisation import largest_eigenvalue, middle_largest, normalised_kernel
from feature_lazy.launch.commands import main
from feature_lazy.measure.sharpness import Growth, sharpness_check
from feature_lazy.networks.activations import Erf, Relu, Softplus, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.networks.limits.sharpness import mean_field_sharpness
from feature_lazy.networks.parametrisation import MEAN_FIELD, MUP, NTK, STANDARD
from feature_lazy.runs.job import train_config
from feature_lazy.settings.checks import validate
from tests.arrays import normal
from tests.conftest import TINY

C, T = 4, 6
NET = FullyConnected(3, [5, 5], scaled(Softplus(5.0)), n_outputs=C)
X = normal(T, 3, seed=1)


def normalise(f, name):
    """The outputs (T, C) as a network with such a last layer gives them."""
    if name == "none":
        return f
    if name == "last_mean":
        return f - f.mean(0)
    dim = 0 if name == "last_batch_norm" else 1
    return (f - f.mean(dim, keepdim=True)) / f.std(dim, keepdim=True, unbiased=False)


@pytest.mark.parametrize("name", ["none", "last_mean", "last_batch_norm", "last_layer_norm"])
def test_equals_gradients_through_mean_and_deviation(name):
    w = torch.stack([NET.layout.flatten({k: v[None] for k, v in NET.init(seed).items()})[0] for seed in (0, 1)])
    params = NET.layout.unflatten(w)
    found = normalised_kernel(tangent_kernel(NET, params, X), NET.apply(params, X), C, name)
    for row, kernel in zip(w, found, strict=True):

        def outputs(v):
            return normalise(NET.apply(NET.layout.unflatten(v[None]), X)[0].unflatten(0, (T, C)), name).flatten()

        jacobian = torch.autograd.functional.jacobian(outputs, row)
        torch.testing.assert_close(kernel, jacobian @ jacobian.T, rtol=1e-9, atol=1e-9)
        fisher = jacobian.T @ jacobian / T
        torch.testing.assert_close(largest_eigenvalue(kernel[None])[0] / T, torch.linalg.eigvalsh(fisher)[-1])


def test_batch_norm_of_hidden_layers_equals_a_network_that_was_written_out():
    """Gradients through the statistics of two hidden layers, in float64, for two members."""
    w = torch.stack([NET.layout.flatten({k: v[None] for k, v in NET.init(seed).items()})[0] for seed in (0, 1)])
    shape, factor = NET.activation.shape, NET.activation.factor

    def outputs(v):
        x = X
        weights = NET.layout.unflatten(v[None])
        for name in ("W0", "W1"):
            z = x @ weights[name][0].T
            x = factor * shape((z - z.mean(0)) / z.std(0, unbiased=False))
        return (x @ weights["W2"][0].T / 5**0.5).flatten()

    for found, row in zip(middle_largest(NET, w, X), w, strict=True):
        jacobian = torch.autograd.functional.jacobian(outputs, row)
        # The bound on the residual is 1e-2, and its square on the eigenvalue.
        assert float(found) == pytest.approx(float(torch.linalg.eigvalsh(jacobian @ jacobian.T)[-1]), rel=1e-4)
    assert middle_largest(NET, w[:1] * torch.nan, X).isnan().all()


def test_mean_field_value_of_two_relu_layers():
    """Arc-cosine kernels written out (Cho and Saul 2009), with layers 2 and 3 n times as large in standard scaling."""
    n, t = 160, 40

    def same_side(rho):
        return 1 - math.acos(rho) / math.pi

    def next_rho(rho):
        return (math.sqrt(1 - rho**2) + rho * (math.pi - math.acos(rho))) / math.pi

    one = next_rho(0.0)
    other = n * (next_rho(one) + same_side(one) * one)
    expected = ((t - 1) * other + 2 * n + 1) / t
    assert mean_field_sharpness(scaled(Relu()), 2, n, t, STANDARD) == pytest.approx(expected, rel=1e-12)
    ntk = mean_field_sharpness(scaled(Relu()), 2, n, t, NTK)
    assert ntk == pytest.approx(((t - 1) * other / n + 3) / t, rel=1e-12)


@pytest.mark.parametrize("parametrisation", [MUP, MEAN_FIELD], ids=["mup", "mean field"])
def test_mean_field_value_where_the_output_layer_is_small(parametrisation):
    """Against networks of 160 units: 1 + O(1/h), and 0.01 from one to the other of three seeds."""
    n, found = 160, []
    net = FullyConnected(n, [n, n], scaled(Relu()), parametrisation=parametrisation)
    for seed in range(3):
        params = {name: w[None] for name, w in net.init(seed).items()}
        theta = tangent_kernel(net, params, normal(n, n, seed=seed))[0]
        found.append(float(torch.linalg.eigvalsh(theta / n)[-1]))
    expected = mean_field_sharpness(scaled(Relu()), 2, n, n, parametrisation)
    assert sum(found) / 3 == pytest.approx(expected, rel=0.1)


def test_check_over_widths():
    """Two widths, three seeds; what is expected of hidden layers depends on whether φ is odd."""
    nets = [FullyConnected(h, [h], scaled(Relu()), n_outputs=3, parametrisation=STANDARD) for h in (8, 16)]
    x = [normal(h, h, seed=h) for h in (8, 16)]
    found = {growth.name: growth for growth in sharpness_check(nets, x, seeds=3)}
    assert list(found) == ["none", "last_mean", "last_batch_norm", "last_layer_norm", "middle_batch_norm"]
    assert [growth.expected for growth in found.values()] == [1, 0, 0, 1, 1]
    assert all(growth.error > 0 and len(growth.values) == 2 for growth in found.values())
    erf = [FullyConnected(h, [h], scaled(Erf()), parametrisation=STANDARD) for h in (8, 16)]
    assert [growth.expected for growth in sharpness_check(erf, x, seeds=2)] == [1, 0, 0, 0]
    assert Growth("none", [1, 2], 0.71, 0.0, 1.0).agrees
    assert not Growth("none", [1, 2], 0.69, 0.0, 1.0).agrees
    assert Growth("last_mean", [1, 2], -0.9, 0.0, 0.0).agrees
    assert not Growth("last_mean", [1, 2], 0.31, 0.0, 0.0).agrees
    for bad, patterns, sentence in (
        (nets[:1], x[:1], "two or more widths"),
        (nets, [x[0], x[0]], "take as many patterns as units"),
        ([replace(net, parametrisation=NTK) for net in nets], x, "set parametrisation=standard"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            sharpness_check(bad, patterns)


def test_the_command(capsys):
    words = ["fisher", "parametrisation=standard", "activation=relu", "dataset=spheres", "dataset.dim=${width.h}"]
    words += ["dataset.n_test=8", "loss=mse", "architecture.depth=1", "--widths", "16", "32", "--seeds", "2"]
    assert main(words) in (0, 1)
    shown = capsys.readouterr().out
    assert "exponents of h = 16 … 32" in shown
    assert "middle_batch_norm" in shown
    assert main(["fisher", "parametrisation=standard", "architecture=cnn", "--widths", "4", "8"]) == 1
    assert "use fully_connected" in capsys.readouterr().err


def test_a_member_that_is_not_finite_leaves_the_others_alone():
    theta = torch.stack([torch.eye(3).double(), torch.full((3, 3), torch.nan).double()])
    assert str(largest_eigenvalue(theta).tolist()) == "[1.0, nan]"


def test_recorded_on_training_patterns(tiny, store):
    names = "observe.also.fisher.normalisations=[none,last_mean,last_batch_norm,last_layer_norm,middle_batch_norm]"
    job = ("labels=classes", "loss=cross_entropy", "observe/also=[fisher]", names, "observe.also.fisher.patterns=10")
    [run_id] = train_config(tiny(*TINY, *job, "dynamics.t_end=0.1", "dynamics.max_steps=3"))
    history = store.load(run_id).history
    plain, mean = history["fim/lambda_max"], history["fim/lambda_max/last_mean"]
    assert ((mean[[0, -1]] > 0) & (mean[[0, -1]] < plain[[0, -1]])).all()  # a projection takes something away
    middle = history["fim/lambda_max/middle_batch_norm"]
    assert middle[0] > 0
    assert np.isnan(middle[1:]).all()  # at t = 0 alone
    for name in ("last_batch_norm", "last_layer_norm"):
        assert (history[f"fim/lambda_max/{name}"][[0, -1]] > 0).all()


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ("[last_men]", "there is no 'last_men'; there are none, last_mean"),
        ("[]", "nothing would be recorded"),
        ("[last_layer_norm]", "last_layer_norm is over the outputs of a pattern, and labels=parity has one"),
    ],
)
def test_refusals(names, sentence, tiny):
    with pytest.raises(ConfigError, match=sentence):
        validate(tiny(*TINY, "observe/also=[fisher]", f"observe.also.fisher.normalisations={names}"))


def test_hidden_layers_are_those_of_a_fully_connected_network(configure):
    job = [one for one in TINY if not one.startswith("architecture")]
    names = "observe.also.fisher.normalisations=[middle_batch_norm]"
    with pytest.raises(ConfigError, match="this one is cnn; leave it out"):
        validate(configure(*job, "architecture=cnn", "architecture.blocks=1", "observe/also=[fisher]", names))


def test_refusals_of_what_only_the_data_tell(tiny):
    classes = ("labels=classes", "loss=cross_entropy", "observe/also=[fisher]")
    layer = "observe.also.fisher.normalisations=[last_layer_norm]"
    with pytest.raises(ConfigError, match="last_layer_norm of 2 outputs leaves their order alone"):
        train_config(tiny(*TINY, *classes, layer, "dataset.classes=[3,5]"))
    with pytest.raises(ConfigError, match=r"kernels of 200 outputs of 1 networks take .* more than memory_limit"):
        train_config(tiny(*TINY, *classes, "memory_limit=1KB", "observe.also.fisher.patterns=20"))
