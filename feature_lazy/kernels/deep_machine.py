"""Deep kernel machines: Gram matrices of hidden layers that learn from the labels (Yang et al., arXiv:2108.13097).

A layer of infinite width has the prior kernel K(G) = E φ(u)φ(v), (u, v) Gaussian with the covariance G of the layer
below, and nothing is learnt: G_l = K(G_{l−1}), the NNGP. Where the labels are repeated as widths grow, N times for
layers of νN units, something is, and the Gram matrices G_1 … G_L are those that maximise

    Σ_c ln N(y_c; 0, K(G_L) + s²I) − ν Σ_l KL(N(0, G_l) ‖ N(0, K(G_{l−1}))),   G_0 = XXᵀ/d.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from feature_lazy.kernels.checks import finite, square
from feature_lazy.networks.activations import Scaled

Layer = Callable[[Tensor], Tensor]
"""K(G), (P, P) → (P, P), with a gradient."""
EDGE = 1e-9
"""How far correlations of two patterns are kept from ±1, where the arccosine of ReLU has an infinite slope."""
STEPS, MEMORY, FLAT, STILL = 3000, 30, 1e-8, 1e-15
"""Of L-BFGS: the most steps, differences that it keeps, and the slope and the relative gain at which it has arrived."""


def prior_kernel(activation: Scaled) -> Layer:
    """K(G) of an activation.

    Raises:
        ValueError: its expectations are not known in closed form.
    """
    dual, scale = activation.dual, activation.factor**2
    if dual is None:
        raise ValueError("the kernel of this activation has no closed form; take relu, erf or another that has one")

    def layer(gram: Tensor) -> Tensor:
        q = gram.diagonal()
        own = torch.eye(len(q), dtype=torch.bool, device=q.device)
        rho = (gram / torch.outer(q, q).sqrt()).clamp(EDGE - 1, 1 - EDGE).masked_fill(own, 0.0)
        between = dual(q[:, None], q[None], rho)[0].masked_fill(own, 0.0)
        return scale * (between + dual(q, q, torch.ones_like(q))[0].diag())

    return layer


@dataclass(frozen=True)
class Machine:
    """Gram matrices of P training patterns, and what follows from them.

    Attributes:
        layer: K.
        inputs: G_0, (P, P).
        grams: G_1 … G_L, (P, P) each.
        noise: s².
    """

    layer: Layer
    inputs: Tensor
    grams: list[Tensor]
    noise: float

    @property
    def kernel(self) -> Tensor:
        """Covariance of F, K(G_L), (P, P)."""
        return self.layer([self.inputs, *self.grams][-1])

    @property
    def changes(self) -> list[float]:
        """‖G_l − NNGP_l‖_F/‖NNGP_l‖_F of each layer."""
        prior = prior_grams(self.layer, self.inputs, len(self.grams))
        return [float((one - was).norm() / was.norm()) for one, was in zip(self.grams, prior, strict=True)]

    def extended(self, inputs: Tensor) -> Tensor:
        """Covariance of F with further patterns: they have what the prior leaves of them, given the training patterns.

        G_*i = AG_i and G_** = K_** + A(G_i − K_i)Aᵀ, A = K_*i K_i⁻¹, layer by layer.

        Args:
            inputs: G_0 of the training patterns, and then of the others, (P + P_test, P + P_test).

        Returns:
            (P + P_test, P + P_test).
        """
        whole, n = inputs, len(self.inputs)
        for gram in self.grams:
            prior = self.layer(whole)
            onto = torch.cholesky_solve(prior[:n], _factor(prior[:n, :n])).mT
            whole = prior + onto @ (gram - prior[:n, :n]) @ onto.mT
        return self.layer(whole)

    def predict(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """The mean of F on further patterns, (P_test,) or (P_test, C) as the targets are; see ``extended``."""
        kernel, n = self.extended(inputs), len(self.inputs)
        y = targets.double().reshape(n, -1)
        weights = torch.cholesky_solve(y, _factor(_noisy(kernel[:n, :n], self.noise)))
        return (kernel[n:, :n] @ weights).reshape(-1, *targets.shape[1:])


def prior_grams(layer: Layer, inputs: Tensor, layers: int) -> list[Tensor]:
    """G_1 … G_L of which nothing is learnt, the NNGP."""
    grams = [inputs]
    for _ in range(layers):
        grams.append(layer(grams[-1]))
    return grams[1:]


def learnt(layer: Layer, inputs: Tensor, targets: Tensor, *, layers: int, nu: float, noise: float) -> Machine:
    """The machine whose G_1 … G_L maximise the objective above, by L-BFGS from the NNGP.

    G_l = C_lVVᵀC_lᵀ with the Cholesky factor C_l of the NNGP and a triangular V, whose diagonal is positive, so that
    every G_l is.

    Args:
        layer: K.
        inputs: G_0, (P, P).
        targets: y, (P,), or C columns, (P, C).
        layers: L.
        nu: ν > 0; ``math.inf`` is the NNGP.
        noise: s² ≥ 0.

    Raises:
        ValueError: a kernel that is not square, finite or positive, targets of other patterns, or Gram matrices that do
            not come to rest.
    """
    inputs, y = square(inputs).double(), finite(targets, "set of targets").double().reshape(len(targets), -1)
    if len(y) != len(inputs):
        raise ValueError(f"{len(y)} targets do not fit {len(inputs)} patterns.")
    prior = prior_grams(layer, inputs, layers)
    if math.isinf(nu) or not layers:
        return Machine(layer, inputs, prior, noise)
    roots = torch.stack([_factor(one) for one in prior])

    def factors(free: Tensor) -> Tensor:
        """C_lV_l."""
        return roots @ (free.tril(-1) + torch.diag_embed(free.diagonal(dim1=1, dim2=2).exp()))

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        free = torch.from_numpy(flat).reshape(roots.shape).requires_grad_()
        below, total = inputs, torch.zeros((), dtype=torch.float64)
        for factor in factors(free):
            total = total + _divergence(factor, _factor(layer(below)))
            below = factor @ factor.mT
        total = total - log_likelihood(layer(below), y, noise) / nu
        (slope,) = torch.autograd.grad(total, free)
        return total.item(), slope.numpy().ravel()

    options = {"maxiter": STEPS, "maxcor": MEMORY, "gtol": FLAT, "ftol": STILL, "maxfun": 2 * STEPS}
    found = minimize(loss, np.zeros(roots.numel()), jac=True, method="L-BFGS-B", options=options)
    if found.nit >= STEPS:
        raise ValueError(f"at ν = {nu:g} the Gram matrices are not at rest after {STEPS} steps: take a larger ν.")
    grams = [factor @ factor.mT for factor in factors(torch.from_numpy(found.x).reshape(roots.shape))]
    return Machine(layer, inputs, grams, noise)


def log_likelihood(kernel: Tensor, y: Tensor, noise: float) -> Tensor:
    """Σ_c ln N(y_c; 0, K + s²I) of columns y (P, C)."""
    root = _factor(_noisy(kernel, noise))
    fit = torch.linalg.solve_triangular(root, y, upper=False).square().sum()
    each = 2 * root.diagonal().log().sum() + len(y) * math.log(2 * math.pi)
    return -(fit + y.shape[1] * each) / 2


def _noisy(kernel: Tensor, noise: float) -> Tensor:
    return kernel + noise * torch.eye(len(kernel), dtype=kernel.dtype, device=kernel.device)


def _divergence(factor: Tensor, root: Tensor) -> Tensor:
    """KL(N(0, FFᵀ) ‖ N(0, RRᵀ)) of two triangular factors."""
    trace = torch.linalg.solve_triangular(root, factor, upper=False).square().sum()
    return (trace - len(root)) / 2 + root.diagonal().log().sum() - factor.diagonal().log().sum()


def _factor(kernel: Tensor) -> Tensor:
    """The Cholesky factor.

    Raises:
        ValueError: a kernel that is not positive.
    """
    root, failed = torch.linalg.cholesky_ex(kernel)
    if bool(failed):
        raise ValueError(f"a kernel on {len(kernel)} patterns is singular up to rounding: leave out equal patterns.")
    return root
