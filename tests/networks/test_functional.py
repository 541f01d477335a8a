"""A module as a pure function of weights and patterns, and each reason against it in a sentence that names it."""

import math
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from feature_lazy import follow
from feature_lazy.core.errors import ConfigError, DataError, NumericalError
from feature_lazy.kernels import empirical_kernel
from feature_lazy.kernels.jacobian import Jacobian, jacobian_kernel
from feature_lazy.networks.functional import of_module
from feature_lazy.networks.generic import Generic
from tests.kernels.test_generic_kernel import assert_same, network, per_sample_kernel, quadratic, vectors


class Scaled(nn.Module):
    """Divides by one buffer, and may count its calls in another."""

    def __init__(self, counts=False):
        super().__init__()
        self.linear, self.counts = nn.Linear(4, 2).double(), counts
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))
        self.register_buffer("scale", torch.tensor(2.0, dtype=torch.float64))

    def forward(self, x):
        if self.counts:
            self.calls += 1
        return self.linear(x) / self.scale


def test_a_module_is_left_as_it_was():
    net, x = Scaled(), vectors(3)
    net.linear.weight.requires_grad_(False)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    theta = empirical_kernel(net, x)
    # The buffer counts: f = (Wx + b)/2. The frozen weight does not: it is not in Θ.
    assert_same(theta, torch.eye(2, dtype=torch.float64).expand(3, 3, 2, 2) / 4)
    assert not theta.requires_grad
    net.counts = True
    with pytest.raises(ConfigError, match=r"in module Scaled: .*in-place"):
        empirical_kernel(net, x)
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert [parameter.requires_grad for parameter in net.parameters()] == [False, True]
    assert all(parameter.grad is None for parameter in net.parameters())
    assert net.training


def test_weights_of_choice():
    net, x, _ = network("residual")
    name = "blocks.1.weight"
    with torch.no_grad():
        moved = {name: 2 * net.get_parameter(name)}
        found = empirical_kernel(net, x, weights=moved)
        net.get_parameter(name).copy_(moved[name])
    for other, parameter in net.named_parameters():
        parameter.requires_grad_(other == name)
    assert_same(found, per_sample_kernel(net, x, x)[:, 0, :, 0])


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_in_any_mode_of_autograd(mode):
    net, x, _ = network("convolutional")
    expected = empirical_kernel(net, x)
    with mode():
        assert torch.equal(empirical_kernel(net, x), expected)


class Wrapped(nn.Module):
    """A network whose inner module does what it should not."""

    def __init__(self, inner):
        super().__init__()
        self.linear, self.inner = nn.Linear(4, 4).double(), Inner(inner)

    def forward(self, x):
        return self.inner(self.linear(x))


class Inner(nn.Module):
    def __init__(self, does):
        super().__init__()
        self.does = does

    def forward(self, x):
        return self.does(x)


def in_place(z):
    y = torch.zeros(z.shape, dtype=z.dtype)
    y[:, 0] = z[:, 0]
    return y


class Odd(nn.Module):
    """A linear network with a parameter of another kind."""

    def __init__(self, parameter):
        super().__init__()
        self.linear, self.odd = nn.Linear(4, 1).double(), parameter

    def forward(self, x):
        return self.linear(x)


