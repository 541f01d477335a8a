"""Weights as one flat vector per member, and as named tensors.

The integrator sees a flat state ``w`` of shape (E, N); networks see ``dict[str, Tensor]``. A ``Layout``
goes between the two without copying.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

Params = dict[str, "Tensor"]
"""Named weights of E members; every tensor has the shape (E, *shape of the weight)."""


@dataclass(frozen=True)
class Layout:
    """Names and shapes of a network's weights, in the order in which they lie in the flat vector.

    Attributes:
        shapes: name → shape of one member's weight.
    """

    shapes: Mapping[str, tuple[int, ...]]

    @property
    def sizes(self) -> list[int]:
        """Number of weights of each name."""
        return [math.prod(shape) for shape in self.shapes.values()]

    @property
    def size(self) -> int:
        """Number N of weights of one member."""
        return sum(self.sizes)

    def unflatten(self, w: Tensor) -> Params:
        """View a flat state (E, N) as named weights (E, *shape).

        ``split`` and not slices: its backward pass concatenates once instead of adding N zeros per weight.
        """
        parts = w.split(self.sizes, dim=1)
        return {name: part.unflatten(1, shape) for (name, shape), part in zip(self.shapes.items(), parts, strict=True)}

    def flatten(self, params: Params) -> Tensor:
        """Lay named weights (E, *shape) out as one flat state (E, N)."""
        import torch

        return torch.cat([params[name].flatten(1) for name in self.shapes], dim=1)
