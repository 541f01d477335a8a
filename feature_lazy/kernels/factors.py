"""One layer of a network to first order, on fixed patterns: what the exact kernel is made of.

With z = s·W u at each position p of a layer, ∂f/∂W = s Σ_p b_p u_pᵀ, where b = ∂f/∂z. A dense layer has one position.
So the layer adds s² Σ_pq (u_p·u'_q)(b_p·b'_q) to Θ(x, x') (eq. 5), which needs no gradient, only products of patches
and of signals: P²·h work for a dense layer, where gradients cost P²·h². With S positions these products cost S² times
as much, and those of gradients no more than with one: whichever needs fewer flops is done. Of C outputs each has
signals of its own, and all share the inputs.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from feature_lazy.core.memory import WORKING, chunk_size, chunks
from feature_lazy.networks.base import LayerShape, Tap
from feature_lazy.networks.geometry import Rectangle, Window
from feature_lazy.networks.outputs import places, span

SYMMETRIC_BLOCKS, BLOCK_ROWS = 8, 64
"""Row blocks of a symmetric kernel at least, and rows of a block: with fewer rows products become slow."""
ELEMENTWISE = 100.0
"""What multiplying two products entry by entry costs, in flops an entry: it moves memory, and does little else."""


def by_patches(layer: LayerShape, rows: int, columns: int, n_outputs: int = 1) -> float:
    """Flops of a layer's kernel from products of patches and of signals, for some patterns with C outputs."""
    sums = 0 if layer.positions == 1 else ELEMENTWISE
    pairs = 2.0 * (layer.fan_in + n_outputs**2 * layer.fan_out) + n_outputs**2 * sums
    return rows * columns * layer.positions**2 * pairs


def by_gradients(layer: LayerShape, rows: int, columns: int, n_outputs: int = 1) -> float:
    """Flops of a layer's kernel from its gradients, output by output."""
    rows, columns = n_outputs * rows, n_outputs * columns
    return 2.0 * layer.fan_in * layer.fan_out * (rows * columns + layer.positions * (rows + columns))


def kernel_flops(layers: Iterable[LayerShape], n: int, n_outputs: int = 1) -> float:
    """Flops of Θ of n patterns from the factors of all layers, with what is saved by symmetry."""
    done = sum(
        (rows.stop - rows.start) * (rest.stop - rest.start) for rows, rest in row_blocks(n, n, n, symmetric=True)
    )
    costs = (min(way(layer, n, n, n_outputs) for way in (by_patches, by_gradients)) for layer in layers)
    return done / n**2 * sum(costs)


