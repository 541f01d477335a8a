"""Layers of a user's own network: which are recognised, and that their kernel is the Jacobian's."""

import functools
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from feature_lazy.kernels import kernel_on_disk, layer_kernels, layerwise, tangent_kernel
from feature_lazy.kernels.first_order import MatrixFree, first_order
from feature_lazy.kernels.jacobian import jacobian_kernel
from feature_lazy.kernels.layerwise import Linearisation, shown_layers
from feature_lazy.networks.custom import Custom
from feature_lazy.networks.layout import partly
from tests.arrays import normal

# Rounding of sums over some hundred weights.
RELATIVE = 1e-12
VECTOR, IMAGE, SIGNAL, SEQUENCE = (5,), (4, 7, 6), (3, 9), (4, 5)


class Made(nn.Module):
    """Parts, and what is done with them."""

    def __init__(self, forward, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.way = forward

    def forward(self, x):
        return self.way(self, x)


def mlp(bias=True, outputs=1):
    return nn.Sequential(
        nn.Linear(5, 8, bias), nn.Tanh(), nn.Linear(8, 7, bias), nn.Tanh(), nn.Linear(7, outputs, bias)
    )


def cnn(**keys):
    """Two convolutions, the mean over positions, and a dense layer."""
    first = nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), **keys)
    return nn.Sequential(first, nn.Softplus(), nn.Conv2d(6, 5, 3, padding=1), nn.Tanh(), mean(), nn.Linear(5, 2))


def mean():
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())


def strings():
    """Padding by words, mirrored and around the edge."""
    return nn.Sequential(
        nn.Conv2d(4, 5, 3, padding="same", dilation=2),
        nn.Tanh(),
        nn.Conv2d(5, 5, 3, padding=1, padding_mode="circular"),
        nn.Tanh(),
        nn.Conv2d(5, 4, (2, 3), padding="valid", bias=False),
        nn.Tanh(),
        mean(),
        nn.Linear(4, 1),
    )


def signals():
    return nn.Sequential(
        nn.Conv1d(3, 5, 3, stride=2, padding=1, dilation=2),
        nn.Tanh(),
        nn.Conv1d(5, 4, 2, padding="valid"),
        nn.Flatten(),
        nn.Linear(12, 2),
    )


def recurrent():
    """A layer at three places, each time on what it gave before."""

    def forward(net, x):
        z = net.first(x)
        for _ in range(3):
            z = torch.tanh(net.again(z))
        return net.last(z)

    return Made(forward, first=nn.Linear(5, 6), again=nn.Linear(6, 6), last=nn.Linear(6, 1))


def positions():
    """Layers on every position of a sequence, one of them twice."""

    def forward(net, x):
        z = torch.tanh(net.first(x))
        z = z + torch.tanh(net.again(z))
        z = z + torch.tanh(net.again(z.flip(1)))
        return net.last(z.mean(1))

    return Made(forward, first=nn.Linear(5, 6), again=nn.Linear(6, 6), last=nn.Linear(6, 2))


def tied():
    net = Made(
        lambda net, x: net.last(torch.tanh(net.b(torch.tanh(net.a(torch.tanh(net.first(x))))))),
        first=nn.Linear(5, 6),
        a=nn.Linear(6, 6),
        b=nn.Linear(6, 6, bias=False),
        last=nn.Linear(6, 1),
    )
    net.b.weight = net.a.weight
    return net


def residual():
    return Made(
        lambda net, x: net.last(net.first(x) + torch.tanh(net.branch(net.first(x)))),
        first=nn.Linear(5, 6),
        branch=nn.Linear(6, 6),
        last=nn.Linear(6, 1),
    )


def normed(outputs=2):
    """Gains and shifts of LayerNorm are in no layer."""
    net = nn.Sequential(
        nn.Linear(5, 8), nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, 8), nn.LayerNorm(8), nn.Linear(8, outputs)
    )
    for part in net:
        if isinstance(part, nn.LayerNorm):
            nn.init.normal_(part.weight)
            nn.init.normal_(part.bias)
    return net


def grouped():
    return nn.Sequential(
        nn.Conv2d(4, 8, 3),
        nn.Tanh(),
        nn.Conv2d(8, 8, 3, groups=4),
        nn.Tanh(),
        mean(),
        nn.Linear(8, 20),
        nn.Tanh(),
        nn.Linear(20, 2),
    )


def functions():
    """Not a module: pure functions of weights, as a layer and by hand."""

    def init(seed):
        shapes = {"a": (8, 5), "b": (1, 8)}
        return {name: normal(*shape, seed=seed + i) for i, (name, shape) in enumerate(shapes.items())}

    def apply(weights, x):
        return F.linear(torch.tanh(F.linear(x, weight=weights["a"]) / math.sqrt(5)), weights["b"])

    return init, apply


