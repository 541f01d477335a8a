"""SGD in a time that widths share, single units across widths, the laws on planted streams, and what is refused."""

import logging
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.losses import Mse
from feature_lazy.dynamics.optimisers import Sgd
from feature_lazy.networks.activations import Erf, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.networks.parametrisation import MEAN_FIELD
from feature_lazy.runs.job import train_config
from feature_lazy.runs.store import Store
from feature_lazy.settings.cells import cells
from feature_lazy.settings.checks import validate
from feature_lazy.study.laws import readings
from feature_lazy.study.verdict import AGREES, DIFFERS
from feature_lazy.systems.propagation_of_chaos import claim
from feature_lazy.systems.propagation_of_chaos.quantity import PARTICLES, WAY
from tests.conftest import TINY
from tests.systems.reference import reference

OWN = ("parametrisation=mean_field", "alpha=raw", "alpha.value=1", "centred=false", "loss=mse", "architecture.depth=1")
JOB = (*TINY, *OWN, "dynamics=sgd", "dynamics.units=article", "dynamics.t_end=4")


def mean_field(h, start, known, depth=1):
    net = FullyConnected(3, [h] * depth, scaled(Erf()), parametrisation=MEAN_FIELD)
    w = torch.tensor(start, dtype=torch.float64)[None] / h**0.5  # once its rate is folded in
    one = torch.ones(1, dtype=torch.float64)
    return NetworkFlow(net, known["x"], known["y"], Mse(), alpha=one, w0=w, centred=False), w


def test_steps_are_those_of_the_recursion_for_units():
    known = reference("propagation_of_chaos")
    keys = {name: known[name] for name in ("lr", "lr_width", "decay", "updates")}
    for run in known["runs"].values():
        flow, w = mean_field(run["h"], run["start"], known)
        training = Sgd(units="article", batch=4, **keys).prepare(flow, w)
        first = torch.zeros(1, dtype=torch.long)
        end = training.system.updates(w, first, first, known["updates"])[0] * run["h"] ** 0.5
        torch.testing.assert_close(end, torch.tensor(run["end"], dtype=torch.float64), rtol=1e-10, atol=1e-12)
        assert float(training.t_end) == pytest.approx(run["t"], rel=1e-12)


def test_a_time_is_a_whole_number_of_updates_and_layers_are_warned_of(caplog):
    known = reference("propagation_of_chaos")
    flow, w = mean_field(20, [0.1] * 80, known)
    training = Sgd(units="article", batch=4, lr=0.2, t_end=3.1).prepare(flow, w)
    assert training.t_end.tolist() == pytest.approx([3.2])
    assert Sgd(units="article", lr=0.2, t_end=3.1, updates=7).at_width(20).updates == 7
    deep, w = mean_field(3, [0.1] * 21, known, depth=2)
    with caplog.at_level(logging.WARNING):
        Sgd(units="article", lr=0.2).prepare(deep, w)
        assert not caplog.records
        Sgd(units="article", lr=0.2, lr_width=0.5).prepare(deep, w)
    assert "dynamics.lr_width=0.5: its limits are proved for one hidden layer alone" in caplog.text


def test_draws_with_replacement_are_of_all_patterns_alike():
    """Of 5 patterns in 4000 draws each comes 800 times, with a standard deviation of 25; an order has no draw twice."""
    x, y = torch.randn(5, 3, dtype=torch.float64), torch.ones(5, dtype=torch.float64)
    flow, w = mean_field(4, [0.1] * 16, {"x": x, "y": y})
    drawn, ordered = (Sgd(batch=5, replacement=one).prepare(flow, w).system for one in (True, False))
    patterns = torch.stack([drawn._patterns(k, w.device) for k in range(800)])
    assert patterns.flatten().bincount(minlength=5).tolist() == pytest.approx([800] * 5, abs=100)
    # Five draws are five different patterns with probability 5!/5⁵ = 0.04.
    assert sum(len(set(row)) == 5 for row in patterns.tolist()) == pytest.approx(31, abs=22)
    assert sorted(ordered._patterns(3, w.device).tolist()) == list(range(5))


def test_ids_of_before_stay(tiny):
    """At their defaults the new keys are no part of an identity; each other value is."""
    before = {one.run_id for one in cells(tiny(*TINY, "dynamics=sgd", "dynamics.units=article"))}
    usual = ["dynamics.lr_width=1", "dynamics.decay=0", "dynamics.t_end=0", "dynamics.replacement=false"]
    job = (*TINY, "dynamics=sgd", "dynamics.units=article")
    assert {one.run_id for one in cells(tiny(*job, *usual))} == before
    [cell] = cells(tiny(*job))
    assert not {"lr_width", "decay", "t_end", "replacement"} & set(cell.description["config"]["dynamics"])
    others = ["dynamics.lr_width=0.5", "dynamics.decay=0.5", "dynamics.t_end=4", "dynamics.replacement=true"]
    assert len({one.run_id for other in others for one in cells(tiny(*job, other))} | before) == 5


