"""Grokking: the flow to a quadratic function, and what its laws say of planted courses."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from feature_lazy.dynamics.flows import GradientFlowOption
from feature_lazy.dynamics.losses import SquaredError
from feature_lazy.measure.follow import follow
from feature_lazy.networks.activations import Perturbed, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.study.delay import with_delay
from feature_lazy.study.laws import laws, readings
from feature_lazy.study.verdict import AGREES, CANNOT_TELL, DIFFERS
from feature_lazy.systems.grokking import claim
from tests.study.conftest import sweep
from tests.systems.reference import reference


def test_equals_a_flow_that_was_integrated_apart():
    known = reference("grokking")
    h, x, y = known["h"], known["x_train"], known["y_train"]
    net = FullyConnected(4, [h], scaled(Perturbed(known["eps"], scale="none")), readout="ones")
    weights = {"W0": known["weights"].reshape(h, 4), "W1": torch.ones(1, h).double()}
    times = np.unique([*known["times"].tolist(), *np.geomspace(0.05, 100, 60)])
    run = follow(
        net,
        weights,
        (x, y),
        alpha=known["alpha"],
        test=known["x_test"],
        loss=SquaredError(1e-9),
        dynamics=GradientFlowOption(tolerance=1e-5),
        times=times,
        t_end=100.0,
    )
    places = [int((run.t - t).abs().argmin()) for t in known["times"]]
    # Steps are good to 1e-5 of their change, of outputs of order 1.
    torch.testing.assert_close(run.F_test[places], known["F_test"], rtol=0, atol=1e-3)
    losses = {"train/loss": (run.F_train - y).square().mean(1) / 2, "test/loss": 0 * run.t + 1}
    history = {"t": run.t.numpy(), **{name: values.numpy() for name, values in losses.items()}}
    one = SimpleNamespace(
        history=history, outputs={"y_test": known["y_test"].numpy()}, config={"loss": {"kind": "mse"}}
    )
    # Linear in ln t between times that are a factor 1.14 apart.
    assert with_delay(pd.DataFrame({"run": [one]}))["t_fit"].item() == pytest.approx(known["t_fit"], rel=0.01)


T = np.geomspace(1, 1e6, 61)
Y = np.random.default_rng(0).standard_normal(400) ** 2 / 2


def planted(fit, generalise, *, end=lambda x: 0.0, linear=0.97, seeds=5, weights=True):
    """Runs whose losses fall through a tenth at these functions of √h·α, the linearised ones to ``linear``."""
    random, rows, unit = np.random.default_rng(3), [], Y.var() / 2
    for dynamics in ("gradient_flow", "frozen_kernel"):
        for centred in (True, False):
            for x in (0.25, 1.0, 4.0, 25.0, 100.0):
                for seed in range(seeds):
                    luck = np.exp(random.normal(0, 0.03))
                    train = 1 / (1 + 9 * (T / (fit(x) * luck)) ** 2)
                    last = linear + 0.02 * random.standard_normal() if dynamics == "frozen_kernel" else end(x)
                    test = last + (1 - last) / (1 + 9 * (T / (generalise(x) * luck)) ** 2)
                    history = {"t": T, "train/loss": unit * train, "test/loss": unit * test}
                    config = {
                        "dataset": {"kind": "quadratic"},
                        "labels": {"kind": "regression"},
                        "loss": {"kind": "mse"},
                        "dynamics": {"kind": dynamics},
                        "centred": centred,
                    }
                    w = random.standard_normal((50, 3)) + (np.outer(random.standard_normal(50), [20, 0, 0]))
                    run = SimpleNamespace(
                        history=history,
                        outputs={"y_test": Y},
                        config=config,
                        weight_numbers=[0, 60] if weights else [],
                        weights=lambda place, w=w: {"W0": w},
                    )
                    row = {"h": 100, "sqrt_h_alpha": x, "alpha": x / 10, "seed": seed, "outcome": "t_end", "run": run}
                    rows.append({**row, "t": T[-1], "train/loss": unit * train[-1], "test/loss": unit * test[-1]})
    return pd.DataFrame(rows)


def verdict(law, table):
    [row] = readings(law, table)
    return row.verdict


GROKS = planted(lambda x: 300 * min(x, 25), lambda x: 8000 * x**1.1, end=lambda x: 0.0 if x < 10 else 0.8)
NEVER = planted(lambda x: 300 * x, lambda x: 50 * x, end=lambda x: 0.4, linear=0.3, weights=False)
LAWS = (
    *(claim.delay, claim.unlearnt_at_fit, claim.learnt_at_end, claim.linearised, claim.linearised_half),
    *(claim.lazy_end, claim.later, claim.fit_when_lazy),
)


@pytest.mark.parametrize("law", [*LAWS, claim.found_direction], ids=lambda law: law.name)
def test_planted_grokking_agrees(law):
    assert verdict(law, GROKS) == AGREES


@pytest.mark.parametrize(
    "law", [law for law in LAWS if law not in (claim.delay, claim.later)], ids=lambda law: law.name
)
def test_planted_learning_at_once_differs(law):
    assert verdict(law, NEVER) == DIFFERS


def test_what_has_not_generalised_is_a_bound_and_no_value():
    """A delay that is only bounded may be told to be above 0; an exponent of times that were not reached may not."""
    assert verdict(claim.delay, NEVER) == AGREES
    [row] = readings(claim.later, NEVER)
    assert row.verdict == CANNOT_TELL
    assert "whose test loss falls to a tenth" in row.measured
    assert verdict(claim.found_direction, NEVER) == CANNOT_TELL
    at_once = planted(lambda x: 300 * x, lambda x: 50 * x)
    assert verdict(claim.delay, at_once) == DIFFERS
    assert verdict(claim.later, planted(lambda x: 30 * x, lambda x: 300 * x**0.5)) == DIFFERS


def test_sets_of_patterns_are_counted_where_there_are_several():
    """Networks of one set that agree say little of others."""
    one = planted(lambda x: 300 * x, lambda x: 8000 * x)
    rows = []
    for number, level in enumerate(np.random.default_rng(1).normal(0.97, 0.3, 6)):
        part = planted(lambda x: 300 * x, lambda x: 8000 * x, linear=level)
        for run in part["run"]:
            run.config["dataset"]["seed"] = number
        rows.append(part)
    assert verdict(claim.linearised, one) == AGREES
    [row] = readings(claim.linearised, pd.concat(rows, ignore_index=True))
    assert row.verdict == CANNOT_TELL
    assert row.estimate.seeds == 6


def test_other_sweeps_do_not_hear_of_it():
    assert not {law.name for law in LAWS} & {row.name for row in laws(sweep())}
