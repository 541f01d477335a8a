"""Gaussians with one precision matrix: f, its kernel, where centres begin, and what is said of a metric."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.data.prepare import Dataset
from feature_lazy.dynamics.losses import Mse
from feature_lazy.kernels import tangent_kernel
from feature_lazy.measure.quantities.active import Active
from feature_lazy.networks.activations import Erf, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.runs.batch import build
from feature_lazy.settings.checks import validate
from feature_lazy.study.laws import readings
from feature_lazy.study.verdict import AGREES, DIFFERS
from feature_lazy.systems.radial_basis.claim import ALIGNMENT, IMPORTANCE, alignment, importance, isotropic
from feature_lazy.systems.radial_basis.network import RadialBasis, _means
from tests.conftest import composed
from tests.measure.observing import moment, setting
from tests.systems.reference import planted, reference

JOB = ("architecture=rbf", "dataset=stripe", "dataset.dim=4", "dataset.n_train=20", "dataset.n_test=20", "width.h=6")


def known_network():
    known = reference("radial_basis")
    net = RadialBasis(known["x"], 4)
    params = {"W0": known["gamma"], "C0": known["centres"], "W1": known["weights"][None]}
    return known, net, {name: one[None] for name, one in params.items()}


def test_outputs_and_kernel_are_those_that_were_written_out():
    known, net, params = known_network()
    torch.testing.assert_close(net.apply(params, known["x"])[0], known["f"], rtol=1e-12, atol=1e-14)
    theta = known["jacobian"] @ known["jacobian"].mT
    torch.testing.assert_close(tangent_kernel(net, params, known["x"])[0], theta, rtol=1e-12, atol=1e-13)


def test_fixed_centres_are_no_part_of_the_kernel():
    known, _, params = known_network()
    fixed = RadialBasis(known["x"], 4, fixed=True)
    jacobian = torch.cat([known["jacobian"][:, :9], known["jacobian"][:, 21:]], 1)
    theta = tangent_kernel(fixed, params, known["x"])[0]
    torch.testing.assert_close(theta, jacobian @ jacobian.mT, rtol=1e-12, atol=1e-13)


def test_centres_begin_as_patterns_that_the_seed_draws():
    net = build(composed(*JOB)).architecture
    assert isinstance(net, RadialBasis)
    first, again, other = net.init(0), net.init(0), net.init(1)
    for row in first["C0"]:
        assert (net.x == row).all(1).any()
    assert len(first["C0"].unique(dim=0)) == 6
    assert torch.equal(first["C0"], again["C0"])
    assert not torch.equal(first["C0"], other["C0"])
    torch.testing.assert_close(net.metric({k: v[None] for k, v in first.items()})[0], torch.eye(4).double() / 4)


def test_means_of_two_clouds_are_found():
    """From two patterns of one cloud; and a centre that no pattern is nearest to stays."""
    noise = torch.randn(20, 2, generator=torch.Generator().manual_seed(0)).double() / 10
    clouds = noise + torch.tensor([3.0] * 10 + [-3.0] * 10)[:, None]
    far = torch.full((1, 2), 100.0).double()
    found = _means(clouds, torch.cat([clouds[:2], far]))
    assert torch.equal(found[2:], far)
    torch.testing.assert_close(found[:2].sum(0), clouds[:10].mean(0) + clouds[10:].mean(0), rtol=1e-12, atol=1e-12)
    net = RadialBasis(clouds, 2, means=True)
    assert torch.equal(net.init(3)["C0"], _means(clouds, RadialBasis(clouds, 2).init(3)["C0"]))


def active(net, params, x, along=None, inputs=8):
    w = net.layout.flatten(params)
    data = Dataset(x, torch.ones(len(x)).double(), x, torch.ones(len(x)).double(), directions=along)
    stays = setting(net, data, Mse(), alpha=torch.ones(len(w)).double(), w0=w, n_test=len(x))
    one, now = Active(inputs=inputs), moment(stays, torch.arange(len(w)), w)
    one.begin(now)
    return {name: values.tolist() for name, values in one.at(now).items()}


def test_metric_is_described_as_it_was_written_out():
    known, net, params = known_network()
    found = active(net, params, known["x"], known["along"][None])
    assert found["active/top_share"] == pytest.approx([known["top_share"]], rel=1e-12)
    assert found[ALIGNMENT] == pytest.approx([known["alignment"]], rel=1e-12)
    shares = [found[f"active/importance_{i}"][0] for i in range(3)]
    assert shares == pytest.approx(known["importance"].tolist(), rel=1e-12)
    assert len(active(net, params, known["x"], inputs=2)) == 4
    assert np.isnan(active(net, params, known["x"])[ALIGNMENT])


def test_a_metric_of_zero_has_no_importance_and_one_of_nan_is_nan():
    known, net, params = known_network()
    both = {name: torch.cat([one, one]) for name, one in params.items()}
    both["W0"] = torch.stack([torch.zeros(3, 3), torch.full((3, 3), torch.nan)]).double()
    found = active(net, both, known["x"])
    assert found[IMPORTANCE][0] == 0
    assert np.isnan(found[IMPORTANCE][1])


def test_first_layer_of_a_fully_connected_network_has_a_metric():
    net = FullyConnected(3, [5], scaled(Erf()))
    params = {name: one[None].clone() for name, one in net.init(0).items()}
    params["W0"][:] = 0
    params["W0"][0, 2, 1] = 2.0
    found = active(net, params, reference("radial_basis")["x"], torch.tensor([[0.0, 3.0, 0.0]]).double())
    assert found[ALIGNMENT] == pytest.approx([1])
    assert found["active/importance_1"] == pytest.approx([1])


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("width.h=21", "width.h=21: centres are training patterns, of which there are dataset.n_train=20"),
        ("parametrisation=mup", "architecture=rbf is scaled as ntk alone"),
    ],
)
def test_refusals(override, sentence):
    with pytest.raises(ConfigError, match=sentence):
        validate(composed(*JOB, override))


def test_patterns_that_are_far_apart_are_warned_of(caplog):
    caplog.set_level(logging.WARNING)
    option, x = composed(*JOB).architecture, torch.randn(20, 4).double()
    for size in (1.0, 10.0):
        option.build(SimpleNamespace(h=6), SimpleNamespace(x_train=size * x, n_outputs=1))  # type: ignore
        assert ("median exponent" in caplog.text) is (size > 1)


def table(lazy, feature, cosine):
    """Two inputs: importance of the first in lazy training and where features are learnt, and the cosine there."""
    first = (IMPORTANCE, lambda h, alpha: lazy if alpha > 1 else feature)
    found = planted(first, (ALIGNMENT, lambda h, alpha: cosine), widths=(64,), alphas=(0.1, 50.0))
    return found.assign(**{"active/importance_1": 1 - found[IMPORTANCE]})


@pytest.mark.parametrize(("good", "verdict"), [(True, AGREES), (False, DIFFERS)])
def test_planted_claims(good, verdict):
    runs = table(0.5, 0.95, 1.1) if good else table(0.7, 0.7, 0.8)
    for one in (alignment, importance, isotropic):
        [row] = readings(one, runs)
        assert row.verdict == verdict, one.name


def test_inputs_that_are_not_recorded_leave_no_share():
    runs = table(0.5, 0.95, 1.0).drop(columns="active/importance_1")
    [row] = readings(isotropic, runs)
    assert row.estimate is None
