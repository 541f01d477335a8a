"""A weight that acts at several places of one forward pass, each time on inputs that may follow from the last.

At each place s, z_s = scale · W u_s + …, and the weight's gradient is scale · Σ_s b_s u_sᵀ with b_s = ∂f/∂z_s, in which
all later places have their part. Zeros that are added to every z_s have this derivative: so the weight is one tap, a
convolution of a 1 × 1 window over an image of S × 1 places, and its kernel is exact as that of any layer.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from feature_lazy.networks.base import Tap
from feature_lazy.networks.geometry import Window


def marked(z: Tensor) -> tuple[Tensor, Tensor]:
    """z + 0, and the zeros, whose derivative of f is ∂f/∂z: what a ``Tap`` has as ``added``."""
    zeros = torch.zeros_like(z, requires_grad=True)
    return z + zeros, zeros


def tap_over(name: str, inputs: Sequence[Tensor], z: Sequence[Tensor], zeros: Sequence[Tensor], scale: float) -> Tap:
    """The tap of a weight over all its places: inputs (…, P, fan-in), z and zeros (M, P, fan-out) of each."""
    images, every = (torch.stack(list(one), dim=-1)[..., None] for one in (inputs, z))
    return Tap(name, images, every, scale, Window(1), tuple(zeros))


class Places:
    """One weight at its places, in the order in which they come.

    ``at`` for each place, then ``tap``; a bias is a weight of fan-in 1 that sees ones.
    """

    def __init__(self, name: str, weight: Tensor, scale: float) -> None:
        """Begin with no place.

        Args:
            name: the weight's, in ``Params``.
            weight: W of all members, (M, fan-out, fan-in).
            scale: of z.
        """
        self._name, self._scale, self._scaled = name, scale, weight * scale
        self._seen: list[tuple[Tensor, Tensor, Tensor]] = []

    def at(self, inputs: Tensor, more: Tensor | None = None) -> Tensor:
        """z = scale · W u + more at the next place, of the inputs u (P, fan-in) or (M, P, fan-in): (M, P, fan-out)."""
        z = inputs @ self._scaled.mT
        z, zeros = marked(z if more is None else z + more)
        self._seen.append((inputs, z, zeros))
        return z

    def tap(self) -> Tap:
        """The weight's, over all places that it was at."""
        inputs, z, zeros = zip(*self._seen, strict=True)
        own = max(u.dim() for u in inputs) == 3
        images = [u.expand(len(z[0]), *u.shape[-2:]) if own else u for u in inputs]
        return tap_over(self._name, images, z, zeros, self._scale)
