"""Trees of patches: kernels, limits, spectra; targets on circles; the laws of their learning curves; refusals."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.data.labels import Regression
from feature_lazy.kernels import kernel_regression, limit_kernels, tangent_kernel
from feature_lazy.networks.activations import Erf, Relu, Scaled, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.networks.limits import fields
from feature_lazy.networks.limits.limit import output_covariance
from feature_lazy.networks.sequences import Tokens
from feature_lazy.runs.batch import build
from feature_lazy.runs.sweep import load_sweep
from feature_lazy.runs.train import run
from feature_lazy.settings.checks import validate
from feature_lazy.study.laws import readings
from feature_lazy.study.table import H, X, with_runs
from feature_lazy.study.verdict import AGREES, CANNOT_TELL, DIFFERS
from feature_lazy.systems.wide_cnn import claim, data, theory
from feature_lazy.systems.wide_cnn.data import Multicircle, at, grid, modes
from feature_lazy.systems.wide_cnn.network import PatchTree
from feature_lazy.systems.wide_cnn.theory import Spectrum
from tests.arrays import normal
from tests.conftest import composed
from tests.systems.reference import reference

JOB = ("dataset=multicircle", "labels=regression", "loss=mse", "architecture=patch_tree")
RELU, ERF = scaled(Relu()), scaled(Erf())


@pytest.fixture
def few_modes(monkeypatch):
    """Targets of 31 wave numbers on each of two circles, which are drawn at once."""
    monkeypatch.setattr(data, "MODES", 31**2)
    modes.cache_clear()
    data._median.cache_clear()
    yield
    modes.cache_clear()
    data._median.cache_clear()


def begun(net, *seeds):
    return {name: torch.stack([net.init(seed)[name] for seed in seeds]) for name in net.layout.shapes}


def test_outputs_limits_and_eigenvalues_were_written_out(monkeypatch):
    known = reference("wide_cnn")
    net = PatchTree(Tokens(4, 3), [2, 2], 3, RELU)
    params = {name: known[name][None] for name in net.layout.shapes}
    assert net.apply(params, known["x"])[0].tolist() == pytest.approx(known["f"].tolist(), rel=1e-13)
    limit = limit_kernels(net, known["x"])
    for name in ("ntk", "nngp"):
        # Of a pattern with itself the arc cosine of rounding is 1e-8 off there, and exact here.
        torch.testing.assert_close(getattr(limit, name), known[name], rtol=1e-7, atol=0)
    monkeypatch.setattr(theory, "ENTRIES", 17**2)
    found = Spectrum.of(PatchTree(Tokens(2, 2), [2], 1, RELU))
    waves = known["waves"].long()
    assert found.eigenvalues[waves[:, 0], waves[:, 1]] == pytest.approx(known["eigenvalues"].numpy(), rel=1e-7)
    # All modes together are the kernel of a pattern with itself.
    own = limit_kernels(PatchTree(Tokens(2, 2), [2], 1, RELU), torch.ones(1, 4).double()).ntk
    assert float((found.eigenvalues * found.counts).sum()) == pytest.approx(float(own), rel=1e-12)


def test_the_mean_over_seeds_is_the_limit():
    net, x, seeds = PatchTree(Tokens(4, 3), [2, 2], 128, ERF), normal(3, 12), 20
    params, limit = begun(net, *range(seeds)), limit_kernels(net, x)
    for found, expected in (
        (tangent_kernel(net, params, x), limit.ntk),
        (output_covariance(net, params, x), limit.nngp),
    ):
        error = found.std(0) / math.sqrt(seeds)
        # What is of order 1/h in the mean is some percent of the fluctuations' h^{−½}, and within their error.
        assert ((found.mean(0) - expected) / error).abs().max() < 4.5
        assert error.max() < 0.1 * expected.max()


def test_rows_and_columns_are_parts_of_the_whole(monkeypatch):
    """And patterns that share a patch, or all, are exactly the same there."""
    net, x = PatchTree(Tokens(4, 2), [2, 2], 2, RELU), normal(4, 8)
    x[3], x[2, 2:4] = x[0], x[0, 2:4]
    whole = limit_kernels(net, x)
    monkeypatch.setattr(fields, "BLOCK_ENTRIES", 1)
    for part, rows in ((limit_kernels(net, x), slice(0, 4)), (limit_kernels(net, x[:1], x), slice(0, 1))):
        for kernel in ("ntk", "nngp"):
            torch.testing.assert_close(getattr(part, kernel), getattr(whole, kernel)[rows], rtol=1e-13, atol=1e-14)
    assert whole.ntk[0, 3] == pytest.approx(float(whole.ntk[0, 0]), rel=1e-14)
    # E φ′φ′ is 1 at every level where patterns are one: Θ = (L + 1) q with q = |x|²/d.
    assert float(whole.ntk[0, 0]) == pytest.approx(4 * float(x[0].square().mean()), rel=1e-13)


def test_a_series_is_as_good_as_a_closed_form():
    net, x = PatchTree(Tokens(4, 2), [2, 2], 2, ERF), normal(3, 8)
    found, expected = (limit_kernels(one, x) for one in (replace(net, activation=Scaled.normalised(torch.erf)), net))
    assert 0 < found.error < 1e-10
    torch.testing.assert_close(found.ntk, expected.ntk, rtol=1e-9, atol=0)


def test_one_patch_is_one_hidden_layer():
    net, x = PatchTree(Tokens(1, 6), [], 9, ERF), normal(4, 6)
    other, params = FullyConnected(6, [9], ERF), begun(net, 0)
    torch.testing.assert_close(net.apply(params, x), other.apply(params, x), rtol=1e-13, atol=1e-14)
    torch.testing.assert_close(net.limit(x).ntk, other.limit(x).ntk, rtol=1e-13, atol=1e-14)
    assert net.forward_flops == other.forward_flops


@pytest.mark.usefixtures("few_modes")
def test_patterns_are_uniform_on_circles_and_more_are_the_same_ones():
    law = Multicircle(n_train=4000, n_test=100, patches=3, local=[2, 0])
    made = law.build(Regression())
    x = made.x_train.unflatten(1, (3, 2))
    torch.testing.assert_close(x.square().sum(2), torch.full((4000, 3), 2.0).double())
    # Means of cos and sin, of them twice the angle, and between patches, to four standard errors of 4000 patterns.
    waves = torch.view_as_complex(x.contiguous()) / math.sqrt(2)
    for wave in (waves, waves**2, waves[:, [0, 0, 1]] * waves[:, [1, 2, 2]]):
        assert wave.mean(0).abs().max() < 4 / math.sqrt(4000)
    assert (made.y_train > data._median("laplace", 2, 0)).sum() == 2000
    fewer = replace(law, n_train=50).build(Regression())
    assert torch.equal(fewer.x_train, made.x_train[:50])
    assert torch.equal(fewer.y_train, made.y_train[:50])
    assert not torch.equal(replace(law, seed=1).build(Regression()).y_train, made.y_train)
    # The target is of the patches that are local, in their order, and of no other.
    moved = made.x_test.clone()
    moved[:, 2:4] = moved[:, 2:4].flip(0)
    np.testing.assert_allclose(law.label(moved.numpy(), 0)[1], made.y_test, rtol=0, atol=1e-12)
    assert law.directions(0).tolist() == np.eye(6)[[4, 5, 0, 1]].tolist()


@pytest.mark.usefixtures("few_modes")
@pytest.mark.parametrize("teacher", ["laplace", "matern"])
def test_targets_have_the_covariance_of_their_process(teacher):
    """e^{−r} and its smoother kin, over seeds; modes that are left out are a few percent of it."""
    angles = np.array([[0.0, 0.0], [0.7, 0.0], [0.7, -1.5], [3.0, 2.0]])
    f = np.array([at(modes(teacher, 2, seed), angles) for seed in range(600)])
    r = np.sqrt((2 - 2 * np.cos(angles)).sum(1))
    wanted = np.exp(-r) if teacher == "laplace" else (1 + math.sqrt(3) * r) * np.exp(-math.sqrt(3) * r)
    products = f * f[:, :1]
    assert np.abs(products.mean(0) - wanted).max() < 4 * products.std(0).max() / math.sqrt(600) + 0.03


def test_a_target_is_the_sum_of_its_modes(monkeypatch):
    """Those of a Fourier transform of its values; patches in the order in which they are local."""
    monkeypatch.setattr(data, "MODES", 9**2)
    monkeypatch.setattr(data, "BLOCK", 1)
    series = modes.__wrapped__("laplace", 2, 3)
    assert series.shape == (9, 9)
    first, second = (one.ravel() for one in np.broadcast_arrays(*grid(16, 2)))
    values = at(series, np.stack([first, second], axis=1)).reshape(16, 16)
    power = np.abs(np.fft.fft2(values) / 256) ** 2
    known = Spectrum(np.ones((12, 12, 12)), np.ones((12, 12, 12)))
    found = known.power(series, [2, 0])
    assert found.sum() == pytest.approx(np.square(values).mean(), rel=1e-12)
    # Wave numbers 3 and 2 with any signs; the first of the series is the third patch.
    assert found[2, 0, 3] == pytest.approx(4 * (power[3, 2] + power[3, -2]) / 2, rel=1e-12)
    assert found[0, 0, 0] == pytest.approx(power[0, 0], rel=1e-12)
    assert found[1, 1, 1] == 0


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("dataset.dim=3", "dataset.dim=3: a circle lies in the plane; it must be 2"),
        ("dataset.local=[2]", r"dataset.local=\[2\]: must be one to 4 different patches of dataset.patches=2"),
        ("dataset.local=[0,0]", "must be one to 4 different patches"),
        ("dataset.local=[]", "must be one to 4 different patches"),
        ("architecture.joins=[3]", r"joins=\[3\]: patterns of 4 numbers are not cut into 3 patches of one size"),
    ],
)
def test_refusals(override, sentence):
    with pytest.raises(ConfigError, match=sentence):
        validate(composed(*JOB, override))


def table(splits=4):
    """Runs of two targets on each split."""
    rows = []
    for split in range(splits):
        for local in ([0], [0, 1]):
            config = {
                "dataset": {"kind": "multicircle", "seed": split, "local": local, "patches": 2},
                "architecture": {"kind": "patch_tree"},
                "labels": {"kind": "regression"},
            }
            one = SimpleNamespace(config=config, outputs={"F_test": np.ones(4), "y_test": np.zeros(4)})
            place = {"P": 64, H: 1024, X: 320.0, "alpha": 10.0, "seed": 0, "outcome": "t_end"}
            rows.append({**place, claim.LOSS: 0.5, claim.KERNEL: np.nan, "run": one})
    return pd.DataFrame(rows)


def said(law, runs):
    [row] = readings(law, runs)
    return row


def planted(monkeypatch, one, every, factor=1.0):
    """Curves n^exponent of targets of one patch and of all, with theory's −0.6 and −0.5, times a factor."""
    monkeypatch.setattr(claim, "_curves", {})
    random, sizes = np.random.default_rng(0), np.array(claim.SIZES, dtype=float)

    def curve(run):
        own = run.config["dataset"]
        local = len(own["local"])
        luck = np.exp(random.normal(0, 0.01, len(sizes)))
        measured, theory = (sizes**e for e in ((one, -0.6) if local == 1 else (every, -0.5)))
        scale = factor * (theory / measured).mean()
        return claim.Curve(own["seed"], scale * luck * measured, theory)

    monkeypatch.setattr(claim, "_curve", curve)
    return table()


