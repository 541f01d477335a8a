"""The outputs of all patterns as one flat vector per member.

A network with C outputs on P patterns is one of P·C real functions: the C outputs of a pattern lie side by side, those
of the next pattern after them. One output is C = 1, and then places are patterns.
"""

import torch
from torch import Tensor


def places(patterns: Tensor, n_outputs: int) -> Tensor:
    """Where the outputs of some patterns lie: (…, k) → (…, k·C)."""
    return (n_outputs * patterns[..., None] + torch.arange(n_outputs, device=patterns.device)).flatten(-2)


def span(patterns: slice, n_outputs: int) -> slice:
    """Where the outputs of a slice of patterns lie."""
    return slice(n_outputs * patterns.start, n_outputs * patterns.stop)
