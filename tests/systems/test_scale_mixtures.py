"""Networks with scales of their own: the prior, the Student-t process, the laws, and what is refused."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.networks.prior import InverseGamma
from feature_lazy.runs.batch import build
from feature_lazy.runs.sweep import load_sweep
from feature_lazy.runs.train import run
from feature_lazy.settings.cells import cells
from feature_lazy.settings.checks import validate
from feature_lazy.study.baselines.base import Prediction, Task
from feature_lazy.study.baselines.compute import Bench
from feature_lazy.study.baselines.gp import GaussianProcess
from feature_lazy.study.baselines.kernels import KernelSet, linear
from feature_lazy.study.baselines.student import StudentProcess
from feature_lazy.study.infinite_width import of_another_limit
from feature_lazy.study.laws import readings
from feature_lazy.study.table import with_runs
from feature_lazy.study.verdict import AGREES, CANNOT_TELL, DIFFERS
from feature_lazy.systems.scale_mixtures import claim
from feature_lazy.systems.scale_mixtures.claim import CHANGE, SCALE, SHARE
from tests.arrays import normal
from tests.conftest import QUICK, TINY, composed
from tests.systems.reference import reference

MIXED = ("prior=inverse_gamma", "prior.a=3", "prior.b=1.5")


def drawn(*overrides):
    batch = build(composed(*TINY, "seed=ensemble", "seed.members=3", *overrides))
    return batch, batch.architecture.layout.unflatten(batch.w0(batch.cells))


def test_only_the_output_layer_has_the_scale_and_columns_say_it():
    biased = ("architecture.bias=0.5",)
    (_, plain), (batch, mixed) = drawn(*biased), drawn(*biased, *MIXED)
    scales = torch.tensor([cell.columns[SCALE] for cell in batch.cells], dtype=torch.float64)
    assert len({*scales.tolist()}) == 3
    for name, weight in plain.items():
        root = scales.sqrt().view(-1, *[1] * (weight.dim() - 1)) if name in batch.architecture.layout.last else 1.0
        torch.testing.assert_close(mixed[name], root * weight, rtol=1e-14, atol=0)


def test_scales_are_of_the_inverse_gamma_law():
    """Kolmogorov's distance of 1/s from Gamma(a, b): 1.63 at 1 %, of 2000 seeds."""
    from scipy.special import gammainc

    prior = InverseGamma(a=3.0, b=1.5)
    places = np.sort(gammainc(3.0, 1.5 / np.array([prior.scale(seed) for seed in range(2000)])))
    assert math.sqrt(2000) * np.abs(places - (np.arange(2000) + 0.5) / 2000).max() < 1.63


def test_runs_without_a_prior_keep_their_ids():
    (plain,), (fixed,), (mixed,) = (cells(composed(*TINY, *one)) for one in ([], ["prior=fixed"], MIXED))
    assert plain.run_id == fixed.run_id != mixed.run_id
    assert "prior" not in fixed.config
    assert SCALE not in fixed.columns
    assert mixed.config["prior"] == {"kind": "inverse_gamma", "a": 3.0, "b": 1.5}


def test_posterior_is_the_ratio_of_joint_densities():
    """Mean, variance, density and interval against quadrature over scipy's multivariate t."""
    known = reference("scale_mixtures")
    x, tests = known["x_train"], known["x_test"]
    kernels = KernelSet(linear, x, tests, 1e9, None)
    task = Task(known["y"], known["y"], None)
    found = StudentProcess(a=known["a"], b=known["b"]).fit(kernels, task)
    torch.testing.assert_close(known["mass"], torch.ones(2).double(), rtol=1e-9, atol=0)
    torch.testing.assert_close(found.F_test, known["mean"], rtol=0, atol=1e-6)
    torch.testing.assert_close(found.variance, known["variance"], rtol=1e-5, atol=0)
    torch.testing.assert_close(found.log_loss(torch.ones(2).double()), known["at_one"], rtol=0, atol=1e-9)
    for side, out in zip(known["interval"].mT, (-1, 1), strict=True):
        assert found.covered(side - out * 1e-4).all()
        assert not found.covered(side + out * 1e-4).any()


