"""Curvature of the flow's loss: Hessian, generalised Gauss–Newton, Fisher and empirical Fisher, kept apart by name.

Of 𝓛(w) = 1/(α²P) Σ_μ ℓ(F_μ, y_μ), F = α(f − f₀) (eq. 7), with J = ∂f/∂w, in which α cancels:

* the Gauss–Newton matrix G = (1/P) Σ_μ J_μᵀ ℓ″_μ J_μ;
* the residual R = (1/(αP)) Σ_μ ℓ′_μ ∂²f_μ, and the Hessian H = G + R;
* the Fisher matrix (1/P) Σ_μ J_μᵀ E[ℓ′ℓ′ᵀ] J_μ, with labels of the model's own distribution e^{−ℓ}; it is G where that
  is of the exponential family with natural parameters F, as for the squared error and cross-entropy (Martens 2020);
* the *empirical* Fisher matrix (1/P) Σ_μ J_μᵀ ℓ′_μℓ′_μᵀ J_μ, with the labels that there are.

A regulariser of 𝓛 adds its own rates to the diagonal of H. Of a network with a kink, H is what it is almost everywhere.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from feature_lazy.core.errors import ConfigError, NumericalError
from feature_lazy.core.memory import COPIES_PER_ACTIVATION, chunk_size, chunks
from feature_lazy.core.streams import stream
from feature_lazy.kernels.exact import tangent_kernel
from feature_lazy.kernels.first_order import FirstOrder, first_order
from feature_lazy.kernels.lanczos import TOLERANCE, Density, Product, density, extremes, rademacher
from feature_lazy.kernels.spectrum import top_eigenvalues
from feature_lazy.networks.base import Network
from feature_lazy.networks.outputs import places, span
from feature_lazy.settings.groups import Loss

KERNELS_HELD = 3
"""Copies of Θ that are held while its eigenvalues are found: it, what it becomes, and the work."""
GRAPHS = 2 * COPIES_PER_ACTIVATION
"""Copies of activations under a gradient that is differentiated once more."""


class Sample(NamedTuple):
    """What random vectors v say of the Hessian.

    Attributes:
        residual: ‖R‖_F/‖G‖_F, (M,), with ‖R‖_F² the mean of ‖Rv‖².
        trace: tr H = tr G + tr R, (M,), with tr R the mean of vᵀRv (Hutchinson 1990).
    """

    residual: Tensor
    trace: Tensor


def no_likelihood(loss: str) -> str:
    """Why a loss has no Fisher matrix, as a sentence."""
    return (
        f"loss={loss}: e^(−ℓ) is no distribution of labels, so that there is no Fisher matrix; use mse or "
        "cross_entropy, or the Gauss–Newton matrix or the empirical Fisher matrix, which every loss has."
    )


@dataclass(frozen=True)
class Curvature:
    """Second derivatives of 𝓛 at weights of M members, as products with vectors v (M, N), flat, and their spectra.

    Attributes:
        architecture: any network.
        w: weights, (M, N).
        x: patterns, (P, d).
        labels: y, (P,).
        loss: ℓ.
        alpha: α, (M,).
        f0: what is taken off f, (M, P·C).
        memory_limit: bytes for one chunk of patterns, or for the vectors of a Krylov space.
    """

    architecture: Network
    w: Tensor
    x: Tensor
    labels: Tensor
    loss: Loss
    alpha: Tensor
    f0: Tensor
    memory_limit: float = float("inf")

    def select(self, members: Tensor) -> "Curvature":
        """The same of some members, (k,), each as often as it is named."""
        w, alpha, f0 = self.w[members], self.alpha[members], self.f0[members]
        return Curvature(self.architecture, w, self.x, self.labels, self.loss, alpha, f0, self.memory_limit)

    @cached_property
    def linear(self) -> FirstOrder:
        """The network to first order."""
        return first_order(self.architecture, self.architecture.layout.unflatten(self.w), self.x, self.memory_limit)

    @cached_property
    def pulls(self) -> Tensor:
        """ℓ′ = ∂ℓ/∂F, (M, P·C)."""
        return self._derivatives[0]

    @cached_property
    def curvatures(self) -> Tensor:
        """ℓ″ = ∂²ℓ/∂F², (M, P, C, C)."""
        return self._derivatives[1]

    @cached_property
    @torch.enable_grad()
    def _derivatives(self) -> tuple[Tensor, Tensor]:
        outputs = (self.alpha[:, None] * (self.linear.outputs - self.f0)).detach().requires_grad_()
        first = _gradient(self.loss(outputs, self.labels).sum(), outputs, again=True)
        c = self.architecture.n_outputs
        columns = [_gradient(first[:, i::c].sum(), outputs, again=True) for i in range(c)]
        second = torch.stack(columns, dim=-1).unflatten(1, (-1, c))
        return first.detach(), second.detach()

    @property
    def value(self) -> Tensor:
        """𝓛, (M,)."""
        params, total = self.architecture.layout.unflatten(self.w), torch.zeros_like(self.alpha)
        per_pattern = COPIES_PER_ACTIVATION * len(self.w) * self.architecture.activations_per_pattern
        size = chunk_size(len(self.x), per_pattern * self.w.element_size(), self.memory_limit)
        for chunk in chunks(len(self.x), size):
            total += self._objective(self.architecture.apply(params, self.x[chunk]), chunk)
        return total

    def at(self, w: Tensor) -> "Curvature":
        """That of one member at other weights (R, N)."""
        alpha, f0 = self.alpha.expand(len(w)), self.f0.expand(len(w), -1)
        return Curvature(self.architecture, w, self.x, self.labels, self.loss, alpha, f0, self.memory_limit)

    def gradient(self, patterns: Tensor) -> Tensor:
        """∇𝓛 of the part of some patterns, (k,), as if there were no others: (M, N)."""
        pulls = self.pulls.unflatten(1, (len(self.x), -1))
        chosen = torch.zeros_like(pulls)
        chosen[:, patterns] = pulls[:, patterns]
        return self.linear.pull_back(chosen.flatten(1)) / (self.alpha[:, None] * len(patterns))

    def hessian(self, v: Tensor) -> Tensor:
        """Hv, (M, N)."""
        return self._twice(v, self._objective)

    def residual(self, v: Tensor) -> Tensor:
        """Rv = (H − G)v, (M, N), without the difference, which would round where it is small."""
        return self._twice(v, self._weighted)

    def ggn(self, v: Tensor) -> Tensor:
        """Gv, (M, N)."""
        return self._outer(v, self.curvatures)

    def fisher(self, v: Tensor) -> Tensor:
        """Product with the Fisher matrix of the model's own distribution, (M, N).

        Raises:
            ConfigError: a loss that is no likelihood.
        """
        self._check_likelihood()
        return self.ggn(v)

    def _check_likelihood(self) -> None:
        if not self.loss.likelihood:
            raise ConfigError(no_likelihood(self.loss.option_name or type(self.loss).__name__))

    def empirical_fisher(self, v: Tensor) -> Tensor:
        """Product with the empirical Fisher matrix, (M, N)."""
        return self._outer(v, self.squares)

    @property
    def squares(self) -> Tensor:
        """ℓ′ℓ′ᵀ, (M, P, C, C)."""
        first = self.pulls.unflatten(1, (-1, self.architecture.n_outputs))
        return first[..., None] * first[..., None, :]

    def _outer(self, v: Tensor, blocks: Tensor) -> Tensor:
        """(1/P) Σ_μ J_μᵀ B_μ J_μ v for blocks B (M, P, C, C)."""
        pushed = self.linear.push_forward(v).unflatten(1, (-1, blocks.shape[-1]))
        return self.linear.pull_back((blocks @ pushed[..., None])[..., 0].flatten(1) / len(self.x))

    def _objective(self, f: Tensor, patterns: slice) -> Tensor:
        """𝓛 of each member, (M,): the part of some patterns."""
        predictor = self.alpha[:, None] * (f - self.f0[:, span(patterns, self.architecture.n_outputs)])
        return self.loss(predictor, self.labels[patterns]).sum(1) / (self.alpha**2 * len(self.x))

    def _weighted(self, f: Tensor, patterns: slice) -> Tensor:
        """The same to first order in f, whose second derivative by w is R."""
        pulls = self.pulls[:, span(patterns, self.architecture.n_outputs)]
        return (pulls * f).sum(1) / (self.alpha * len(self.x))

    def _twice(self, v: Tensor, objective: Callable[[Tensor, slice], Tensor]) -> Tensor:
        """The second derivative by w of a sum over patterns, times v: through the graph of its gradient."""
        total = torch.zeros_like(v)
        for w, gradient, last in self._gradients(objective):
            if gradient.requires_grad:
                # Of a product, because a vector that is given beside ``gradient`` makes PyTorch import SymPy.
                with torch.enable_grad():
                    along = (gradient * v).sum()
                total += torch.autograd.grad(along, w, retain_graph=not last, materialize_grads=True)[0]
        return total

    def _gradients(self, objective: Callable[[Tensor, slice], Tensor]) -> Iterator[tuple[Tensor, Tensor, bool]]:
        """Weights and the gradient's graph over chunks of patterns, and whether that is done with.

        If one chunk holds all patterns its graph is kept for the next product, which then takes one pass instead of
        three.
        """
        per_pattern = GRAPHS * len(self.w) * self.architecture.activations_per_pattern * self.w.element_size()
        n = len(self.x)
        size = chunk_size(n, per_pattern, self.memory_limit)
        if size == n:
            kept = self.__dict__.setdefault("_kept", {})
            if objective.__name__ not in kept:
                kept[objective.__name__] = self._graph(objective, slice(0, n))
            yield *kept[objective.__name__], False
            return
        for chunk in chunks(n, size):
            yield *self._graph(objective, chunk), True

    @torch.enable_grad()
    def _graph(self, objective: Callable[[Tensor, slice], Tensor], patterns: slice) -> tuple[Tensor, Tensor]:
        w = self.w.detach().clone().requires_grad_()
        f = self.architecture.apply(self.architecture.layout.unflatten(w), self.x[patterns])
        return w, _gradient(objective(f, patterns).sum(), w, again=True)

    @property
    def finite(self) -> Tensor:
        """Which members have finite outputs and derivatives of the loss, (M,) bool."""
        first, second = self._derivatives
        return self.linear.outputs.isfinite().all(1) & first.isfinite().all(1) & second.isfinite().flatten(1).all(1)

    def ggn_top(self, k: int) -> Tensor:
        """The k largest eigenvalues of G, descending, (M, k), from the small side where that fits."""
        if self._fits(k):
            return top_eigenvalues(self._ggn_side, k)
        return self._top(k, [one.ggn for one in self._each()])

    def fisher_top(self, k: int) -> Tensor:
        """The same of the Fisher matrix of the model's own distribution.

        Raises:
            ConfigError: a loss that is no likelihood.
        """
        self._check_likelihood()
        return self.ggn_top(k)

    def empirical_fisher_top(self, k: int) -> Tensor:
        """The same of the empirical Fisher matrix."""
        if self._fits(k):
            return top_eigenvalues(self.small_side(self.squares), k)
        return self._top(k, [one.empirical_fisher for one in self._each()])

    def _fits(self, k: int) -> bool:
        """Whether k eigenvalues of a matrix of rank P·C are to be had from its small side."""
        n = self.f0.shape[1]
        held = KERNELS_HELD * len(self.w) * n**2 * self.w.element_size()
        return k <= n <= self.w.shape[1] and held <= self.memory_limit

    def _top(self, k: int, products: list[Product]) -> Tensor:
        return torch.stack([extremes(one, self.start, k, memory_limit=self.memory_limit) for one in products])

    @property
    def _ggn_trace(self) -> Tensor:
        return self._ggn_side.diagonal(dim1=1, dim2=2).sum(1)

    @cached_property
    def _ggn_side(self) -> Tensor:
        return self.small_side(self.curvatures)

    def small_side(self, blocks: Tensor) -> Tensor:
        """B^½ Θ B^½/P for blocks B (M, P, C, C): (M, P·C, P·C), with the eigenvalues of (1/P) Σ_μ J_μᵀ B_μ J_μ.

        Raises:
            ConfigError: blocks of a loss that is not convex, which have no root.
        """
        root, c = _root(blocks), blocks.shape[-1]
        params = self.architecture.layout.unflatten(self.w)
        theta = tangent_kernel(
            self.architecture, params, self.x, memory_limit=self.memory_limit, check_finite=False
        ).unflatten(1, (-1, c))
        half = torch.einsum("mpab,mpbq->mpaq", root, theta).flatten(1, 2).unflatten(2, (-1, c))
        return torch.einsum("mqpa,mpab->mqpb", half, root).flatten(2) / len(self.x)

    def batch_top(self, size: int, draws: int) -> Tensor:
        """λ₁ of G on random batches of some of the patterns, without replacement, (M, draws).

        G of a batch is a submatrix of the small side of G, times P/B. Draws are the same for all members and moments.
        """
        n, c = len(self.x), self.architecture.n_outputs
        found = []
        for draw in range(draws):
            chosen = torch.from_numpy(stream(0, "batch", str(size), str(draw)).permutation(n)[:size])
            rows = places(chosen.to(self.w.device), c)
            found.append(top_eigenvalues(self._ggn_side[:, rows][:, :, rows], 1)[:, 0] * n / size)
        return torch.stack(found, dim=1)

    def batch_shift(self) -> Tensor:
        """How much λ₁ of G on a batch of B patterns lies above λ₁, over 1/B − 1/P, to second order, (M,).

        E λ₁(B) − λ₁ = (1/B − 1/P)·P/(P − 1) · Σ_{j > 1} E_μ[(v₁ᵀG_μv_j)²]/(λ₁ − λ_j), with G_μ of pattern μ and
        eigenvectors v of G, for batches without replacement: second-order perturbation theory, whatever the law of
        the patterns. With eigenvectors U of the small side, v₁ᵀG_μv_j = P·√(λ₁λ_j)·Σ_c U_{μc,1}U_{μc,j}.
        """
        n = len(self.x)
        values, vectors = torch.linalg.eigh(self._ggn_side)
        parts = vectors.unflatten(1, (n, -1))  # (M, P, C, P·C)
        overlaps = (parts * parts[..., -1:]).sum(2)[..., :-1].square().mean(1)
        squares = n**2 * values[:, -1:] * values[:, :-1] * overlaps
        return (squares / (values[:, -1:] - values[:, :-1])).sum(1) * n / (n - 1)

    def hessian_top(self, k: int, *, bottom: bool = False, tolerance: float = TOLERANCE) -> Tensor:
        """The k largest eigenvalues of H, descending, and behind them the smallest one if asked for, (M, k) or k + 1.

        See ``lanczos.extremes``.
        """
        found = [
            extremes(one.hessian, self.start, k, bottom=bottom, tolerance=tolerance, memory_limit=self.memory_limit)
            for one in self._each()
        ]
        return torch.stack(found)

    def hessian_axes(self, k: int) -> tuple[Tensor, Tensor]:
        """The k largest eigenvalues of H of one member, descending, (k,), and eigenvectors of length 1, (k, N).

        Raises:
            NumericalError: they are not found.
        """
        from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh  # a fifth of a second

        like, n = self.w, self.w.shape[1]
        product = LinearOperator((n, n), lambda v: self.hessian(torch.from_numpy(v).to(like)[None])[0].cpu().numpy())
        start = self.start.cpu().numpy()
        try:
            values, vectors = eigsh(product, k, which="LA", v0=start)
        except ArpackError as error:
            raise NumericalError(f"{k} eigenvectors of the Hessian are not found: {error}") from error
        order = values.argsort()[::-1]
        return torch.from_numpy(values[order].copy()).to(like), torch.from_numpy(vectors.T[order].copy()).to(like)

    def hessian_density(self, steps: int, vectors: int) -> Density:
        """Spectral density of H by stochastic Lanczos quadrature, from each of some vectors: (M, vectors, steps)."""
        start = self.vectors(vectors, "slq")
        found = [density(one.hessian, start, steps) for one in self._each(vectors)]
        nodes, weights = zip(*found, strict=True)
        return Density(torch.stack(nodes), torch.stack(weights))

    def sampled(self, vectors: int) -> Sample:
        """What random vectors say of R, each member by the same ones; of G only where its small side does not fit."""
        v = self.vectors(vectors, "residual")
        products = torch.stack([one.residual(v) for one in self._each(vectors)])
        r, trace = _frobenius(products), (v * products).sum(2).mean(1)
        if self._fits(1):
            return Sample(r / torch.linalg.matrix_norm(self._ggn_side), self._ggn_trace + trace)
        products = torch.stack([one.ggn(v) for one in self._each(vectors)])
        return Sample(r / _frobenius(products), (v * products).sum(2).mean(1) + trace)

    def vectors(self, count: int, purpose: str) -> Tensor:
        """Random signs, the same for all members and moments, 0 for what is not trained: (count, N)."""
        layout = self.architecture.layout
        return layout.scattered(layout.gathered(rademacher(count, self.w, purpose)))

    @property
    def start(self) -> Tensor:
        """The first vector of a Krylov space, (N,)."""
        return self.vectors(1, "lanczos")[0]

    def _each(self, copies: int = 1) -> "Iterator[Curvature]":
        """Each member by itself, so many times."""
        return (self.select(torch.full((copies,), member, device=self.w.device)) for member in range(len(self.w)))


def _gradient(value: Tensor, at: Tensor, *, again: bool) -> Tensor:
    """∂value/∂at for a number, 0 where it does not depend on it, with its graph where it is differentiated again."""
    if not value.requires_grad:
        return torch.zeros_like(at)
    return torch.autograd.grad(value, at, create_graph=again, materialize_grads=True)[0]


def _frobenius(products: Tensor) -> Tensor:
    """‖A‖_F by products with random vectors (M, vectors, N): (M,)."""
    return products.square().sum(2).mean(1).sqrt()


def _root(blocks: Tensor) -> Tensor:
    """B^½ of symmetric blocks (…, C, C).

    Raises:
        ConfigError: negative eigenvalues.
    """
    values, vectors = torch.linalg.eigh(blocks) if blocks.shape[-1] > 1 else (blocks[..., 0], torch.ones_like(blocks))
    rounding = -(torch.finfo(values.dtype).eps ** 0.5) * values.abs().max()
    if bool((values < rounding).any()):
        raise ConfigError("the loss is not convex in F: ∂²ℓ/∂F² has no root, and G no small side.")
    return (vectors * values.clamp(min=0).sqrt()[..., None, :]) @ vectors.mT
