"""What is not learnt yet along the eigenvectors of the first kernel: values, rates, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.data.prepare import Dataset
from feature_lazy.dynamics.losses import Mse
from feature_lazy.dynamics.model import NetworkModel
from feature_lazy.kernels import tangent_kernel
from feature_lazy.measure.observer import Observer, default_set
from feature_lazy.measure.quantities.components import Components, rate
from feature_lazy.networks.activations import Softplus, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.runs.batch import build
from feature_lazy.runs.measuring import measure
from feature_lazy.runs.sweep import load_sweep
from feature_lazy.runs.train import run
from feature_lazy.settings.checks import validate
from feature_lazy.settings.observing import KernelObservation
from tests.arrays import normal
from tests.conftest import TINY, composed
from tests.measure.observing import columns, moment, setting

P = 7
X, Y = normal(P, 4, seed=1), torch.tensor([1.0, -1, 1, -1, 1, -1, 1], dtype=torch.float64)
MEMBER = torch.tensor([1, 0])


def network(n_outputs=1):
    net = FullyConnected(4, [5, 6], scaled(Softplus(5.0)), n_outputs=n_outputs)
    w0 = torch.cat([net.layout.flatten({k: v[None] for k, v in net.init(seed).items()}) for seed in (0, 1)])
    return net, w0, w0[MEMBER] + normal(2, w0.shape[1], seed=2) / 10


def observer(stays, k):
    return Observer(stays, default_set(KernelObservation(probe=0, final=False, components=k)), {})


@pytest.mark.parametrize(("n_outputs", "labels"), [(1, Y), (2, (Y > 0).long())])
def test_values_are_those_of_eigenvectors_by_another_library(n_outputs, labels):
    net, w0, moved = network(n_outputs)
    stays = setting(
        net, Dataset(X, labels, X, labels, n_outputs=n_outputs), Mse(), alpha=torch.ones(2).double(), w0=w0, n_test=P
    )
    size = P * n_outputs
    found = observer(stays, size)
    first, now = (columns(found.observe(moment(stays, MEMBER, w))) for w in (w0[MEMBER], moved))
    ends, _ = found.end(moment(stays, MEMBER[:1], moved[:1]))
    wanted = labels.numpy() if n_outputs == 1 else np.eye(2)[labels].ravel()
    for row, member in enumerate(MEMBER.tolist()):
        each = {name: weight[member : member + 1] for name, weight in net.layout.unflatten(w0).items()}
        values, vectors = np.linalg.eigh(tangent_kernel(net, each, X)[0].numpy())
        F = net.apply(net.layout.unflatten(moved[row : row + 1]), X) - net.apply(each, X)
        for i in range(size):
            u = vectors[:, size - 1 - i]
            u = u * np.sign(u @ wanted)
            name = f"train/component_{i + 1}"
            assert float(first[name][row]) == pytest.approx(u @ wanted / np.sqrt(P), abs=1e-9)
            assert float(now[name][row]) == pytest.approx(u @ (wanted - F.flatten().numpy()) / np.sqrt(P), abs=1e-9)
            if row == 0:
                others = np.delete(values, size - 1 - i)
                own = values[size - 1 - i]
                assert ends[f"component/eigenvalue_{i + 1}"] == pytest.approx(own, rel=1e-9)
                assert ends[f"component/gap_{i + 1}"] == pytest.approx(np.abs(others - own).min() / own, rel=1e-6)


def test_eigenvalues_below_rounding_are_left_out():
    """Two patterns that are one have an eigenvalue of 0."""
    net, w0, _ = network()
    x = torch.cat([X[:1], X[:3]])
    stays = setting(net, Dataset(x, Y[:4], x, Y[:4]), Mse(), alpha=torch.ones(2).double(), w0=w0, n_test=4)
    ends, _ = observer(stays, 4).end(moment(stays, MEMBER[:1], w0[MEMBER[:1]]))
    assert np.isfinite([ends[f"component/eigenvalue_{i}"] for i in (1, 2, 3)]).all()
    assert np.isnan([ends["component/eigenvalue_4"], ends["component/gap_4"]]).all()


def test_rate_of_what_falls_exponentially():
    t = np.array([0.0, 0.1, 0.5, 1.0, 2.0, 100.0])
    told = np.array([2.0, np.nan, 2 * np.exp(-0.75), 2 * np.exp(-1.5), 1.9, 1e-3])  # the last two tell nothing
    assert rate({"t": t, "a": told}, "a") == pytest.approx(1.5, rel=1e-12)
    assert np.isnan(rate({"t": t[[0, 5]], "a": told[[0, 5]]}, "a"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("components")
    job = (*TINY, "loss=mse", "alpha.value=1e4", "dynamics=linearised", "dynamics.tolerance=1e-3")
    job = (*job, "observe.weights=all", "observe.kernel.components=2", "observe.per_decade=8", f"output_dir={folder}")
    run(build(composed(*job)))
    return load_sweep(folder)


def test_a_kernel_at_rest_has_the_rates_of_its_eigenvalues(trained):
    """What is left is of the integrator's tolerance, over the tenth of a component that is the smallest counted."""
    [row] = trained.table.to_dict("records")
    for i in (1, 2):
        assert row[f"component/rate_{i}"] * 20 / row[f"component/eigenvalue_{i}"] == pytest.approx(1, abs=1e-2)


def test_what_is_made_of_the_course_is_measured_later_too(trained):
    [one] = trained.runs

    class Later(Components):
        """Under other names."""

        def at(self, moment):
            return {f"later/{name}": value for name, value in super().at(moment).items()}

        def end(self, moment):
            return {}

        def over(self, history):
            return {"later/rate": rate(history, "later/train/component_1")}

    found = measure(one, {"later": Later(count=1)})
    assert found.summary["later/rate"] == pytest.approx(one.summary["component/rate_1"], rel=1e-6)


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["loss=soft_hinge"], "components=3: with loss=soft_hinge components do not fall exponentially; use loss=mse"),
        (["loss=mse", "dynamics=adam"], "with dynamics=adam .* use dynamics=gradient_flow"),
        (["loss=mse", "observe.kernel.components=21"], "components=21: must be at most dataset.n_train=20"),
    ],
)
def test_refusals(configure, overrides, sentence):
    with pytest.raises(ConfigError, match=sentence):
        validate(configure(*TINY, "observe.kernel.components=3", *overrides))


def test_kernels_that_do_not_fit_are_refused():
    net, w0, _ = network()
    stays = setting(net, Dataset(X, Y, X, Y), Mse(), alpha=torch.ones(2).double(), w0=w0, n_test=P)
    stays = replace(stays, model=NetworkModel(net, memory_limit=1000.0))
    with pytest.raises(ConfigError, match=r"components=2: kernels of 7 outputs of 2 networks take 3.1e\+03 bytes"):
        observer(stays, 2)
