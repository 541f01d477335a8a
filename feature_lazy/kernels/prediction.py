"""What a network with a fixed kernel predicts at any time, for the mse loss: gradient flow solved by eigenvectors."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from feature_lazy.kernels.checks import check_symmetric, takes_arrays


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
    """F(t) under dF/dt = −(1/P) Θ ∂ℓ/∂F with ℓ = ½(c·y − F)², from F = 0 (App. A, eqs. 25–28).

    F_train(t) = (I − e^{−Θt/P}) c·y and F_test(t) = Θ_test,train Θ⁻¹ (I − e^{−Θt/P}) c·y, for any Θ: of an infinitely
    wide network, or of one member of finite width, frozen. Work: one eigendecomposition, P³.

    Args:
        theta_train: Θ on the training set, (P, P), symmetric and positive.
        theta_test_train: Θ of test with training patterns, (P_test, P).
        labels: y, any real numbers, (P,), or C columns of them, (P, C), of outputs that do not share weights.
        times: T times t ≥ 0 in the article's units (spec: dF/dt above); ``math.inf`` is the end of training.
        target: c.
        cutoff: eigenvalues up to this fraction of the largest count as 0: their modes never train. They would not by
            t = ∞ either, were they 0 but for rounding, and their share in F_test, 0/0, is 0 for a positive kernel on
            train and test together. P·ε of the kernel's dtype if omitted. Raise it for a noisy kernel.

    Returns:
        F_train (T, P) and F_test (T, P_test), or (T, P, C) and (T, P_test, C), in float64.

    Raises:
        ValueError: shapes that do not fit, numbers that are not finite, negative times, or a
            kernel that is not symmetric or not positive beyond √ε of its dtype.
    """
    t = torch.as_tensor(times, dtype=torch.float64, device=theta_train.device).reshape(-1)
    _check(theta_train, theta_test_train, labels, t)
    modes = _Modes.of(theta_train, cutoff)
    onto = target * modes.vectors.mT @ labels.double().reshape(len(labels), -1)
    fitted = modes.fitted(t)[:, :, None] * onto
    train, test = modes.vectors @ fitted, theta_test_train.double() @ modes.vectors @ (fitted / modes.rates[:, None])
    return (train, test) if labels.dim() == 2 else (train[..., 0], test[..., 0])


@takes_arrays("labels")
def gp_prediction(
    theta: tuple[Tensor, Tensor],
    nngp: tuple[Tensor, Tensor, Tensor],
    labels: Tensor,
    times: Tensor | Sequence[float],
    *,
    cutoff: float | None = None,
    symmetric: bool = True,
) -> tuple[Tensor, Tensor]:
    """Mean and covariance over initial weights of infinitely wide networks F = f at time t (arXiv:1902.06720).

    Outputs begin as a Gaussian process of covariance Σ and move by dF/dt = −(1/P) Θ (F − y), linear in F. With
    B(t) = Θ_test,train Θ⁻¹ (I − e^{−Θt/P}) the mean is B·y and the covariance Σ_** + B Σ Bᵀ − B Σ_train,* − (…)ᵀ; of
    F = αf it is α² times that. At t = ∞ with Θ = Σ, where the last layer alone is trained, it is the posterior.

    Args:
        theta: Θ of infinite width on the training set (P, P), and of test with training patterns (P_test, P).
        nngp: Σ, the same two, and on the test set, (P_test, P_test), or its diagonal, (P_test,).
        labels: any real y, (P,), or C columns of them, (P, C), each output's.
        times: T times t ≥ 0, as for ``mse_prediction``.
        cutoff: as for ``mse_prediction``.
        symmetric: False for a Θ that need not be, such as that of surrogate gradients, whose eigenvalues have positive
            real parts.

    Returns:
        The mean (T, P_test) or (T, P_test, C), and the covariance of one output (T, P_test, P_test), or the variances
        (T, P_test) if Σ is given by its diagonal; in float64.

    Raises:
        ValueError: as for ``mse_prediction``, of both kernels; of a Θ that is not symmetric an eigenvalue whose real
            part is not positive, or a cutoff, which is of symmetric ones.
    """
    t = torch.as_tensor(times, dtype=torch.float64, device=theta[0].device).reshape(-1)
    _check(*theta, labels, t, symmetric=symmetric)
    _check(*nngp[:2], labels, t)
    on_train, with_train, on_test = (part.double() for part in nngp)
    if on_test.shape not in {(len(theta[1]),), (len(theta[1]),) * 2} or not on_test.isfinite().all():
        raise ValueError(
            f"Σ on the test set has the shape {tuple(on_test.shape)} or is not finite; it must be (P_test, P_test) or "
            "its diagonal, (P_test,)."
        )
    means, covariances = [], []
    for b in _learnt(*theta, t, cutoff) if symmetric else _learnt_unevenly(*theta, t, cutoff):
        means.append(b @ labels.double())
        moved = b @ on_train
        if on_test.dim() == 1:
            covariances.append(on_test + ((moved - 2 * with_train) * b).sum(1))
        else:
            cross = b @ with_train.mT
            covariances.append(on_test + moved @ b.mT - cross - cross.mT)
    return torch.stack(means), torch.stack(covariances)


def _learnt(theta: Tensor, onto_tests: Tensor, t: Tensor, cutoff: float | None) -> Iterator[Tensor]:
    """B at each of the times, (P_test, P)."""
    modes = _Modes.of(theta, cutoff)
    onto = onto_tests.double() @ modes.vectors
    for shares in modes.fitted(t):
        yield (onto * (shares / modes.rates)) @ modes.vectors.mT


def _learnt_unevenly(theta: Tensor, onto_tests: Tensor, t: Tensor, cutoff: float | None) -> Iterator[Tensor]:
    """The same of a Θ that is not symmetric: by the exponential of the matrix, and a solution by LU.

    Raises:
        ValueError: a cutoff, or a flow that does not come to rest.
    """
    if cutoff is not None:
        raise ValueError("cutoff: is of eigenvalues of a symmetric kernel; leave it out.")
    theta = theta.double()
    slowest = torch.linalg.eigvals(theta).real.amin()
    if not slowest > 0:
        raise ValueError(
            f"the kernel, which is not symmetric, has an eigenvalue of real part {slowest:.3g}; the flow under it does "
            "not come to rest."
        )
    one = torch.eye(len(theta), dtype=theta.dtype, device=theta.device)
    for time in t.tolist():
        left = 0 * one if time == math.inf else torch.linalg.matrix_exp(-theta * time / len(theta))
        yield onto_tests.double() @ torch.linalg.solve(theta, one - left)


@dataclass(frozen=True)
class _Modes:
    """Eigenvectors of Θ on P patterns that train, (P, k), and their eigenvalues (k,)."""

    rates: Tensor
    vectors: Tensor

    @classmethod
    def of(cls, theta: Tensor, cutoff: float | None) -> "_Modes":
        """Those above the cutoff.

        Raises:
            ValueError: a kernel that is not positive.
        """
        epsilon = torch.finfo(theta.dtype).eps
        rates, modes = torch.linalg.eigh(theta.double())
        if rates[0] < -(epsilon**0.5) * rates[-1].abs():
            raise ValueError(
                f"the kernel is not positive: its eigenvalues reach from {rates[0]:.3g} to {rates[-1]:.3g}."
            )
        trained = rates > (len(theta) * epsilon if cutoff is None else cutoff) * rates[-1]
        return cls(rates[trained], modes[:, trained])

    def fitted(self, t: Tensor) -> Tensor:
        """1 − e^{−λt/P} of each at times (T,), (T, k)."""
        return -torch.expm1(-torch.outer(t, self.rates) / len(self.vectors))


def _check(theta_train: Tensor, theta_test_train: Tensor, labels: Tensor, t: Tensor, *, symmetric: bool = True) -> None:
    """Refuse what would give numbers that mean nothing.

    Raises:
        ValueError: see ``mse_prediction``.
    """
    n = len(labels)
    if labels.dim() not in {1, 2} or theta_train.shape != (n, n) or theta_test_train.shape[1:] != (n,):
        raise ValueError(
            f"{tuple(theta_train.shape)}, {tuple(theta_test_train.shape)} and {tuple(labels.shape)} are the shapes of "
            "both kernels and the labels; they must be (P, P), (P_test, P) and (P,)."
        )
    if not (theta_train.isfinite().all() and theta_test_train.isfinite().all()):
        raise ValueError("a kernel has entries that are not finite.")
    if not labels.isfinite().all():
        raise ValueError("labels must be finite.")
    if not (t >= 0).all():
        raise ValueError("times must be 0 or more.")
    if symmetric:
        check_symmetric(theta_train)
