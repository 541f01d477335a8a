"""The largest eigenvalue on batches beside what was written out, and the laws of it."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from feature_lazy.dynamics.losses import Mse
from feature_lazy.kernels.curvature import Curvature
from feature_lazy.networks.activations import Erf, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.study.laws import readings
from feature_lazy.study.table import H, X
from feature_lazy.study.verdict import AGREES, CANNOT_TELL, DIFFERS
from feature_lazy.systems.batch_size.claim import (
    LARGEST,
    LOSS,
    SHIFT,
    TRACE,
    shift_against_batch,
    shift_over_second_order,
    stable_on_all,
    stable_rates,
    stable_when_large,
    stable_when_small,
)
from tests.systems.reference import reference


def test_second_order_equals_what_was_written_out():
    known = reference("batch_size")
    net, w = FullyConnected(3, [known["h"]], scaled(Erf())), known["weights"][None]
    x, y = known["x"], torch.ones(len(known["x"]), dtype=torch.float64)
    one = Curvature(net, w, x, y, Mse(), torch.ones(1).double(), torch.zeros(1, len(x)).double())
    assert float(one.ggn_top(1)) == pytest.approx(known["largest"], rel=1e-10)
    assert float(one.batch_shift()) == pytest.approx(known["shift"], rel=1e-9)


def planted(power=1.0, factor=1.0, batches=(8, 16, 32, 64), patterns=512):
    """λ₁(B) = 0.4 + factor·2·(1/B − 1/P)^power, with 2 as what second order has for it."""
    random, rows = np.random.default_rng(0), []
    for seed in range(5):
        history = {LARGEST: np.array([0.4, 9.0]), SHIFT: np.array([2.0, 9.0])}
        for size in batches:
            value = factor * 2 * (1 / size - 1 / patterns) ** power * np.exp(random.normal(0, 0.02))
            history[f"ggn/batch_{size}"] = np.array([0.4 + value, 9.0])
        also = {"curvature": {"patterns": patterns, "batches": list(batches)}}
        run = SimpleNamespace(history=history, manifest={"resolved": {"observe": {"also": also}}})
        place = {H: 100, X: 100.0, "alpha": 10.0, "seed": seed, "outcome": "t_end"}
        rows.append({**place, LARGEST: 9.0, SHIFT: 9.0, "run": run})
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("law", "table", "verdict"),
    [
        (shift_against_batch, planted(), AGREES),
        (shift_against_batch, planted(power=0.5), DIFFERS),
        (shift_over_second_order, planted(), AGREES),
        (shift_over_second_order, planted(factor=1.3), DIFFERS),
        (shift_against_batch, planted(patterns=100), CANNOT_TELL),  # only 8 is up to an eighth of them
        (shift_over_second_order, planted(batches=(8,)), CANNOT_TELL),
    ],
)
def test_planted(law, table, verdict):
    [row] = readings(law, table)
    assert row.verdict == verdict


def trained(edge, batches=(1, 4, 160, 512), seeds=5):
    """Runs of SGD that bring the loss down up to edge(B), one in ten away from it, and end in infinity far above."""
    random, rows = np.random.default_rng(0), []
    for seed in range(seeds):
        luck = np.exp(random.normal(0, 0.02))
        for size in batches:
            for rate in edge(size) * luck * 1.05 ** np.arange(-3.3, 4.7):
                down = rate < edge(size) * luck
                history = {LOSS: np.array([0.5, 0.1 if down else 0.7])}
                if size == max(batches):
                    history |= {LARGEST: np.array([2 / 30, 1.0]), TRACE: np.array([36 * 2 / 30, 1.0])}
                outcome = "t_end" if rate < 1.1 * edge(size) else "non_finite"
                config = {"dynamics": {"kind": "sgd", "units": "article", "batch": size, "lr": rate}}
                run = SimpleNamespace(history=history, config=config, summary={"outcome": outcome})
                place = {H: 50, X: 100.0, "alpha": 10.0, "seed": seed, "outcome": outcome}
                rows.append({**place, **dict.fromkeys((LOSS, LARGEST, TRACE), 1.0), "run": run})
    return pd.DataFrame(rows)


def mean_square(size):
    return 2 / (2 / 30 * (1 + 36 * (1 / size - 1 / 512)))


@pytest.mark.parametrize(
    ("law", "table", "verdict"),
    [
        (stable_when_small, trained(mean_square), AGREES),
        (stable_when_small, trained(lambda size: size**0.5), DIFFERS),
        (stable_when_large, trained(mean_square), AGREES),
        (stable_when_large, trained(lambda size: size**0.5), DIFFERS),
        (stable_on_all, trained(mean_square), AGREES),
        (stable_on_all, trained(lambda size: 1.3 * mean_square(size)), DIFFERS),
        (stable_when_small, trained(mean_square, batches=(1, 512)), CANNOT_TELL),
    ],
)
def test_planted_stable_rates(law, table, verdict):
    [row] = readings(law, table)
    assert row.verdict == verdict


def test_a_stable_rate_lies_between_two_that_were_tried():
    """Half way; none where all rates, or not even the lowest, bring the loss down."""
    rows, scale = stable_rates(trained(mean_square))
    assert scale == pytest.approx(36)
    assert rows["stable"].to_numpy() == pytest.approx([mean_square(size) for size in rows["B"]], rel=0.06)
    table = trained(mean_square)
    rates = np.array([run.config["dynamics"]["lr"] for run in table["run"]])
    edges = np.array([mean_square(run.config["dynamics"]["batch"]) for run in table["run"]])
    for part in (table[rates < 0.9 * edges], table[rates > 1.1 * edges]):
        assert stable_rates(part)[0]["stable"].isna().all()
