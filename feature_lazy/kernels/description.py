"""What a kernel looks like, and how like another one it is: scalars of each member, without its eigenvalues.

``relative_change``, ``describe``, ``label_gradient_alignment`` and ``centred_alignment`` are called during training,
where a network may have overflowed: they give NaN or infinity for such a member and the run records it. All others
refuse a kernel that is not finite.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from feature_lazy.kernels.checks import norm, takes_arrays


@takes_arrays("theta", "theta0")
def relative_change(theta: Tensor, theta0: Tensor) -> Tensor:
    """Kernel change ‖Θ − Θ₀‖_F/‖Θ₀‖_F of each member (Fig. 5a): (M, P, P) and (M, P, P) → (M,)."""
    return torch.linalg.matrix_norm(theta - theta0) / torch.linalg.matrix_norm(theta0)


@takes_arrays("theta", "labels")
def describe(theta: Tensor, labels: Tensor) -> Mapping[str, Tensor]:
    """Scalars of Θ (M, P·C, P·C) for labels y (P,), ±1 or classes, each of shape (M,).

    ``norm`` = ‖Θ‖_F, ``mean`` = mean entry, ``trace``, ``alignment`` = yᵀΘy/(‖y‖²‖Θ‖_F), between −1 and 1: the
    alignment with the kernel yyᵀ that knows the labels (Cristianini et al. 2001, *On kernel-target alignment*). For C
    outputs that kernel is the same for each and none between two, YYᵀ ⊗ 1 with Y_μk = [μ is of class k] − 1/C: with two
    outputs that share no weights it gives what one gives with y = ±1. ``lga`` is ``label_gradient_alignment``, where
    the labels are of two classes or more.
    """
    frobenius = torch.linalg.matrix_norm(theta)
    product, scale = _with_labels(theta, labels)
    return {
        "norm": frobenius,
        "mean": theta.mean(dim=(1, 2)),
        "trace": theta.diagonal(dim1=1, dim2=2).sum(1),
        "alignment": product / (scale * frobenius),
        **({} if unclassed(labels) else {"lga": label_gradient_alignment(theta, labels)}),
    }


def unclassed(labels: Tensor) -> str:
    """What keeps labels (P,) from telling classes apart: real numbers other than ±1, or one class; empty: nothing."""
    if labels.is_floating_point() and not bool((labels.abs() == 1).all()):
        return "the labels are real numbers: classes, or ±1, are needed; for real labels there is alignment"
    return "all patterns are of one class: two are needed" if bool((labels == labels[:1]).all()) else ""


@takes_arrays("theta", "labels")
def label_gradient_alignment(theta: Tensor, labels: Tensor) -> Tensor:
    """Label–gradient alignment: the correlation of a kernel's entries with ±1 for patterns of one class or of two.

    ⟨K − K̄, S − S̄⟩_F/(‖K − K̄‖_F‖S − S̄‖_F) with K_μν = ∇Σ_k f_k(x_μ)·∇Σ_k f_k(x_ν), the kernel of the sum of all outputs,
    S_μν = 1 where the classes of μ and ν are the same, else −1, and bars for the mean of all entries, one number: where
    ``cka`` takes away the means of rows and columns (Mok et al. 2022, arXiv:2203.14577; here of all weights, there
    without those of the classifier).

    Args:
        theta: Θ of each member, (M, P·C, P·C).
        labels: ±1 or classes, (P,).

    Returns:
        (M,), between −1 and 1; NaN of a kernel that is not finite, or constant.

    Raises:
        ValueError: labels that are real numbers, or all of one class.
    """
    if why := unclassed(labels):
        raise ValueError(f"{why}.")
    c = theta.shape[1] // len(labels)
    summed = theta.unflatten(2, (-1, c)).sum(-1).unflatten(1, (-1, c)).sum(2)
    same = torch.where(labels[:, None] == labels, 1.0, -1.0).to(theta)
    k, s = summed - summed.mean(dim=(1, 2), keepdim=True), same - same.mean()
    return (k * s).sum(dim=(1, 2)) / (torch.linalg.matrix_norm(k) * torch.linalg.matrix_norm(s))


def _with_labels(theta: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The product of Θ with the kernel of the labels, (M,), and the norm of that one."""
    if labels.is_floating_point():
        return torch.einsum("p,epq,q->e", labels, theta, labels), labels.square().sum()
    c = theta.shape[1] // len(labels)
    targets = torch.nn.functional.one_hot(labels, c).to(theta) - 1 / c
    gram = targets @ targets.mT
    traced = theta.unflatten(2, (-1, c)).unflatten(1, (-1, c)).diagonal(dim1=2, dim2=4).sum(-1)
    return (traced * gram).sum((1, 2)), c**0.5 * torch.linalg.matrix_norm(gram)


