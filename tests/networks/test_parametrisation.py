"""abc-parametrisations: what theory says of them, of initial weights, of trajectories and of kernels."""

import math

import pytest
import torch

from feature_lazy.core.streams import stream
from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.losses import SoftHinge
from feature_lazy.kernels import relative_change, tangent_kernel
from feature_lazy.networks.activations import Softplus, scaled
from feature_lazy.networks.convolutional import Convolutional
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.networks.generic import Generic
from feature_lazy.networks.parametrisation import MEAN_FIELD, MUP, NTK, STANDARD, Exponents, Role
from feature_lazy.networks.wide_resnet import WideResnet
from feature_lazy.settings.registry import options
from tests.arrays import normal

PHI = scaled(Softplus(5.0))
PARAMETRISATIONS = {name: made.exponents for name, made in options("parametrisation").items()}
ROUNDING = {"rtol": 1e-12, "atol": 1e-12}


def networks(rule):
    return {
        "dense": (FullyConnected(7, [6, 9], PHI, bias=0.1, parametrisation=rule), 7),
        "convolutional": (Convolutional((1, 20, 20), [3, 4], PHI, parametrisation=rule), 400),
        "residual": (WideResnet((1, 4, 4), 2, PHI, depth=10, parametrisation=rule), 16),
    }


def flat(net, seed=0):
    return net.layout.flatten({name: w[None] for name, w in net.init(seed).items()})


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("n", [1, 3, 1000])
def test_ntk_is_exactly_what_was_there_before(role, n):
    """Not to rounding: results of the default must not move by a bit."""
    assert NTK.gain(role, n) == 1.0
    assert NTK.std(role, n) == 1.0


def test_initial_weights_are_the_seeds_own_stream():
    for rule in PARAMETRISATIONS.values():
        net = FullyConnected(7, [6, 9], PHI, parametrisation=rule)
        for name, weight in net.init(3).items():
            raw = torch.from_numpy(stream(3, "initialisation", name).standard_normal(weight.shape))
            assert torch.equal(weight, rule.std(net.roles[name], 9) * raw)


# Tensor Programs IV, Table 1, at n = 16, with 1/√d of the first layer: factor and standard deviation of
# the input, hidden and output layers. For mean field with the learning rate folded in by θ = −½.
TABLE = {
    "ntk": ((1, 1 / 4, 1 / 4), (1, 1, 1)),
    "standard": ((1, 1, 1), (1, 1 / 4, 1 / 4)),
    "mup": ((4, 1, 1 / 4), (1 / 4, 1 / 4, 1 / 4)),
    "mean_field": ((4, 1, 1 / 4), (1 / 4, 1 / 4, 1 / 4)),
}


@pytest.mark.parametrize("name", TABLE)
def test_factors_and_deviations_are_those_of_the_table(name):
    net = FullyConnected(1, [16, 16], PHI, parametrisation=PARAMETRISATIONS[name])
    roles = (Role.INPUT, Role.HIDDEN, Role.OUTPUT)
    _, taps = net.taps({k: w[None] for k, w in net.init(0).items()}, normal(2, 1))
    # The activation's own factor travels with the weights.
    scales = [tap.scale / (PHI.factor if index else 1) for index, tap in enumerate(taps)]
    assert scales == pytest.approx(TABLE[name][0], rel=1e-14)
    assert [net.parametrisation.std(role, 16) for role in roles] == pytest.approx(TABLE[name][1], rel=1e-14)


@pytest.mark.parametrize("name", ["dense", "convolutional", "residual"])
def test_mean_field_is_ntk_at_alpha_over_root_n(name):
    """F and its motion in the same time t; weights are √n times smaller."""
    (ntk, d), (mean, _) = networks(NTK)[name], networks(MEAN_FIELD)[name]
    n, alpha = ntk.last_fan_in, 0.7
    x, y, w0 = normal(4, d), torch.tensor([1.0, -1, 1, -1]).double(), flat(ntk)
    torch.testing.assert_close(flat(mean), w0 / math.sqrt(n), **ROUNDING)
    w = w0 + 0.1 * normal(*w0.shape, seed=1)
    motions = []
    for net, scale, unit in ((mean, alpha, math.sqrt(n)), (ntk, alpha / math.sqrt(n), 1.0)):
        flow = NetworkFlow(net, x, y, SoftHinge(), alpha=w0.new_tensor([scale]), w0=w0 / unit)
        velocity, outputs = flow.evaluate(w / unit, torch.tensor([0]))
        motions.append((velocity * unit, outputs))
    (velocity, outputs), (wanted_velocity, wanted) = motions
    torch.testing.assert_close(outputs, wanted, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(velocity, wanted_velocity, rtol=1e-10, atol=1e-11)


def test_mup_and_mean_field_are_one_without_fixed_layers():
    for name in ("dense", "convolutional"):
        (mup, d), (mean, _) = networks(MUP)[name], networks(MEAN_FIELD)[name]
        assert torch.equal(flat(mup), flat(mean))
        params = mup.layout.unflatten(flat(mup) + 0.1)
        torch.testing.assert_close(mup.apply(params, normal(3, d)), mean.apply(params, normal(3, d)), **ROUNDING)
    (mup, _), (mean, _) = networks(MUP)["residual"], networks(MEAN_FIELD)["residual"]
    assert mup.gain("W0") == 1
    assert mean.gain("W0") == pytest.approx(math.sqrt(128))


@pytest.mark.parametrize("rule", PARAMETRISATIONS.values(), ids=PARAMETRISATIONS)
@pytest.mark.parametrize("name", ["dense", "residual"])
def test_kernel_is_that_of_the_generic_path(rule, name):
    net, d = networks(rule)[name]
    one = {key: w + 0.1 for key, w in net.init(0).items()}
    params, x = {key: w[None] for key, w in one.items()}, normal(4, d)
    generic = Generic.around(lambda w, x: net.apply({k: v[None] for k, v in w.items()}, x)[0], one, x)
    assert relative_change(tangent_kernel(net, params, x), tangent_kernel(generic, params, x)).max() < 1e-10


def test_exponents_of_first_updates():
    """By hand, from the kernel of each layer; Tensor Programs IV says so of features (r) and of outputs."""
    speeds = {
        name: [rule.own_speed(role) for role in (Role.INPUT, Role.HIDDEN, Role.FIXED)]
        for name, rule in PARAMETRISATIONS.items()
    }
    assert speeds == {
        "ntk": [-0.5, -0.5, 0],
        "mean_field": [0, 0, 0.5],
        "standard": [-0.5, 0.5, 0],
        "mup": [0, 0, -0.5],
    }
    roles = {Role.INPUT, Role.HIDDEN, Role.OUTPUT}
    assert [rule.output_speed(roles) for rule in (NTK, MEAN_FIELD, STANDARD, MUP)] == [0, 0, 1, 0]
    assert [rule.output for rule in (NTK, MEAN_FIELD, STANDARD, MUP)] == [0, -0.5, 0, -0.5]


def test_outputs_move_with_whatever_is_faster():
    """A readout of 1/n that begins as N(0, n): features still move f by O(1), its own weights by 1/n only."""
    b = {role: -0.5 if role is Role.OUTPUT else 0.0 for role in Role}
    rule = Exponents(a=MEAN_FIELD.a, b=b)
    assert (rule.output, rule.own_speed(Role.HIDDEN)) == (0, -0.5)
    assert rule.output_speed({Role.OUTPUT}) == -1
    assert rule.output_speed({Role.HIDDEN, Role.OUTPUT}) == 0
