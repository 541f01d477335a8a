"""Kernels that learn beside networks that do: the baseline, planted verdicts, the laws on stored runs, and refusals."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from feature_lazy.kernels import cka
from feature_lazy.networks.limits.limit import limit_kernels
from feature_lazy.runs.batch import build
from feature_lazy.runs.sweep import load_sweep
from feature_lazy.runs.train import run
from feature_lazy.study.baselines.compute import Bench
from feature_lazy.study.baselines.dkm import DeepKernelMachine
from feature_lazy.study.baselines.krr import RidgeRegression
from feature_lazy.study.laws import readings
from feature_lazy.study.table import X, with_runs
from feature_lazy.study.verdict import AGREES, CANNOT_TELL, DIFFERS
from feature_lazy.systems.deep_kernel_machines import claim
from tests.conftest import QUICK, TINY, composed

JOB = (*TINY, *QUICK, "loss=mse", "activation=erf", "dynamics.t_end=0.3", "observe.kernel.probe=0")
LAWS = (claim.against_nu, claim.aligned, claim.networks_aligned, claim.alike)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Two splits at two values of √h·α."""
    folder = tmp_path_factory.mktemp("machines")
    for seed in (0, 1):
        for alpha in ("alpha.value=0.3", "alpha.value=30"):
            more = (alpha, "alpha=rescaled", f"dataset.seed={seed}", "observe.weights=ends")
            run(build(composed(*JOB, *more, f"output_dir={folder}")))
    return with_runs(load_sweep(folder))


def of_kernel(run, baseline, kernel="infinite_nngp", limit=None):
    bench = Bench(None, limit)
    found = bench.beside([run], [baseline], [kernel])
    return found[0].found if found else " ".join(bench.problems)


def test_baseline_is_regression_where_nothing_is_learnt_and_more_aligned_where_it_is(stored):
    one = stored["run"][0]
    none, much = (of_kernel(one, DeepKernelMachine(nu=nu)) for nu in (float("inf"), 3.0))
    expected = of_kernel(one, RidgeRegression(ridge=1e-2)).arrays["F_test"]
    np.testing.assert_allclose(none.arrays["F_test"], expected, rtol=1e-8, atol=1e-9)
    assert none.scalars["change"] == 0
    assert much.scalars["change"] > 0.1
    assert much.scalars["alignment"] > none.scalars["alignment"] + 0.1
    assert not np.allclose(much.arrays["F_test"], expected, atol=0.01)


def test_classes(tmp_path):
    job = ("labels=classes", "dataset.classes=[0,1,2,3]", "dynamics.t_end=0.1", f"output_dir={tmp_path}")
    [one] = run(build(composed(*JOB, *job)))
    assert of_kernel(one, DeepKernelMachine(nu=30.0)).arrays["F_test"].shape == (20, 4)


def test_features_are_those_of_the_last_hidden_layer(stored):
    """φφᵀ/h, written out from the stored weights."""
    one = stored["run"][0]
    batch, weights = build(composed(*JOB, "alpha.value=0.3", "alpha=rescaled")), one.weights(-1)
    z = batch.dataset.x_train.numpy()
    for name in ("W0", "W1"):
        w = weights[name].reshape(8, -1)
        z = batch.architecture.activation(torch.from_numpy(z @ w.T / np.sqrt(w.shape[1]))).numpy()
    np.testing.assert_allclose(claim.features(one).numpy(), z @ z.T / 8, rtol=1e-10)
    sigma = limit_kernels(batch.architecture, batch.dataset.x_train).nngp
    assert float(cka(claim.features(one), sigma)) > 0.5


@pytest.fixture
def coarse(monkeypatch):
    """Fewer ν."""
    monkeypatch.setattr(claim, "LARGE", (1e3, 1e4))
    monkeypatch.setattr(claim, "STEPS", (100.0, 10.0))


