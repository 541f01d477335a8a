"""Tuned strengths beside closed forms, the laws on planted grids, what is recorded, and what is refused."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.losses import SquaredError
from feature_lazy.dynamics.regularisers import Distance
from feature_lazy.networks.activations import Erf, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.networks.layout import partly
from feature_lazy.runs.job import train_config
from feature_lazy.runs.store import Store
from feature_lazy.settings.checks import validate
from feature_lazy.study.laws import readings
from feature_lazy.study.verdict import AGREES, CANNOT_TELL, DIFFERS
from feature_lazy.systems.self_tuning import claim
from feature_lazy.systems.self_tuning.option import SelfTuning
from tests.conftest import TINY
from tests.systems.reference import reference

JOB = (*TINY, "dynamics=self_tuning", "loss=mse", "regulariser=distance", "dataset.n_valid=20", "alpha.value=100")


def ridge(known, strength):
    """The flow of the last weights alone, whose end is ridge regression, with that of the validation loss."""
    net = partly(FullyConnected(known["x_train"].shape[1], [known["h"]], scaled(Erf())), ["last"])
    shared = {"alpha": torch.full((1,), known["alpha"]).double(), "w0": known["weights"][None]}
    flow, valid = (
        NetworkFlow(net, known[f"x_{part}"], known[f"y_{part}"], SquaredError(), regulariser=own, **shared)
        for part, own in (("train", Distance(strength)), ("valid", None))
    )
    flow.valid = valid
    return flow, known["weights"][None]


@pytest.mark.parametrize("start", [1e-3, 0.3])
def test_ends_at_the_optimum_of_ridge_regression_and_knows_how_its_weights_answer(start):
    known = reference("self_tuning")
    flow, w0 = ridge(known, start)
    training = SelfTuning(lr=1.0, tune_lr=8.0, updates=1800, entropy=1e-4).prepare(flow, w0)
    first, system = torch.zeros(1, dtype=torch.long), training.system
    y = system.updates(training.y0, first, first, 1800)
    # ln λ as an independent calculation of self-tuning has it: within 0.035.
    assert float(system.told(y)["hyper/strength"].log()) == pytest.approx(known["log_strength"], abs=0.05)
    n, last = w0.shape[1], known["h"]
    way, answer = system.weights(y)[0, -last:] - w0[0, -last:], y[0, n : 2 * n][-last:]
    loss = (flow.valid.outputs(system.weights(y), first) - known["y_valid"]).square().mean() / 2
    assert float(loss) == pytest.approx(known["valid_loss"], rel=1e-3)
    assert float((way - known["way"]).norm() / known["way"].norm()) < 0.05
    # The same calculation has cosines of 0.9976 and more.
    assert float(torch.nn.functional.cosine_similarity(answer, known["answer"], dim=0)) > 0.9976
    assert float(answer.norm() / known["answer"].norm()) == pytest.approx(1, abs=0.1)
    assert torch.equal(y[0, n : 2 * n][:-last], torch.zeros(n - last).double())  # weights that stay do not answer


def test_the_spread_is_where_entropy_balances_the_bend():
    """σ² times the second derivative of the validation loss over ln λ, along the answer, is τ."""
    known = reference("self_tuning")
    flow, w0 = ridge(known, 0.02)
    entropy = 2e-3
    training = SelfTuning(lr=1.0, tune_lr=8.0, updates=1200, entropy=entropy).prepare(flow, w0)
    first, system = torch.zeros(1, dtype=torch.long), training.system
    y = system.updates(training.y0, first, first, 1200)
    w, v, sigma = system.weights(y), y[:, w0.shape[1] : -2], float(system.told(y)["hyper/scale"])

    def loss(eps):
        return float((flow.valid.outputs(w + eps * v, first) - known["y_valid"]).square().mean() / 2)

    bend = (loss(0.1) - 2 * loss(0) + loss(-0.1)) / 0.01
    assert 0 < sigma < 0.5
    assert sigma**2 * bend == pytest.approx(entropy, rel=0.02)
    still = SelfTuning(lr=1.0, updates=100, entropy=0.0, scale=0.3).prepare(flow, w0)
    y = still.system.updates(still.y0, first, first, 100)
    assert float(still.system.told(y)["hyper/scale"]) == pytest.approx(0.3)


def test_updates_in_blocks_are_updates_and_weights_go_along_with_strength():
    known = reference("self_tuning")
    flow, w0 = ridge(known, 0.1)
    training = SelfTuning(lr=1.0, tune_lr=10.0, train_steps=4, scale=0.2).prepare(flow, w0)
    first, system = torch.zeros(1, dtype=torch.long), training.system
    whole = system.updates(training.y0, first, first, 12)
    parts = system.updates(system.updates(training.y0, first, first, 7), first, first + 7, 5)
    torch.testing.assert_close(parts, whole, rtol=0, atol=0)
    # λ moves with every fourth update, by v along the answer.
    n, before = w0.shape[1], system.updates(training.y0, first, first, 11)
    assert before[0, -2] == system.updates(training.y0, first, first, 8)[0, -2]
    w, v = system._trained(before[:, :n], before[:, n : 2 * n], before[:, -2:-1], before[:, -1:], first)
    step = whole[:, -2:-1] - before[:, -2:-1]
    assert float(step.abs()) > 0
    torch.testing.assert_close(system.weights(whole), w + step * v)


def test_strength_stays_where_updates_are_stable():
    """Validation labels of the other sign ask for ever more of R."""
    known = reference("self_tuning")
    known["y_valid"] = -known["y_valid"]
    flow, w0 = ridge(known, 0.3)
    training = SelfTuning(lr=1.0, tune_lr=50.0, updates=200, entropy=0.0).prepare(flow, w0)
    first = torch.zeros(1, dtype=torch.long)
    y = training.system.updates(training.y0, first, first, 200)
    assert float(training.system.told(y)["hyper/strength"]) == pytest.approx(math.exp(-0.5))
    assert bool(y.isfinite().all())


def test_hyperparameters_are_recorded_and_those_of_others_are_not(tiny):
    config = tiny(*JOB, "dynamics.updates=50", "dynamics.check_every=10", "dynamics.tune_lr=10")
    [run_id] = train_config(config)
    run = Store(config.output_dir).load(run_id)
    strength = run.history["hyper/strength"]
    assert strength[0] == pytest.approx(0.01)
    assert strength[-1] != strength[0]
    assert run.summary["hyper/strength"] == strength[-1]
    assert run.history["hyper/scale"][0] == 0.5
    assert run.history["t"][-1] == pytest.approx(5)
    assert run.summary["outcome"] == "t_end"
    plain = tiny(*TINY, "dynamics=sgd", "dynamics.updates=5")
    [run_id] = train_config(plain)
    assert not [name for name in Store(plain.output_dir).load(run_id).history if name.startswith("hyper")]


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("dataset.n_valid=0", "there is no validation set to tune on; set dataset.n_valid"),
        ("regulariser=none", "the loss does not depend on it with regulariser=none; use regulariser=distance"),
        ("dynamics.tune=[]", "names nothing to tune"),
        ("dynamics.tune=[width]", r"dynamics.tune=width: must be strength"),
        ("dynamics.lr=10 regulariser.strength=0.1", "times regulariser.strength=0.1 must be below 1"),
        ("loss=hinge", "loss=hinge has kinks, where an answer jumps"),
    ],
)
def test_refusals(tiny, override, sentence):
    validate(tiny(*JOB))
    with pytest.raises(ConfigError, match=sentence):
        validate(tiny(*JOB, *override.split()))


def test_refusals_in_python():
    known = reference("self_tuning")
    flow, w0 = ridge(known, 0.1)
    flow.valid = None
    with pytest.raises(ConfigError, match="no validation set"):
        SelfTuning().prepare(flow, w0)
    flow.penalty = None
    with pytest.raises(ConfigError, match="no regulariser whose strength"):
        SelfTuning().prepare(flow, w0)


def runs(off, start=0.01, worse=1.0, grid=(0.01, 0.02, 0.04, 0.08, 0.16)):
    """A grid whose loss is least at λ = 0.05, and runs that end at ln λ larger by ``off``."""
    random = np.random.default_rng(0)
    rows = []

    def loss(eta):
        return 0.5 + 0.05 * (eta - math.log(0.05)) ** 2

    for seed in range(5):
        luck = 1 + 0.01 * random.normal()
        place = {"h": 100, "sqrt_h_alpha": 100.0, "alpha": 10.0, "seed": seed, "outcome": "t_end"}
        ends = [("gradient_flow", strength, float("nan"), loss(math.log(strength))) for strength in grid]
        eta = math.log(0.05) + off + 0.01 * random.normal()
        ends.append(("self_tuning", start, math.exp(eta), worse * loss(eta)))
        for kind, strength, tuned, valid in ends:
            config = {"dynamics": {"kind": kind}, "regulariser": {"kind": "distance", "strength": strength}}
            run = SimpleNamespace(config=config, inputs={})
            rows.append({**place, claim.STRENGTH: tuned, claim.LOSS: luck * valid, "run": run})
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("law", "table", "verdict"),
    [
        (claim.at_optimum, runs(0.1), AGREES),
        (claim.at_optimum, runs(-0.5), DIFFERS),
        (claim.at_optimum, runs(0.1, grid=(0.01, 0.02, 0.04)), CANNOT_TELL),
        (claim.as_good_as_a_grid, runs(0.1), AGREES),
        (claim.as_good_as_a_grid, runs(0.1, worse=1.05), DIFFERS),
        (claim.better_than_the_start, runs(0.1), AGREES),
        (claim.better_than_the_start, runs(0.1, worse=1.5), DIFFERS),
        (claim.better_than_the_start, runs(0.1, start=0.015), CANNOT_TELL),
    ],
)
def test_planted_grids(law, table, verdict):
    [row] = readings(law, table)
    assert row.verdict == verdict
    assert "from λ = 0.01" in row.where


def test_an_optimum_is_that_of_a_parabola_and_within():
    logs = np.log([0.01, 0.02, 0.04, 0.08])
    assert claim.optimum(logs, (logs - math.log(0.03)) ** 2) == pytest.approx(math.log(0.03))
    assert math.isnan(claim.optimum(logs, logs))
    assert math.isnan(claim.optimum(logs[:0], logs[:0]))
    # A grid of another seed is no grid of this one.
    table = runs(0.1)
    table.loc[table[claim.STRENGTH].notna(), "seed"] += 5
    [row] = readings(claim.at_optimum, table)
    assert row.verdict == CANNOT_TELL
