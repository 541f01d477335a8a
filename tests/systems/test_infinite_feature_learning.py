"""The limit that learns features: against its equations, against wide networks, its laws, and what is refused."""

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.dynamics.flows import GradientFlowOption
from feature_lazy.kernels import tangent_kernel
from feature_lazy.measure.follow import follow
from feature_lazy.networks.activations import Linear, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.networks.parametrisation import MEAN_FIELD, MUP
from feature_lazy.settings.checks import validate
from feature_lazy.settings.overrides import check_chosen
from feature_lazy.study.laws import laws, readings
from feature_lazy.study.verdict import AGREES, CANNOT_TELL, DIFFERS
from feature_lazy.systems.infinite_feature_learning import claim
from feature_lazy.systems.infinite_feature_learning.limit import InfiniteLinear
from tests.conftest import composed
from tests.study.conftest import sweep
from tests.systems.reference import planted, reference

LINEAR = scaled(Linear())
LAWS = (claim.gap_against_width, claim.change_of_features, claim.change_of_the_limit, claim.change_of_the_lazy)


def trained(net, known, dynamics: Any = "gradient_flow") -> Any:
    """F on the test patterns at the time of the reference."""
    t, train = known["t"], (known["x"], known["y"].flatten())
    found: Any = follow(
        net,
        net.init(0),
        train,
        alpha=known["alpha"],
        test=known["x_test"],
        loss="mse",
        dynamics=dynamics,
        times=[t],
        t_end=t,
    )
    return found.F_test[-1]


@pytest.fixture(scope="module")
def known():
    return reference("infinite_feature_learning")


def test_equals_the_equations_of_means_over_units(known):
    """At a tolerance of 1e-3 the flow is that near, of predictors of about 1."""
    found = trained(InfiniteLinear(4), known, GradientFlowOption(tolerance=1e-3))
    torch.testing.assert_close(found, known["F_test"].flatten(), rtol=0, atol=1e-3)


def test_kernel_is_that_of_means_over_units():
    """Θ = xᵀMx′/d for the first layer of each output, and xᵀx′/d·E vvᵀ for the last: M = UᵀU, E vvᵀ = VVᵀ."""
    net, x = InfiniteLinear(4, 2), torch.linspace(-1, 2, 12).view(3, 4).double()
    u, v = torch.randn(6, 4, dtype=torch.float64), torch.randn(2, 6, dtype=torch.float64)
    theta = tangent_kernel(net, {"U": u[None], "V": v[None]}, x)[0]
    inner = torch.kron(x @ u.mT @ u @ x.mT / 4, torch.eye(2).double()) + torch.kron(x @ x.mT / 4, v @ v.mT)
    torch.testing.assert_close(theta, inner, rtol=1e-12, atol=1e-12)


def test_it_begins_alike_whatever_the_seed():
    net = InfiniteLinear(3, 2)
    one, other = net.init(0), net.init(7)
    assert all(torch.equal(one[name], other[name]) for name in net.layout.shapes)
    assert torch.equal(one["U"].mT @ one["U"], torch.eye(3).double())
    assert torch.equal(one["V"] @ one["V"].mT, torch.eye(2).double())
    assert not (one["V"] @ one["U"]).any()


@pytest.mark.parametrize("rule", [MUP, MEAN_FIELD], ids=["mup", "mean_field"])
def test_wide_networks_come_near_it(known, rule):
    """As h^(−½), in both parametrisations, which are one at L = 1: 0.072 at h = 20 and 0.002 at 4000 as measured."""
    limit = trained(InfiniteLinear(4), known)
    narrow, wide = (
        float((trained(FullyConnected(4, [h], LINEAR, parametrisation=rule), known) - limit).norm() / limit.norm())
        for h in (20, 4000)
    )
    assert wide < 0.01
    assert narrow > 0.03


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("width.h=100", "has no width: it is the limit h = ∞; leave width out"),
        ("activation=relu", "only one linear hidden layer has a closed limit of feature learning"),
        ("parametrisation=ntk", "is the limit of mup, which is mean_field here"),
        ("architecture.depth=2", "architecture=infinite_linear has no key 'depth'"),
    ],
)
def test_what_means_nothing_to_it_is_refused(words, sentence):
    with pytest.raises(ConfigError) as refusal:
        check_chosen(["architecture=infinite_linear", "alpha=raw", words])
    assert sentence in str(refusal.value)


def test_there_is_no_h_to_scale_with():
    with pytest.raises(ConfigError, match="has no h, so no √h·α; use alpha=raw"):
        validate(composed("architecture=infinite_linear"))


def run(kind, parametrisation, change, off, rng, until=60.0) -> Any:
    base = np.array([1.0, 2.0, -1.0])
    direction = rng.standard_normal(3)
    network = {"kind": kind} | ({"depth": 1} if kind == "fully_connected" else {})
    return SimpleNamespace(
        config={"architecture": network, "activation": {"kind": "linear"}, "dataset": {"kind": "digits"}},
        columns={"parametrisation": parametrisation},
        history={"t": np.array([0.0, until])},
        outputs={"F_test": base + off * direction * np.linalg.norm(base) / np.linalg.norm(direction)},
        summary={claim.CHANGE: change},
    )


def table(gap=-0.5, features=0.0, lazy=-1.0, limit=2.0, until=60.0):
    """Networks of three widths in µP and in NTK whose gaps and kernel changes follow these exponents, and the limit."""
    rng, parts = np.random.default_rng(1), []
    for name, exponent in (("mup", features), ("ntk", lazy)):
        found = planted((claim.CHANGE, lambda h, alpha, s=exponent: 2 * (h / 1024) ** s))
        runs = [
            run("fully_connected", name, change, h**gap, rng)
            for h, change in zip(found["h"], found[claim.CHANGE], strict=True)
        ]
        parts.append(found.assign(run=runs))
    last = parts[0].head(1).assign(run=[run("infinite_linear", None, limit, 0.0, rng, until)], h=1)
    return pd.concat([*parts, last], ignore_index=True)


def verdicts(found):
    return [row.verdict for one in LAWS for row in readings(one, found)]


def test_planted_exponents():
    assert verdicts(table()) == [AGREES] * 4
    assert verdicts(table(gap=-0.2, features=-0.5, lazy=-0.3, limit=3.0)) == [DIFFERS] * 4


def test_without_a_limit_of_the_same_task_nothing_is_told():
    assert verdicts(table(until=59.0)) == [CANNOT_TELL] * 4


def test_tasks_are_told_apart():
    one, other = (run("infinite_linear", None, 1.0, 0.0, np.random.default_rng(0)) for _ in range(2))
    assert claim._task(one) == claim._task(other)
    other.config["alpha"] = {"kind": "raw", "value": 3.0}
    assert claim._task(one) != claim._task(other)
    assert json.loads(claim._task(other))[-1] == 60.0


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_other_sweeps_do_not_hear_of_it(law):
    assert law.name not in {row.name for row in laws(sweep())}
