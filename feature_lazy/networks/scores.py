"""What attention makes of scores: maps from the Gram matrix of a pattern's keys to what tokens take of each other."""

import torch
from torch import Tensor


def softmax(gram: Tensor) -> Tensor:
    """Rows of e^{G_tr}, each over its sum."""
    return gram.softmax(-1)


def gaussian(gram: Tensor) -> Tensor:
    """e^{−½(G_tt + G_rr − 2G_tr)}, of the distances of keys, without a sum (arXiv:2110.11945)."""
    square = gram.diagonal(dim1=-2, dim2=-1) / 2
    return torch.exp(gram - square[..., None] - square[..., None, :])


MAPS = {"softmax": softmax, "gaussian": gaussian}
"""By name; each takes Gram matrices (…, T, T), and gives A of the same shape."""
EPSILON = 1e-6
"""What layer norm adds to a variance."""


def normed(v: Tensor) -> Tensor:
    """Layer norm (…, n) → (…, n), without weights of its own."""
    return torch.nn.functional.layer_norm(v, v.shape[-1:], eps=EPSILON)