INNER = r"module 'inner' \(Inner\)"
LINEAR, GRU = nn.Linear(4, 2).double(), nn.GRU(4, 2, batch_first=True).double()
MODULES = {
    "batch norm, training": (nn.Sequential(LINEAR, nn.BatchNorm1d(2)), r"module '1' \(BatchNorm1d\).*call eval\(\)"),
    "batch norm, no memory": (
        nn.Sequential(LINEAR, nn.BatchNorm1d(2, track_running_stats=False)).eval(),
        r"'1' \(BatchNorm1d\).*keep track_running_stats",
    ),
    "dropout, training": (nn.Sequential(LINEAR, nn.Dropout(0.1)), r"'1' \(Dropout\).*random numbers.*call eval\(\)"),
    "dropout by hand": (Wrapped(lambda z: nn.functional.dropout(z, 1e-9)), INNER + ".*random"),
    "dropout in attention": (
        nn.ModuleDict({"a": nn.MultiheadAttention(4, 2, dropout=0.1)}),
        r"'a' \(MultiheadAttention\) is in training mode",
    ),
    "random": (Wrapped(lambda z: z + torch.randn_like(z)), "other outputs when it is asked again.*random numbers"),
    "item": (Wrapped(lambda z: z * z.sum(1).amax().item()), r"another output in a batch"),
    "item of one pattern": (Wrapped(lambda z: torch.stack([p * p.sum().item() for p in z])), INNER + ".*no .item"),
    "branch": (Wrapped(lambda z: z if z.isfinite().all() else -z), INNER + ".*no branch"),
    "in place": (Wrapped(in_place), INNER + ".*inplace.*writing into a tensor"),
    "fails": (Wrapped(lambda z: z @ z), r"fails on patterns of the shape \(4,\), torch.float64, in " + INNER),
    "mean of the batch": (Wrapped(lambda z: z - z.mean(0)), "another output in a batch than alone"),
    "tuple": (Wrapped(lambda z: (z, z)), r"gives tuple for 2 patterns; it must give"),
    "three axes": (Wrapped(lambda z: z[:, None]), r"gives torch.float64 \(2, 1, 4\) for 2 patterns"),
    "no pattern axis": (Wrapped(lambda z: z.sum()), r"gives torch.float64 \(\) for 2 patterns"),
    "fewer than patterns": (Wrapped(lambda z: z[:1]), r"gives torch.float64 \(1, 4\) for 2 patterns"),
    "complex output": (Wrapped(lambda z: z + 1j), r"gives torch.complex128 \(2, 4\)"),
    "integer output": (Wrapped(lambda z: z.argmax(1)), r"gives torch.int64 \(2,\)"),
    "complex parameter": (Odd(nn.Parameter(torch.ones(2) + 1j)), "weight 'odd' is torch.complex64"),
    "integer parameter": (
        Odd(nn.Parameter(torch.arange(2), requires_grad=False)),
        "weight 'odd' is torch.int64.*a buffer",
    ),
    "no parameters": (nn.Tanh(), "no trainable parameter"),
    "all frozen": (nn.Linear(4, 1).double().requires_grad_(False), "no trainable parameter"),
    "lazy": (nn.LazyLinear(2), "parameter 'weight' has no shape yet: call the module once"),
    "hidden derivative": (Wrapped(lambda z: z.detach()), "no derivative by weight 'linear.weight': look for .detach"),
    "not a number": (Odd(nn.Parameter(torch.tensor([0.0, math.nan]))), "entries of weight 'odd' have .* first at .1."),
    "recurrent": (Wrapped(lambda z: GRU(z[:, None])[0][:, 0]), "does not run under torch.func.vmap, in module GRU: "),
}


@pytest.mark.parametrize("name", MODULES)
def test_what_is_refused(name):
    module, message = MODULES[name]
    with pytest.raises((ConfigError, DataError), match=message) as raised:
        empirical_kernel(module, vectors(5))
    assert "\n" not in str(raised.value)


class Centred(nn.Module):
    """Takes the mean off its input, in place."""

    def forward(self, x):
        x -= x.mean(1, keepdim=True)
        return x


class Counting(nn.Module):
    """Counts its calls, in a buffer or in a tensor that it keeps beside them."""

    def __init__(self, *, buffer):
        super().__init__()
        self.register_buffer("n", torch.zeros(())) if buffer else setattr(self, "n", torch.zeros(()))

    def forward(self, x):
        self.n += 1
        return x


class Clamped(nn.Linear):
    """Changes its weight where autograd does not look."""

    def forward(self, x):
        self.weight.data.clamp_(-1, 1)
        return super().forward(x)


def last(inner):
    return nn.Sequential(inner, nn.Linear(4, 1)).double()


