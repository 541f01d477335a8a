"""What Python hands over is known by its source and by what it uses, and refused where that is impossible."""

import functools
import math
import types

import numpy as np
import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.settings.cells import cells
from feature_lazy.settings.checks import validate
from feature_lazy.settings.objects import own
from feature_lazy.settings.sources import source_files
from tests.conftest import composed

STRENGTH = 2.0


def scaled(a):
    def phi(z):
        return a * z.tanh()

    return phi


def by_global(z):
    return STRENGTH * z.tanh()


class Steep:
    def __init__(self, slope=2.0):
        self.slope = slope

    def __call__(self, z):
        return (self.slope * z).tanh()


def test_what_is_the_same_has_one_path_and_what_differs_another(monkeypatch):
    assert own(scaled(2.0)) == own(scaled(2.0))
    assert own(scaled(2.0)) != own(scaled(3.0))
    assert own(scaled(np.ones(2))) != own(scaled(np.zeros(2)))
    assert own(scaled(torch.ones(2))) != own(scaled(torch.ones(2).double()))
    assert own(functools.partial(by_global)) != own(by_global)
    assert own(scaled(scaled(1.0))) != own(scaled(scaled(2.0)))
    before = own(by_global)
    monkeypatch.setitem(globals(), "STRENGTH", 3.0)
    assert own(by_global) != before
    assert own(torch.nn.functional.gelu) != own(torch.tanh)
    assert own(Steep).startswith("python:Steep:")


def test_two_functions_of_one_name_are_two():
    def phi(z):
        return z.sin()

    first = own(phi)

    def phi(z):
        return z.cos()

    assert own(phi) != first


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (scaled(torch.nn.Linear(2, 2)), "phi: a: it uses an object of Linear, which cannot be known by its source"),
        (eval("lambda z: z"), "its source cannot be read, and a run is known by it"),
        (Steep(), "it uses an object of Steep"),
        (scaled(types.ModuleType("mine")), "it uses the module mine; what it holds cannot be known"),
    ],
)
def test_what_cannot_be_known_is_refused(made, message):
    with pytest.raises(ConfigError) as refusal:
        own(made)
    assert message in str(refusal.value)


def test_a_run_is_known_by_it_and_is_of_this_process():
    path = own(scaled(1.5))
    job = composed("activation=custom", f"activation.target={path}")
    validate(job)
    [cell] = cells(job)
    [other] = cells(composed("activation=custom", f"activation.target={own(scaled(1.6))}"))
    assert cell.run_id != other.run_id
    assert cell.code == [path.rpartition(":")[2]]
    lost = composed("activation=custom", "activation.target=python:phi:0123")
    with pytest.raises(ConfigError, match="handed over by Python in another process, and is not repeatable from the"):
        validate(lost)
    with pytest.raises(ConfigError, match="another process has no object of this one"):
        source_files(path)


def test_math_is_a_known_module():
    assert own(scaled(math)) == own(scaled(math))
