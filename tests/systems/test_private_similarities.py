"""Releases: the noise, sums against all pairs, the baseline on features, what is no guarantee, and the laws."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import norm

from feature_lazy.core.errors import ConfigError
from feature_lazy.core.streams import stream
from feature_lazy.launch.commands import main
from feature_lazy.runs.batch import build
from feature_lazy.runs.sweep import load_sweep
from feature_lazy.runs.train import run
from feature_lazy.study.baselines.compute import Bench
from feature_lazy.study.baselines.kernels import KernelSet, linear
from feature_lazy.study.baselines.stored import check_kernel
from feature_lazy.study.laws import laws, readings
from feature_lazy.study.table import with_runs
from feature_lazy.study.verdict import AGREES, CANNOT_TELL, DIFFERS
from feature_lazy.systems.private_similarities import claim
from feature_lazy.systems.private_similarities.baseline import PrivateSimilarity
from feature_lazy.systems.private_similarities.release import Released, gaussian_density, gaussian_noise, unit
from tests.conftest import QUICK, TINY, composed
from tests.study.conftest import sweep
from tests.systems.reference import reference

INF = float("inf")
JOB = (
    *TINY,
    *QUICK,
    "loss=mse",
    "dynamics.t_end=1",
    "dataset.n_valid=40",
    "observe.kernel.probe=0",
    "observe.weights=ends",
)


def test_noise_is_that_of_the_trade_off():
    for epsilon, delta, sensitivity, s in reference("private_similarities")["noise"].tolist():
        assert gaussian_noise(epsilon, delta, sensitivity) == pytest.approx(s, rel=1e-9)
    # The best test of all thresholds tells neighbours apart as δ says, and no better.
    s, t = gaussian_noise(1.0, 1e-5), np.linspace(-20, 60, 80001)
    most = (norm.sf(t, 1, s) - np.e * norm.sf(t, 0, s)).max()
    assert most == pytest.approx(1e-5, rel=1e-6)
    assert gaussian_noise(INF, 1e-5) == 0
    assert gaussian_noise(1e3, 1e-5) > 0  # e^ε is not computed


def test_similarities_are_those_of_all_pairs():
    known = {name: value.numpy() for name, value in reference("private_similarities").items() if name != "made"}
    z, y, draws = known["z"], known["y"], np.random.default_rng(0)
    np.testing.assert_allclose(Released.of(z, 0.0, draws).distances(y), known["distances"], rtol=1e-12)
    # The mean over records of cosines of 20 000 frequencies: five times √(1/2D).
    found = gaussian_density(z, y, 1.0, 20000, 0.0, draws)
    np.testing.assert_allclose(found, known["density"], atol=0.025)
    np.testing.assert_allclose(unit(3 * z), z, rtol=1e-12)
    assert not unit(np.zeros((1, 2))).any()


def test_noise_has_the_size_that_is_said():
    """Of sum and count, and of what a density is off by."""
    z, draws = np.eye(3), np.random.default_rng(1)
    each = [Released.of(z, 2.0, draws) for _ in range(4000)]
    totals, counts = np.array([one.total for one in each]), np.array([one.count for one in each])
    for values, mean in ((totals[:, 0], 1.0), (counts, 3.0)):
        assert values.mean() == pytest.approx(mean, abs=0.1)  # three standard errors
        assert values.std() == pytest.approx(2.0, rel=0.034)
    off = [gaussian_density(z, z[:1], 1.0, 5, 3.0, np.random.default_rng(seed))[0] for seed in range(4000)]
    exact = [gaussian_density(z, z[:1], 1.0, 5, 0.0, np.random.default_rng(seed))[0] for seed in range(4000)]
    assert np.std(np.subtract(off, exact)) == pytest.approx(3.0 / 3, rel=0.034)  # s/n


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Two seeds at two α."""
    folder = tmp_path_factory.mktemp("private")
    for alpha in ("alpha.value=1", "alpha.value=1e3"):
        run(build(composed(*JOB, "seed=ensemble", "seed.members=2", alpha, f"output_dir={folder}")))
    return folder


