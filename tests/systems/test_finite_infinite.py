"""Kernels on parts of a training set: what they are against formulas written out, the laws, and what is refused."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.runs.batch import build
from feature_lazy.runs.sweep import load_sweep
from feature_lazy.runs.train import run
from feature_lazy.study.baselines.compute import Bench
from feature_lazy.study.laws import readings
from feature_lazy.study.table import with_runs
from feature_lazy.study.verdict import AGREES, CANNOT_TELL, DIFFERS
from feature_lazy.systems.finite_infinite import claim
from feature_lazy.systems.finite_infinite.claim import (
    broad_ridge,
    double_precision,
    early_stopping,
    ensemble_gain,
    nngp_over_ntk,
    shifted_sets,
    single_precision,
)
from feature_lazy.systems.finite_infinite.parts import eigen_regression, folds, shifted
from tests.arrays import normal
from tests.conftest import QUICK, TINY, composed
from tests.systems.reference import planted

OF_KERNELS = (early_stopping, nngp_over_ntk, broad_ridge, shifted_sets)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Two small networks of a smooth activation."""
    folder = tmp_path_factory.mktemp("finite")
    job = (*TINY, *QUICK, "loss=mse", "activation=erf", "dataset.n_train=80", "seed=ensemble", "seed.members=2")
    run(build(composed(*job, "observe.kernel.probe=0", "dynamics.t_end=1", f"output_dir={folder}")))
    return with_runs(load_sweep(folder))


def test_a_part_is_regression_on_its_own_patterns(stored):
    one = stored["run"][0]
    kernels, _, data = Bench().ready(one, "infinite_nngp")
    parts = list(folds(Bench(), one, 4))
    assert [len(part.x) for part in parts] == [20] * 4
    assert all(float(part.y.sum()) == 0 for part in parts)
    x = data.x_train[20:40]
    k, onto = kernels.between(x, None), kernels.between(data.x_test, x)
    expected = onto @ torch.linalg.solve(k + 0.1 * k.trace() / 20 * torch.eye(20).double(), data.y_train[20:40])
    torch.testing.assert_close(parts[1].regression("nngp", 0.1), expected, rtol=1e-10, atol=1e-12)


def test_images_are_moved_by_a_pixel_and_nothing_comes_round():
    x = torch.arange(1.0, 10.0).double()[None]
    right, left, down, up = (moved.reshape(3, 3) for moved in shifted(x, (1, 3, 3)))
    direction = {"right": [[0, 1, 2], [0, 4, 5], [0, 7, 8]], "left": [[2, 3, 0], [5, 6, 0], [8, 9, 0]]}
    direction |= {"down": [[0, 0, 0], [1, 2, 3], [4, 5, 6]], "up": [[4, 5, 6], [7, 8, 9], [0, 0, 0]]}
    for found, expected in zip((right, left, down, up), direction.values(), strict=True):
        wanted = torch.tensor(expected).double()
        torch.testing.assert_close(found, wanted * 3 / wanted.norm())
    with pytest.raises(ConfigError, match="only images"):
        shifted(x, (9,))


def test_regression_without_the_modes_of_rounding():
    """What a precision cannot tell from 0 is left out: of a kernel of rank 5, and exactly as pinv has it."""
    features = normal(12, 5)
    k, y = features @ features.mT, normal(12, seed=1)
    expected = k @ torch.linalg.pinv(k, hermitian=True, rtol=1e-12) @ y
    torch.testing.assert_close(eigen_regression(k, k, y, torch.float64), expected, rtol=1e-10, atol=1e-11)
    single = eigen_regression(k, k, y, torch.float32)
    assert 1e-9 < (single - expected).abs().max() < 1e-3


def test_laws_of_kernels_say_what_is_there(stored):
    for one in OF_KERNELS:
        [row] = readings(one, stored)
        assert np.isfinite(row.estimate.error)


@pytest.mark.parametrize(("times", "verdict"), [(1.0, CANNOT_TELL), (30.0, DIFFERS)])
def test_planted_time_that_is_another(stored, monkeypatch, times, verdict):
    """Early stopping a thirtieth as late is another predictor than the ridge; four parts of 20 cannot tell 0.999."""
    plain = claim.mse_prediction
    monkeypatch.setattr(claim, "mse_prediction", lambda k, onto, y, t: plain(k, onto, y, [one / times for one in t]))
    if times > 1:
        monkeypatch.setattr(claim, "RIDGES", (0.1, 1.0))
    [row] = readings(early_stopping, stored)
    assert row.verdict == verdict


def test_precision(stored, monkeypatch):
    monkeypatch.setattr(claim, "SIZES", (50, 100, 200))
    [double], [single] = readings(double_precision, stored), readings(single_precision, stored)
    assert double.verdict == AGREES
    assert double.estimate.value < single.estimate.value - 1


def test_planted_mean_of_networks():
    """Three networks that err on patterns of their own, and their mean on none; and networks that are one."""
    y = np.resize([1.0, -1.0], 60)

    def runs(mistakes):
        table = planted(("test/error", lambda h, alpha: 0.1), widths=(64,), seeds=3)
        for seed, one in enumerate(table["run"]):
            f = y.copy()
            f[mistakes[seed]] *= -0.5
            vars(one).update(
                outputs={"F_test": f, "y_test": y}, columns={"seed": seed}, config={"loss": {"kind": "mse"}}
            )
        return table

    old = claim.Run
    try:
        claim.Run = SimpleNamespace
        [row] = readings(ensemble_gain, runs([slice(0, 20), slice(20, 40), slice(40, 60)]))
        assert row.estimate.value == pytest.approx(1 / 3)
        assert row.verdict == AGREES
        [row] = readings(ensemble_gain, runs([slice(0, 20)] * 3))
        assert row.verdict == CANNOT_TELL
    finally:
        claim.Run = old


def test_other_losses_hear_nothing():
    table = planted(("test/error", lambda h, alpha: 0.1))
    for one in (*OF_KERNELS, ensemble_gain, double_precision, single_precision):
        [row] = readings(one, table)
        assert row.verdict == CANNOT_TELL
        assert "loss=mse" in row.measured
