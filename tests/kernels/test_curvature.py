"""Curvature of the loss: products and spectra beside dense matrices, made here by autograd pattern by pattern."""

import importlib.util
import itertools

import pytest
import torch
from torch import nn

from feature_lazy.core.errors import ConfigError
from feature_lazy.dynamics.flow import outputs_in_chunks
from feature_lazy.dynamics.losses import CrossEntropy, Hinge, Mse, QuadraticHinge, SoftHinge, SquaredError
from feature_lazy.kernels import curvature as module
from feature_lazy.kernels.curvature import Curvature
from feature_lazy.kernels.lanczos import density, extremes, lanczos
from feature_lazy.measure.curvature import curvature
from feature_lazy.networks.activations import Tanh, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.networks.layout import partly
from tests.arrays import normal

X = normal(6, 4, seed=1)
SIGNS, CLASSES = torch.tensor([1.0, -1, 1, -1, 1, -1], dtype=torch.float64), torch.tensor([0, 1, 2, 0, 1, 2])
LOSSES = [Mse(), SoftHinge(2.0), QuadraticHinge(), SquaredError(), CrossEntropy(), Mse(1.1)]
ALPHA = torch.tensor([2.0, 0.5], dtype=torch.float64)


def case(loss, n_outputs=None, memory_limit=float("inf"), names=("all",)):
    """Two members away from their start: C = 3 of a loss for classes, else 1."""
    c = n_outputs or (3 if isinstance(loss, CrossEntropy) or loss == LOSSES[-1] else 1)
    net = partly(FullyConnected(4, [5, 3], scaled(Tanh()), n_outputs=c), names)
    w0 = torch.cat([net.layout.flatten({k: v[None] for k, v in net.init(seed).items()}) for seed in (0, 1)])
    y = CLASSES if c > 1 else SIGNS
    f0 = outputs_in_chunks(net, w0, X, float("inf"))
    return Curvature(net, w0 + normal(*w0.shape, seed=2) / 5, X, y, loss, ALPHA, f0, memory_limit)


def second(function):
    """Its Hessian, in reverse mode twice: forward mode loads code that is deprecated."""
    return torch.func.jacrev(torch.func.grad(function))


def dense(product, size):
    """A matrix of each member, (M, N, N), from its products with unit vectors."""
    return torch.stack([product(e.expand(2, size)) for e in torch.eye(size, dtype=torch.float64)], dim=2)


