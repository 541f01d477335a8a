"""Several outputs: losses, labels and observables of classes, against values by hand."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from feature_lazy.core.errors import DataError
from feature_lazy.core.margins import margins
from feature_lazy.data.labels import Classes
from feature_lazy.data.prepare import Dataset, prepare
from feature_lazy.dynamics.losses import CrossEntropy, Mse, push
from feature_lazy.kernels import relative_change, tangent_kernel
from feature_lazy.measure.quantities.fit import fit
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.study.table import margins as stored_margins
from tests.arrays import normal
from tests.kernels.test_class_kernels import PHI, C, weights
from tests.measure.observing import columns, default_observer, moment, setting

LOSSES = pytest.mark.parametrize("loss", [CrossEntropy(), Mse(1.1)], ids=lambda loss: type(loss).__name__)

# F of two patterns with three outputs each, and by hand: margins, mse with c = 1.1, cross-entropy.
OUTPUTS = torch.tensor([2.0, 0.5, -1.0, 0.0, 0.0, 0.25], dtype=torch.float64)
RANKS = torch.tensor([0, 1])
BY_HAND = {
    "margins": [1.5, -0.25],
    "mse": [0.5 * (0.9**2 + 0.5**2 + 1), 0.5 * (1.1**2 + 0.25**2)],
    "cross_entropy": [math.log(1 + math.exp(-1.5) + math.exp(-3)), math.log(2 + math.exp(0.25))],
}


def test_values_by_hand():
    found = {"margins": margins, "mse": Mse(1.1), "cross_entropy": CrossEntropy()}
    for name, value in BY_HAND.items():
        assert found[name](OUTPUTS, RANKS).tolist() == pytest.approx(value, rel=1e-14)
        # Members, each with labels of its own: the second has the patterns in the other order.
        both = torch.stack([OUTPUTS, OUTPUTS.reshape(2, C).flip(0).flatten()])
        expected = torch.tensor([value, value[::-1]], dtype=torch.float64)
        torch.testing.assert_close(found[name](both, torch.stack([RANKS, RANKS.flip(0)])), expected)


def test_two_classes_are_one_output_split_in_two():
    """F_1 − F_0 = F: the margins are those of ±1, and cross-entropy is ln(1 + e^{−m})."""
    f, y = normal(6), torch.tensor([1.0, -1.0] * 3, dtype=torch.float64)
    two, ranks = torch.stack([-f / 2, f / 2], dim=1).flatten(), (y > 0).long()
    torch.testing.assert_close(margins(two, ranks), margins(f, y))
    torch.testing.assert_close(CrossEntropy()(two, ranks), nn.functional.softplus(-f * y))


@LOSSES
def test_push_is_the_central_difference_and_curvature_its_largest_slope(loss):
    f, y, step = normal(5, 4 * C), torch.tensor([0, 2, 1, 1]), 1e-6
    found = push(loss, f, y, 7)
    assert found.shape == f.shape
    for place, e in enumerate(torch.eye(4 * C, dtype=torch.float64) * step):
        difference = (loss(f + e, y) - loss(f - e, y)).sum(1) / (2 * step)
        # Rounding of ℓ ≤ 5 by 1e-15/step.
        torch.testing.assert_close(found[:, place], -difference / 7, rtol=0, atol=1e-9)
    slopes = torch.func.vmap(torch.func.jacrev(torch.func.grad(lambda one: loss(one, y[:1]).sum())))(normal(2000, C))
    largest = float(torch.linalg.eigvalsh(slopes).max())
    assert 0.9 * loss.curvature < largest <= loss.curvature * (1 + 1e-12)


def test_fit_and_stored_margins():
    found = fit(torch.stack([OUTPUTS, torch.zeros(6).double()]), RANKS, CrossEntropy())
    expected = {
        "loss": [sum(BY_HAND["cross_entropy"]) / 2, math.log(3)],
        "error": [0.5, 1],  # at the start all outputs are equal, and no pattern is on its side
        "margin_min": [-0.25, 0],
        "margin_median": [0.625, 0],
        "margin_max": [1.5, 0],
        "unfit": [1, 2],
    }
    assert {name: value.tolist() for name, value in found.items()} == {k: pytest.approx(v) for k, v in expected.items()}
    stored = stored_margins(OUTPUTS.reshape(1, 2, C).numpy(), RANKS.numpy())
    assert stored.tolist() == [pytest.approx(BY_HAND["margins"])]
    assert stored_margins(np.array([[2.0, -1.0]]), np.array([1.0, -1.0])).tolist() == [[2, 1]]


# ---- data and observation


def test_labels_are_ranks_and_the_split_is_balanced():
    assert Classes().values(np.array([5, 3, 9, 3]), [3, 5, 9], None).tolist() == [1, 0, 2, 0]
    data, parity = prepare("digits", 60, 30, 0, labels=Classes()), prepare("digits", 60, 30, 0)
    assert (data.n_outputs, parity.n_outputs) == (10, 1)
    assert data.y_train.bincount().tolist() == [6] * 10
    assert data.y_test.bincount().tolist() == [3] * 10
    assert torch.equal(data.x_train, parity.x_train)
    assert torch.equal(2.0 * (data.y_train % 2) - 1, parity.y_train.float())
    single = data.to(torch.float32, torch.device("cpu"))
    assert (single.x_train.dtype, single.y_train.dtype, single.n_outputs) == (torch.float32, torch.int64, 10)
    with pytest.raises(DataError, match="n_train = 62 and n_test = 30 must be multiples of 10, or"):
        prepare("digits", 62, 30, 0, labels=Classes())


def test_observer():
    """F and f₀ are stored with an axis of outputs; the test set is cut by patterns."""
    net, x, y = FullyConnected(9, [5], PHI, n_outputs=C), normal(10, 9), torch.arange(10) % C
    params, data = weights(net), Dataset(x[:4], y[:4], x[4:], y[4:], n_outputs=C)
    w0, alpha = net.layout.flatten(params), torch.tensor([2.0, 0.1], dtype=torch.float64)
    stays = setting(net, data, CrossEntropy(), alpha=alpha, w0=w0, n_test=4)
    observer, now = default_observer(stays, 3), moment(stays, torch.tensor([1]), w0[1:] + 0.2)
    found, (final, outputs) = columns(observer.observe(now)), observer.end(now)
    final, w = columns([final]), now.weights
    f, f0 = (net.apply(net.layout.unflatten(v), data.x_test) for v in (w, w0[1:]))
    assert outputs["F_test"].shape == outputs["f0_test"].shape == (1, 6, C)
    torch.testing.assert_close(outputs["F_test"].flatten(1), 0.1 * (f - f0))
    assert torch.equal(outputs["y_test"][0], data.y_test)
    for name, value in fit(0.1 * (f - f0), data.y_test, CrossEntropy()).items():
        torch.testing.assert_close(final[f"test/{name}"], value)
    cut = fit(0.1 * (f - f0)[:, : 4 * C], data.y_test[:4], CrossEntropy())
    torch.testing.assert_close(found["test/loss"], cut["loss"])
    torch.testing.assert_close(found["output/df_rms"], (f - f0)[0, : 4 * C].square().mean().sqrt()[None])
    now, then = (tangent_kernel(net, net.layout.unflatten(v), data.x_test[:3]) for v in (w, w0[1:]))
    torch.testing.assert_close(found["kernel/change"], relative_change(now, then))