def test_the_nearest_class_by_the_last_hidden_layer(stored):
    """Without noise against distances of all pairs, of patterns that the network has not seen."""
    one = load_sweep(stored).runs[0]
    kernels, task, data = Bench().ready(one, "hidden_end")
    weights = {name: torch.from_numpy(w) for name, w in one.weights().items()}
    batch = build(composed(*JOB))
    assert torch.equal(task.held_out[0], data.x_valid)

    def layer(x):
        for name in list(weights)[:-1]:
            x = batch.architecture.activation(x @ weights[name].reshape(-1, x.shape[1]).T / x.shape[1] ** 0.5)
        return x

    h = layer(data.x_valid) / 8**0.5
    torch.testing.assert_close(kernels.features(data.x_valid), h.double(), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(kernels.train, layer(data.x_train) @ layer(data.x_train).T / 8, rtol=1e-10, atol=1e-12)
    z, y = (torch.nn.functional.normalize(layer(x), dim=1) for x in (data.x_valid, data.x_test))
    apart = torch.cdist(y, z).square()
    expected = apart[:, data.y_valid < 0].mean(1) - apart[:, data.y_valid > 0].mean(1)
    asked = PrivateSimilarity(epsilon="inf", records="valid")
    torch.testing.assert_close(asked.fit(kernels, task).F_test, expected, rtol=1e-8, atol=1e-10)
    noisy = PrivateSimilarity(epsilon="1", records="valid")
    assert not torch.equal(noisy.fit(kernels, task).F_test, asked.fit(kernels, task).F_test)
    # Sum and count of one class go together: √2.
    assert noisy.fit(kernels, task).scalars["noise"] == pytest.approx(2**0.5 * 3.73063163481594, rel=1e-9)
    found = [noisy.fit(kernels, task).F_test, PrivateSimilarity(records="valid", draw=1).fit(kernels, task).F_test]
    assert not torch.equal(*found)


def test_classes_have_a_column_each(tmp_path):
    job = ("labels=classes", "dataset.classes=[0,1,2,3]")
    (one,) = run(build(composed(*JOB, *job, f"output_dir={tmp_path}")))
    kernels, task, data = Bench().ready(one, "linear")
    found = PrivateSimilarity(epsilon="inf").fit(kernels, task).F_test
    z, y = (torch.nn.functional.normalize(x, dim=1) for x in (data.x_train, data.x_test))
    expected = torch.stack([torch.cdist(y, z[data.y_train == c]).square().mean(1) for c in range(4)], 1)
    torch.testing.assert_close(found, -expected, rtol=1e-8, atol=1e-10)


def test_what_is_no_guarantee_is_said(stored, capsys):
    words = ["baselines", str(stored), "--names", "private_similarity", "--kernel", "hidden_end", "--epsilon"]
    assert main([*words, "1,inf"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "the network has seen the records; take --records valid" in said
    assert "centres patterns by the mean of all" in said
    assert "no privacy guarantee, without noise. (4 runs)" in said
    assert "(8 runs)" not in said  # of two ε
    assert main([*words, "1", "--records", "valid"]) == 0
    assert "has seen the records" not in capsys.readouterr().out
    # Of drawn patterns that the network has not seen nothing is left to say.
    config = composed("dataset=stripe", "dataset.n_valid=40", "dataset.n_train=20", "dataset.n_test=20")
    assert not list(PrivateSimilarity(records="valid").remarks(config, "hidden_end"))
    assert not list(PrivateSimilarity().remarks(config, "hidden_start"))
    assert "has seen" in next(iter(PrivateSimilarity().remarks(config, "hidden_t=1")))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--delta", "1"], "delta=1: must be below 1"),
        (["--kernel", "linear", "--epsilon", "0"], "epsilon=0: must be a number greater than 0, or inf"),
        (["--kernel", "infinite_ntk"], "it takes features"),
        (["--kernel", "hidden_infinite"], "there is none; choose of"),
        (["--records", "test"], "must be one of train, valid"),
    ],
)
def test_refusals(stored, words, sentence, capsys):
    assert main(["baselines", str(stored), "--names", "private_similarity", *words]) == 1
    assert sentence in " ".join(capsys.readouterr().err.split())


def test_refusals_of_runs():
    asked = PrivateSimilarity(records="valid")
    assert "have no validation patterns" in next(iter(asked.problems(composed())))
    real = composed("dataset=teacher_student", "labels=regression", "loss=mse")
    assert "tells classes apart" in next(iter(asked.problems(real)))
    assert check_kernel("hidden_t=0.5") == "hidden_t=0.5"
    bare = KernelSet(linear, torch.eye(2), torch.eye(2), 1e9, None)
    with pytest.raises(ConfigError, match="takes features"):
        asked.fit(bare, None)


def test_laws_on_runs(stored):
    table = with_runs(load_sweep(stored))
    assert {run.columns["alpha"] for run in claim.learnt(table)} < {run.columns["alpha"] for run in table["run"]}
    for one in (claim.cost, claim.gain, claim.lazy_gain, claim.strong, claim.density):
        [row] = readings(one, table)
        assert np.isfinite(row.estimate.error)
    one = claim.learnt(table)[0]
    kernels, task, _ = Bench().ready(one, "hidden_end")
    draws = [one.columns["seed"] * claim.DRAWS + k for k in range(claim.DRAWS)]
    found = [PrivateSimilarity(epsilon="1", records="valid", draw=k).fit(kernels, task).F_test for k in draws]
    right = np.mean([(f.numpy() * one.outputs["y_test"] > 0).mean() for f in found])
    assert claim.accuracy(one, "hidden_end", 1.0) == pytest.approx(right)


def accuracies(**cells):
    """What a planted run has on features before and after, without noise and with."""

    def accuracy(run, kernel, epsilon):
        luck = 0.001 * stream(run.seed, "luck", kernel).standard_normal()
        return cells.get(f"{kernel[7:]}_{epsilon:g}".replace(".", ""), 0.9) + luck

    return accuracy


@pytest.mark.parametrize(
    ("law", "right", "other"),
    [
        (claim.cost, {"end_1": 0.89}, {"end_1": 0.85}),
        (claim.gain, {"start_1": 0.8}, {"end_1": 0.8}),
        (claim.lazy_gain, {}, {"end_1": 0.95}),
        (claim.strong, {"start_01": 0.8}, {"end_01": 0.8}),
    ],
)
def test_planted_law(law, right, other, monkeypatch):
    monkeypatch.setattr(claim, "_at", lambda table, which: [SimpleNamespace(seed=seed) for seed in range(5)])
    for cells, verdict in ((right, AGREES), (other, DIFFERS)):
        monkeypatch.setattr(claim, "accuracy", accuracies(**cells))
        [row] = readings(law, sweep())
        assert row.verdict == verdict, row.measured


@pytest.mark.parametrize(("rms", "verdict"), [(0.05, AGREES), (0.12, DIFFERS)])
def test_planted_density(rms, verdict, monkeypatch):
    monkeypatch.setattr(claim, "_at", lambda table, which: [SimpleNamespace(seed=seed) for seed in range(5)])
    monkeypatch.setattr(claim, "densities", lambda run: [(0.01, 0.1), (rms + 1e-4 * run.seed, 0.1)])
    [row] = readings(claim.density, sweep())
    assert row.verdict == verdict


def test_other_sweeps_do_not_hear_of_it():
    table = sweep()
    assert claim.PAPER not in {row.paper for row in laws(table)}
    [row] = readings(claim.cost, table)
    assert row.verdict == CANNOT_TELL
