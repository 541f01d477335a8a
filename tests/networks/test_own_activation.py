"""A function as an activation: scaled by quadrature, and refused before training if it is none."""

import random

import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.networks.activations import Gelu, LeakyRelu, scaled
from feature_lazy.networks.own_activation import CustomActivation
from feature_lazy.settings.cells import cells
from feature_lazy.settings.checks import validate
from feature_lazy.settings.objects import own
from tests.conftest import composed

Z = torch.linspace(-3, 3, 61, dtype=torch.float64)


def made(function, **keys):
    return CustomActivation(target=function if isinstance(function, str) else own(function), **keys)


@pytest.mark.parametrize(
    ("target", "kwargs", "ours"),
    [
        ("torch.nn.functional.gelu", {}, Gelu()),
        ("torch.nn.GELU", {}, Gelu()),
        ("torch.nn.functional.leaky_relu", {"negative_slope": 0.2}, LeakyRelu(slope=0.2)),
    ],
)
def test_a_function_of_pytorch_is_ours_by_name(target, kwargs, ours):
    # By quadrature to 1e-13, twice.
    torch.testing.assert_close(scaled(made(target, kwargs=kwargs))(Z), scaled(ours)(Z), rtol=1e-11, atol=1e-12)


def test_a_name_that_pytorch_binds_when_it_is_imported_is_found():
    job = composed("activation=custom", "activation.target=torch.sin")
    validate(job)
    assert cells(job)[0].run_id != cells(composed("activation=custom", "activation.target=torch.cos"))[0].run_id
    with pytest.raises(ConfigError, match=r"module 'torch' .* has no 'sinn'"):
        validate(composed("activation=custom", "activation.target=torch.sinn"))


def writes(z):
    z += 1
    return z


REFUSED = {
    "it fails on z of the shape": lambda z: z @ z,
    "it returns torch.float64 (); it must return a tensor (2, 5)": lambda z: z.sum(),
    "it returns torch.float32 (2, 5)": lambda z: z.float(),
    "it returns float": lambda z: 1.0,
    "it writes into z": writes,
    "infinities or NaN": lambda z: z.log(),
    "other values when it is asked again": lambda z: z + random.random(),
    "another value among others than alone": lambda z: z - z.mean(),
    "it has no derivative by z": lambda z: z.detach().tanh(),
    "and its values say": lambda z: z.tanh() + z.detach(),
    "its derivative is 0 wherever": lambda z: z.sign(),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_is_no_activation_is_refused_in_a_sentence(message):
    with pytest.raises(ConfigError) as refusal:
        scaled(made(REFUSED[message]))
    assert message in str(refusal.value)
    assert str(refusal.value).startswith("activation.target=python:")


def test_weights_of_its_own_are_refused():
    with pytest.raises(ConfigError, match="it has weights of its own, which nothing would train"):
        scaled(made("torch.nn.PReLU"))
    with pytest.raises(ConfigError, match=r"activation\.target=torch\.nn\.GELU: it fails: .*unexpected keyword"):
        scaled(made("torch.nn.GELU", kwargs={"no": 1}))
