"""Networks beside their linear models: the closed form, the law, and what is refused."""

import numpy as np
import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.data.prepare import Dataset
from feature_lazy.dynamics.losses import Mse
from feature_lazy.kernels import gp_prediction
from feature_lazy.measure.moment import Moment
from feature_lazy.measure.observer import Observer
from feature_lazy.networks.activations import Erf, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.runs.batch import build
from feature_lazy.runs.job import train_config
from feature_lazy.runs.reading import Run
from feature_lazy.runs.sweep import load_sweep
from feature_lazy.runs.train import run
from feature_lazy.settings.checks import validate
from feature_lazy.study import process
from feature_lazy.study.laws import laws, readings
from feature_lazy.study.table import with_runs
from feature_lazy.study.verdict import AGREES, DIFFERS
from feature_lazy.systems.linear_models.claim import (
    FIRST,
    GAP,
    HIDDEN,
    LAST,
    gap_against_width,
    mean_of_ensemble,
    variance_of_ensemble,
)
from feature_lazy.systems.linear_models.quantity import Linearised
from tests.conftest import TINY, composed
from tests.measure.observing import setting
from tests.study.conftest import sweep
from tests.systems.reference import planted, reference

JOB = (*TINY, "loss=mse", "observe/also=[linearised]", "dynamics.t_end=20", "alpha.value=1")


def test_equals_two_flows_that_were_integrated_apart():
    known = reference("linear_models")
    net = FullyConnected(3, [known["h"]], scaled(Erf()))
    data = Dataset(known["x_train"], known["y"], known["x_test"], torch.ones(len(known["x_test"])).double())
    stays = setting(net, data, Mse(), alpha=torch.ones(1).double(), w0=known["weights"][:1], n_test=len(data.x_test))
    observer = Observer(stays, [], {"linearised": Linearised()})
    states = Moment(stays, torch.zeros(4, dtype=torch.long), known["weights"], known["times"])
    found = [row[GAP] for row in observer.observe(states)]
    # The reference's own tolerance is 1e-12 of weights of order 1.
    assert found == pytest.approx(known["gap"].tolist(), abs=1e-10)


@pytest.mark.parametrize("labels", ["parity", "classes"])
@pytest.mark.parametrize("dynamics", ["linearised", "gradient_flow"])
def test_a_linearised_network_is_its_linear_model(tiny, store, dynamics, labels):
    job = tiny(*JOB, f"labels={labels}", f"dynamics={dynamics}", "dynamics.tolerance=1e-3", "observe.per_decade=4")
    [run_id] = train_config(job)
    gaps = store.load(run_id).history[GAP]
    assert len(gaps) > 3
    # Outputs are of order 1, followed to 1e-3.
    assert (gaps.max() < 3e-3) == (dynamics == "linearised")


def test_the_whole_network_without_removing_f0(tiny):
    validate(tiny(*JOB, "centred=false"))


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("loss=soft_hinge", "of loss=soft_hinge the linear model has no closed form; use mse"),
        ("dynamics=sgd", "not of dynamics=sgd; use gradient_flow"),
    ],
)
def test_refusals(tiny, override, sentence):
    job = [one for one in JOB if not (override.startswith("dynamics") and one.startswith("dynamics."))]
    with pytest.raises(ConfigError, match=sentence):
        validate(tiny(*job, override))


def test_kernels_beyond_the_memory_limit_are_refused(tiny):
    with pytest.raises(ConfigError, match=r"kernels of 20 outputs of 1 networks take .* more than memory_limit"):
        train_config(tiny(*JOB, "memory_limit=1KB"))


@pytest.mark.parametrize(("exponent", "verdict"), [(-1.0, AGREES), (-0.5, DIFFERS), (-1.4, DIFFERS)])
def test_planted_law(exponent, verdict):
    [row] = readings(gap_against_width, planted((GAP, lambda h, alpha: h**exponent / alpha)))
    assert row.verdict == verdict
    assert row.estimate.value == pytest.approx(exponent, abs=0.05)
    assert row.paper == "1902.06720"