def layers(*names):
    return {f"{name}.{part}" for name in names for part in ("weight", "bias")}


CASES = {
    "mlp": (mlp, VECTOR, layers("0", "2", "4")),
    "without biases": (lambda: mlp(bias=False, outputs=3), VECTOR, {"0.weight", "2.weight", "4.weight"}),
    "cnn": (cnn, IMAGE, layers("0", "2", "5")),
    "gaps": (lambda: cnn(dilation=(1, 2), bias=False), IMAGE, layers("0", "2", "5") - {"0.bias"}),
    "padding": (strings, IMAGE, layers("0", "2", "4", "7") - {"4.bias"}),
    "conv1d": (signals, SIGNAL, layers("0", "2", "4")),
    "recurrent": (recurrent, VECTOR, layers("first", "again", "last")),
    "positions": (positions, SEQUENCE, layers("first", "again", "last")),
    "tied": (tied, VECTOR, layers("first", "a", "last")),
    "residual": (residual, VECTOR, layers("branch", "last", "first")),
    "layer norm": (normed, VECTOR, layers("0", "3", "5")),
    "groups": (grouped, IMAGE, layers("0", "5", "7")),
    "functions": (functions, VECTOR, {"a", "b"}),
}
every_case = pytest.mark.parametrize("name", CASES)


@functools.cache
def case(name, members=3):
    """A network, weights of members, and seven patterns."""
    make, shape, _ = CASES[name]
    x = normal(7, *shape)
    net = Custom.made_by(make, x)
    params = {key: torch.stack([net.init(seed)[key] for seed in range(members)]) for key in net.layout.shapes}
    return net, params, x.flatten(1)


def apart(found, expected):
    assert found.shape == expected.shape
    return float((found - expected).norm() / expected.norm())


@every_case
def test_what_is_recognised(name):
    net, _, _ = case(name)
    assert set(net.shown) == CASES[name][2]
    assert shown_layers(net), "its kernel would be the Jacobian's"


@every_case
@pytest.mark.parametrize("members", [1, 3])
def test_the_kernel_is_the_jacobians(name, members):
    net, params, x = case(name)
    params = {key: weight[:members] for key, weight in params.items()}
    other = normal(4, x.shape[1], seed=5)
    for columns in (None, other):
        expected = jacobian_kernel(net, params, x, columns)
        assert apart(tangent_kernel(net, params, x, columns), expected) < RELATIVE
        trace = jacobian_kernel(net, params, x, columns, trace=True)
        assert apart(tangent_kernel(net, params, x, columns, outputs="trace"), trace) < RELATIVE


@pytest.mark.parametrize("name", ["layer norm", "tied"])
def test_every_weight_has_its_part(name):
    net, params, x = case(name)
    for key, part in layer_kernels(net, params, x).items():
        assert apart(part, jacobian_kernel(partly(net, [key]), params, x)) < RELATIVE


@every_case
def test_products_are_those_of_passes(name):
    net, params, x = case(name)
    own = torch.stack([x, x.flip(0), normal(*x.shape, seed=3)])
    some, two = torch.tensor([[4, 0, 1], [2, 3, 6], [0, 5, 4]]), torch.tensor([2, 0])
    for patterns in (x, own):
        mine = first_order(net, params, patterns, 1e9)
        free = MatrixFree.around(net, params, patterns, 1e9)
        assert isinstance(mine, Linearisation)
        for a, b in ((mine, free), (mine.on(some), free.on(some)), (mine.select(two), free.select(two))):
            v, u = normal(len(b.w), b.w.shape[1], seed=1), normal(*b.outputs.shape, seed=2)
            assert apart(a.outputs, b.outputs) < RELATIVE
            assert apart(a.push_forward(v), b.push_forward(v)) < RELATIVE
            assert apart(a.pull_back(u), b.pull_back(u)) < RELATIVE
            assert apart(a.kernel(1e9), b.kernel(1e9)) < RELATIVE


@pytest.mark.parametrize("name", ["cnn", "layer norm", "positions"])
def test_little_memory_changes_nothing(name, monkeypatch):
    net, params, x = case(name)
    expected = jacobian_kernel(net, params, x)
    monkeypatch.setattr(layerwise, "chunk_size", lambda n, *_: min(n, 3))
    assert apart(tangent_kernel(net, params, x), expected) < RELATIVE
    assert apart(tangent_kernel(net, params, x, memory_limit=2e4), expected) < RELATIVE


def test_tiles_on_disk(tmp_path):
    x = normal(7, 5)
    net = Custom.made_by(lambda: normed(outputs=1), x)
    params = {key: torch.stack([net.init(seed)[key] for seed in range(2)]) for key in net.layout.shapes}
    found = kernel_on_disk(net, params, x, path=tmp_path / "k", tile=4, memory_limit=1e8).to_dense()
    assert apart(found, jacobian_kernel(net, params, x)) < RELATIVE


