"""Sharpness along gradient descent beside what was written out, and the laws of it."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from feature_lazy.data.prepare import Dataset
from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.losses import Mse
from feature_lazy.dynamics.model import NetworkModel
from feature_lazy.measure.moment import Setting
from feature_lazy.measure.observer import Observer
from feature_lazy.measure.quantities.curvature import CurvatureOverTime
from feature_lazy.networks.activations import Erf, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.study.laws import readings
from feature_lazy.study.table import H, X
from feature_lazy.study.verdict import AGREES, CANNOT_TELL, DIFFERS
from feature_lazy.systems.learning_rate_transfer.claim import (
    LOSS,
    SHARPNESS,
    best_rate_against_width,
    sharpening_against_width,
    sharpening_of_the_widest,
    sharpening_over_ntk,
    sharpness_against_width,
)
from tests.measure.observing import columns, moment
from tests.systems.reference import reference


def test_sharpness_equals_what_was_written_out():
    """λ₁(H) of the weights before and after gradient descent, whose Hessian was made by differences of its gradient."""
    known = reference("learning_rate_transfer")
    net = FullyConnected(3, [known["h"]], scaled(Erf()))
    w, alpha = known["weights"], torch.ones(1, dtype=torch.float64)
    flow = NetworkFlow(net, known["x"], known["y"], Mse(), alpha=alpha, w0=w[:1], centred=False)
    moved = w[:1]
    for _ in range(known["updates"]):
        moved = moved + known["lr"] * flow.evaluate(moved, torch.tensor([0]))[0]
    torch.testing.assert_close(moved, w[1:], rtol=1e-9, atol=1e-11)
    stays = Setting(flow, NetworkModel(net), Dataset(known["x"], known["y"], known["x"], known["y"]), w[:1], 4)
    observer = Observer(stays, [], {"curvature": CurvatureOverTime(patterns=4, bottom=True)})
    found = columns(observer.observe(moment(stays, torch.tensor([0, 0]), w)))
    # Of second order in the bound on ‖Hv − λv‖/|λ|, 1e-2.
    torch.testing.assert_close(found[SHARPNESS], known["largest"], rtol=1e-3, atol=0)
    torch.testing.assert_close(found["hessian/lambda_min"], known["smallest"], rtol=1e-3, atol=0)
    exact = moment(stays, torch.tensor([0, 0]), w).curvature(4).hessian_top(1, bottom=True, tolerance=1e-8)
    torch.testing.assert_close(exact, torch.stack([known["largest"], known["smallest"]], 1), rtol=1e-6, atol=0)


def planted(mean_field=(3.0, 0.0), ntk=(1.0, 0.0), best=0.0):
    """Sharpening = factor·h^power in each parametrisation; the loss is least at lr = h^best."""
    random, rows = np.random.default_rng(0), []
    for name, (factor, power) in (("mean_field", mean_field), ("ntk", ntk)):
        for seed in range(5):
            for h in (64, 128, 256):
                size = factor * (h / 128) ** power * np.exp(random.normal(0, 0.01))
                for lr in (0.25, 0.5, 1.0, 2.0, 4.0):
                    loss = 1e-3 * np.exp(np.log(lr / (h / 128) ** best) ** 2 + random.normal(0, 0.02))
                    diverged = lr == 4.0
                    run = SimpleNamespace(
                        history={SHARPNESS: np.array([1.0, size])}, config={"dynamics": {"kind": "sgd", "lr": lr}}
                    )
                    place = {H: h, X: h**0.5, "alpha": 1.0, "seed": seed, "parametrisation": name, "run": run}
                    outcome = "non_finite" if diverged else "t_end"
                    rows.append({**place, "outcome": outcome, SHARPNESS: size, LOSS: np.nan if diverged else loss})
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("law", "table", "verdict"),
    [
        (sharpening_against_width, planted(), AGREES),
        (sharpening_against_width, planted(mean_field=(3, 0.3)), DIFFERS),
        (sharpness_against_width, planted(), AGREES),
        (sharpness_against_width, planted(mean_field=(3, -0.3)), DIFFERS),
        (sharpening_of_the_widest, planted(), AGREES),
        (sharpening_of_the_widest, planted(ntk=(1.0, 0.5)), DIFFERS),
        (sharpening_over_ntk, planted(), AGREES),
        (sharpening_over_ntk, planted(ntk=(2.0, 0.0)), DIFFERS),
        (best_rate_against_width, planted(), AGREES),
        (best_rate_against_width, planted(best=0.5), DIFFERS),
    ],
)
def test_planted(law, table, verdict):
    [row] = readings(law, table)
    assert row.verdict == verdict


def test_one_parametrisation_is_no_verdict():
    table = planted()
    [row] = readings(sharpening_over_ntk, table[table["parametrisation"] == "ntk"])
    assert row.verdict == CANNOT_TELL