def test_other_sweeps_do_not_hear_of_it():
    table = sweep()
    assert gap_against_width.name not in {row.name for row in laws(table)}
    assert "needs the column linearised/gap" in readings(gap_against_width, table)[0].measured


def by_hand(folder, n=8):
    """n small networks that are not centred, with their outputs over time."""
    job = (*TINY, "loss=mse", "activation=erf", "observe/also=[linearised,outputs]", "alpha=raw", "alpha.value=1")
    job = (*job, "centred=false", "seed=ensemble", f"seed.members={n}", "width.h=256", "dynamics.t_end=5")
    run(build(composed(*job, f"output_dir={folder}")))
    return with_runs(load_sweep(folder))


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    return by_hand(tmp_path_factory.mktemp("gp"))


def test_ensemble_is_the_gaussian_process(networks):
    """To Monte Carlo of 8 networks: the error bars that the laws themselves have."""
    [mean], [variance] = readings(mean_of_ensemble, networks), readings(variance_of_ensemble, networks)
    for row in (mean, variance):
        assert abs(row.estimate.value - 1) < row.estimate.error + 0.1


@pytest.mark.parametrize(("shift", "factor"), [(0.0, 1.5), (3.0, 1.0)])
def test_planted_mean_and_variance_that_are_others(networks, monkeypatch, shift, factor):
    def moved(*given, **how):
        mean, covariance = gp_prediction(*given, **how)
        sd = covariance.diagonal(dim1=1, dim2=2).sqrt()
        return mean + shift * sd, covariance * factor**2

    plain = [readings(one, networks)[0].estimate.value for one in (mean_of_ensemble, variance_of_ensemble)]
    monkeypatch.setattr(process, "gp_prediction", moved)
    [mean], [variance] = readings(mean_of_ensemble, networks), readings(variance_of_ensemble, networks)
    if shift:
        assert mean.verdict == DIFFERS
        assert mean.estimate.value > shift
    else:
        assert variance.estimate.value == pytest.approx(plain[1] / factor**2, rel=1e-9)
        assert mean.estimate.value == pytest.approx(plain[0] / factor, rel=1e-9)


def test_the_end_is_that_of_each_network(networks, monkeypatch):
    """Networks that have fit stop before others: at the end all count, as those do that go on; over time none does."""
    whole, end = process.Beside.of(networks), process.Beside.of(networks, end=True)
    np.testing.assert_array_equal(end.values, whole.values[:, -1:])
    np.testing.assert_array_equal(end.correlation, whole.correlation)
    early, over_time = networks["run"].iloc[3].path, Run.over_time

    def shorter(run, name):
        t, f = over_time(run, name)
        return (t[:-1], f[:-1]) if run.path == early else (t, f)

    def nothing(run, name):
        return tuple(values[:1] for values in over_time(run, name))

    monkeypatch.setattr(Run, "over_time", shorter)
    assert process.Beside.of(networks) is None
    found = process.Beside.of(networks, end=True).values
    assert (found == end.values).all((1, 2)).tolist() == [row != 3 for row in range(8)]
    monkeypatch.setattr(Run, "over_time", lambda run, name: (nothing if run.path == early else over_time)(run, name))
    assert process.Beside.of(networks) is None  # one that fit at once, and has t = 0 alone


def test_centred_networks_have_no_variance_to_judge():
    table = planted((GAP, lambda h, alpha: h**-1.0))
    for one in (mean_of_ensemble, variance_of_ensemble):
        [row] = readings(one, table)
        assert "centred=false, observe/also=[outputs]" in row.measured


@pytest.mark.parametrize(
    ("which", "layer", "exponent"), [(FIRST, "W0", -0.5), (HIDDEN, "W1", -1.0), (LAST, "W2", -0.5)]
)
def test_planted_changes_of_layers(which, layer, exponent):
    for true, verdict in ((exponent, AGREES), (exponent - 0.5, DIFFERS)):
        table = planted((GAP, lambda h, alpha: 1 / h), (f"weights/{layer}/change", lambda h, alpha, true=true: h**true))
        [row] = readings(which, table)
        assert row.verdict == verdict