def test_units_of_a_seed_are_the_same_at_all_widths(tiny):
    """The first rows of the particles at t = 0, and at the end of a run whose time is short."""
    quick = ("dynamics.t_end=0.01", "dynamics.lr=1e-3", "observe/also=[particles]", "observe.also.particles.first=4")
    ends = []
    for h in (8, 32):
        config = tiny(*JOB, *quick, f"width.h={h}", "architecture.bias=0.1")
        [run_id] = train_config(config)
        run = Store(config.output_dir).load(run_id)
        ends.append(run.outputs[PARTICLES])
        assert 0 < run.history[WAY][-1] < 0.02
        assert run.history["t"][-1] == pytest.approx(0.01)
    assert ends[0].shape == (4, 64 + 2)
    np.testing.assert_allclose(ends[0], ends[1], atol=0.05)  # weights are of order 1
    assert np.std(ends[0][:, :64]) == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("dynamics.lr_width=1.5", "dynamics.lr_width=1.5: must be at most 1"),
        ("dynamics.decay=1", "dynamics.decay=1.0: must be below 1"),
        ("dynamics.units=authors", r"dynamics.t_end=4.0: is of the article's t; set dynamics.units=article"),
        ("dynamics.lr=0.5", "dynamics.t_end=4.0: is reached in 8 updates at h = 8, fewer than 10"),
        ("dynamics.lr=0.9 dynamics.lr_width=0.9", "dynamics.t_end=4.0: is reached in 5.47 updates at h = 8"),
        ("observe/also=[particles] architecture.depth=2", "is of one hidden layer; use architecture=fully_connected"),
        ("observe/also=[particles] labels=classes", "labels=classes has an output for each class"),
    ],
)
def test_refusals(tiny, override, sentence):
    validate(tiny(*JOB))
    with pytest.raises(ConfigError, match=sentence):
        validate(tiny(*JOB, *override.split()))


def runs(power, beta=0.5, decay=0.0, streams=12, kind="mean_field"):
    """Runs whose units and F are apart by a variance ~ h^power over streams."""
    random = np.random.default_rng(0)
    rows = []
    for seed in range(3):
        for h in (16, 64, 256):
            centre = random.standard_normal((4, 10))
            for stream in range(streams):
                apart = h ** (power / 2) * random.standard_normal((2, 4, 10))
                outputs = {PARTICLES: centre + apart[0], "F_test": (centre + apart[1]).ravel()}
                dynamics = {"kind": "sgd", "batch_seed": stream, "lr_width": beta, "decay": decay}
                config = {"dynamics": dynamics, "parametrisation": {"kind": kind}}
                place = {"h": h, "sqrt_h_alpha": h**0.5, "alpha": 1.0, "seed": seed, "outcome": "t_end"}
                run = SimpleNamespace(config=config, outputs=outputs, inputs={})
                rows.append({**place, WAY: 0.5, "test/loss": 0.1, "run": run})
    return pd.DataFrame(rows)


@pytest.mark.parametrize("law", [claim.of_units, claim.of_outputs])
@pytest.mark.parametrize(
    ("power", "beta", "decay", "verdict"),
    [
        (-0.5, 0.5, 0.0, AGREES),
        (-0.5, 0.75, 0.5, AGREES),
        (0.0, 1.0, 0.0, AGREES),
        (-0.5, 1.0, 0.0, DIFFERS),
        (0.0, 0.5, 0.0, DIFFERS),
    ],
)
def test_planted_variances(law, power, beta, decay, verdict):
    [row] = readings(law, runs(power, beta, decay))
    assert row.verdict == verdict
    assert row.estimate.value == pytest.approx(power - (beta - 1) / (1 - decay), abs=0.08)
    assert row.estimate.seeds == 12  # streams
    assert f"β = {beta:g}" in row.where


def test_kinds_are_judged_apart_and_others_are_not():
    both = pd.concat([runs(0.0, 1.0), runs(-0.5, 0.5)], ignore_index=True)
    assert [row.verdict for row in readings(claim.of_units, both)] == [AGREES, AGREES]
    assert not readings(claim.of_units, runs(0.0, 1.0, kind="ntk"))
    assert not readings(claim.of_units, runs(0.0, 1.0, streams=1))


def test_variance_is_unbiased_and_by_weights():
    ends = np.random.default_rng(1).standard_normal((6, 3)) + 5
    found = claim.variance(ends, np.array([[1.0] * 6, [1, 1, 1, 1, 1, 0]]))
    assert found == pytest.approx([ends.var(0, ddof=1).mean(), ends[:5].var(0, ddof=1).mean()])
