"""Spikes: the closed forms of the dual, data on the circle, and what is refused."""

import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.data.labels import Regression
from feature_lazy.data.synthetic import Circle
from feature_lazy.kernels import infinite_kernels
from feature_lazy.networks.activations import Relu, scaled
from feature_lazy.networks.spiky import SpikyRelu
from feature_lazy.settings.checks import validate
from tests.systems.reference import reference


def dual(p, q, c, amplitude, frequency):
    p, q, c = (torch.tensor(v, dtype=torch.float64) for v in (p, q, c))
    found = SpikyRelu(amplitude=amplitude, frequency=frequency).dual(p, q, c / (p * q).sqrt())
    return [float(one) for one in found]


def test_dual_is_that_of_quadrature():
    for *where, value, slope in reference("spiky_smooth")["cases"].tolist():
        # The rule's own error, where v has its kink, is a few 1e-6.
        assert dual(*where) == pytest.approx([value, slope], abs=1e-5)


@pytest.mark.parametrize(
    ("where", "known"),
    [
        ((1, 1, 0.6, 0.3, 3), (0.68377740, 0.70157882)),
        ((1, 1.7, -0.4, 0.2, 5), (0.23471230, 0.40075414)),
        ((0.5, 2, 0.9, 0.1, 8), (0.90936937, 0.85200492)),
    ],
)
def test_dual_is_that_of_another_calculation(where, known):
    """Which has √2·max(0, z): all is twice what an amplitude over √2 makes."""
    *variances, amplitude, frequency = where
    assert [2 * one for one in dual(*variances, amplitude / 2**0.5, frequency)] == pytest.approx(known, abs=1e-8)


def test_spike_has_the_height_that_is_said_and_stands_on_relu():
    """Kernels of one layer on the circle, at patterns further apart than the spike is wide."""
    option = SpikyRelu(amplitude=1e-3, frequency=1e3)
    phi, angles = scaled(option), torch.arange(12, dtype=torch.float64) / 2
    x = 2**0.5 * torch.stack([angles.cos(), angles.sin()], 1)
    spiky, relu = (infinite_kernels(one, 1, x).ntk for one in (phi, scaled(Relu())))
    # ReLU comes with a factor √2, this with nearly that: E φ₀² = ½ + A² and what both make, of order A/ω.
    more = spiky / phi.factor**2 - relu / 2
    height = torch.eye(12).double() * option.spike
    torch.testing.assert_close(more, height, rtol=0, atol=3e-3)  # 2A/√2π and less of the mean of ReLU and wave


def test_without_waves_it_is_relu():
    for p, q, c in [(1.0, 1.0, 0.3), (0.5, 2.0, 0.9)]:
        relu = Relu.dual(*torch.tensor([p, q, c / (p * q) ** 0.5], dtype=torch.float64))
        assert dual(p, q, c, 0.0, 100.0) == pytest.approx([float(one) for one in relu], rel=1e-12)


def test_circle():
    data = Circle(n_train=400, n_test=1000, noise=0.5).build(Regression())
    for part in (data.x_train, data.x_test):
        torch.testing.assert_close(part.square().sum(1), torch.full((len(part),), 2.0).double())
    torch.testing.assert_close(data.y_test, data.x_test[:, 0] / 2**0.5)
    assert float(data.y_test.var()) == pytest.approx(0.5, abs=0.04)  # three standard errors of 1000
    noise = data.y_train - data.x_train[:, 0] / 2**0.5
    assert float(noise.std()) == pytest.approx(0.5, abs=0.055)  # three standard errors of 400


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["dataset.dim=3"], "dataset.dim=3: a circle lies in the plane"),
        (["labels=parity", "dataset.noise=0.5"], "labels=parity has none"),
        (["activation=spiky_relu", "activation.frequency=1e3", "dtype=float32"], "phase has three digits and less"),
    ],
)
def test_refusals(tiny, overrides, sentence):
    with pytest.raises(ConfigError, match=sentence):
        validate(tiny("dataset=circle", "labels=regression", "loss=mse", *overrides))