@dataclass(frozen=True)
class Factors:
    """Inputs u and back-propagated signals b = ∂f/∂z of one layer.

    Attributes:
        inputs: of a dense layer (P, fan-in), of a convolution (P, C, H, W); (M, P, …) where members have their own.
        signals: b, (M, P·C, fan-out, positions).
        scale: s.
        window: of a convolution.
        memory_limit: bytes that patches made of the inputs may take.
        n_outputs: C.
    """

    inputs: Tensor
    signals: Tensor
    scale: float
    window: Window | Rectangle | None
    memory_limit: float
    n_outputs: int = 1

    @classmethod
    def of(cls, tap: Tap, signals: Tensor, memory_limit: float, n_outputs: int) -> "Factors":
        """Factors of a tap and of ∂f_c/∂z in the shape of z, (M, P·C, …)."""
        flat = signals.flatten(3) if signals.dim() > 3 else signals[..., None]
        return cls(tap.inputs.detach(), flat, tap.scale, tap.window, memory_limit, n_outputs)

    def room(self, n: int) -> "Factors":
        """Uninitialised factors of the same layer for n patterns."""
        axis = 1 if self.own else 0
        inputs = self.inputs.new_empty(*self.inputs.shape[:axis], n, *self.inputs.shape[axis + 1 :])
        signals = self.signals.new_empty(len(self.signals), n * self.n_outputs, *self.signals.shape[2:])
        return replace(self, inputs=inputs, signals=signals)

    def put(self, part: "Factors", patterns: slice) -> None:
        """Write the factors of some patterns."""
        (self.inputs[:, patterns] if self.own else self.inputs[patterns]).copy_(part.inputs)
        self.signals[:, span(patterns, self.n_outputs)] = part.signals

    @property
    def own(self) -> bool:
        """Whether each member has its own inputs."""
        return self.inputs.dim() == (3 if self.window is None else 5)

    @property
    def shape(self) -> LayerShape:
        """The layer's."""
        _, _, fan_out, positions = self.signals.shape
        area = 1 if self.window is None else self.window.area
        return LayerShape(self._entries * area, fan_out, positions)

    def select(self, members: Tensor) -> "Factors":
        """The same for some members, (M,)."""
        inputs = self.inputs[members] if self.own else self.inputs
        return replace(self, inputs=inputs, signals=self.signals[members])

    def on(self, patterns: Tensor) -> "Factors":
        """The same on some patterns of each member, (M, k)."""
        member = torch.arange(len(patterns), device=patterns.device)[:, None]
        inputs = self.inputs[member, patterns] if self.own else self.inputs[patterns]
        return replace(self, inputs=inputs, signals=self.signals[member, places(patterns, self.n_outputs)])

    def traced(self) -> "Factors":
        """Factors whose kernel is the trace over outputs, Σ_c Θ[μ, ν, c, c]: the fan-out of all outputs as one."""
        signals = self.signals.unflatten(1, (-1, self.n_outputs)).flatten(2, 3)
        return replace(self, signals=signals, n_outputs=1)

    def patches(self, patterns: slice, entries: slice = slice(None)) -> Tensor:
        """The u of some patterns at all positions, (P, fan-in, positions) or (M, …).

        Args:
            patterns: which.
            entries: which entries of a dense layer's inputs, or channels of a convolution's.
        """
        inputs = self.inputs[:, patterns] if self.own else self.inputs[patterns]
        if self.window is None:
            return inputs[..., entries, None].expand(*inputs.shape[:-1], -1, self.signals.shape[3])
        images = inputs[..., entries, :, :]
        return self.window.unfold(images.flatten(0, -4)).unflatten(0, images.shape[:-3])

    def pull_back(self, a: Tensor) -> Tensor:
        """Jᵀa for a (M, P·C): s·Σ a b uᵀ over patterns, outputs and positions, flat, (M, fan-out · fan-in)."""
        total: Tensor | None = None
        a = a * self.scale
        for part in self._parts():
            rows = span(part, self.n_outputs)
            weighted = self.signals[:, rows] * a[:, rows, None, None]
            if self.n_outputs > 1:
                weighted = weighted.unflatten(1, (-1, self.n_outputs)).sum(2)
            product = in_line(weighted).mT @ in_line(self.patches(part))
            total = product if total is None else total.add_(product)
        assert total is not None
        return total.flatten(1)

    def push_forward(self, v: Tensor) -> Tensor:
        """Jv for v (M, fan-out · fan-in): s·Σ b·Vu over positions, (M, P·C)."""
        weights = v.unflatten(1, (self.shape.fan_out, self.shape.fan_in)).mT
        parts = []
        for part in self._parts():
            moved, signals = in_line(self.patches(part)) @ weights, in_line(self.signals[:, span(part, self.n_outputs)])
            if self.n_outputs > 1:
                moved = (
                    moved.unflatten(1, (-1, self.signals.shape[3])).repeat_interleave(self.n_outputs, 1).flatten(1, 2)
                )
            parts.append(moved.mul_(signals).unflatten(1, (-1, self.signals.shape[3])).sum((2, 3)))
        return self.scale * torch.cat(parts, dim=1)

    def add_kernel(self, theta: Tensor, columns: "Factors | None", memory_limit: float) -> None:
        """Add the layer's part s² Σ (u·u')(b·b') to theta, (M, P1·C, P2·C); of its own patterns only the upper half.

        Args:
            theta: what it is added to; without columns, entries below a diagonal of blocks are left as they are.
            columns: the same layer on the patterns of the columns, or None for its own.
            memory_limit: bytes that the work may take.
        """
        right = self if columns is None else columns
        n_rows, n_columns = (n // self.n_outputs for n in theta.shape[1:])
        costs = [count(self.shape, n_rows, n_columns, self.n_outputs) for count in (by_patches, by_gradients)]
        add = self._add_by_patches if costs[0] <= costs[1] else self._add_by_gradients
        add(theta, right, memory_limit, columns is None)

    def _add_by_patches(self, theta: Tensor, right: "Factors", memory_limit: float, symmetric: bool) -> None:
        c, positions, limit = self.n_outputs, self.signals.shape[3], min(memory_limit / 2, 2 * WORKING)
        members, n_rows, n_columns = len(theta), theta.shape[1] // c, theta.shape[2] // c
        # Two products for each pair of patterns, and what is made of a pattern's images; dense layers bring it along.
        pair, made = 2.0 * members * (c * positions) ** 2 * theta.element_size(), self._patch_bytes
        across = n_columns if made == 0 else chunk_size(n_columns, 2 * made + BLOCK_ROWS * pair, limit)
        size = chunk_size(n_rows, made + across * pair, limit)
        for block, rest in row_blocks(n_rows, n_columns, size, symmetric=symmetric):
            patches, signals = in_line(self.patches(block)), in_line(self.signals[:, span(block, c)])
            for part in chunks(rest.stop - rest.start, across):
                column = slice(rest.start + part.start, rest.start + part.stop)
                product = signals @ in_line(right.signals[:, span(column, c)]).mT
                _multiply(product, patches @ in_line(right.patches(column)).mT, c, positions)
                if positions > 1:
                    product = product.unflatten(2, (-1, positions)).sum(3)
                    product = product.unflatten(1, (-1, positions)).sum(2)
                theta[:, span(block, c), span(column, c)].add_(product, alpha=self.scale**2)

    def _add_by_gradients(self, theta: Tensor, right: "Factors", memory_limit: float, symmetric: bool) -> None:
        members, n_rows, n_columns = theta.shape
        item, n = theta.element_size(), n_rows if symmetric else n_rows + n_columns
        per_entry = members * n * self.shape.fan_out * (self.shape.fan_in // self._entries) * item
        size = chunk_size(n_rows, members * n_columns * item, min(memory_limit / 4, WORKING))
        for some in chunks(self._entries, chunk_size(self._entries, per_entry, min(memory_limit / 2, WORKING))):
            left = self._gradients(some, memory_limit / 4)
            across = left if symmetric else right._gradients(some, memory_limit / 4)
            for block, rest in row_blocks(n_rows, n_columns, size, symmetric=symmetric):
                theta[:, block, rest].add_(left[:, block] @ across[:, rest].mT, alpha=self.scale**2)

    def _gradients(self, entries: slice, memory_limit: float) -> Tensor:
        """Σ_p b uᵀ of each output for some entries of u, flat: (M, P·C, fan-out · entries)."""
        # The outputs of a pattern see the same inputs: their fan-outs are one.
        signals = self.traced().signals
        members, n, fan_out, _ = signals.shape
        share = (entries.stop - entries.start) / self._entries
        gradients = signals.new_empty(members, n, fan_out, round(share * self.shape.fan_in))
        for part in chunks(n, chunk_size(n, share * self._patch_bytes, min(memory_limit, WORKING) / 2)):
            gradients[:, part] = signals[:, part] @ self.patches(part, entries).mT
        return gradients.reshape(members, n * self.n_outputs, -1)

    @property
    def _entries(self) -> int:
        """Entries of a dense layer's inputs, or channels of a convolution's."""
        return self.inputs.shape[-1 if self.window is None else -3]

    @property
    def _patch_bytes(self) -> float:
        """Bytes of the patches of one pattern; none for a dense layer, whose inputs are its patches."""
        if self.window is None:
            return 0.0
        copies = len(self.signals) if self.own else 1
        return float(copies * self.shape.positions * self.shape.fan_in * self.inputs.element_size())

    def _parts(self) -> Iterator[slice]:
        n = self.signals.shape[1] // self.n_outputs
        return chunks(n, chunk_size(n, self._patch_bytes, min(self.memory_limit, WORKING)))


def in_line(values: Tensor) -> Tensor:
    """The same with one row for each position of each pattern: (…, P, n, positions) → (…, P · positions, n)."""
    return values.mT.flatten(-3, -2)


def _multiply(product: Tensor, patches: Tensor, n_outputs: int, positions: int) -> None:
    """Multiply b·b' by u·u' in place; (M, n·C·positions, …) by (…, n·positions, …), which all outputs share."""
    if n_outputs > 1:
        product = product.unflatten(2, (-1, n_outputs, positions)).unflatten(1, (-1, n_outputs, positions))
        patches = patches.unflatten(-1, (-1, 1, positions)).unflatten(-4, (-1, 1, positions))
    product *= patches


def row_blocks(n_rows: int, n_columns: int, size: int, *, symmetric: bool) -> Iterator[tuple[slice, slice]]:
    """Rows in blocks of at most ``size`` with the columns that they need: from the diagonal on, if symmetric."""
    if symmetric:
        size = min(size, max(BLOCK_ROWS, -(-n_rows // SYMMETRIC_BLOCKS)))
    for block in chunks(n_rows, size):
        yield block, slice(block.start if symmetric else 0, n_columns)
