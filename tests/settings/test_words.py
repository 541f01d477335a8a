"""A word that is none of those allowed is refused wherever it is given, and never taken for another one."""

import dataclasses
import math

import pytest
import torch

from feature_lazy import follow
from feature_lazy.core.errors import ConfigError
from feature_lazy.dynamics.choices import FrozenKernel, GradientFlow
from feature_lazy.dynamics.methods import method
from feature_lazy.kernels import tangent_kernel
from feature_lazy.measure.quantity import Quantity
from feature_lazy.settings import registry
from feature_lazy.settings.checks import check_option
from tests.dynamics.test_flow import NETWORK, W0, X, Y

WEIGHTS = {name: weight[0] for name, weight in NETWORK.layout.unflatten(W0[:1]).items()}
WORDS = [
    pytest.param(group, name, field.name, id=f"{group}={name} {field.name}")
    for group in registry.groups()
    for name, made in registry.options(group).items()
    for field in dataclasses.fields(made)
    if field.metadata.get("choices") and field.name != "kind" and not registry.is_foreign(made)
]


@pytest.mark.parametrize("wrong", ["none such", "{}s", ""])
@pytest.mark.parametrize(("group", "name", "key"), WORDS)
def test_every_key_of_words_refuses_others(group, name, key, wrong):
    made = registry.find(group, name)()
    setattr(made, key, wrong.format(getattr(made, key)))
    with pytest.raises(ConfigError, match=rf"{group}\.{key}=.*: must be (one of )?[a-z]"):
        check_option(made, group)
    if group == "dynamics":
        with pytest.raises(ConfigError, match=rf"dynamics\.{key}=.*: must be (one of )?[a-z]"):
            follow(NETWORK, WEIGHTS, (X, Y), alpha=1.0, dynamics=made)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: method("euler", 1e-2), "stepper 'euler': there is none"),
        (lambda: method("auto", -1), "tolerance=-1: must be"),
        (lambda: method("auto", math.nan), "tolerance=nan: must be"),
        (lambda: method("article", 1e-2, eps_output=0), "eps_output=0: must be"),
        (lambda: Quantity("x", scale="lgo"), "scale=lgo of the quantity 'x': must be one of log, linear, percent"),
        (lambda: tangent_kernel(NETWORK, {}, X, outputs="diag"), "outputs='diag': must be 'full' or 'trace'"),
        *(
            (lambda name=name: follow(NETWORK, WEIGHTS, (X, Y), alpha=1.0, dynamics=name), f"dynamics={name}: there is")
            for name in ("adamx", "SGD", "lyon", "")
        ),
        *(
            (lambda time=time: FrozenKernel(method("auto", 1e-2), time).prepare(None, torch.zeros(1, 1)), "time=")
            for time in (-1.0, math.nan)
        ),
    ],
)
def test_words_and_numbers_that_are_none(ask, message):
    with pytest.raises(ConfigError, match=message):
        ask()


def test_what_is_one_is_taken():
    assert GradientFlow(method("auto", 1e-2)).method.stepper.tolerance == 1e-2