def test_laws_of_stored_runs(stored, coarse):
    [slope], [rise], [features], [nearest] = (readings(law, stored) for law in LAWS)
    assert slope.estimate.value == pytest.approx(-1, abs=0.05)
    assert slope.estimate.seeds == 2  # splits
    assert rise.estimate.value > 0
    firsts = stored[stored[X] == stored[X].min()]["run"], stored[stored[X] == stored[X].max()]["run"]
    small, large = (np.mean([claim.labelled(one, claim.features(one)) for one in runs]) for runs in firsts)
    assert features.estimate.value == pytest.approx(small - large)
    assert np.isfinite(nearest.estimate.value)


def planted(power=1.0, rise=0.1, networks=0.3, order=1, splits=5):
    """Runs of several splits, and in place of machines and features what they would say."""
    random = np.random.default_rng(0)
    rows = []
    for split in range(splits):
        for x in (0.3, 3.0, 30.0):
            science = {"dataset": {"seed": split}}
            place = {X: x, "P": 40, "outcome": "t_end", claim.CHANGE: 0.1}
            rows.append(
                {**place, "run": SimpleNamespace(config=science, kinds=("weights",), x=x, luck=random.normal(0, 0.01))}
            )

    def machine(run, nu):
        level = 0.9 - rise * np.log10(nu)
        return SimpleNamespace(changes=[(1 + run.luck) * nu**-power], kernel=(nu, level + run.luck))

    def features(run):
        return (1000.0 if (run.x > 1) == (order > 0) else 1.0, 0.9 - networks * np.log10(run.x) + run.luck)

    ways = {"machine": machine, "features": features, "labelled": lambda run, kernel: kernel[1]}
    return pd.DataFrame(rows), {**ways, "cka": lambda one, other: -abs(np.log(one[0] / other[0]))}


@pytest.mark.parametrize(
    ("law", "wrong"),
    [
        (claim.against_nu, {"power": 0.5}),
        (claim.aligned, {"rise": -0.1}),
        (claim.networks_aligned, {"networks": -0.3}),
        (claim.alike, {"order": -1}),
    ],
    ids=["against ν", "aligned", "networks", "alike"],
)
def test_planted_agree_and_others_differ(law, wrong, monkeypatch):
    verdicts = []
    for how in ({}, wrong):
        table, ways = planted(**how)
        for name, function in ways.items():
            monkeypatch.setattr(claim, name, function)
        [row] = readings(law, table)
        verdicts.append(row.verdict)
    assert verdicts == [AGREES, DIFFERS]


@pytest.mark.parametrize(
    ("kernel", "words", "sentence"),
    [
        ("infinite_ntk", (), "take --kernel infinite_nngp"),
        ("infinite_nngp", ("architecture.depth=1",), "one hidden layer has no Gram matrix that learns"),
        ("infinite_nngp", ("activation=tanh",), "has no closed form; take relu, erf"),
        ("infinite_nngp", ("architecture.bias=0.1", "architecture.bias_std=1"), "without random biases"),
    ],
)
def test_refusals(kernel, words, sentence, tmp_path):
    [one] = run(build(composed(*JOB, *words, "dynamics.t_end=0.01", f"output_dir={tmp_path}")))
    assert sentence in of_kernel(one, DeepKernelMachine(), kernel)


def test_refusal_of_kernels_that_do_not_fit_memory(stored):
    found = of_kernel(stored["run"][0], DeepKernelMachine(), limit=2e4)
    assert "the kernel of 40 patterns does not fit memory; raise memory_limit" in found


def test_other_runs_hear_nothing(stored, coarse):
    """Of one split, of many patterns, or of one √h·α."""
    for law in LAWS:
        one = stored[[run.config.get("dataset", {}).get("seed", 0) == 0 for run in stored["run"]]]
        assert readings(law, one)[0].verdict == CANNOT_TELL
        assert readings(law, stored.assign(P=301))[0].verdict == CANNOT_TELL
    for law in LAWS[2:]:
        [row] = readings(law, stored[stored[X] == stored[X].max()])
        assert row.verdict == CANNOT_TELL
        assert "two values of √h·α, and two splits" in row.measured
