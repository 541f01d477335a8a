"""The tangent kernel of any network from its Jacobian, in blocks: the way that needs to know nothing of the layers."""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from feature_lazy.core.memory import chunk_size, chunks
from feature_lazy.kernels.checks import kernel_entries, of_network, takes_arrays
from feature_lazy.kernels.factors import BLOCK_ROWS, SYMMETRIC_BLOCKS
from feature_lazy.networks.base import Network
from feature_lazy.networks.functional import Apply, BytesMade, slowly, under_vmap
from feature_lazy.networks.layout import Params

SHARE_OF_MAKING = 0.25
"""Share of the memory for making new rows of the Jacobian. The rest holds rows: the more, the fewer are made again."""


@dataclass(frozen=True)
class Jacobian:
    """∇_w f_c(w, x_μ) of a network with C outputs: one row for each pattern and output.

    Attributes:
        function: the network.
        weights: w, by name, without a graph.
        n_outputs: C.
        counted: bytes that making a row takes, as far as they are known, for kernels along one training.
    """

    function: Apply
    weights: Mapping[str, Tensor]
    n_outputs: int
    counted: dict[Any, int] = field(default_factory=dict)

    def rows(self, x: Tensor, outputs: slice) -> Tensor:
        """Some outputs c of patterns x (p, …): (p, c, N).

        Raises:
            ConfigError: ``torch.func`` cannot run the network.
        """
        chosen = torch.eye(self.n_outputs, device=x.device)[outputs]

        def of_one(pattern: Tensor) -> Tensor:
            def f(weights: Mapping[str, Tensor]) -> Tensor:
                return self.function(weights, pattern[None]).reshape(self.n_outputs)

            value, pull_back, *_ = torch.func.vjp(f, dict(self.weights))
            (gradients,) = torch.func.vmap(pull_back)(chosen.to(value.dtype))
            return torch.cat([gradient.reshape(len(chosen), -1) for gradient in gradients.values()], dim=1)

        with under_vmap():
            return torch.func.vmap(of_one)(x).detach()

    def zeros(self, *shape: int) -> Tensor:
        """Zeros of the rows' dtype and device."""
        dtype = functools.reduce(torch.promote_types, (weight.dtype for weight in self.weights.values()))
        return next(iter(self.weights.values())).new_zeros(shape, dtype=dtype)

    def row_bytes(self) -> int:
        """Bytes of one row."""
        return self.zeros(1).element_size() * sum(weight.numel() for weight in self.weights.values())

    def work_bytes(self, x: Tensor) -> int:
        """Bytes of all that is made on the way to a row of a pattern of x; counting takes longer than a small kernel.

        Raises:
            ConfigError: ``torch.func`` cannot run the network.
        """
        key = (*x.shape[1:], x.dtype, x.device, *self.weights)
        if key not in self.counted:
            with BytesMade() as work:
                self.rows(x[:1], slice(0, 1))
            self.counted[key] = work.total
        return self.counted[key]


@dataclass(frozen=True)
class _Piece:
    """Rows of a Jacobian: outputs of patterns, and the rows of the kernel that they belong to."""

    patterns: slice
    outputs: slice
    place: slice