@pytest.mark.parametrize(
    ("one", "every", "factor", "verdicts"),
    [
        (-0.6, -0.5, 1.0, [AGREES] * 5),
        (-0.6, -0.5, 1.15, [DIFFERS, DIFFERS, AGREES, AGREES, AGREES]),
        (-0.75, -0.25, 1.0, [AGREES, AGREES, DIFFERS, DIFFERS, AGREES]),
        (-0.45, -0.6, 1.0, [AGREES, AGREES, DIFFERS, DIFFERS, DIFFERS]),
    ],
)
def test_planted_curves(one, every, factor, verdicts, monkeypatch):
    runs = planted(monkeypatch, one, every, factor)
    errors, exponents = (claim.error_of_one, claim.error_of_all), (claim.exponent_of_one, claim.exponent_of_all)
    rows = [said(law, runs) for law in (*errors, *exponents, claim.local_is_faster)]
    assert [row.verdict for row in rows] == verdicts
    assert rows[4].estimate.value == pytest.approx(every - one, abs=0.03)
    assert said(claim.local_is_faster, runs[runs["run"].map(lambda r: r.config["dataset"]["seed"]) < 1]).verdict == (
        CANNOT_TELL
    )


@pytest.mark.parametrize(("one", "two", "verdicts"), [(-2.1, -3.0, [AGREES, AGREES]), (-3.0, -2.0, [DIFFERS, DIFFERS])])
def test_planted_spectrum(one, two, verdicts, monkeypatch):
    k = np.arange(513).clip(min=0.5)
    eigenvalues = np.diag(k**two)
    eigenvalues[:, 0] = k**one
    monkeypatch.setattr(claim, "_spectrum", lambda network: Spectrum(eigenvalues, np.ones_like(eigenvalues)))
    rows = [said(law, table(splits=1)) for law in (claim.one_patch, claim.two_patches)]
    assert [row.verdict for row in rows] == verdicts
    assert [row.estimate.value for row in rows] == pytest.approx([one, two])


