"""The inverse of an empirical Fisher matrix of few gradients, by m × m equations in place of N × N.

F = λ + GᵀG/m of m gradients, the rows of G (m, N). By Woodbury's identity F⁻¹ = (1 − Gᵀ(λm + GGᵀ)⁻¹G)/λ, which a
Cholesky factor of λm + GGᵀ gives in m²N + m³/6 multiplications, and each product with it in 2mN. The recursion over
gradients of Frantar, Kurtic and Alistarh (2021, arXiv:2107.03356, section 3) is the same in another order of sums.

All is done in float64: a product cancels as ‖GGᵀ‖/(λm), which is 10⁵ where λ is 10⁻⁵ of the mean of |g|².
"""

import torch
from torch import Tensor


def inverse_fisher_product(gradients: Tensor, damping: Tensor, x: Tensor) -> Tensor:
    """F⁻¹x, (M, N), in the dtype of x; NaN of a member whose F is not positive definite, not to stop the others.

    Args:
        gradients: G of each member, (M, m, N).
        damping: λ > 0 of each member, (M,).
        x: a vector of each member, (M, N).
    """
    g, wide = gradients.double(), x.double()
    inside = torch.cholesky_solve(g @ wide[..., None], _factor(g, damping))
    return ((wide - (g.mT @ inside)[..., 0]) / damping.double()[:, None]).to(x)


def inverse_fisher_diagonal(gradients: Tensor, damping: Tensor) -> Tensor:
    """The diagonal of F⁻¹, (M, N) of float64; arguments and NaN as of ``inverse_fisher_product``."""
    g = gradients.double()
    half = torch.linalg.solve_triangular(_factor(g, damping), g, upper=False)
    return (1 - half.square().sum(1)) / damping.double()[:, None]


def _factor(g: Tensor, damping: Tensor) -> Tensor:
    """The Cholesky factor of λm + GGᵀ, (M, m, m)."""
    gram = g @ g.mT
    gram.diagonal(dim1=1, dim2=2).add_(damping.double()[:, None] * g.shape[1])
    factor, wrong = torch.linalg.cholesky_ex(gram)
    return torch.where((wrong > 0)[:, None, None], torch.nan, factor)


def mean_square(gradients: Tensor) -> Tensor:
    """The mean of |g|² over gradients (M, m, N), tr F at λ = 0: (M,) of float64; 1 where all are 0, not to divide."""
    found = gradients.double().square().sum(2).mean(1)
    return torch.where(found > 0, found, 1.0)
