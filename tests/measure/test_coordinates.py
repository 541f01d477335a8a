"""Preactivations and their first updates: against finite differences, and over widths against theory."""

from dataclasses import dataclass

import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.losses import SoftHinge
from feature_lazy.launch.commands import main
from feature_lazy.measure.coordinates import coordinate_check, expected
from feature_lazy.networks.activations import Softplus, scaled
from feature_lazy.networks.convolutional import Convolutional
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.networks.parametrisation import NTK
from feature_lazy.networks.preactivations import layer_speeds
from feature_lazy.networks.wide_resnet import WideResnet
from feature_lazy.runs.batch import build
from feature_lazy.runs.train import run
from feature_lazy.settings.registry import options
from tests.arrays import normal
from tests.conftest import QUICK

PHI = scaled(Softplus(5.0))
PARAMETRISATIONS = {name: made.exponents for name, made in options("parametrisation").items()}


def patterns(n, d):
    """On the sphere |x|² = d, with labels ±1."""
    x = normal(n, d)
    return x * (d**0.5 / x.norm(dim=1, keepdim=True)), torch.tensor([1.0, -1.0] * (n // 2)).double()


@pytest.mark.parametrize("memory_limit", [1, float("inf")])
@pytest.mark.parametrize(
    ("net", "d"),
    [
        (FullyConnected(5, [4, 6], PHI, bias=0.1), 5),
        (Convolutional((1, 8, 8), [3], PHI), 64),
        (WideResnet((1, 4, 4), 1, PHI, depth=10), 16),
    ],
    ids=["dense", "convolutional", "residual"],
)
def test_speeds_are_finite_differences(net, d, memory_limit):
    w = torch.cat([net.layout.flatten({k: v[None] for k, v in net.init(seed).items()}) for seed in range(2)])
    velocity, x, eps = normal(*w.shape, seed=1), normal(6, d), 1e-5

    def z(w):
        return {tap.name: tap.preactivations for tap in net.taps(net.layout.unflatten(w), x)[1]}

    found, (ahead, behind, here) = (
        layer_speeds(net, w, velocity, x, memory_limit),
        (
            z(w + eps * velocity),
            z(w - eps * velocity),
            z(w),
        ),
    )
    assert list(found) == [f"{k}/{what}" for k in net.layout.shapes if k[0] == "W" for what in ("rms", "speed")]
    for name in {key.split("/")[0] for key in found}:
        speed = (ahead[name] - behind[name]) / (2 * eps)
        torch.testing.assert_close(found[f"{name}/rms"], here[name].flatten(1).square().mean(1).sqrt())
        # The difference quotient is off by ε² times a third derivative of some hundred.
        torch.testing.assert_close(found[f"{name}/speed"], speed.flatten(1).square().mean(1).sqrt(), rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", PARAMETRISATIONS)
def test_fully_connected_networks_follow_theory(name):
    """Depths 1 to 4, widths 64 to 1024: preactivations are O(1), and first updates have the exponents of theory."""
    rule, (x, y) = PARAMETRISATIONS[name], patterns(8, 20)
    nets = [FullyConnected(20, [h] * 4, PHI, parametrisation=rule) for h in (64, 256, 1024)]
    for coordinate in coordinate_check(nets, x, y, SoftHinge(), seeds=6):
        assert coordinate.agrees, coordinate
        hidden = coordinate.name.endswith("rms") and coordinate.name != "W4/rms"
        # By 1/√n of the narrowest, and what the layers before add to it: measured 0.94 … 1.07.
        assert not hidden or all(0.8 < value < 1.25 for value in coordinate.values), coordinate


@pytest.mark.parametrize("name", ["ntk", "standard", "mup"])
def test_convolutional_and_residual_networks_follow_theory(name):
    rule = PARAMETRISATIONS[name]
    image, square = patterns(4, 64), patterns(4, 16)
    convolutional = [Convolutional((1, 8, 8), [h], PHI, parametrisation=rule) for h in (16, 64, 256)]
    residual = [WideResnet((1, 4, 4), h, PHI, depth=10, parametrisation=rule) for h in (2, 4)]
    for nets, (x, y) in ((convolutional, image), (residual, square)):
        for coordinate in coordinate_check(nets, x, y, SoftHinge(), seeds=6):
            assert coordinate.agrees, coordinate


def test_a_residual_network_moves_by_its_fixed_layer():
    """16 channels do not average out as n grows: they move by O(1), and in the end all that follows with them."""
    found = expected(WideResnet((1, 4, 4), 2, PHI, depth=10))
    assert found["W0/speed"] == (0.0, 0.0)
    assert {found[f"W{layer}/speed"] for layer in range(1, 10)} == {(-0.5, 0.0)}
    assert found["W10/speed"] == (0.0, 0.0)
    assert expected(FullyConnected(4, [3, 3], PHI))["W1/speed"] == (-0.5, -0.5)


@dataclass(frozen=True)
class Wrong(FullyConnected):
    """Its second layer grows with the width."""

    def gain(self, name):
        return super().gain(name) * (self.last_fan_in**0.5 if name == "W1" else 1.0)


def test_a_wrong_network_is_found():
    x, y = patterns(4, 6)
    found = coordinate_check([Wrong(6, [h, h], PHI) for h in (16, 64, 256)], x, y, SoftHinge(), seeds=4)
    off = {coordinate.name: round(coordinate.measured - coordinate.expected, 1) for coordinate in found}
    assert not next(c for c in found if c.name == "W1/rms").agrees
    assert off["W0/rms"] == 0
    assert off["W1/rms"] == 0.5


def test_what_cannot_be_checked_is_refused():
    x, y = patterns(4, 6)
    for nets, seeds in (([4], 3), ([4, 8], 1)):
        with pytest.raises(ConfigError, match="two or more widths"):
            coordinate_check([FullyConnected(6, [h], PHI) for h in nets], x, y, SoftHinge(), seeds=seeds)
    other = [FullyConnected(6, [4], PHI), FullyConnected(6, [8, 8], PHI)]
    with pytest.raises(ConfigError, match="two or more widths"):
        coordinate_check(other, x, y, SoftHinge(), seeds=2)


def test_command(capsys):
    small = ["coord-check", "--widths", "16", "64", "256", "--seeds", "4", "--patterns", "8", "architecture.depth=1"]
    assert main([*small, "parametrisation=standard"]) == 0
    printed = capsys.readouterr().out
    assert "parametrisation standard" in printed
    assert "expected" in printed
    assert main([*small, "architecture=custom", "architecture.target=tests.arrays.normal"]) == 1
    assert "depth" in capsys.readouterr().err
    assert main(["coord-check", "architecture=custom", "architecture.target=tests.arrays.normal"]) == 1
    assert "its layers are not known" in capsys.readouterr().err
    assert main(["coord-check", "architecture=cnn"]) == 1
    assert "images of 8 × 8 pixels" in capsys.readouterr().err


def test_runs_record_their_preactivations(tiny):
    experiment = build(tiny(*QUICK, "alpha=raw", "alpha.value=2"))
    [found] = run(experiment)
    net, data = experiment.architecture, experiment.dataset
    w0 = experiment.w0(experiment.cells)
    flow = NetworkFlow(net, data.x_train, data.y_train, experiment.loss, alpha=w0.new_tensor([2.0]), w0=w0)
    velocity, _ = flow.evaluate(w0, torch.tensor([0]))
    for name, value in layer_speeds(net, w0, velocity, data.x_test).items():
        assert found.summary[f"preactivations/{name}"] == pytest.approx(float(value), rel=1e-12)


def test_linearised_runs_have_no_preactivations(tiny):
    [found] = run(build(tiny("dynamics=linearised", "alpha.value=10")))
    assert not [name for name in found.summary if name.startswith("preactivations")]


def test_ntk_is_the_default():
    assert FullyConnected(3, [2], PHI).parametrisation is NTK
