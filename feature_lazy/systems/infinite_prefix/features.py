"""Features φ of queries and keys whose products stand for e^{q·k}."""

import math
from functools import cache
from itertools import combinations_with_replacement

import torch
from torch import Tensor


def features(x: Tensor, degree: int) -> Tensor:
    """φ of vectors (…, n), (…, r): elu(x) + 1 entry by entry for a degree of 0, where r = n.

    Else all monomials up to a degree, each with its own factor, so that φ(q)·φ(k) = Σ_j (q·k)^j/j!.
    """
    if not degree:
        return torch.nn.functional.elu(x) + 1
    made = [torch.ones_like(x[..., :1])]
    for j in range(1, degree + 1):
        chosen, factors = _monomials(x.shape[-1], j)
        made.append(x[..., chosen.to(x.device)].prod(-1) * factors.to(x))
    return torch.cat(made, -1)


@cache
def _monomials(n: int, j: int) -> tuple[Tensor, Tensor]:
    """Which of n entries the monomials of a degree multiply, (r_j, j), and the factor of each, (r_j,).

    (q·k)^j/j! has each monomial as often as its entries can be put in order, over j!: 1/Π(how often an entry is)!.
    """
    chosen = torch.tensor(list(combinations_with_replacement(range(n), j)))
    times = torch.nn.functional.one_hot(chosen, n).sum(1).double()
    return chosen, (-torch.lgamma(times + 1).sum(1) / 2).exp()


def count(n: int, degree: int) -> int:
    """How many features r a vector of n entries has."""
    return math.comb(n + degree, degree) if degree else n