@dataclass(frozen=True)
class _Blocks:
    """How much of a Jacobian to make and to hold at once.

    Attributes:
        patterns, outputs: of one piece.
        held: pieces held while the others pass by.
    """

    patterns: int
    outputs: int
    held: int

    @classmethod
    def within(cls, memory_limit: float, jacobian: Jacobian, x: Tensor, n_patterns: int, *, trace: bool) -> "_Blocks":
        """Pieces of at most ``n_patterns``, as large as their share of the memory allows, and held in what is left."""
        work, row, c = jacobian.work_bytes(x), jacobian.row_bytes(), jacobian.n_outputs
        made = chunk_size(len(x) * c, work, SHARE_OF_MAKING * memory_limit)
        # A trace is a sum over outputs. Those that do not fit with all patterns cost less one after the other.
        fit = chunk_size(c, len(x) * row, (1 - SHARE_OF_MAKING) * memory_limit) if trace else c
        outputs = min(made, fit)
        patterns = min(n_patterns, max(1, made // outputs))
        size = patterns * outputs
        held = chunk_size(math.ceil(len(x) * c / size), size * row, memory_limit - size * work)
        return cls(patterns, outputs, held)

    def terms(self, n_patterns: int, n_outputs: int, *, trace: bool) -> list[list[_Piece]]:
        """All pieces of a Jacobian; for the trace, those of each range of outputs, whose kernels are to be added."""
        if trace:
            parts = chunks(n_outputs, self.outputs)
            return [[_Piece(p, part, p) for p in chunks(n_patterns, self.patterns)] for part in parts]
        return [
            [
                # Several patterns come with all outputs, so that a piece is one range of rows.
                _Piece(p, part, slice(p.start * n_outputs + part.start, (p.stop - 1) * n_outputs + part.stop))
                for p in chunks(n_patterns, self.patterns)
                for part in chunks(n_outputs, self.outputs)
            ]
        ]


def add_kernel(
    theta: Tensor,
    jacobian: Jacobian,
    x1: Tensor,
    x2: Tensor | None,
    *,
    trace: bool,
    memory_limit: float,
    check_finite: bool = True,
) -> None:
    """Add Θ = JJ′ᵀ between patterns x1 (P1, …) and x2 (P2, …), or x1 again.

    Args:
        theta: what to add to: zeros (P1·C, P2·C), or (P1, P2) for the trace over outputs.
        jacobian: the network and its weights.
        x1: patterns (P1, …).
        x2: patterns (P2, …); None: x1, for half the work.
        trace: whether to add Σ_c Θ[μ, ν, c, c].
        memory_limit: bytes for the work; one row of the Jacobian and one that passes are always held.
        check_finite: refuse entries of Θ that are not finite.

    Raises:
        ConfigError: ``torch.func`` cannot run the network.
        NumericalError: entries of Θ that are not finite.
    """
    symmetric = x2 is None
    x2 = x1 if x2 is None else x2
    n = len(x1)
    most = max(BLOCK_ROWS, math.ceil(n / SYMMETRIC_BLOCKS)) if symmetric else max(n, len(x2))
    blocks = _Blocks.within(memory_limit, jacobian, x1, most, trace=trace)
    left, right = (blocks.terms(len(x), jacobian.n_outputs, trace=trace) for x in (x1, x2))
    for rows, columns in zip(left, right, strict=True):
        for held in chunks(len(rows), blocks.held):
            # A symmetric kernel is done from the diagonal on, and mirrored.
            passing = columns[held.start if symmetric else 0 :]
            _add_products(
                theta, jacobian, (x1, rows[held]), (x2, passing), symmetric=symmetric, check_finite=check_finite
            )


def _add_products(
    theta: Tensor,
    jacobian: Jacobian,
    held: tuple[Tensor, list[_Piece]],
    passing: tuple[Tensor, list[_Piece]],
    *,
    symmetric: bool,
    check_finite: bool,
) -> None:
    """Hold some pieces of the Jacobian and let others pass by; of a symmetric kernel, the first to pass are those held.

    Raises:
        NumericalError: products that are not finite.
    """

    def make(x: Tensor, piece: _Piece) -> Tensor:
        return jacobian.rows(x[piece.patterns], piece.outputs).reshape(piece.place.stop - piece.place.start, -1)

    (x1, rows), (x2, columns) = held, passing
    lefts = [make(x1, row) for row in rows]
    for j, column in enumerate(columns):
        right = lefts[j] if symmetric and j < len(rows) else make(x2, column)
        for i, row in enumerate(rows[: j + 1] if symmetric else rows):
            block = theta[row.place, column.place]
            block.addmm_(lefts[i], right.mT)
            if check_finite:
                kernel_entries(block, functools.partial(_patterns, row, column))
            if symmetric and i != j:
                theta[column.place, row.place] = block.mT


def _patterns(row: _Piece, column: _Piece, place: Tensor) -> str:
    """Which patterns an entry of a block lies between, for people."""
    found = [
        piece.patterns.start
        + int(index) * (piece.patterns.stop - piece.patterns.start) // (piece.place.stop - piece.place.start)
        for piece, index in zip((row, column), place, strict=True)
    ]
    return f"between patterns {found[0]} and {found[1]}"


@takes_arrays("x1", "x2")
def jacobian_kernel(
    architecture: Network,
    params: Params,
    x1: Tensor,
    x2: Tensor | None = None,
    *,
    trace: bool = False,
    memory_limit: float = float("inf"),
    check_finite: bool = True,
) -> Tensor:
    """Θ(x, x') = ∇_w f(w, x)·∇_w f(w, x') (eq. 5) for weights of M members: (M, P1·C, P2·C), or the trace, (M, P1, P2).

    The same as ``empirical_kernel``, for a network with a member axis, and patterns x1 (P1, d), or (M, P1, d) where
    members have their own, and x2 (P2, d), or x1 again.

    Raises:
        ConfigError: a network that ``torch.func`` cannot differentiate.
        NumericalError: entries of Θ that are not finite.
    """
    params = of_network(architecture, params, x1, x2)
    some, n_outputs = next(iter(params.values())), architecture.n_outputs
    c, n = 1 if trace else n_outputs, x1.shape[-2]
    theta = some.new_zeros(len(some), c * n, c * (n if x2 is None else len(x2)))
    for member, its_theta in enumerate(theta):
        jacobian = _of_member(architecture, params, member, architecture.layout.trained)
        x = x1 if x1.dim() == 2 else x1[member]
        add_kernel(its_theta, jacobian, x, x2, trace=trace, memory_limit=memory_limit, check_finite=check_finite)
    return theta


def rows_by_weight(architecture: Network, params: Params, x: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
    """∇f by some weights of M members at patterns x (P, d), or (M, P, d): (M, P·C, its size) of each, by name.

    Raises:
        ConfigError: a network that ``torch.func`` cannot differentiate.
    """
    outputs, rows = slice(0, architecture.n_outputs), []
    for member in range(len(next(iter(params.values())))):
        of_member = _of_member(architecture, params, member, names)
        rows.append(of_member.rows(x if x.dim() == 2 else x[member], outputs).flatten(0, 1))
    sizes = [params[name][0].numel() for name in names]
    return dict(zip(names, torch.stack(rows).split(sizes, dim=2), strict=True))


def _of_member(architecture: Network, params: Params, member: int, names: Sequence[str]) -> Jacobian:
    """By the weights of these names, of one member."""
    own = {name: weight[member].detach() for name, weight in params.items()}

    @slowly
    def function(weights: Mapping[str, Tensor], x: Tensor) -> Tensor:
        return architecture.apply({name: weight[None] for name, weight in {**own, **weights}.items()}, x)[0]

    counted = vars(architecture).setdefault("_row_bytes", {})  # of the network, as a cached property is
    return Jacobian(function, {name: own[name] for name in names}, architecture.n_outputs, counted)
