"""Surrogate gradients: what passes back, the kernel that is not symmetric, the laws, and what is refused."""

import numpy as np
import pytest
import torch

from feature_lazy.core.errors import ConfigError, NumericalError
from feature_lazy.kernels import gp_prediction, kernel_regression
from feature_lazy.networks.activations import derivative, scaled
from feature_lazy.networks.limits import infinite
from feature_lazy.networks.limits.dual import expectations
from feature_lazy.networks.limits.fluctuations import layers_at_start
from feature_lazy.networks.limits.infinite import infinite_kernels
from feature_lazy.networks.surrogate import Sign
from feature_lazy.runs.batch import build
from feature_lazy.runs.landscape import stored_curvature
from feature_lazy.runs.sweep import load_sweep
from feature_lazy.runs.train import run
from feature_lazy.settings.checks import validate
from feature_lazy.study.baselines.compute import Bench
from feature_lazy.study.baselines.gp import GaussianProcess
from feature_lazy.study.baselines.krr import RidgeRegression
from feature_lazy.study.infinite_width import stored_test_error
from feature_lazy.study.laws import laws, readings
from feature_lazy.study.learning_curve import limit
from feature_lazy.study.process import process
from feature_lazy.study.table import with_runs
from feature_lazy.study.verdict import AGREES, CANNOT_TELL, DIFFERS
from feature_lazy.systems.surrogate_gradients import claim
from feature_lazy.systems.surrogate_gradients.claim import Ends
from tests.conftest import composed
from tests.study.conftest import sweep
from tests.systems.reference import planted, reference

JOB = (
    *("dataset=teacher_student", "dataset.dim=3", "dataset.n_train=6", "dataset.n_test=8", "labels=regression"),
    *("loss=mse", "activation=sign", "architecture.depth=1", "architecture.bias=0.1", "architecture.bias_std=1"),
    *("centred=false", "alpha=raw", "alpha.value=1", "width.h=8", "seed=ensemble", "seed.members=8", "dynamics=sgd"),
    *("dynamics.units=article", "dynamics.lr=0.5", "dynamics.batch=6", "dynamics.t_end=20", "observe.per_decade=1"),
    *("observe.first=20", "observe.kernel.probe=0", "observe.kernel.final=false", "loss.margin_tol=1e-9"),
)


@pytest.mark.parametrize("surrogate", ["erf", "identity"])
def test_signs_forward_and_the_surrogate_back(surrogate):
    z = torch.tensor([-1.3, -0.2, 0.4, 2.0], dtype=torch.float64)
    phi = scaled(Sign(surrogate=surrogate, slope=2.0))
    torch.testing.assert_close(phi(z), torch.tensor([-1.0, -1, 1, 1]).double(), rtol=0, atol=0)
    passed = torch.ones_like(z) if surrogate == "identity" else 4 / np.pi**0.5 * (-4 * z**2).exp()
    torch.testing.assert_close(derivative(phi, z), passed)


