"""Kernels of the deep equilibrium network as its width goes to infinity (arXiv:2310.10767, arXiv:2310.14062).

With B = σ_u²x·x′/d, S = E φ(u)φ(v) and Ṡ = E φ′(u)φ′(v) for (u, v) of covariance K, that of preactivations is the fixed
point K = σ_w²S + B, that of outputs Σ = σ_v²S, and Θ = σ_v²(S + Ṡ·K/(1 − σ_w²Ṡ)), the sum over all layers of what moves
each. After L layers these are recursions from K = B: signals of different layers have no correlation.
"""

import torch
from torch import Tensor

from feature_lazy.core.arrays import reals
from feature_lazy.core.errors import NumericalError
from feature_lazy.core.memory import chunk_size, chunks
from feature_lazy.networks.activations import Scaled
from feature_lazy.networks.limits.dual import Expectations, Marginals, correlation, expectations
from feature_lazy.networks.limits.infinite import BLOCK_ENTRIES, InfiniteKernels

STEPS, ROUNDING = 2000, 1e-14
"""Steps to a fixed point at most, and the change of a step, over the largest entry, at which it is there."""


def equilibrium_kernels(
    activation: Scaled,
    sigmas: tuple[float, float, float],
    x1: Tensor,
    x2: Tensor | None = None,
    *,
    depth: int = 0,
    tolerance: float = 1e-10,
) -> InfiniteKernels:
    """Θ∞ and Σ∞ of ``systems.deep_equilibrium``, h → ∞, of one output.

    Args:
        activation: φ.
        sigmas: σ_w, σ_u, σ_v.
        x1: patterns (P1, d).
        x2: patterns (P2, d); ``x1`` if omitted.
        depth: layers; 0: infinitely many.
        tolerance: relative error of S and Ṡ where the activation has no closed form.

    Raises:
        NumericalError: there is no fixed point, or the activation's series does not reach the tolerance.
    """
    x1 = reals(x1, "patterns")
    x = x1 if x2 is None else torch.cat([x1, reals(x2, "patterns")])
    first = 0 if x2 is None else len(x1)
    weight, base = sigmas[0] ** 2, sigmas[1] ** 2 * (x @ x.mT) / x.shape[1]
    # ρ = 1 of equal patterns is not left to rounding: slopes of kinks would feel it as its square root.
    names = x.unique(dim=0, return_inverse=True)[1]
    layers = _layers(expectations(activation, tolerance), weight, base.diagonal(), depth)
    rule = _Pairs(expectations(activation, tolerance), weight, layers, endless=depth == 0)
    ntk, nngp = x.new_empty(2, len(x1), len(x) - first)
    for rows in chunks(len(x1), chunk_size(len(x1), ntk.shape[1], BLOCK_ENTRIES)):
        columns = slice(first, len(x))
        ntk[rows], nngp[rows] = rule.kernels(base[rows, columns], rows, columns, names[rows, None] == names[columns])
    if not (ntk.isfinite().all() and nngp.isfinite().all()):
        raise NumericalError(
            "the kernel of infinite width is not finite: patterns, sigmas or activation are too large."
        )
    scale = sigmas[2] ** 2
    return InfiniteKernels(scale * ntk, scale * nngp, max(layer.error for layer in layers))


def _layers(rule: Expectations, weight: float, base: Tensor, depth: int) -> list[Marginals]:
    """What S and Ṡ need of each pattern alone in every layer; of infinitely many, in the last.

    Raises:
        NumericalError: the variance of preactivations has no fixed point.
    """
    q, layers = base, []
    for _ in range(depth or STEPS):
        layers.append(rule.marginals(q))
        after = weight * layers[-1].moment + base
        if not depth and float((after - q).abs().max()) <= ROUNDING * float(after.abs().max()):
            return layers[-1:]
        q = after
    if not depth:
        raise NumericalError(f"the variance of an equilibrium is not found in {STEPS} steps: use a smaller sigma_w.")
    return layers


class _Pairs:
    """Both kernels between pairs of patterns, before σ_v²."""

    def __init__(self, rule: Expectations, weight: float, layers: list[Marginals], *, endless: bool) -> None:
        self._rule, self._weight, self._layers, self._endless = rule, weight, layers, endless

    def kernels(self, base: Tensor, rows: slice, columns: slice, same: Tensor) -> tuple[Tensor, Tensor]:
        """Θ and Σ for B = ``base`` between some patterns and others, equal ones marked."""
        k, ntk = base, base
        if self._endless:
            k = self._fixed(base, rows, columns, same)
            value, slope = self._joint(self._layers[0], k, rows, columns, same)
            return value + slope * k / (1 - self._weight * slope), value
        for layer in self._layers[:-1]:
            value, slope = self._joint(layer, k, rows, columns, same)
            k = self._weight * value + base
            ntk = k + self._weight * slope * ntk
        value, slope = self._joint(self._layers[-1], k, rows, columns, same)
        return value + slope * ntk, value

    def _fixed(self, base: Tensor, rows: slice, columns: slice, same: Tensor) -> Tensor:
        """K = σ_w²S(K) + B.

        Raises:
            NumericalError: it is not found.
        """
        k = base
        for _ in range(STEPS):
            after = self._weight * self._joint(self._layers[0], k, rows, columns, same)[0] + base
            if float((after - k).abs().max()) <= ROUNDING * float(after.abs().max()):
                return after
            k = after
        raise NumericalError(f"the covariance of an equilibrium is not found in {STEPS} steps: use a smaller sigma_w.")

    def _joint(self, layer: Marginals, k: Tensor, rows: slice, columns: slice, same: Tensor) -> tuple[Tensor, Tensor]:
        """S and Ṡ at the covariances K."""
        left, right = layer.of(rows), layer.of(columns)
        return self._rule.joint(left, right, correlation(k, left, right, same))
