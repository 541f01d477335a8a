"""Weights as one flat vector per member, and as named tensors.

The integrator sees a flat state ``w`` of shape (M, N); networks see ``dict[str, Tensor]``. A ``Layout``
goes between the two without copying.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from feature_lazy.core.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

Params = dict[str, "Tensor"]
"""Named weights of M members; every tensor has the shape (M, *shape of the weight)."""
ALL, LAST = "all", "last"
"""What may be written in place of names of weights."""


@dataclass(frozen=True)
class Layout:
    """Names and shapes of a network's weights, in the order in which they lie in the flat vector.

    Attributes:
        shapes: name → shape of one member's weight.
        fixed: names of the weights that stay as they begin: constants of f, of its gradient and of its kernel.
        added: names of the weights that change nothing as they begin, such as those of low rank beside a weight that
            stays: who starts from a stored run may find none there.
    """

    shapes: Mapping[str, tuple[int, ...]]
    fixed: frozenset[str] = frozenset()
    added: frozenset[str] = frozenset()

    @property
    def trained(self) -> list[str]:
        """Names of the weights that are trained."""
        return [name for name in self.shapes if name not in self.fixed]

    @property
    def last(self) -> list[str]:
        """Names of the weights of the output layer: those of the layer that comes last, its bias included."""
        names = list(self.shapes)
        return [name for name in names if layer_of(name) == layer_of(names[-1])]

    @property
    def sizes(self) -> list[int]:
        """Number of weights of each name."""
        return [math.prod(shape) for shape in self.shapes.values()]

    @property
    def size(self) -> int:
        """Number N of weights of one member."""
        return sum(self.sizes)

    def unflatten(self, w: Tensor) -> Params:
        """View a flat state (M, N) as named weights (M, *shape).

        ``split`` and not slices: its backward pass concatenates once instead of adding N zeros per weight. What is
        fixed has no graph, so that derivatives by w are 0 there.
        """
        parts = zip(self.shapes.items(), w.split(self.sizes, dim=1), strict=True)
        named = {name: part.unflatten(1, shape) for (name, shape), part in parts}
        for name in self.fixed:
            named[name] = named[name].detach()
        return named

    def flatten(self, params: Params) -> Tensor:
        """Lay named weights (M, *shape) out as one flat state (M, N)."""
        import torch

        return torch.cat([params[name].flatten(1) for name in self.shapes], dim=1)

    def scattered(self, parts: Sequence[Tensor]) -> Tensor:
        """One flat vector (M, N) of the parts of the trained weights, (M, size) each, and 0 for what is fixed."""
        import torch

        if self.fixed:
            by_name = dict(zip(self.trained, parts, strict=True))
            like = parts[0]
            sizes = zip(self.shapes, self.sizes, strict=True)
            parts = [by_name.get(name, like.new_zeros(len(like), size)) for name, size in sizes]
        return torch.cat(list(parts), dim=1)

    def gathered(self, w: Tensor) -> list[Tensor]:
        """The parts of the trained weights, (M, size) each, of a flat vector (M, N)."""
        parts = w.split(self.sizes, dim=1)
        return [part for name, part in zip(self.shapes, parts, strict=True) if name not in self.fixed]

    def kept(self, w: Tensor, w0: Tensor) -> Tensor:
        """The flat vector w (M, N) with what is fixed as in w0: methods that add up to w, and not to 0, round it."""
        import torch

        if not self.fixed:
            return w
        pairs = zip(self.shapes, w.split(self.sizes, dim=1), w0.split(self.sizes, dim=1), strict=True)
        return torch.cat([then.expand_as(now) if name in self.fixed else now for name, now, then in pairs], dim=1)


def layer_of(name: str) -> str:
    """The layer that a weight belongs to: W3 and B3, or head.weight and head.bias, are of one."""
    module, _, _ = name.rpartition(".")
    return module or name.lstrip("ABW") or name


N = TypeVar("N")


def partly(network: N, names: Sequence[str], key: str = "dynamics.train") -> N:
    """A network of which only some weights are trained.

    Args:
        network: any network with a ``layout``.
        names: of the weights that are trained; ``all``, or ``last`` for those of the output layer.
        key: what asks for it, for errors.

    Raises:
        ConfigError: names that no weight has, or none at all.
    """
    if list(names) == [ALL]:
        return network
    layout: Layout = network.layout  # type: ignore[attr-defined]
    written = f"{key}=[{','.join(names)}]"
    known = [*layout.shapes, LAST]
    if not names:
        raise ConfigError(f"{written}: nothing would be trained; name weights, {_few(known)}, or all.")
    if fixed := [name for name in names if name in layout.fixed or (name == LAST and {*layout.last} <= layout.fixed)]:
        last = fixed[0] in (LAST, *layout.last)
        says = ", as architecture.readout=ones says" if last else ", as architecture.lora says" if layout.added else ""
        raise ConfigError(f"{written}: {fixed[0]} stays{says}; it is not trained.")
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(f"{written}: the network has no weight {unknown[0]!r}; it has {_few(known)}, or all alone.")
    trained = {name for one in names for name in (layout.last if one == LAST else [one])} - layout.fixed
    return only(network, trained)


def only(network: N, trained: Collection[str]) -> N:
    """The same network with these weights trained, and no others, whatever was fixed before."""
    layout: Layout = network.layout  # type: ignore[attr-defined]
    made = copy.copy(network)
    # Networks are frozen dataclasses, whose layout follows from their shape.
    object.__setattr__(made, "layout", replace(layout, fixed=frozenset(layout.shapes) - frozenset(trained)))
    return made


def _few(names: Sequence[str]) -> str:
    """Names for a person: the first and the last ones."""
    shown = [*names[:6], "…", *names[-3:]] if len(names) > 10 else names
    return ", ".join(shown)