def test_gaussian_density_is_what_student_tends_to():
    y, mean, variance = normal(6).double(), normal(6, seed=1).double(), normal(6, seed=2).double().square() + 0.1
    gaussian, student = Prediction(mean, variance), Prediction(mean, variance, freedom=1e7)
    expected = -torch.distributions.Normal(mean, variance.sqrt()).log_prob(y)
    torch.testing.assert_close(gaussian.log_loss(y), expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(student.log_loss(y), expected, rtol=1e-5, atol=1e-5)
    edge = mean + 1.95996398454 * variance.sqrt()
    for found in (gaussian, student):
        assert found.covered(edge - 1e-5).all()
        assert not found.covered(edge + 1e-5).any()


def test_noise_and_another_prior_change_the_posterior_as_the_formula_says():
    """At b/a = 1 and a → ∞ it is the Gaussian process with that noise."""
    x, tests, y = normal(8, 20).double(), normal(3, 20, seed=1).double(), normal(8, seed=2).double()
    k, onto, own = linear(x, None), linear(tests, x), linear(tests, None).diagonal()
    found = StudentProcess(a=1e9, b=1e9, ridge=0.1).fit(KernelSet(linear, x, tests, 1e9, None), Task(y, y, None))
    inverse = torch.linalg.inv(k + 0.1 * k.trace() / 8 * torch.eye(8).double())
    torch.testing.assert_close(found.F_test, onto @ inverse @ y)
    torch.testing.assert_close(found.variance, own - (onto @ inverse @ onto.mT).diagonal(), rtol=1e-6, atol=0)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Networks of both priors whose output layer stays, some as they begin, and one for labels of another scale."""
    folder = tmp_path_factory.mktemp("mixtures")
    job = (*TINY, *QUICK, "activation=erf", "architecture.depth=1", f"output_dir={folder}")
    lazy = (*job, "seed=ensemble", "seed.members=4", "alpha.value=1e4", "dynamics.train=[W0]")
    for prior in ([], MIXED):
        run(build(composed(*lazy, *prior)))
    run(build(composed(*job, *MIXED, "seed=ensemble", "seed.members=4", "dynamics.t_end=1e-3")))
    run(build(composed(*job, *MIXED, "loss=mse", "loss.target=5", "centred=false", "dynamics.t_end=1e-3")))
    return with_runs(load_sweep(folder))


def test_a_network_whose_output_layer_stays_is_trained_as_one_of_another_alpha(stored):
    """To what large steps leave of it: a hundredth."""
    [row] = readings(claim.laziness, stored)
    assert row.estimate.value == pytest.approx(-0.5, abs=0.01)
    assert row.verdict == AGREES


def test_predictions_of_stored_runs_are_those_of_the_baselines(stored):
    one = stored[stored["loss"] == "mse"]
    [density], [calibration] = readings(claim.density, one), readings(claim.calibration, one)
    bench = Bench()
    gaussian, student = bench.beside([*one["run"]], [GaussianProcess(), StudentProcess()], ["infinite_nngp"])
    assert not bench.problems
    apart = gaussian.found.scalars["nll"] - student.found.scalars["nll"]
    assert density.estimate.value == pytest.approx(apart, rel=1e-9)
    y, arrays = 5 * one["run"].iloc[0].outputs["y_test"], student.found.arrays
    errors = (y - arrays["F_test"]) ** 2
    assert calibration.estimate.value == pytest.approx(arrays["variance"].mean() / errors.mean(), rel=1e-9)
    assert student.found.scalars["coverage"] == np.mean(errors <= _half(3 + 10, arrays["variance"]) ** 2)
    assert readings(claim.density, stored[stored["loss"] != "mse"])[0].verdict == CANNOT_TELL


def _half(a_and_half_n, variance):
    from scipy.stats import t

    freedom = 2.0 * a_and_half_n
    return t.ppf(0.975, freedom) * np.sqrt(variance * (freedom - 2) / freedom)


@pytest.mark.parametrize(("mixed", "verdict"), [(True, AGREES), (False, DIFFERS)])
def test_planted_process(mixed, verdict, monkeypatch):
    """f₀ᵀΣ⁻¹f₀ of 400 draws with scales of the law that is said, or with its mean for all: a Gaussian process."""
    random, n = np.random.default_rng(0), 20
    scales = 2 / random.standard_gamma(2.0, 400) if mixed else 2.0
    values = scales * random.chisquare(n, 400)
    monkeypatch.setattr(claim, "squares", lambda table: (n, 2.0, 2.0, values))
    table = pd.DataFrame({SCALE: [1.0], "outcome": ["t_end"]})
    found = [readings(law, table)[0] for law in (claim.logarithm, claim.kolmogorov, claim.against_gaussian)]
    assert [row.verdict for row in found] == [verdict] * 3


@pytest.mark.parametrize(("exponent", "verdict"), [(1.0, AGREES), (0.5, DIFFERS)])
def test_planted_odds_and_laziness(exponent, verdict):
    random = np.random.default_rng(0)
    s = np.exp(random.normal(0, 1, 60))
    odds = 0.8 * s**exponent * np.exp(random.normal(0, 0.03, 60))
    config = {"dynamics": {"train": ["W0"]}, "architecture": {"depth": 1}}
    runs = [SimpleNamespace(history={SHARE: np.array([1 / (1 + one), 0.5])}, config=config) for one in odds]
    table = pd.DataFrame({SCALE: s, SHARE: 0.5, "alpha": 1.0, "h": 256, "outcome": "t_end", "run": runs})
    [row] = readings(claim.odds, table)
    assert row.verdict == verdict
    pairs = table.assign(**{CHANGE: s ** (-exponent / 2), f"{CHANGE}_other": 1.0})
    assert claim.laziness(pairs).value == pytest.approx(-exponent / 2, abs=1e-9)
    all_trained = SimpleNamespace(config={"architecture": {"depth": 1}})
    assert claim.laziness(pairs.assign(run=[all_trained] * 60)) is None


def test_squares_are_those_of_the_covariance_of_infinite_width(stored, monkeypatch):
    from feature_lazy.kernels import infinite_kernels
    from feature_lazy.networks.activations import Erf, scaled

    monkeypatch.setattr(claim, "MEMBERS", 4)
    mixed = stored[
        stored["run"].map(lambda one: one.config["dynamics"].get("t_end") == 1e-3 and "centred" not in one.config)
    ]
    n, a, b, values = claim.squares(mixed)
    assert (n, a, b) == (20, 3.0, 1.5)
    x = build(composed(*TINY)).dataset.x_test
    sigma = infinite_kernels(scaled(Erf()), 1, x).nngp
    f0 = torch.tensor(np.stack([one.outputs["f0_test"] for one in mixed["run"]]))
    np.testing.assert_allclose(values, (f0 * torch.linalg.solve(sigma, f0.mT).mT).sum(1), rtol=1e-6)
    assert claim.squares(mixed[:3]) is None


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["prior.a=0"], r"prior.a=0.0: must be at least 0.1"),
        (["seed=from_run", "seed.run=nowhere"], "prior=inverse_gamma: seed=from_run starts from weights"),
        (["observe/also=[limit]"], "prior=inverse_gamma gives each network limits of its own"),
        (["observe/also=[init]"], "the initialisations are those of prior=fixed, not inverse_gamma"),
    ],
)
def test_refusals(overrides, words):
    with pytest.raises(ConfigError, match=words):
        validate(composed(*TINY, "prior=inverse_gamma", *overrides))


def test_refusals_of_what_is_computed_beside(stored):
    mixed = [one for one in stored["run"] if SCALE in one.columns and "train" not in one.config["dynamics"]]
    assert "a prior gives each network" in of_another_limit(mixed[0].config)
    bench = Bench()
    assert not bench.beside(mixed[:1], [StudentProcess()], ["infinite_ntk"])
    assert "the prior gives each network a kernel of its own; take infinite_nngp" in next(iter(bench.problems))
    [problem] = StudentProcess().problems(composed(*TINY))
    assert "the runs have prior=fixed, and not inverse_gamma; give --a and --b" in problem
    task = Task(torch.zeros(20, 2), torch.zeros(20), None)
    with pytest.raises(ConfigError, match="several outputs with one scale"):
        StudentProcess(a=1.0, b=1.0).fit(KernelSet(linear, torch.eye(20), torch.eye(20), 1e9, None), task)
