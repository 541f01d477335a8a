"""Kernel ridge regression on a kernel that is too large for memory: Cholesky by blocks of columns, in a file."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from feature_lazy.core.memory import chunk_size, chunks

Block = Callable[[slice, slice], Tensor]
"""K of some patterns with others, (rows, columns)."""
HELD = 3
"""Blocks of columns held at a time: what is factored, what it is reduced by, and their product."""


def blocked_weights(kernel: Block, y: Tensor, *, ridge: float, memory_limit: float, scratch: Path | None) -> Tensor:
    """(K + λI)⁻¹ y with λ = ridge·tr K/P, as ``kernel_regression`` has it, for P² beyond memory.

    K and then its factor L, LLᵀ = K + λI, lie in one file; P³/3 products, and the file is read P/(3b) times for blocks
    of b columns.

    Args:
        kernel: gives K on the training set by blocks.
        y: labels (P,) or (P, C).
        ridge: λ over the mean diagonal.
        memory_limit: bytes, at least those of a few columns.
        scratch: a folder for a file of 8P² bytes, which is gone at the end; None: the system's for such files.

    Returns:
        Weights of the patterns, of the shape of y, in float64.

    Raises:
        ValueError: a kernel that is singular up to rounding, or not positive.
    """
    n = len(y)
    blocks = list(chunks(n, chunk_size(n, HELD * 8.0 * n, memory_limit)))
    # A file of a new name, so that nothing that is there is written to, not even through a link.
    with tempfile.NamedTemporaryFile(dir=scratch, prefix=".kernel-") as file:
        factor = np.memmap(file, dtype=np.float64, mode="w+", shape=(n, n))
        for columns in blocks:
            for rows in blocks:
                if rows.start >= columns.start:
                    factor[rows, columns] = kernel(rows, columns).double().numpy()
        shift = ridge * float(np.diagonal(factor).mean())
        for columns in blocks:
            _factor(factor, columns, blocks, shift)
        return torch.from_numpy(_solved(factor, blocks, y.double().numpy())).reshape(y.shape)


def _factor(factor: np.ndarray, columns: slice, blocks: list[slice], shift: float) -> None:
    """Replace K in some columns, from the diagonal down, by L: all columns before are done.

    Raises:
        ValueError: see ``blocked_weights``.
    """
    below = slice(columns.start, len(factor))
    part = np.array(factor[below, columns])
    size = columns.stop - columns.start
    part[:size].flat[:: size + 1] += shift
    largest = part[:size].diagonal().max()
    for before in blocks:
        if before.start < columns.start:
            done = factor[below, before]
            part -= done @ done[:size].T
    try:
        top = np.linalg.cholesky(part[:size])
    except np.linalg.LinAlgError:
        top = np.zeros((1, 1))
    if not np.square(top.diagonal()).min() > len(factor) * np.finfo(float).eps * largest:
        raise ValueError(
            f"the kernel on {len(factor)} patterns is singular up to rounding, or not positive: set a larger ridge."
        )
    part[:size] = top
    part[size:] = scipy.linalg.solve_triangular(top, part[size:].T, lower=True).T
    factor[below, columns] = part


def _solved(factor: np.ndarray, blocks: list[slice], y: np.ndarray) -> np.ndarray:
    """L⁻ᵀL⁻¹y, (P, C)."""
    found = y.reshape(len(y), -1).copy()
    for block in blocks:
        found[block] = scipy.linalg.solve_triangular(np.tril(factor[block, block]), found[block], lower=True)
        found[block.stop :] -= factor[block.stop :, block] @ found[block]
    for block in reversed(blocks):
        found[block] -= factor[block.stop :, block].T @ found[block.stop :]
        found[block] = scipy.linalg.solve_triangular(np.tril(factor[block, block]), found[block], lower=True, trans=1)
    return found