@pytest.mark.parametrize(("ratio", "verdict"), [(1.05, AGREES), (1.4, DIFFERS), (0.7, DIFFERS)])
def test_planted_networks(ratio, verdict, monkeypatch):
    monkeypatch.setattr(claim, "_of_limit", lambda run: 1 / ratio)
    runs = table()
    narrow = runs.assign(**{H: 128, "run": [SimpleNamespace(config=run.config) for run in runs["run"]]})
    row = said(claim.networks, pd.concat([runs, narrow], ignore_index=True))
    assert row.verdict == verdict
    assert row.estimate.value == pytest.approx(ratio)


@pytest.mark.usefixtures("few_modes")
def test_curves_and_networks_of_a_sweep(tmp_path, monkeypatch):
    """A network that interpolates is regression with its own kernel; the curve's first n are of its own patterns."""
    monkeypatch.setattr(claim, "SIZES", (8, 16))
    monkeypatch.setattr(claim, "OTHERS", 64)
    monkeypatch.setattr(claim, "_curves", {})
    monkeypatch.setattr(theory, "ENTRIES", 65**2)
    job = ("width.h=32", "dynamics=linearised", "dynamics.t_end=1e6", "dataset.n_train=8", "dataset.n_test=32")
    small = ("observe.per_decade=1", "observe.kernel.probe=4", "observe.kernel.final=false", "alpha.value=10")
    batch = build(composed(*JOB, *job, *small, f"output_dir={tmp_path}"))
    run(batch)
    runs = with_runs(load_sweep(tmp_path))
    [curve] = claim.curves(runs, claim.ONE)
    assert list(claim.curves(runs, claim.ALL)) == []
    # One target, and few patterns: the mean over draws is within a half of theory's over all of them.
    assert np.abs(np.log(curve.measured / curve.theory)).max() < 0.5
    params = {name: weight[None] for name, weight in batch.architecture.init(0).items()}
    x, y = batch.dataset.x_train, batch.dataset.y_train
    own, onto = (tangent_kernel(batch.architecture, params, *both) for both in ([x], [batch.dataset.x_test, x]))
    expected = kernel_regression(own, onto, y)[0].numpy()
    np.testing.assert_allclose(runs["run"][0].outputs["F_test"], expected, atol=0.05)
    assert claim._error(runs["run"][0]) == pytest.approx(2 * runs["run"][0].summary["test/loss"], rel=1e-9)
    assert 0.5 < claim._error(runs["run"][0]) / claim._of_limit(runs["run"][0]) < 3
