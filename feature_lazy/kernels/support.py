"""The support vector machine on a given kernel, without intercept."""

import numpy as np
import torch
from sklearn.svm import LinearSVC
from torch import Tensor

from feature_lazy.kernels.checks import square, takes_arrays

MAX_SWEEPS = 1_000_000
TOLERANCE = 1e-8
"""Of liblinear: of the projected gradient of its dual."""


@takes_arrays("kernel", "y")
def support_weights(kernel: Tensor, y: Tensor, strength: float) -> Tensor:
    """The a that minimises (λ/2) aᵀKa + (1/P) Σ_i max(0, 1 − y_i (Ka)_i), so that F = K_test,train a.

    0 ≤ y_i a_i ≤ 1/(λP), and a_i = 0 where the margin is above 1. By liblinear on L with K = LLᵀ, C = 1/(λP):
    ``SVC(kernel="precomputed")`` would add an intercept, which no network has.

    Args:
        kernel: K, (P, P), positive.
        y: ±1, (P,).
        strength: λ > 0.

    Returns:
        a, (P,), in float64.

    Raises:
        ValueError: labels that are not ±1 or all alike, or a kernel that is not square, finite or positive.
    """
    kernel, y = square(kernel).double(), y.double()
    if y.shape != kernel.shape[:1] or not bool((y.abs() == 1).all()) or bool((y == y[0]).all()):
        raise ValueError("labels must be (P,), +1 and −1, of both kinds.")
    values, vectors = torch.linalg.eigh(kernel)
    epsilon = torch.finfo(kernel.dtype).eps
    if values[0] < -(epsilon**0.5) * values[-1]:
        raise ValueError(f"the kernel is not positive: its eigenvalues reach from {values[0]:.3g} to {values[-1]:.3g}.")
    kept = values > len(y) * epsilon * values[-1]
    roots, vectors = values[kept].sqrt(), vectors[:, kept]
    machine = LinearSVC(
        loss="hinge", fit_intercept=False, C=1 / (strength * len(y)), tol=TOLERANCE, max_iter=MAX_SWEEPS, random_state=0
    )
    machine.fit((vectors * roots).numpy(), y.numpy())
    return vectors @ (torch.from_numpy(np.asarray(machine.coef_[0], dtype=np.float64)) / roots)