@takes_arrays("classes")
def class_gram(classes: Tensor) -> Tensor:
    """The kernel that knows the classes: G_μν = 1 if μ and ν are of one class, else 0, as float64.

    With two classes and labels y = ±1, yyᵀ = 2G − 1: centred they are the same but for a factor, so ``cka`` with G is
    ``cka`` with yyᵀ. ``alignment`` with G is large for any kernel of positive entries; ``cka`` is not.

    Args:
        classes: integers (P,), in any numbering.

    Returns:
        G, (P, P).

    Raises:
        ValueError: classes that are no vector of integers.
    """
    if classes.dim() != 1 or classes.is_floating_point() or classes.is_complex():
        raise ValueError(f"classes are {tuple(classes.shape)} {classes.dtype}; they must be integers, (P,).")
    return (classes[:, None] == classes).double()


@takes_arrays("theta", "other")
def alignment(theta: Tensor, other: Tensor) -> Tensor:
    """Cosine of the angle between two kernels, ⟨Θ, K⟩_F/(‖Θ‖_F‖K‖_F) (Cristianini et al. 2001).

    Args:
        theta: Θ of each member, (M, P, P).
        other: K of each member, (M, P, P), or one for all, (P, P).

    Returns:
        (M,), between −1 and 1, and not negative for kernels, which are positive semi-definite.

    Raises:
        ValueError: a kernel that is not square, not finite, or zero.
    """
    unit, other_unit = (kernel / norm(kernel)[..., None, None] for kernel in (theta, other))
    return (unit * other_unit).sum((-2, -1))


@takes_arrays("theta")
def centred(theta: Tensor) -> Tensor:
    """HΘH with H = I − 11ᵀ/P: the kernel after the mean of its features is taken away.

    Args:
        theta: (…, P, P).

    Returns:
        The same shape; rows and columns sum to zero.

    Raises:
        ValueError: a kernel that is not square, not finite, or constant: centred, only its rounding would be left.
    """
    rounding = theta.shape[-1] * torch.finfo(theta.dtype).eps * norm(theta)
    result = _centre(theta)
    if not bool((torch.linalg.matrix_norm(result) > rounding).all()):
        raise ValueError("a kernel is the same constant for all pairs of patterns: centred, nothing is left of it.")
    return result


def _centre(theta: Tensor) -> Tensor:
    mean = theta.mean(-1, keepdim=True)
    return theta - theta.mean(-2, keepdim=True) - mean + mean.mean(-2, keepdim=True)


def centred_alignment(theta: Tensor, theta0: Tensor) -> Tensor:
    """``cka`` of Θ with Θ₀ of the same member, (M, P, P) and (M, P, P) → (M,), NaN where ``cka`` refuses a kernel."""
    now, then = _centre(theta), _centre(theta0)
    return (now * then).sum((1, 2)) / (torch.linalg.matrix_norm(now) * torch.linalg.matrix_norm(then))


@takes_arrays("theta", "other")
def cka(theta: Tensor, other: Tensor) -> Tensor:
    """Centred kernel alignment of two kernels: ``alignment`` of HΘH and HKH.

    It does not change when a kernel is scaled or gets a constant, nor, for K = XXᵀ, when the features X are rotated
    (Cortes, Mohri and Rostamizadeh 2012, *Algorithms for learning kernels based on centered alignment*; Kornblith
    et al. 2019, *Similarity of neural network representations revisited*). Two kernels of p and q independent features
    have a value of about √(pq)/P, and not 0, for p, q ≪ P.

    Args:
        theta: Θ of each member, (M, P, P).
        other: K of each member, (M, P, P), or one for all, (P, P), as from ``class_gram``.

    Returns:
        (M,), between 0 and 1 for kernels, which are positive semi-definite.

    Raises:
        ValueError: a kernel that is not square, not finite, or constant.
    """
    return alignment(centred(theta), centred(other))
