"""Fisher matrices of normalised outputs: against gradients through the statistics themselves."""

import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.kernels import tangent_kernel
from feature_lazy.kernels.normalisation import largest_eigenvalue, normalised_kernel
from feature_lazy.networks.activations import Softplus, scaled
from feature_lazy.networks.fully_connected import FullyConnected
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


def test_a_member_that_is_not_finite_leaves_the_others_alone():
    theta = torch.stack([torch.eye(3).double(), torch.full((3, 3), torch.nan).double()])
    assert str(largest_eigenvalue(theta).tolist()) == "[1.0, nan]"


def test_recorded_on_training_patterns(tiny, store):
    names = "observe.also.fisher.normalisations=[none,last_mean,last_batch_norm,last_layer_norm]"
    job = ("labels=classes", "loss=cross_entropy", "observe/also=[fisher]", names, "observe.also.fisher.patterns=10")
    [run_id] = train_config(tiny(*TINY, *job, "dynamics.t_end=0.1", "dynamics.max_steps=3"))
    history = store.load(run_id).history
    plain, mean = history["fim/lambda_max"], history["fim/lambda_max/last_mean"]
    assert ((mean[[0, -1]] > 0) & (mean[[0, -1]] < plain[[0, -1]])).all()  # a projection takes something away
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


def test_refusals_of_what_only_the_data_tell(tiny):
    classes = ("labels=classes", "loss=cross_entropy", "observe/also=[fisher]")
    layer = "observe.also.fisher.normalisations=[last_layer_norm]"
    with pytest.raises(ConfigError, match="last_layer_norm of 2 outputs leaves their order alone"):
        train_config(tiny(*TINY, *classes, layer, "dataset.classes=[3,5]"))
    with pytest.raises(ConfigError, match=r"kernels of 200 outputs of 1 networks take .* more than memory_limit"):
        train_config(tiny(*TINY, *classes, "memory_limit=1KB", "observe.also.fisher.patterns=20"))
