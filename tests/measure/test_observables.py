"""Observables against values by hand."""

import math

import pytest
import torch

from feature_lazy.data.prepare import Dataset
from feature_lazy.dynamics.losses import Hinge
from feature_lazy.kernels import relative_change, tangent_kernel
from feature_lazy.measure.quantities.fit import fit, output_norms
from feature_lazy.measure.quantities.weights import weight_change
from feature_lazy.networks.activations import Relu, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.networks.layout import Layout
from tests.measure.observing import columns, default_observer, moment, setting

LABELS = torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64)


def tensor(*rows):
    return torch.tensor(rows, dtype=torch.float64)


def test_fit():
    # Margins: 2, 0.5, 0, -1 and 1, 1, 3, 2.
    found = fit(tensor([2.0, -0.5, 0.0, 1.0], [1.0, -1.0, 3.0, -2.0]), LABELS, Hinge())
    assert {name: value.tolist() for name, value in found.items()} == {
        "loss": [(0.5 + 1 + 2) / 4, 0],
        "error": [0.5, 0],  # F·y = 0 is an error
        "margin_min": [-1, 1],
        "margin_median": [0.25, 1.5],
        "margin_max": [2, 3],
        "unfit": [3, 0],  # F·y = 1 is fit
    }


def test_output_norms():
    found = output_norms(tensor([3.0, 4.0], [1.0, 1.0]), tensor([3.0, 2.0], [0.0, 0.0]), torch.tensor([10.0, 0.5]))
    assert found["f_rms"].tolist() == pytest.approx([math.sqrt(12.5), 1])
    assert found["df_rms"].tolist() == pytest.approx([math.sqrt(2), 1])
    assert found["alpha_df_rms"].tolist() == pytest.approx([10 * math.sqrt(2), 0.5])


def test_weight_change():
    layout = FullyConnected(1, [2], scaled(Relu())).layout
    found = weight_change(layout, tensor([3.0, 4.0, 1.0, 0.0]), tensor([0.0, 4.0, 0.0, 2.0]))
    assert {name: value.item() for name, value in found.items()} == pytest.approx(
        {
            "norm": math.sqrt(26),
            "change": math.sqrt(14 / 20),
            "W0/change": 3 / 4,
            "W1/change": math.sqrt(5) / 2,
        }
    )


@pytest.fixture
def observer():
    """Two members of different α, four training and six test patterns."""
    net = FullyConnected(3, [5], scaled(Relu()))
    x = torch.randn(10, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = torch.tensor([1.0, -1.0] * 5, dtype=torch.float64)
    w0 = torch.cat([net.layout.flatten({k: v[None] for k, v in net.init(seed).items()}) for seed in (0, 1)])
    data, alpha = Dataset(x[:4], y[:4], x[4:], y[4:]), torch.tensor([2.0, 0.1], dtype=torch.float64)
    return default_observer(setting(net, data, Hinge(), alpha=alpha, w0=w0, n_test=4), 3)


def test_a_weight_that_begins_at_zero_changes_in_units_of_a_standard_normal_one():
    layout = Layout({"W0": (2, 1), "B0": (2, 1)})
    found = weight_change(layout, tensor([3.0, 4.0, 0.3, 0.4]), tensor([3.0, 0.0, 0.0, 0.0]))
    assert found["W0/change"].item() == pytest.approx(4 / 3)
    assert found["B0/change"].item() == pytest.approx(0.5 / math.sqrt(2))


def test_observes_each_member_with_its_own_initial_state(observer):
    """Rows may come in any order and number: members 1, 0, 1 at other weights."""
    stays = observer.setting
    member, data, loss = torch.tensor([1, 0, 1]), stays.data, stays.loss
    w = stays.w0[member] + tensor([0.1], [0.2], [0.0])
    found = columns(observer.observe(moment(stays, member, w)))
    unflatten, net = stays.model.architecture.layout.unflatten, stays.model.architecture
    for row, m in enumerate(member.tolist()):
        now, then = unflatten(w[row : row + 1]), unflatten(stays.w0[m : m + 1])
        predictor = stays.flow.alpha[m] * (net.apply(now, data.x_test) - net.apply(then, data.x_test))
        # Over time n_test = 4 of the test patterns, at the end all six.
        for name, value in fit(predictor[:, :4], data.y_test[:4], loss).items():
            assert found[f"test/{name}"][row].item() == pytest.approx(value.item(), rel=1e-12, abs=1e-14)
        final, outputs = observer.end(moment(stays, member[row : row + 1], w[row : row + 1]))
        final = columns([final])
        torch.testing.assert_close(outputs["F_test"], predictor)
        torch.testing.assert_close(outputs["f0_test"], net.apply(then, data.x_test))
        for name, value in fit(predictor, data.y_test, loss).items():
            assert final[f"test/{name}"].item() == pytest.approx(value.item(), rel=1e-12, abs=1e-14)
        for key, value, x in (
            ("kernel/change", found["kernel/change"][row], data.x_test[:3]),
            ("kernel/change_test", final["kernel/change_test"], data.x_test),
            ("kernel/change_train", final["kernel/change_train"], data.x_train),
        ):
            expected = relative_change(tangent_kernel(net, now, x), tangent_kernel(net, then, x))
            assert value.item() == pytest.approx(expected.item(), rel=1e-10, abs=1e-14), key
    assert found["kernel/change"][2] == found["weights/change"][2] == found["output/df_rms"][2] == 0
