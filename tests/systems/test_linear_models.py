"""Networks beside their linear models: the closed form, the law, and what is refused."""

import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.data.prepare import Dataset
from feature_lazy.dynamics.losses import Mse
from feature_lazy.measure.moment import Moment
from feature_lazy.measure.observer import Observer
from feature_lazy.networks.activations import Erf, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.runs.job import train_config
from feature_lazy.settings.checks import validate
from feature_lazy.study.laws import laws, readings
from feature_lazy.study.verdict import AGREES, DIFFERS
from feature_lazy.systems.linear_models.claim import GAP, gap_against_width
from feature_lazy.systems.linear_models.quantity import Linearised
from tests.conftest import TINY
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