@pytest.mark.parametrize("depth", [1, 2])
def test_kernels_and_what_a_flow_makes_of_them(depth):
    known = reference("surrogate_gradients")
    x, phi = known["x"], scaled(Sign(slope=known["slope"]))
    found = infinite_kernels(phi, depth, x, bias=known["bias"], bias_std=1.0)
    for one, expected in zip((found.ntk, found.nngp), known["kernels"][depth - 1], strict=True):
        torch.testing.assert_close(one, expected, rtol=1e-9, atol=1e-12)
    assert (found.ntk - found.ntk.mT).abs().max() > 0.01 * found.ntk.abs().max()
    between = infinite_kernels(phi, depth, x[4:], x[:4], bias=known["bias"], bias_std=1.0)
    torch.testing.assert_close(between.ntk, found.ntk[4:, :4])
    theta, sigma = found.ntk, found.nngp
    parts = (sigma[:4, :4], sigma[4:, :4], sigma[4:, 4:])
    means, covariances = gp_prediction(
        (theta[:4, :4], between.ntk), parts, known["y"], [known["time"]], symmetric=False
    )
    torch.testing.assert_close(means[0], known["means"][depth - 1], rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(covariances[0], known["covariances"][depth - 1], rtol=1e-7, atol=1e-9)


def test_blocks_of_a_kernel_are_not_mirrored(monkeypatch):
    x, phi = reference("surrogate_gradients")["x"], scaled(Sign())
    whole = infinite_kernels(phi, 1, x).ntk
    monkeypatch.setattr(infinite, "BLOCK_ENTRIES", 2 * len(x))
    torch.testing.assert_close(infinite_kernels(phi, 1, x).ntk, whole)


def test_a_straight_through_estimator_has_the_closed_form():
    """E 2δ(u) = √(2/πq) of the first argument alone."""
    x = torch.tensor([[1.0, 0.0], [2.0, 1.0]]).double()
    found = infinite_kernels(scaled(Sign(surrogate="identity")), 1, x)
    q = x.square().mean(1)
    torch.testing.assert_close(found.ntk - found.nngp, (x @ x.mT / 2) * (2 / torch.pi / q).sqrt()[:, None])


def test_without_an_end_the_process_is_the_solution():
    theta = torch.tensor([[2.0, 0.9], [0.1, 1.0]]).double()
    one = torch.eye(2).double()
    means, _ = gp_prediction(
        (theta, theta), (one, one, one), torch.tensor([1.0, -2]).double(), [torch.inf], symmetric=False
    )
    torch.testing.assert_close(means[0], torch.tensor([1.0, -2]).double())


def test_kernels_that_are_not_symmetric_are_refused_where_they_have_to_be():
    theta, y = torch.tensor([[1.0, 0.5], [0.0, 1.0]]).double(), torch.ones(2).double()
    one = torch.eye(2).double()
    with pytest.raises(ValueError, match="the training set is not symmetric"):
        gp_prediction((theta, theta), (one, one, one), y, [1.0])
    with pytest.raises(ValueError, match=r"is not symmetric, by 0\.5 of it"):
        kernel_regression(theta[None], theta[None], y)
    with pytest.raises(ValueError, match="eigenvalue of real part -1; the flow under it does not come to rest"):
        gp_prediction((-one, one), (one, one, one), y, [1.0], symmetric=False)
    with pytest.raises(ValueError, match="cutoff: is of eigenvalues of a symmetric kernel"):
        gp_prediction((theta, theta), (one, one, one), y, [1.0], symmetric=False, cutoff=0.1)
    phi = scaled(Sign())
    with pytest.raises(NumericalError, match="those of surrogate gradients are two things"):
        expectations(phi, 1e-6)
    with pytest.raises(NumericalError, match="this one has surrogates for them"):
        layers_at_start(phi, [10])


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("surrogates")
    for h in (8, 16):
        run(build(composed(*JOB, f"width.h={h}", f"output_dir={folder}")))
    return with_runs(load_sweep(folder))


def test_predictions_are_of_the_kernels_of_the_runs(networks):
    found = Ends.widest(networks)
    assert found.outputs.shape == (8, 8)
    one = networks["run"].iloc[0]
    mean, covariance = process(one, np.array([20.0]), 8)
    np.testing.assert_allclose(found.mean, mean[0])
    np.testing.assert_allclose(found.covariance, covariance[0])
    kernels, task, data = Bench().ready(one, "infinite_ntk")
    assert not kernels.symmetric
    whole = infinite_kernels(
        scaled(Sign()), 1, torch.cat([data.x_train, data.x_test]).double(), bias=0.1, bias_std=1.0
    ).ntk.mT
    decay = torch.linalg.matrix_exp(-whole[:6, :6] * 20 / 6)
    other = whole[6:, :6] @ torch.linalg.solve(whole[:6, :6], (torch.eye(6) - decay).double()) @ task.targets
    np.testing.assert_allclose(found.exchanged, other, rtol=1e-8)
    assert found.posterior == pytest.approx(
        kernel_regression(kernels.drawn.train[None], kernels.drawn.test_train[None], task.targets)[0].numpy(), rel=1e-6
    )


def test_baselines_that_ask_for_symmetry_are_refused(networks, tmp_path):
    bench = Bench(tmp_path)
    found = bench.beside([networks["run"].iloc[0]], [GaussianProcess(time="20"), RidgeRegression()], ["infinite_ntk"])
    assert [one.baseline.option_name for one in found] == ["gp"]
    np.testing.assert_allclose(found[0].found.arrays["F_test"], Ends.widest(networks).mean, rtol=1e-8)
    [sentence] = bench.problems
    assert "the kernel of surrogate gradients is not symmetric, which it asks for; take gp" in sentence


def test_figures_and_curves_of_a_symmetric_limit_are_refused(networks, tmp_path, caplog):
    one = networks["run"].iloc[0]
    with pytest.raises(ConfigError, match="is not symmetric, and has no such spectrum"):
        limit(one)
    assert stored_test_error(tmp_path, one.config) is None
    assert "the kernel of surrogate gradients is not symmetric" in caplog.text


def test_there_is_no_landscape_of_what_passes_back(tmp_path):
    batch = build(composed(*JOB, "seed.members=1", "observe.weights=ends", f"output_dir={tmp_path}"))
    run(batch)
    [one] = with_runs(load_sweep(tmp_path))["run"]
    with pytest.raises(ConfigError, match="surrogates have no Hessian of it"):
        stored_curvature(one.path)


def drawn(members=64, scale=1.0, towards=None, share=1.0):
    """Networks that are drawn from a process of their own, as they should be or moved towards another prediction."""
    random = np.random.default_rng(0)
    mean, exchanged, posterior = (0.3 * random.standard_normal(30) for _ in range(3))
    covariance = 0.2 * np.eye(30) + 0.05
    noise = random.multivariate_normal(np.zeros(30), covariance, members)
    moved = {"exchanged": exchanged, "posterior": posterior}.get(towards, mean)
    return Ends(mean + share * (moved - mean) + scale * noise, mean, covariance, exchanged, posterior)


@pytest.mark.parametrize(
    ("law", "other"),
    [
        (claim.mean, {"towards": "exchanged"}),
        (claim.variance, {"scale": 1.5}),
        (claim.not_posterior, {"towards": "posterior"}),
        (claim.not_exchanged, {"towards": "exchanged"}),
    ],
)
def test_planted_ensembles(law, other, monkeypatch):
    for made, verdict in ((drawn(), AGREES), (drawn(**other), DIFFERS)):
        monkeypatch.setattr(Ends, "of", lambda table, made=made: made)
        [row] = readings(law, planted(("test/loss", lambda h, alpha: 0.1)))
        assert row.verdict == verdict
        assert row.paper == "2405.15539"


@pytest.mark.parametrize(("few", "many", "verdict"), [("exchanged", None, AGREES), (None, "exchanged", DIFFERS)])
def test_planted_widths(few, many, verdict, monkeypatch):
    def of(table):
        return drawn(towards=few if (table["h"] == 64).all() else many)

    monkeypatch.setattr(Ends, "of", of)
    [row] = readings(claim.narrow, planted(("test/loss", lambda h, alpha: 0.1)))
    assert row.verdict == verdict


def test_other_sweeps_do_not_hear_of_it(networks):
    assert claim.mean.name not in {row.name for row in laws(sweep())}
    [row] = readings(claim.mean, networks[networks["h"] == 8].head(7))
    assert row.verdict == CANNOT_TELL


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["dynamics=gradient_flow"], "dynamics=gradient_flow has nothing to follow; use sgd with a small lr"),
        (["dynamics=linearised"], "dynamics=frozen_kernel has nothing to follow"),
        (["dynamics=natural_gradient"], "dynamics=natural_gradient has nothing to follow"),
        (["observe/also=[curvature]"], r"observe/also=\[curvature\]: is of derivatives of f"),
        (["observe/also=[limit]"], r"observe/also=\[limit\]: is of derivatives of f"),
        (["architecture=wide_resnet"], "architecture=wide_resnet is not known here"),
        (["activation.slope=0"], "activation.slope=0"),
    ],
)
def test_refusals(overrides, sentence):
    new = {word.split("=")[0] for word in overrides}
    job = [word for word in JOB if word.split(".")[0].split("=")[0] not in new or "." in overrides[0]]
    with pytest.raises(ConfigError, match=sentence):
        validate(composed(*job, *overrides))
