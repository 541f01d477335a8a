"""The kernel of any module or function against one backward pass per pattern and output, and its memory."""

import json
import math

import pytest
import torch
from torch import nn

from feature_lazy.kernels import empirical_kernel
from feature_lazy.kernels.jacobian import Jacobian

# Rounding of sums over at most 2000 weights.
RELATIVE = 1e-10
TOKENS = 11


class Residual(nn.Module):
    """A residual network on vectors, with one output (P,)."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 6), nn.Linear(6, 1)
        self.blocks = nn.ModuleList(nn.Linear(6, 6) for _ in range(2))

    def forward(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = x + torch.tanh(block(x))
        return self.last(x)[:, 0]


class Attention(nn.Module):
    """Token ids → embedding → attention → the embedding again, as tied weights of TOKENS outputs."""

    def __init__(self, fused):
        super().__init__()
        self.fused = fused
        self.embedding, self.norm = nn.Embedding(TOKENS, 8), nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, TOKENS)
        self.head.weight = self.embedding.weight

    def forward(self, tokens):
        x = self.norm(self.embedding(tokens))
        return self.head((x + self.attention(x, x, x, need_weights=not self.fused)[0]).mean(1))


def normalised():
    net = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 2))
    net(torch.randn(30, 4))  # running statistics other than 0 and 1
    return net.eval()


def convolutional():
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, padding=1), nn.Softplus(), nn.Conv2d(4, 3, 2, bias=False), nn.Flatten()
    )


def pixels():
    """Few weights beside its activations."""
    return nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.Softplus(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def encoder():
    layer = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True)
    return nn.Sequential(nn.Embedding(TOKENS, 8), layer, nn.Flatten(), nn.Linear(40, 2)).eval()


def vectors(n):
    return torch.randn(n, 4, dtype=torch.float64)


def images(n):
    return torch.randn(n, 2, 5, 5, dtype=torch.float64)


def sequences(n):
    return torch.randint(TOKENS, (n, 5))


NETWORKS = {
    "residual": (Residual, vectors),
    "convolutional": (convolutional, images),
    "pixels": (pixels, lambda n: torch.randn(n, 2, 30, 30, dtype=torch.float64)),
    "attention": (lambda: Attention(fused=False), sequences),
    "fused attention": (lambda: Attention(fused=True), sequences),
    "encoder": (encoder, sequences),
    "batch norm, eval": (normalised, vectors),
}
every_network = pytest.mark.parametrize("name", NETWORKS)


def network(name, n=7):
    """A network in float64, and n + 4 patterns."""
    torch.manual_seed(0)
    make, patterns = NETWORKS[name]
    net = make().double()
    return net, patterns(n), patterns(4)


def per_sample_kernel(net, x1, x2):
    """Θ (P1, C, P2, C), one backward pass for each pattern and output."""
    trained = [parameter for parameter in net.parameters() if parameter.requires_grad]

    def gradients(pattern):
        f = net(pattern[None]).reshape(-1)
        parts = [torch.autograd.grad(one, trained, retain_graph=True) for one in f]
        return torch.stack([torch.cat([part.flatten() for part in row]) for row in parts])

    return torch.einsum(
        "pcn,qdn->pcqd", torch.stack([gradients(p) for p in x1]), torch.stack([gradients(p) for p in x2])
    )


def assert_same(found, expected):
    assert found.shape == expected.shape
    assert torch.linalg.vector_norm(found - expected) < RELATIVE * torch.linalg.vector_norm(expected)


def quadratic(weights, x):
    """f₀ = w·x, f₁ = ½v(w·x)²."""
    z = x @ weights["w"]
    return torch.stack([z, weights["v"] * z.square() / 2], dim=1)


def test_two_outputs_by_hand():
    x1, x2 = vectors(3), vectors(2)
    w, v = vectors(1)[0], torch.tensor(0.7, dtype=torch.float64)
    theta = empirical_kernel(quadratic, x1, x2, weights={"w": w, "v": v})
    z1, z2, dot = (x1 @ w)[:, None], x2 @ w, x1 @ x2.T
    assert_same(theta[..., 0, 0], dot)
    assert_same(theta[..., 0, 1], v * z2 * dot)
    assert_same(theta[..., 1, 0], v * z1 * dot)
    assert_same(theta[..., 1, 1], v**2 * z1 * z2 * dot + (z1 * z2) ** 2 / 4)


@every_network
def test_equals_one_backward_pass_at_a_time(name):
    net, x1, x2 = network(name)
    for other in (None, x2):
        found = empirical_kernel(net, x1, other)
        expected = per_sample_kernel(net, x1, x1 if other is None else other).transpose(1, 2)
        assert_same(found, expected if found.dim() == 4 else expected[:, :, 0, 0])
        trace = empirical_kernel(net, x1, other, outputs="trace")
        assert_same(trace, expected.diagonal(dim1=2, dim2=3).sum(2))


# In bytes: a row at a time; some outputs of a pattern; a few patterns, with an uneven last block; all at once.
@pytest.mark.parametrize("memory_limit", [1, 7e4, 3e5, 1e6, math.inf])
@pytest.mark.parametrize("outputs", ["full", "trace"])
def test_does_not_depend_on_the_memory_limit(memory_limit, outputs):
    net, x1, x2 = network("convolutional", 4)
    for other in (None, x2[:2]):
        found = empirical_kernel(net, x1, other, outputs=outputs, memory_limit=memory_limit)
        assert_same(found, empirical_kernel(net, x1, other, outputs=outputs))


@pytest.mark.parametrize("name", ["convolutional", "attention"])
def test_is_symmetric_and_positive(name):
    net, x, _ = network(name)
    full = empirical_kernel(net, x, memory_limit=3e5)
    theta = full.transpose(1, 2).flatten(2).flatten(0, 1)
    assert theta.data_ptr() == full.data_ptr()
    torch.testing.assert_close(theta, theta.mT, rtol=1e-13, atol=1e-13)
    eigenvalues = torch.linalg.eigvalsh(theta)
    assert eigenvalues[0] > -1e-12 * eigenvalues[-1]


@pytest.mark.parametrize("outputs", ["full", "trace"])
def test_one_output_has_no_axes(outputs):
    net, x, _ = network("residual")
    alone = empirical_kernel(net, x, outputs=outputs)
    assert alone.shape == (7, 7)
    column = nn.Sequential(net, nn.Unflatten(0, (-1, 1)))  # (P, 1)
    assert torch.equal(empirical_kernel(column, x, outputs=outputs), alone)


@pytest.fixture
def rows_made(monkeypatch):
    """Numbers of rows of every piece of a Jacobian, the first of them to see how large a row is."""
    made, rows = [], Jacobian.rows

    def counted(self, x, outputs):
        made.append(len(x) * (outputs.stop - outputs.start))
        return rows(self, x, outputs)

    monkeypatch.setattr(Jacobian, "rows", counted)
    return made


def test_rows_are_made_again_only_where_memory_ends(rows_made):
    net, x, x2 = network("convolutional", 5)
    c = net(x).shape[1]
    empirical_kernel(net, x)
    assert sum(rows_made[1:]) == 5 * c
    rows_made.clear()
    empirical_kernel(net, x, x2, outputs="trace")
    assert sum(rows_made[1:]) == (5 + 4) * c
    # One row at a time: each is held once, and all after it pass by.
    rows_made.clear()
    empirical_kernel(net, x, memory_limit=1)
    assert sum(rows_made[1:]) == 5 * c * (5 * c + 1) / 2
    # The outputs of a trace do not meet.
    rows_made.clear()
    empirical_kernel(net, x, outputs="trace", memory_limit=1)
    assert sum(rows_made[1:]) == c * 5 * 6 / 2
    # So hardly any is made again where some outputs of all patterns fit, if not all outputs do.
    rows_made.clear()
    size = 8 * sum(parameter.numel() for parameter in net.parameters())
    empirical_kernel(net, x.repeat(8, 1, 1, 1), outputs="trace", memory_limit=40 * c * size)
    assert sum(rows_made[1:]) < 1.05 * 40 * c


def peak_bytes(work, path):
    """Most bytes that PyTorch's allocator held at a time, above what it held before."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profiler:
        result = work()
    profiler.export_chrome_trace(str(path))
    events = [event for event in json.loads(path.read_text())["traceEvents"] if event.get("name") == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event["ts"]):
        held += event["args"]["Bytes"]
        peak = max(peak, held)
    return peak, result


@pytest.mark.parametrize("outputs", ["full", "trace"])
@pytest.mark.parametrize("name", ["residual", "convolutional", "pixels", "fused attention"])
def test_peak_of_memory(name, outputs, tmp_path):
    net, x, _ = network(name, 16)
    size = 8 * sum(parameter.numel() for parameter in net.parameters())
    empirical_kernel(net, x[:2])  # what is made once for a process
    for limit in (6e5, 2e6):
        peak, theta = peak_bytes(
            lambda limit=limit: empirical_kernel(net, x, outputs=outputs, memory_limit=limit), tmp_path / "trace.json"
        )
        # Beside the result: the weights as they were, and a few outputs to look at.
        assert peak <= limit + 8 * theta.numel() + size + 1e4
        # And the limit is made use of, unless all fits; a trace needs no more than some outputs at a time.
        if outputs == "full":
            needed = size * len(x) * net(x[:1]).numel()
            assert peak - 8 * theta.numel() > min(limit / 2, 0.9 * needed)
