"""A network to first order by the factors of its layers, and its exact tangent kernel Θ (eq. 5), without a Jacobian.

Of a network that shows some of its layers, the weights that are in none have their rows of the Jacobian.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeGuard

import torch
from torch import Tensor

from feature_lazy.core.memory import COPIES_PER_ACTIVATION, WORKING, chunk_size, chunks
from feature_lazy.kernels.factors import Factors, row_blocks
from feature_lazy.kernels.jacobian import rows_by_weight
from feature_lazy.kernels.rows import Rows
from feature_lazy.networks.base import Layered, LayerShape, Network, Tap, Tapped
from feature_lazy.networks.layout import Layout, Params
from feature_lazy.networks.outputs import places

LEFT = 0.25
"""Share of the weights that may be in no layer: with more, keeping their rows costs what the Jacobian does."""
Part = Factors | Rows
"""What one weight is to first order, on fixed patterns."""


@dataclass(frozen=True)
class Linearisation:
    """See ``FirstOrder``: the factors of every layer on fixed patterns.

    Attributes:
        outputs: f(w, x), (M, P·C).
        layers: the factors behind each trained weight, or its rows, in the order of the layout.
        layout: names and shapes of all weights.
    """

    outputs: Tensor
    layers: list[Part]
    layout: Layout

    @classmethod
    def around(cls, architecture: Layered | Tapped, params: Params, x: Tensor, memory_limit: float) -> "Linearisation":
        """Gather inputs and back-propagated signals of every layer over chunks of patterns x (P, d) or (M, P, d).

        Raises:
            ConfigError: weights that are in no layer, of a network that ``torch.func`` cannot differentiate.
        """
        trained = architecture.layout.trained
        leaves = {name: weight.detach().requires_grad_(name in trained) for name, weight in params.items()}
        members = next(iter(leaves.values())).shape[0]
        per_pattern = COPIES_PER_ACTIVATION * members * architecture.activations_per_pattern * x.element_size()
        n, c, outputs, layers = x.shape[-2], architecture.n_outputs, [], []
        for chunk in chunks(n, chunk_size(n, per_pattern, min(memory_limit, 4 * WORKING))):
            with torch.enable_grad():
                output, every = architecture.taps(leaves, x[..., chunk, :])
                taps = [tap for tap in every if tap.name in trained]
                signals = _signals(output, taps, c)
            outputs.append(output.detach())
            found: dict[str, Part] = {
                tap.name: Factors.of(tap, b, memory_limit, c) for tap, b in zip(taps, signals, strict=True)
            }
            if rest := [name for name in trained if name not in found]:
                rows = rows_by_weight(architecture, params, x[..., chunk, :], rest)
                found |= {name: Rows(gradients, c) for name, gradients in rows.items()}
            parts = [found[name] for name in trained]
            if chunk.stop - chunk.start == n:
                layers = parts
                break
            # Written where they are to lie: joined at the end, they would be there twice.
            layers = layers or [part.room(n) for part in parts]
            for layer, part in zip(layers, parts, strict=True):
                layer.put(part, chunk)  # type: ignore[arg-type]  # both of one weight, and so of one kind
        return cls(torch.cat(outputs, dim=1), layers, architecture.layout)

    def select(self, members: Tensor) -> "Linearisation":
        """The same for some members, (M,)."""
        return replace(self, outputs=self.outputs[members], layers=[layer.select(members) for layer in self.layers])

    def on(self, patterns: Tensor) -> "Linearisation":
        """The same on some patterns of each member, (M, k)."""
        chosen = places(patterns, self.layers[0].n_outputs)
        outputs = self.outputs.gather(1, chosen)
        return replace(self, outputs=outputs, layers=[layer.on(patterns) for layer in self.layers])

    def traced(self) -> "Linearisation":
        """The same with the sum of all outputs in place of each, whose kernel is the trace over outputs."""
        outputs = self.outputs.unflatten(1, (-1, self.layers[0].n_outputs)).sum(2)
        return replace(self, outputs=outputs, layers=[layer.traced() for layer in self.layers])

    def push_forward(self, v: Tensor) -> Tensor:
        """Jv for v (M, N), flat in the order of the layout: (M, P·C)."""
        outputs = torch.zeros_like(self.outputs)
        for layer, part in zip(self.layers, self.layout.gathered(v), strict=True):
            outputs += layer.push_forward(part)
        return outputs

    def pull_back(self, a: Tensor) -> Tensor:
        """Jᵀa for a (M, P·C), flat in the order of the layout: (M, N)."""
        return self.layout.scattered([layer.pull_back(a) for layer in self.layers])

    def kernel(self, memory_limit: float) -> Tensor:
        """Θ = JJᵀ on its own patterns, (M, P, P)."""
        return kernel_of(self, memory_limit=memory_limit)


def shown_layers(architecture: Network) -> Mapping[str, LayerShape]:
    """The layer behind each weight that is trained, of a network that shows them or most of them; empty: none."""
    layout = architecture.layout
    if isinstance(architecture, Layered):
        found = dict(zip(layout.shapes, architecture.layers, strict=True))
    else:
        found = dict(architecture.shown) if isinstance(architecture, Tapped) else {}
    shown = {name: found[name] for name in layout.trained if name in found}
    return shown if _size(layout, set(layout.trained) - set(found)) <= LEFT * _size(layout, layout.trained) else {}


def _size(layout: Layout, names: Collection[str]) -> int:
    """Number of weights of these names."""
    return sum(size for name, size in zip(layout.shapes, layout.sizes, strict=True) if name in names)


def shows_layers(architecture: Network) -> TypeGuard[Layered | Tapped]:
    """Whether a network has a ``Linearisation``."""
    return bool(shown_layers(architecture))


def factor_bytes(architecture: Layered | Tapped, members: int, d: int, item: int) -> float:
    """Bytes of what is kept of one pattern of d entries, for numbers of ``item`` bytes: signals, inputs and rows."""
    layers, layout, c = shown_layers(architecture), architecture.layout, architecture.n_outputs
    units = sum(layer.fan_out * layer.positions for layer in layers.values())
    rest = _size(layout, set(layout.trained) - set(layers))
    return float(item * (d + members * ((1 + c) * units + c * rest)))


def _signals(outputs: Tensor, taps: Sequence[Tap], n_outputs: int) -> list[Tensor]:
    """∂f_c/∂z for each z (M, P, …), by a backward pass for each output: (M, P·C, …)."""
    where = [place for tap in taps for place in tap.added or (tap.preactivations,)]
    passes = [
        torch.autograd.grad(outputs[:, c::n_outputs].sum(), where, retain_graph=c + 1 < n_outputs)
        for c in range(n_outputs)
    ]
    signals = [torch.stack(b, dim=2).flatten(1, 2) for b in zip(*passes, strict=True)] if n_outputs > 1 else passes[0]
    found = iter(signals)
    return [torch.stack([next(found) for _ in tap.added], dim=-1) if tap.added else next(found) for tap in taps]


def kernel_of(
    rows: Linearisation, columns: Linearisation | None = None, *, memory_limit: float = float("inf")
) -> Tensor:
    """Θ between the patterns of two linearisations, or of one with itself: (M, P1·C, P2·C)."""
    theta = rows.outputs.new_zeros(*rows.outputs.shape, (columns or rows).outputs.shape[1])
    accumulate([theta] * len(rows.layers), rows, columns, memory_limit)
    if columns is None:
        mirror(theta)
    return theta


def accumulate(
    parts: Sequence[Tensor], rows: Linearisation, columns: Linearisation | None, memory_limit: float
) -> None:
    """Add each layer's part of Θ to its tensor, (M, P1·C, P2·C) of zeros; the tensors of all layers may be one.

    Without columns the entries below the diagonal are left to ``mirror``.
    """
    others = [None] * len(rows.layers) if columns is None else columns.layers
    for theta, row, column in zip(parts, rows.layers, others, strict=True):
        row.add_kernel(theta, column, memory_limit)  # type: ignore[arg-type]  # of one kind


def mirror(theta: Tensor) -> None:
    """Fill the entries of a symmetric kernel (M, P, P) below the diagonal from those above it, block by block."""
    n = theta.shape[1]
    for block, rest in row_blocks(n, n, n, symmetric=True):
        corner = theta[:, block, block].triu()
        theta[:, block, block] = corner + corner.triu(1).mT
        theta[:, block.stop :, block] = theta[:, block, block.stop : rest.stop].mT
