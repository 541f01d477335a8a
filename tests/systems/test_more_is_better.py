"""More is better: laws on runs whose errors are planted, and networks of random features beside ridge regression."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from feature_lazy.kernels import kernel_regression, tangent_kernel
from feature_lazy.kernels.omniscient import risk, unseen
from feature_lazy.runs.batch import build
from feature_lazy.runs.job import train_config
from feature_lazy.study.laws import laws, readings
from feature_lazy.study.learning_curve import Population
from feature_lazy.study.table import H
from feature_lazy.study.verdict import AGREES, DIFFERS
from feature_lazy.systems.more_is_better import claim
from tests.conftest import TINY
from tests.study.conftest import sweep

N, P, STRENGTH = 256, 12, 0.1


def kernel(random, power=1.5):
    """A kernel of Gaussian patterns, and a target of all of its modes."""
    x = random.standard_normal((N, 400)) * np.arange(1, 401) ** (-power / 2)
    return x @ x.T, x @ random.choice([-1.0, 1.0], 400)


def planted(factor=1.0, noise=0.0, splits=4):
    """Runs of two kinds at two widths; test losses are theory's times a factor, and the end's kernel is y's own."""
    random, rows = np.random.default_rng(0), []
    for split in range(splits):
        theta, y = kernel(random)
        better = theta + np.outer(y, y) / 4
        config = {
            "dataset": {"seed": split},
            "loss": {"kind": "mse"},
            "regulariser": {"kind": "distance", "strength": STRENGTH},
            "activation": {},
            "architecture": {},
        }
        noisy = y + noise * random.standard_normal(N)
        outputs = {"theta_start": theta, "theta_end": better, "y_test": noisy}
        for h in (4, 64):
            for train in (["all"], ["last"]):
                own = {**config, "dynamics": {"train": train} if train != ["all"] else {}}
                columns = {"seed": 0, "P": P, "L": 1, H: h}
                run = SimpleNamespace(path=Path(f"{factor}-{noise}-{split}-{h}-{train}"), config=own, columns=columns)
                run.outputs, run.population = outputs, Population.of(theta, y)
                rows.append({**columns, "outcome": "t_end", claim.CHANGE: 1.0, claim.LOSS: 1.0, "run": run})
    return pd.DataFrame(rows)


def read(law, table):
    [row] = readings(law, table)
    return row


@pytest.fixture
def with_losses(monkeypatch):
    """Give random features the loss that theory says, times a factor."""
    claim._limits.clear()
    monkeypatch.setattr(claim, "limit", lambda run, which, whole: run.population)

    def made(factor):
        table = planted()
        for run in table["run"]:
            run.summary = {"test/loss": factor * claim.predicted(run) / 2}
        return table

    yield made
    claim._limits.clear()


@pytest.mark.parametrize("law", [claim.at_start, claim.at_end])
def test_planted_kernels(law):
    row = read(law, planted())
    assert row.verdict == AGREES
    assert row.paper == "2311.14646"


def test_kernels_at_other_errors_than_their_spectra_say(monkeypatch):
    errors = claim._errors
    monkeypatch.setattr(claim, "_curves", {})
    monkeypatch.setattr(claim, "_errors", lambda *given: [1.3 * error for error in errors(*given)])
    assert read(claim.at_start, planted()).verdict == DIFFERS


def test_a_kernel_that_knows_more_of_the_target_is_better():
    row = read(claim.learnt, planted())
    assert row.verdict == AGREES
    assert row.estimate.value > 0.2


@pytest.mark.parametrize("law", [claim.few, claim.many])
@pytest.mark.parametrize(("factor", "verdict"), [(1.0, AGREES), (1.2, DIFFERS), (0.8, DIFFERS)])
def test_planted_random_features(law, factor, verdict, with_losses):
    row = read(law, with_losses(factor))
    assert row.verdict == verdict
    assert row.estimate.value == pytest.approx(factor)


def test_theory_is_told_the_ridge_that_a_penalty_makes(with_losses):
    """δ = λP, whose regression the test below holds a trained network to."""
    run = with_losses(1.0)["run"].iloc[1]
    one = run.population
    expected = unseen(risk(one.eigenvalues, one.coefficients, P, k=4, ridge=STRENGTH * P), P, N)
    assert claim.predicted(run) == pytest.approx(expected)


def test_more_features_are_better(with_losses):
    assert read(claim.better, with_losses(1.0)).verdict == AGREES


def test_the_output_layer_alone_under_a_penalty_is_ridge_regression(tiny, store):
    """δ = λP, for any α and without f₀: what theory of random features is told of a trained network."""
    words = [*TINY, "loss=mse", "dynamics.train=[last]", "regulariser=distance", "regulariser.strength=0.01"]
    config = tiny(*words, "regulariser.tol=1e-7", "dynamics.tolerance=1e-4", "alpha.value=3")
    [run_id] = train_config(config)
    run, batch = store.load(run_id), build(config)
    weights = {name: weight[None] for name, weight in batch.architecture.init(0).items()}
    data = batch.dataset
    own, onto = (tangent_kernel(batch.architecture, weights, *x) for x in ([data.x_train], [data.x_test, data.x_train]))
    ridge = 0.01 * len(data.y_train) / float(own[0].diagonal().mean())
    expected = kernel_regression(own, onto, data.y_train, ridge=ridge)[0].numpy()
    # The flow is followed to 1e-4 and ends at 1e-7 of the penalty.
    np.testing.assert_allclose(run.outputs["F_test"], expected, atol=1e-3)


def test_other_sweeps_do_not_hear_of_it():
    table = sweep()
    assert claim.few.name not in {row.name for row in laws(table)}
    assert "needs the column test/loss" in readings(claim.few, table)[0].measured