def test_what_does_not_fit_is_not_kept():
    net, params, x = case("cnn")
    assert isinstance(first_order(net, params, x, 1e4), MatrixFree)


@pytest.mark.parametrize(("train", "kept"), [(["0.weight", "1.weight"], True), (["1.weight", "1.bias"], False)])
def test_weights_that_stay_count_for_nothing(train, kept):
    net, params, x = case("layer norm")
    part = partly(net, train)
    assert bool(shown_layers(part)) == kept
    assert apart(tangent_kernel(part, params, x), jacobian_kernel(part, params, x)) < RELATIVE


def test_few_layers_among_many_weights_are_no_use():
    by_hand = dense(
        lambda n, x: n.last(torch.tanh(n.first(x))) + (x @ n.more).sum(1, True), more=nn.Parameter(torch.ones(5, 5))
    )
    net = Custom.made_by(by_hand, normal(4, 5))
    params = {key: weight[None] for key, weight in net.init(0).items()}
    assert set(net.shown) == layers("first", "last")
    assert isinstance(first_order(net, params, normal(4, 5), 1e9), MatrixFree)


def test_in_single_precision():
    net, params, x = case("padding")
    single = Custom.made_by(strings, x.float().unflatten(1, IMAGE))
    found = tangent_kernel(single, {key: w.float() for key, w in params.items()}, x.float())
    assert single.shown
    assert found.dtype == torch.float32
    assert apart(found.double(), jacobian_kernel(net, params, x)) < 1e-5  # a hundred roundings of 1e-7


def dense(forward, **parts):
    return lambda: Made(forward, first=nn.Linear(5, 6), last=nn.Linear(6, 1), **parts)


NOT_LAYERS = {
    "used by hand as well": (dense(lambda n, x: n.last(torch.tanh(n.first(x))) + n.first.weight.sum()), VECTOR),
    "used by hand where it is large": (
        dense(lambda n, x: n.last(torch.tanh(n.first(x))) + torch.relu(n.first.weight.max() - 3)),
        VECTOR,
    ),
    "of its own shape": (
        dense(lambda n, x: n.last(torch.tanh(n.first(x)))[:, 0] + F.linear(x[:, :1], n.first.weight[:, :1]).sum(1)),
        VECTOR,
    ),
    "patterns in another order": (dense(lambda n, x: n.last(torch.tanh(n.first(x.flip(0)).flip(0)))), VECTOR),
    "patterns on the second axis": (
        dense(lambda n, x: n.last(torch.tanh(n.first(x.transpose(0, 1))).mean(0))),
        (2, 5),
    ),
    "patterns and positions in one": (
        dense(lambda n, x: n.last(torch.tanh(n.first(x.reshape(-1, 5))).unflatten(0, x.shape[:2]).mean(1))),
        (2, 5),
    ),
}


@pytest.mark.parametrize("name", NOT_LAYERS)
def test_what_is_no_layer_keeps_its_jacobian(name):
    make, shape = NOT_LAYERS[name]
    x = normal(6, *shape)
    net = Custom.made_by(make, x)
    assert "first.weight" not in net.shown
    params = {key: weight[None] + 4 for key, weight in net.init(1).items()}
    assert apart(tangent_kernel(net, params, x.flatten(1)), jacobian_kernel(net, params, x.flatten(1))) < RELATIVE


def test_one_pattern_shows_nothing():
    assert not Custom.made_by(mlp, normal(1, 5)).shown


def test_layers_before_a_readout_of_zeros_are_recognised():
    def make():
        net = mlp()
        nn.init.zeros_(net[-1].weight)
        return net

    assert set(Custom.made_by(make, normal(4, 5)).shown) == CASES["mlp"][2]


def test_a_layer_without_a_part_stays():
    def forward(net, x):
        net.idle(x)
        return net.last(torch.tanh(net.first(x)))

    net = Custom.made_by(dense(forward, idle=nn.Linear(5, 1)), normal(4, 5))
    params = {key: weight[None] for key, weight in net.init(0).items()}
    assert set(net.shown) == layers("first", "last")
    x = normal(4, 5)
    assert apart(tangent_kernel(net, params, x), jacobian_kernel(net, params, x)) < RELATIVE


def test_weights_at_which_the_network_fails_are_no_reason_to_fail():
    def forward(net, x):
        return net.last(torch.tanh(net.first(x)) @ torch.linalg.cholesky(net.square))

    make = dense(forward, square=nn.Parameter(0.01 * torch.eye(6) + torch.ones(6, 6)))
    assert not Custom.made_by(make, normal(4, 5)).shown