WRITING = {
    "a difference": (last(Centred()), r"'0' \(Centred\): it writes into its input, by the in-place aten::sub_; use a"),
    "an activation": (last(nn.ReLU(inplace=True)), r"'0' \(ReLU\): it writes into its input"),
    "a view of it": (last(Inner(lambda x: x.flatten().clamp_(0).reshape(x.shape))), "into its input"),
    "one place": (last(Inner(lambda x: x.index_put_((torch.tensor([0]),), torch.tensor(0.0).double()))), "its input"),
    "an output named": (last(Inner(lambda x: torch.neg(x, out=x))), "into its input"),
    "a buffer": (last(Counting(buffer=True)), r"'0' \(Counting\): it writes into a tensor that it keeps"),
    "a tensor beside": (last(Counting(buffer=False)), "a tensor that it keeps"),
    "a weight": (last(Clamped(4, 4)), "into weight '0.weight'"),
}


@pytest.mark.parametrize("ask", ["follow", "kernel"])
@pytest.mark.parametrize("name", WRITING)
def test_what_writes_into_what_it_is_given_is_refused_before_it_does(name, ask):
    """The patterns are positive where an activation would not show, and stay as they are."""
    net, message = WRITING[name]
    x, y = vectors(4).abs(), torch.tensor([1.0, -1, 1, -1]).double()
    before, state = x.clone(), {key: value.clone() for key, value in net.state_dict().items()}
    with pytest.raises(ConfigError, match=message):
        empirical_kernel(net, x) if ask == "kernel" else follow(net, None, (x, y), alpha=1.0, t_end=0.1)
    assert torch.equal(x, before)
    assert all(torch.equal(value, state[key]) for key, value in net.state_dict().items())


def test_what_a_network_has_made_it_may_write_into():
    """A constant made in Python, and the output of a layer."""

    def inner(z):
        count = torch.tensor(1.0)
        count += 1
        return nn.functional.relu(z * count, inplace=True)

    x, y = vectors(4), torch.tensor([1.0, -1, 1, -1]).double()
    net = nn.Sequential(nn.Linear(4, 3), Inner(inner), nn.Linear(3, 1)).double()
    assert follow(net, None, (x, y), alpha=1.0, t_end=0.1).t[-1] > 0
    assert empirical_kernel(net, x).isfinite().all()


def test_a_weight_without_a_part_may_stay_and_one_with_a_part_needs_a_derivative():
    class Parts(nn.Module):
        def __init__(self, does):
            super().__init__()
            self.linear, self.other, self.does = nn.Linear(4, 1), nn.Parameter(torch.ones(1)), does

        def forward(self, x):
            return self.linear(x) * self.does(self.other)

    x = vectors(3)
    plain = empirical_kernel(nn.Linear(4, 1).double().requires_grad_(True), x)
    for unused in (lambda w: 1, lambda w: w.round().int().clamp(1, 1)):  # no part, and a choice that it does not change
        assert empirical_kernel(Parts(unused).double(), x).shape == plain.shape
    with pytest.raises(ConfigError, match="no derivative by weight 'other'"):
        empirical_kernel(Parts(lambda w: w.detach()).double(), x)


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_attention_of_pytorch_in_every_mode(mode):
    """Its fast path for eval() has no derivatives; both ways are one network without dropout."""
    torch.manual_seed(0)
    layers = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, batch_first=True), 1)
    net = nn.Sequential(layers, nn.Flatten(), nn.Linear(12, 1)).double()
    x, y = torch.randn(4, 3, 4).double(), torch.tensor([1.0, -1, 1, -1]).double()
    expected = empirical_kernel(net, x)
    getattr(net, mode)()
    torch.backends.mha.set_fastpath_enabled(True)
    found = follow(net, None, (x, y), alpha=1.0, t_end=0.05)
    assert_same(found.kernel(0, x), expected)
    assert torch.backends.mha.get_fastpath_enabled()


def test_errors_keep_their_cause():
    with pytest.raises(ConfigError) as raised:
        empirical_kernel(Wrapped(in_place), vectors(2))
    assert "vmap" in str(raised.value.__cause__)

    def no_memory(weights, x):
        raise MemoryError

    with pytest.raises(MemoryError):
        empirical_kernel(no_memory, vectors(2), weights={"w": vectors(1)})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"outputs": "diagonal"}, "must be 'full' or 'trace'"),
        ({"weights": {"wieght": torch.ones(2, 4).double()}}, "no parameter 'wieght'"),
        ({"weights": {}}, "no weights"),
        ({"x2": vectors(3)[:, :2]}, r"torch.float64 \(3, 4\) and torch.float64 \(3, 2\).*one shape"),
        ({"x2": vectors(3).float()}, "one shape and dtype"),
        ({"x2": vectors(0)}, "must be some"),
        ({"x1": vectors(0)}, "must be some"),
        ({"network": quadratic}, "weights=None: only a module"),
    ],
)
def test_arguments_that_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        empirical_kernel(**{"network": LINEAR, "x1": vectors(3), **arguments})


