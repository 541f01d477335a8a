"""What a network with a fixed kernel predicts at any time, for the mse loss: gradient flow solved by eigenvectors."""

from collections.abc import Sequence

import torch
from torch import Tensor

from feature_lazy.kernels.checks import takes_arrays


@takes_arrays("theta_train", "theta_test_train", "labels")
def mse_prediction(
    theta_train: Tensor,
    theta_test_train: Tensor,
    labels: Tensor,
    times: Tensor | Sequence[float],
    *,
    target: float = 1.0,
    cutoff: float | None = None,
) -> tuple[Tensor, Tensor]:
    """F(t) under dF/dt = −(1/P) Θ ∂ℓ/∂F with ℓ = ½(c − F·y)², from F = 0 (App. A, eqs. 25–28).

    F_train(t) = (I − e^{−Θt/P}) c·y and F_test(t) = Θ_test,train Θ⁻¹ (I − e^{−Θt/P}) c·y, for any Θ: of an infinitely
    wide network, or of one member of finite width, frozen. Work: one eigendecomposition, P³.

    Args:
        theta_train: Θ on the training set, (P, P), symmetric and positive.
        theta_test_train: Θ of test with training patterns, (P_test, P).
        labels: y = ±1, (P,).
        times: T times t ≥ 0 in the article's units (spec: dF/dt above); ``math.inf`` is the end of training.
        target: c.
        cutoff: eigenvalues up to this fraction of the largest count as 0: their modes never train. They would not by
            t = ∞ either, were they 0 but for rounding, and their share in F_test, 0/0, is 0 for a positive kernel on
            train and test together. P·ε of the kernel's dtype if omitted. Raise it for a noisy kernel.

    Returns:
        F_train (T, P) and F_test (T, P_test), in float64.

    Raises:
        ValueError: shapes that do not fit, numbers that are not finite, labels other than ±1, negative times, or a
            kernel that is not symmetric or not positive beyond √ε of its dtype.
    """
    t = torch.as_tensor(times, dtype=torch.float64, device=theta_train.device).reshape(-1)
    _check(theta_train, theta_test_train, labels, t)
    epsilon = torch.finfo(theta_train.dtype).eps
    n = len(labels)
    rates, modes = torch.linalg.eigh(theta_train.double())
    if rates[0] < -(epsilon**0.5) * rates[-1].abs():
        raise ValueError(f"the kernel is not positive: its eigenvalues reach from {rates[0]:.3g} to {rates[-1]:.3g}.")
    trained = rates > (n * epsilon if cutoff is None else cutoff) * rates[-1]
    rates, modes = rates[trained], modes[:, trained]
    fitted = -torch.expm1(-torch.outer(t, rates) / n) * (target * labels.double() @ modes)
    return fitted @ modes.mT, (fitted / rates) @ modes.mT @ theta_test_train.double().mT


def _check(theta_train: Tensor, theta_test_train: Tensor, labels: Tensor, t: Tensor) -> None:
    """Refuse what would give numbers that mean nothing.

    Raises:
        ValueError: see ``mse_prediction``.
    """
    n = labels.numel()
    if labels.shape != (n,) or theta_train.shape != (n, n) or theta_test_train.shape[1:] != (n,):
        raise ValueError(
            f"{tuple(theta_train.shape)}, {tuple(theta_test_train.shape)} and {tuple(labels.shape)} are the shapes of "
            "both kernels and the labels; they must be (P, P), (P_test, P) and (P,)."
        )
    if not (theta_train.isfinite().all() and theta_test_train.isfinite().all()):
        raise ValueError("a kernel has entries that are not finite.")
    if not (labels.abs() == 1).all():
        raise ValueError("labels must be +1 or −1.")
    if not (t >= 0).all():
        raise ValueError("times must be 0 or more.")
    asymmetry = (theta_train - theta_train.mT).abs().max()
    if asymmetry > torch.finfo(theta_train.dtype).eps ** 0.5 * theta_train.abs().max():
        raise ValueError("the kernel of the training set is not symmetric.")
