"""Kernels of infinite width of networks of convolutions: against another library, wide networks, and by parts."""

import json
import math
from functools import cache

import pytest
import torch

from feature_lazy.core.errors import NumericalError
from feature_lazy.kernels import InfiniteKernels, limit_kernels, tangent_kernel
from feature_lazy.networks import wide_resnet
from feature_lazy.networks.activations import Erf, Relu, Scaled, Sine, Softplus, erf_dual, relu_dual, scaled
from feature_lazy.networks.convolutional import Convolutional
from feature_lazy.networks.geometry import Window
from feature_lazy.networks.limits import fields
from feature_lazy.networks.limits.fields import image_kernels
from feature_lazy.networks.wide_resnet import WideResnet
from tests.arrays import normal
from tests.conftest import ROOT

SHAPES = {"relu": (torch.relu, relu_dual), "erf": (torch.erf, erf_dual), "gelu": (torch.nn.functional.gelu, None)}


@cache
def table():
    return json.loads((ROOT / "tests" / "data" / "neural_tangents_images.json").read_text())


def of(case):
    """Patterns, φ and shape of a case."""
    x = torch.tensor(table()["images"][str(case["side"])], dtype=torch.float64)
    shape, dual = SHAPES[case["activation"]]
    return x, Scaled(shape, case["factor"], dual), (2, case["side"], case["side"])


def assert_equal(found, case):
    for name in ("ntk", "nngp"):
        expected = torch.tensor(case[name], dtype=torch.float64)
        # What the series of gelu leaves out, 1e-10, and in ReLU what rounding makes of positions that see the same.
        torch.testing.assert_close(getattr(found, name), expected, rtol=0, atol=2e-10 * float(expected.abs().max()))


@pytest.mark.parametrize("case", table()["cases"], ids=lambda c: f"{c['activation']}-{c['padding']}")
def test_convolutions_equal_neural_tangents(case):
    x, phi, shape = of(case)
    windows = [Window(*window, 0 if case["padding"] == "VALID" else window[0] // 2) for window in case["windows"]]

    def through(images):
        field = images.seen_by(windows[0])
        for window in windows[1:]:
            field = field.activated().convolved(window)
        return field.activated().averaged()

    assert_equal(image_kernels(through, phi, shape, case["side"] ** 2, x, None), case)


def test_wide_resnet_equals_neural_tangents(monkeypatch):
    case = table()["wide_resnet"]
    x, phi, shape = of(case)
    monkeypatch.setattr(wide_resnet, "BIAS", 0.0)
    assert_equal(limit_kernels(WideResnet(shape, 1, phi, case["depth"], stem_grows=True), x), case)


NETWORKS = {
    "cnn": lambda h, phi: Convolutional((1, 20, 20), [h, h], phi),
    "wide resnet": lambda h, phi: WideResnet((16, 5, 5), h, phi, depth=10, stem_grows=True),
}


def finite_kernels(net, seed, x):
    """Θ of one network, and the covariance x^L·x^L/h that its last layer would give to outputs."""
    params = {name: weight[None] for name, weight in net.init(seed).items()}
    last = net.taps(params, x)[1][-1]
    return torch.stack([tangent_kernel(net, params, x)[0], last.scale**2 * (last.inputs @ last.inputs.mT)[0]])


def deviations(name, phi, h, seeds):
    """z of the mean over seeds, (2, P, P), and rms deviations of both kernels relative to the limit, (2,)."""
    x, net = normal(3, 400), NETWORKS[name](h, phi)
    limit = limit_kernels(net, x)
    expected = torch.stack([limit.ntk, limit.nngp])
    found = torch.stack([finite_kernels(net, seed, x) for seed in range(seeds)])
    z = (found.mean(0) - expected) / (found.std(0) / math.sqrt(seeds))
    return z, ((found - expected).square().mean((0, 2, 3)) / expected.square().mean((1, 2))).sqrt()


@pytest.mark.parametrize(("name", "h"), [("cnn", 32), ("wide resnet", 2)])
def test_the_mean_over_seeds_is_the_limit(name, h):
    z, _ = deviations(name, scaled(Erf()), h, 24)
    # Six entries of two kernels, which are correlated; what is of order 1/h is within the error of the mean.
    assert z.abs().max() < 4


@pytest.mark.slow
@pytest.mark.parametrize("phi", [scaled(Relu()), scaled(Softplus(5.0))], ids=["relu", "softplus"])
@pytest.mark.parametrize(("name", "widths"), [("cnn", (16, 128)), ("wide resnet", (1, 8))])
def test_wide_networks_come_near_as_one_over_root_width(name, widths, phi):
    errors = [deviations(name, phi, h, 32)[1] for h in widths]
    slopes = torch.log(errors[-1] / errors[0]) / math.log(widths[-1] / widths[0])
    # A root mean square of 32 seeds is known to 12 … 25 %, its entries being correlated: 0.15 over a factor of 8.
    assert slopes.tolist() == pytest.approx([-0.5, -0.5], abs=0.3)


@pytest.mark.parametrize("name", NETWORKS)
def test_rows_and_columns_are_parts_of_the_whole(name, monkeypatch):
    x, net = normal(4, 400), NETWORKS[name](1, scaled(Relu()))
    x[3] = x[0]
    whole = limit_kernels(net, x)
    monkeypatch.setattr(fields, "BLOCK_ENTRIES", 1)
    for part, (rows, columns) in (
        (limit_kernels(net, x), (slice(0, 4), slice(0, 4))),
        (limit_kernels(net, x[:1], x[1:]), (slice(0, 1), slice(1, 4))),
    ):
        assert isinstance(part, InfiniteKernels)
        for kernel in ("ntk", "nngp"):
            expected = getattr(whole, kernel)
            torch.testing.assert_close(getattr(part, kernel), expected[rows, columns], rtol=1e-12, atol=0)
            torch.testing.assert_close(expected[3], expected[0], rtol=1e-12, atol=0)


def test_black_images_and_what_is_refused():
    net = NETWORKS["cnn"](2, scaled(Relu()))
    x = normal(2, 400)
    x[1] = 0
    found = limit_kernels(net, x)
    assert found.ntk[1].tolist() == found.nngp[1].tolist() == [0, 0]
    # sin(0)′ = 1: a position without variance has a derivative.
    assert limit_kernels(NETWORKS["cnn"](2, scaled(Sine(1.0))), x).ntk.isfinite().all()
    with pytest.raises(ValueError, match=r"shapes \(2, 100\); .* the network's d is 400"):
        limit_kernels(net, x[:, :100])
    with pytest.raises(NumericalError, match=r"16 channels at every width, so that the kernel stays random; use arch"):
        limit_kernels(WideResnet((1, 8, 8), 2, scaled(Relu()), depth=10), normal(2, 64))
