"""Networks beside their support vector machine: the certificate, the bound, the laws, and what is refused."""

import math

import numpy as np
import pytest
import torch

from feature_lazy.kernels import infinite_kernels
from feature_lazy.kernels.support import support_weights
from feature_lazy.networks.activations import Relu, scaled
from feature_lazy.runs.batch import build
from feature_lazy.runs.sweep import load_sweep
from feature_lazy.runs.train import run
from feature_lazy.study.baselines.compute import Bench
from feature_lazy.study.laws import readings
from feature_lazy.study.table import with_runs
from feature_lazy.study.verdict import AGREES, CANNOT_TELL, DIFFERS
from feature_lazy.systems.svm.certificate import LOWEST, WHERE, bounds, certified_radius, kernel_shape
from feature_lazy.systems.svm.claim import (
    CHANGE,
    certificate,
    change_under_output,
    distance_against_width,
    generalisation,
    with_distance,
)
from tests.arrays import normal
from tests.conftest import QUICK, TINY, composed
from tests.systems.reference import planted

D = 6


def theta(x1, x2):
    return infinite_kernels(scaled(Relu()), 1, torch.as_tensor(x1), torch.as_tensor(x2)).ntk.numpy()


def test_shape_is_the_kernel_and_its_minimum_is_where_it_is_said():
    x, others = normal(3, D).numpy(), normal(5, D, seed=1).numpy()
    sizes = np.linalg.norm(x, axis=1)[:, None] * np.linalg.norm(others, axis=1)
    np.testing.assert_allclose(theta(x, others), sizes * kernel_shape(x @ others.T / sizes) / (np.pi * D), rtol=1e-12)
    u = np.linspace(-1, 1, 2_000_001)
    h = kernel_shape(u)
    assert LOWEST < h.min() < LOWEST + 1e-5
    assert u[h.argmin()] == pytest.approx(WHERE, abs=1e-5)
    assert (np.diff(h[: h.argmin()]) < 0).all()
    assert (np.diff(h[h.argmin() :]) > 0).all()


@pytest.mark.parametrize("radius", [0.01, 0.1, 0.4])
def test_no_pattern_of_the_ball_is_outside_the_bounds(radius):
    """Corners of the ball and points in it: 4000 of them, for patterns at all angles."""
    x, others = normal(D).numpy(), np.concatenate([normal(12, D, seed=1).numpy(), -normal(1, D).numpy()])
    random = np.random.default_rng(0)
    moves = radius * np.concatenate([random.choice([-1.0, 1.0], (2000, D)), random.uniform(-1, 1, (2000, D))])
    found, (least, most) = theta(x + moves, others), bounds(x, others, radius)
    assert (found >= least - 1e-12).all()
    assert (found <= most + 1e-12).all()
    # They are bounds and not far: of what the kernel does move by, at most ten times; at the opposite
    # pattern, where H has a kink, more.
    assert (most - least < 10 * np.ptp(found, axis=0))[:-1].all()


def test_certified_radius_is_kept_by_every_corner():
    x, others = normal(D).numpy(), normal(10, D, seed=2).numpy()
    a = normal(10, seed=3).numpy()
    radius = certified_radius(x, others, a)
    assert radius > 0
    corners = radius * np.array(np.meshgrid(*[[-1.0, 1.0]] * D)).reshape(D, -1).T
    signs = np.sign(theta(x + corners, others) @ a)
    assert (signs == np.sign(theta(x[None], others) @ a)).all()


@pytest.mark.parametrize(("exponent", "verdict"), [(-0.5, AGREES), (-1.0, DIFFERS), (0.0, DIFFERS)])
def test_planted_distance(exponent, verdict):
    table = planted(("distance", lambda h, alpha: h**exponent), (CHANGE, lambda h, alpha: h**-0.5))
    [row] = readings(distance_against_width, table)
    assert row.verdict == verdict
    assert row.estimate.value == pytest.approx(exponent, abs=0.05)


def test_runs_without_the_penalty_have_no_machine():
    table = planted((CHANGE, lambda h, alpha: h**-0.5))
    for one in (distance_against_width, certificate, generalisation, change_under_output):
        [row] = readings(one, table)
        assert row.verdict == CANNOT_TELL
        assert "regulariser=" in row.measured


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Networks of one layer at two widths under the penalty on the distance, trained for a short time."""
    folder = tmp_path_factory.mktemp("svm")
    job = (*TINY, "loss=soft_hinge", "activation=relu", "regulariser=distance", "regulariser.strength=0.3")
    job = (*job, "architecture.depth=1", "seed=ensemble", "seed.members=2")
    job = (*job, *QUICK, "dynamics.t_end=0.3")
    for h in ("width.h=8", "width.h=16"):
        run(build(composed(*job, h, f"output_dir={folder}")))
    return with_runs(load_sweep(folder))


def test_certificate_bound_and_distance_of_stored_runs(stored):
    [radii], [bound] = readings(certificate, stored), readings(generalisation, stored)
    assert radii.estimate.value > 1
    kernels, task, data = Bench().ready(stored["run"][0], "infinite_ntk")
    theta, y = kernels.train, task.labels
    a = support_weights(theta, y, 0.3)
    hinges = [(1 - y * (theta @ a)).relu().mean(), (1 - data.y_test * (kernels.test_train @ a)).relu().mean()]
    n = len(y)
    slack = 2 * (a @ theta @ a * theta.trace()).sqrt() / n + 3 * math.sqrt(math.log(2 / 0.05) / (2 * n))
    assert bound.estimate.value == pytest.approx(float(hinges[1] - hinges[0] - slack), rel=1e-9)
    assert bound.estimate.value < 0
    assert (with_distance(stored)["distance"] > 0).all()
    [row] = readings(change_under_output, stored)
    assert row.verdict == CANNOT_TELL
