"""Rank correlation over networks: τ against SciPy's, its error, what a network is, and the command."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

from feature_lazy.core.errors import StoreError
from feature_lazy.launch.commands import main
from feature_lazy.runs.job import train_config
from feature_lazy.study.ranking import at_time, by_network, kendall, rank_correlation, rank_table
from tests.conftest import TINY


def drawn(n=20, ties=False):
    random = np.random.default_rng(3)
    x, y = random.standard_normal((2, n))
    y = x + y
    return (np.round(x), np.round(y)) if ties else (x, y)


@pytest.mark.parametrize("ties", [False, True])
def test_tau_is_scipys_of_the_points_as_often_as_they_count(ties):
    x, y = drawn(ties=ties)
    often = np.random.default_rng(0).integers(0, 4, size=(6, len(x)))
    expected = [kendalltau(np.repeat(x, one), np.repeat(y, one)).statistic for one in often]
    assert kendall(x, y, often.astype(float)) == pytest.approx(expected, abs=1e-14)


def test_equal_values_have_no_order():
    assert np.isnan(kendall(np.ones(4), np.arange(4.0), np.ones((1, 4)))).all()


def networks(by, against, seeds=2, noise=0.0):
    """A run for each network and seed, whose values scatter about the network's."""
    random = np.random.default_rng(1)
    rows = [
        {
            "run": SimpleNamespace(
                config={"width": {"h": place}, "seed": {"value": seed}, "observe": {"every": seed}},
                history={"t": np.array([0.0, 2.0, 4.0]), "early": one + noise * random.standard_normal(3)},
            ),
            "early": one + noise * random.standard_normal(),
            "late": other,
            "name": "text",
        }
        for place, (one, other) in enumerate(zip(by, against, strict=True))
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows)


def test_a_network_is_the_mean_over_its_seeds_and_the_unit_that_is_resampled():
    x, y = drawn()
    table = networks(x, y, seeds=3, noise=1e-9)
    assert len(by_network(table, ["early", "late"])) == len(x)
    found = rank_correlation(table, "early", "late")
    assert found.seeds == len(x)
    assert found.value == pytest.approx(kendalltau(x, y).statistic)
    # Of independent points τ scatters by √(2(2n + 5)/(9n(n − 1))) = 0.16 for n = 20, with a correlation by less.
    assert 0.1 < found.error < 0.4
    assert rank_correlation(table, "early", "late") == found
    assert rank_correlation(networks(x[:2], y[:2]), "early", "late") is None


def test_the_error_holds_the_true_tau():
    """Bivariate Gaussian, τ = 2 arcsin(ρ)/π: 95 % intervals over 20 networks, in 200 draws; 5 σ of a binomial below."""
    random, rho, n = np.random.default_rng(5), 0.6, 20
    true, hits = 2 * np.arcsin(rho) / np.pi, 0
    for _ in range(200):
        x = random.standard_normal(n)
        y = rho * x + np.sqrt(1 - rho**2) * random.standard_normal(n)
        one = rank_correlation(networks(x, y, seeds=1), "early", "late")
        hits += abs(one.value - true) <= one.error
    assert hits / 200 > 0.95 - 5 * np.sqrt(0.95 * 0.05 / 200)


def test_at_a_time_is_between_observations_and_after_the_end_the_last_value():
    run = SimpleNamespace(history={"t": np.array([0.0, 2.0, 4.0]), "a": np.array([1.0, np.nan, 3.0])})
    table = pd.DataFrame({"run": [run, SimpleNamespace(history={"t": np.array([0.0])})]})
    found = [at_time(table, "a", t).tolist() for t in (0, 1, 9)]
    assert [one[0] for one in found] == [1.0, 1.5, 3.0]
    assert np.isnan([one[1] for one in found]).all()


def test_what_no_run_has_is_named():
    table = networks(*drawn())
    for column in ("kernel/lag", "name"):
        with pytest.raises(StoreError, match=f"No run has a number '{column}'; there are early, late"):
            rank_table(table, [column], "late")
    with pytest.raises(StoreError, match="No run has a number 'no'"):
        rank_table(table, ["early"], "no")
    with pytest.raises(StoreError, match="fewer than 3 networks have both"):
        rank_table(networks([1, 2], [1, 2], seeds=5), ["early"], "late", [0.0])


def test_command(tiny, tmp_path, capsys):
    root = f"output_dir={tmp_path}"
    for width in (2, 3, 4):
        train_config(tiny(*TINY, root, f"width.h={width}", "dynamics.max_steps=3", "dynamics.t_end=0.1"))
    assert main(["rank", str(tmp_path), "--by", "kernel/lga", "kernel/norm", "--at", "0", "0.01"]) == 0
    shown = capsys.readouterr().out
    assert "Kendall's τ with test/error at the end" in shown
    rows = [line.split("│")[1:-1] for line in shown.splitlines() if "kernel/" in line]
    assert [[cell.strip() for cell in row[:2]] for row in rows] == [
        [name, t] for name in ("kernel/lga", "kernel/norm") for t in ("0", "0.01")
    ]
    assert all(row[3].strip() == "3" for row in rows)
    assert main(["rank", str(tmp_path), "--by", "kernel/lag"]) == 1
    assert "No run has a number 'kernel/lag'" in capsys.readouterr().err