def by_hand(one, member):
    """H, G and the empirical Fisher matrix, from scratch: ``torch.func`` on single patterns of one member."""
    net, alpha, c = one.architecture, one.alpha[member], one.architecture.n_outputs
    f0, n = one.f0[member].reshape(-1, c), len(X)

    def f(w, x):
        return net.apply(net.layout.unflatten(w[None]), x[None])[0]

    def scaled_loss(w, x, y, f0):
        return one.loss((alpha * (f(w, x) - f0))[None], y[None])[0, 0] / alpha**2

    found = torch.zeros(3, one.w.shape[1], one.w.shape[1], dtype=torch.float64)
    for x, y, start in zip(X, one.labels, f0, strict=True):
        w = one.w[member]
        jacobian = torch.func.jacrev(f)(w, x)
        ell = second(lambda out, y=y: one.loss(out[None], y[None])[0, 0])(alpha * (f(w, x) - start))
        gradient = torch.func.grad(scaled_loss)(w, x, y, start) * alpha
        for matrix, part in zip(
            found,
            (
                second(scaled_loss)(w, x, y, start),
                jacobian.T @ ell @ jacobian,
                torch.outer(*[gradient] * 2),
            ),
            strict=True,
        ):
            matrix += part / n
    return found


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: f"{type(loss).__name__}")
@pytest.mark.parametrize("memory_limit", [float("inf"), 20_000.0])
def test_products_are_those_of_dense_matrices(loss, memory_limit):
    """In one chunk of patterns and in several; Hessian, Gauss–Newton and residual each by a way of their own."""
    one = case(loss, memory_limit=memory_limit)
    h, r, g, e = (dense(p, one.w.shape[1]) for p in (one.hessian, one.residual, one.ggn, one.empirical_fisher))
    torch.testing.assert_close(h, g + r, rtol=1e-12, atol=1e-13)
    for member in (0, 1):
        expected = by_hand(one, member)
        for found, wanted in zip((h, g, e), expected, strict=True):
            torch.testing.assert_close(found[member], wanted, rtol=1e-10, atol=1e-12)
    assert float(r.abs().max()) > 1e-2  # the cases have a residual to get wrong


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: f"{type(loss).__name__}")
def test_spectra_are_those_of_dense_matrices(loss):
    one = case(loss)
    size = one.w.shape[1]
    h, g, e = (torch.linalg.eigvalsh(dense(p, size)).flip(1) for p in (one.hessian, one.ggn, one.empirical_fisher))
    found = one.hessian_top(3, bottom=True, tolerance=1e-6)
    torch.testing.assert_close(found, torch.cat([h[:, :3], h[:, -1:]], dim=1), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(one.ggn_top(2), g[:, :2], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(one.empirical_fisher_top(1), e[:, :1], rtol=1e-9, atol=1e-12)


def test_large_side_where_the_small_one_does_not_fit(monkeypatch):
    one = case(CrossEntropy())
    small = one.ggn_top(2), one.empirical_fisher_top(1), one.sampled(4000)
    monkeypatch.setattr(module, "KERNELS_HELD", float("inf"))
    large = one.ggn_top(2), one.empirical_fisher_top(1), one.sampled(4000)
    for a, b in zip(small[:2], large[:2], strict=True):
        torch.testing.assert_close(b, a, rtol=1e-3, atol=0)  # of second order in the tolerance, 1e-2
    for a, b in zip(small[2], large[2], strict=True):
        # The relative deviation of ‖Gv‖² over v is at most √2: five of 4000 vectors.
        torch.testing.assert_close(b, a, rtol=5 * (2 / 4000) ** 0.5, atol=0)


def test_random_vectors_estimate_norm_and_trace():
    one = case(Mse())
    h, r, g = (dense(p, one.w.shape[1]) for p in (one.hessian, one.residual, one.ggn))
    found = one.sampled(4000)
    ratio = torch.linalg.matrix_norm(r) / torch.linalg.matrix_norm(g)
    torch.testing.assert_close(found.residual, ratio, rtol=5 * (2 / 4000) ** 0.5, atol=0)
    trace = h.diagonal(dim1=1, dim2=2).sum(1)
    # Var vᵀRv = 2 Σ_{i≠j} R_ij² for signs.
    error = 5 * float(torch.linalg.matrix_norm(r).max()) * (2 / 4000) ** 0.5
    torch.testing.assert_close(found.trace, trace, rtol=0, atol=error)


@pytest.mark.parametrize("loss", [Mse(), CrossEntropy()], ids=lambda loss: type(loss).__name__)
def test_fisher_is_the_mean_over_labels_of_the_model(loss):
    """E[ℓ′ℓ′ᵀ] under e^{−ℓ}: over all classes with their probabilities, and over y ~ N(F, 1) by quadrature."""
    one = case(loss)
    v = normal(*one.w.shape, seed=4)
    outputs = (one.alpha[:, None] * (one.linear.outputs - one.f0)).unflatten(1, (-1, one.architecture.n_outputs))
    expected = torch.zeros_like(v)
    if isinstance(loss, CrossEntropy):
        for y in range(3):
            weight = outputs.softmax(2)[..., y, None, None]
            error = outputs.softmax(2) - torch.nn.functional.one_hot(torch.tensor(y), 3)
            expected += one._outer(v, weight * error[..., None] * error[..., None, :])
    else:
        for node, weight in ((-(3**0.5), 1 / 6), (0.0, 2 / 3), (3**0.5, 1 / 6)):  # Gauss–Hermite, exact to degree 5
            expected += one._outer(v, torch.full((*outputs.shape, 1), weight * node**2, dtype=torch.float64))
    torch.testing.assert_close(one.fisher(v), expected, rtol=1e-12, atol=1e-14)
    assert not torch.allclose(one.fisher(v), one.empirical_fisher(v), rtol=0.1)


def test_members_together_are_each_alone():
    both = case(CrossEntropy())
    for member in (0, 1):
        alone = both.select(torch.tensor([member]))
        for a, b in (
            (both.hessian_top(2, bottom=True), alone.hessian_top(2, bottom=True)),
            (both.ggn_top(2), alone.ggn_top(2)),
            (both.sampled(3).residual, alone.sampled(3).residual),
            (both.hessian_density(5, 2).nodes, alone.hessian_density(5, 2).nodes),
        ):
            torch.testing.assert_close(a[member], b[0], rtol=1e-10, atol=1e-12)


def test_weights_that_stay_have_no_curvature():
    one, whole = case(Mse(), names=("W1", "last")), case(Mse())
    size = one.architecture.layout.sizes[0]
    h, full = dense(one.hessian, one.w.shape[1]), dense(whole.hessian, one.w.shape[1])
    assert not h[:, :size].any()
    torch.testing.assert_close(h[:, size:, size:], full[:, size:, size:])
    values = torch.linalg.eigvalsh(full[:, size:, size:])
    torch.testing.assert_close(one.hessian_top(1, bottom=True, tolerance=1e-6), values[:, [-1, 0]])


def test_residual_at_the_start_is_one_over_alpha():
    """F = 0 there, so that ℓ′ knows no α and R carries it alone."""
    one = case(Mse())
    start = Curvature(one.architecture, one.w, X, one.labels, one.loss, one.alpha, one.linear.outputs)
    found = start.sampled(2).residual
    again = Curvature(one.architecture, one.w, X, one.labels, one.loss, 10 * one.alpha, one.linear.outputs)
    torch.testing.assert_close(found / again.sampled(2).residual, torch.full((2,), 10.0).double(), rtol=1e-12, atol=0)


def test_no_fisher_of_a_hinge():
    for loss in (Hinge(), SoftHinge(), QuadraticHinge()):
        for ask in (lambda one: one.fisher(one.w), lambda one: one.fisher_top(1)):
            with pytest.raises(ConfigError, match=r"e\^\(−ℓ\) is no distribution of labels.*use mse or cross_entropy"):
                ask(case(loss))
    assert case(SoftHinge(2.0)).empirical_fisher_top(1).isfinite().all()


def test_a_loss_that_is_not_convex_has_no_small_side():
    class Saturating(Mse):
        def __call__(self, outputs, labels):
            return (outputs * labels).tanh()

    with pytest.raises(ConfigError, match="not convex in F"):
        case(Saturating()).ggn_top(1)


def symmetric(*values):
    q, _ = torch.linalg.qr(normal(len(values), len(values), seed=3))
    a = q @ torch.diag(torch.tensor(values, dtype=torch.float64)) @ q.T
    return lambda v: v @ a


def test_lanczos_finds_what_a_space_that_ends_leaves():
    """Three copies of 2: the first Krylov space has one of them, and the basis goes on with the others."""
    values = [5.0, 2, 2, 2, -1, 0]
    *_, (t, after) = lanczos(symmetric(*values), torch.ones(1, 6, dtype=torch.float64), 6)
    assert torch.linalg.eigvalsh(t[0]).tolist() == pytest.approx(sorted(values), abs=1e-10)
    assert float(after) == pytest.approx(0, abs=1e-10)


def test_smallest_eigenvalue_is_not_one_of_many_that_are_zero():
    """A few steps find 0 by far the best; it must not be taken for the smallest."""
    product = symmetric(*[100.0, 30, 10] + [0.0] * 200 + [-0.2, -0.1])
    start = torch.ones(205, dtype=torch.float64)
    assert extremes(product, start, 1, bottom=True).tolist() == pytest.approx([100, -0.2], rel=1e-3)


def test_what_is_not_found_is_not_a_number():
    product, start = symmetric(*torch.linspace(0, 1, 60).tolist()), torch.ones(60, dtype=torch.float64)
    room = 8 * 60 * 5  # for five vectors
    assert extremes(product, start, 1, tolerance=1e-6, memory_limit=room).isnan().all()
    assert extremes(product, start, 1, tolerance=1e-6).tolist() == pytest.approx([1.0])
    assert extremes(lambda v: v * torch.nan, start, 1).isnan().all()


def test_density_has_the_moments_of_its_vector():
    """Quadrature with m nodes is exact for polynomials of degree 2m − 1 (Golub and Meurant 2010)."""
    values = torch.linspace(-1, 2, 20, dtype=torch.float64)
    start = normal(3, 20, seed=5)
    found = density(symmetric(*values.tolist()), start, 4)
    q, _ = torch.linalg.qr(normal(20, 20, seed=3))
    own = (start @ q).square() / start.square().sum(1, keepdim=True)
    for degree in range(8):
        torch.testing.assert_close((found.weights * found.nodes**degree).sum(1), own @ values**degree)


@pytest.mark.parametrize("loss", [Mse(), CrossEntropy()], ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("size", [2, 3])
def test_shift_of_batches_is_the_second_order_of_all_of_them(loss, size):
    """Perturbation theory batch by batch, over every batch there is; and λ₁ of drawn ones beside their mean."""
    one = case(loss)
    c, n = one.architecture.n_outputs, len(X)
    whole = dense(one.ggn, one.w.shape[1])
    alone = [
        Curvature(one.architecture, one.w, X[[i]], one.labels[[i]], loss, ALPHA, one.f0[:, c * i : c * (i + 1)])
        for i in range(n)
    ]
    each = torch.stack([dense(part.ggn, one.w.shape[1]) for part in alone], dim=1)
    values, vectors = torch.linalg.eigh(whole)
    shifts, largest = [], []
    for batch in itertools.combinations(range(n), size):
        of_batch = each[:, list(batch)].mean(1)
        off = torch.einsum("mi,mij,mjk->mk", vectors[..., -1], of_batch - whole, vectors)[:, :-1]
        shifts.append((off.square() / (values[:, -1:] - values[:, :-1])).sum(1))
        largest.append(torch.linalg.eigvalsh(of_batch)[:, -1])
    expected = torch.stack(shifts).mean(0)
    torch.testing.assert_close(one.batch_shift() * (1 / size - 1 / n), expected, rtol=1e-10, atol=0)
    drawn, largest = one.batch_top(size, 60), torch.stack(largest, dim=1)
    assert (drawn[..., None] - largest[:, None]).abs().amin(2).max() < 1e-10  # each is that of a batch there is
    error = 4 * largest.std(1) / 60**0.5
    assert ((drawn.mean(1) - largest.mean(1)).abs() < error).all()


def test_any_module():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 3)).double()
    found = curvature(net, None, (X, CLASSES))
    weights = {name: p.detach() for name, p in net.named_parameters()}

    def objective(flat):
        parts = dict(zip(weights, flat.split([w.numel() for w in weights.values()]), strict=True))
        named = {name: part.reshape(weights[name].shape) for name, part in parts.items()}
        return nn.functional.cross_entropy(torch.func.functional_call(net, named, X), CLASSES)

    flat = torch.cat([w.flatten() for w in weights.values()])
    expected = second(objective)(flat)
    v = normal(1, len(flat), seed=6)
    torch.testing.assert_close(found.hessian(v), v @ expected, rtol=1e-10, atol=1e-12)
    values = torch.linalg.eigvalsh(expected)
    torch.testing.assert_close(found.hessian_top(1, bottom=True, tolerance=1e-6)[0], values[[-1, 0]])
    centred = curvature(net, None, (X, CLASSES), initial=weights, alpha=2.0)
    assert not centred.f0.eq(0).any()
    torch.testing.assert_close(centred.linear.outputs, centred.f0)


@pytest.mark.skipif(
    not importlib.util.find_spec("curvlinops"), reason="curvlinops is an extra: pip install .[curvature]"
)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_oracle_of_another_package(n_outputs):
    """curvlinops, on a module with mean reduction: α = 1 and F = f. It has ½ nowhere: its mse is twice ours."""
    import curvlinops

    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, n_outputs)).double()
    y, loss, ours, factor = (
        (CLASSES, nn.CrossEntropyLoss(), "cross_entropy", 1.0)
        if n_outputs > 1
        else (SIGNS[:, None], nn.MSELoss(), "mse", 0.5)
    )
    found = curvature(net, None, (X, y.squeeze()), loss=ours)
    v = normal(1, found.w.shape[1], seed=7)
    params = list(net.parameters())
    for name, product, scale in (
        ("HessianLinearOperator", found.hessian, factor),
        ("GGNLinearOperator", found.ggn, factor),
        ("EFLinearOperator", found.empirical_fisher, factor**2),
    ):
        operator = getattr(curvlinops, name)(net, loss, params, [(X, y)])
        torch.testing.assert_close(
            product(v)[0], scale * (operator @ v[0].contiguous()).detach(), rtol=1e-9, atol=1e-12
        )