@pytest.mark.parametrize("limit", [1.0, math.inf])
def test_what_is_not_finite_is_an_error(limit):
    def root(weights, x):
        return (weights["w"] * x.clamp(min=0)).sum(1).sqrt()

    x = vectors(5).abs()
    x[3] = 0  # f = 0 there, and its gradient 0/0
    w = {"w": torch.ones(4, dtype=torch.float64)}
    assert empirical_kernel(root, x[:3], weights=w).isfinite().all()
    with pytest.raises(NumericalError, match="infinities or NaN between patterns 0 and 3:"):
        empirical_kernel(root, x, weights=w, memory_limit=limit)
    with pytest.raises(NumericalError, match=r"too large for torch.float32"):
        empirical_kernel(root, 1e30 * torch.ones(2, 4), weights={"w": torch.ones(4) * 1e-30})


@pytest.mark.parametrize("kind", ["residual", "convolutional", "attention"])
def test_flops_are_those_of_pytorchs_counter(kind):
    net, x, _ = network(kind)
    function, weights = of_module(net)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        function(weights, x[:2])
    assert counter.get_total_flops() > 0
    assert Generic.around(function, weights, x).forward_flops == counter.get_total_flops() / 2


def test_one_member_alone_is_one_of_several():
    net, x, _ = network("residual")
    function, weights = of_module(net)
    made = Generic.around(function, weights, x)
    several = {name: torch.stack([weight, 2 * weight]) for name, weight in weights.items()}
    found = made.apply(several, x.flatten(1))
    for member in range(2):
        alone = made.apply({name: weight[[member]] for name, weight in several.items()}, x.flatten(1))
        assert_same(alone, found[[member]])
        assert_same(made.apply({n: w[[member]] for n, w in several.items()}, x.flatten(1)[None]), found[[member]])


def test_what_a_row_takes_is_counted_once_for_a_network(monkeypatch):
    net, x, _ = network("residual")
    function, weights = of_module(net)
    made, asked = Generic.around(function, weights, x), []
    rows = Jacobian.rows
    monkeypatch.setattr(Jacobian, "rows", lambda self, *given: asked.append(1) or rows(self, *given))
    params = {name: weight[None] for name, weight in weights.items()}
    first, second = (jacobian_kernel(made, params, x.flatten(1)) for _ in range(2))
    assert len(asked) == 3  # of one pattern, and of all twice
    assert torch.equal(first, second)


def test_following_a_module_imports_no_compiler():
    """It takes two seconds to import, which is longer than to train a small network."""
    code = (
        "import sys, torch\nfrom torch import nn\nfrom feature_lazy import follow\nx = torch.randn(4, 3).double()\n"
        "follow(nn.Linear(3, 1).double(), None, (x, x[:, 0].sign()), alpha=1.0, t_end=1e-3)\n"
        "assert 'torch._dynamo' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_training_refuses_the_same_and_leaves_frozen_weights():
    x, y = vectors(4), torch.tensor([1.0, -1, 1, -1]).double()
    net = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 1)).double()
    with pytest.raises(ConfigError, match=r"'1' \(BatchNorm1d\)"):
        follow(net, None, (x, y), alpha=1.0)
    branch = Wrapped(lambda z: z[:, 0] if z.isfinite().all() else z[:, 1])
    with pytest.raises(ConfigError, match=INNER):
        follow(branch, None, (x, y), alpha=1.0)
    net.eval()[0].requires_grad_(False)
    found = follow(net, None, (x, y), alpha=1.0, t_end=0.1)
    assert set(found.weights(-1)) == {"1.weight", "1.bias", "2.weight", "2.bias"}
    assert_same(found.kernel(0, x), empirical_kernel(net, x))
