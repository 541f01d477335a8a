"""Tangent kernels: exact, as an operator, and of infinite width; what they look like, and what they predict."""

from typing import TYPE_CHECKING, Any

from feature_lazy.kernels.description import (
    alignment,
    centred,
    cka,
    class_gram,
    describe,
    label_gradient_alignment,
    relative_change,
)
from feature_lazy.kernels.disk.kernel import kernel_on_disk
from feature_lazy.kernels.disk.tiles import TiledKernel
from feature_lazy.kernels.empirical import empirical_kernel
from feature_lazy.kernels.exact import JointKernel, joint_kernel, layer_kernels, tangent_kernel
from feature_lazy.kernels.intrinsic_dimension import intrinsic_dimension, intrinsic_dimension_of_kernel
from feature_lazy.kernels.jacobian import jacobian_kernel
from feature_lazy.kernels.prediction import gp_prediction, mse_prediction
from feature_lazy.kernels.regression import kernel_regression
from feature_lazy.kernels.spectrum import (
    effective_rank,
    participation_ratio,
    spectral_decay,
    spectrum,
    top_eigenvalues,
)
from feature_lazy.networks.limits.infinite import InfiniteKernels, infinite_kernels
from feature_lazy.networks.limits.limit import limit_kernels

if TYPE_CHECKING:
    from feature_lazy.kernels.operator import TangentOperator

__all__ = [
    "InfiniteKernels",
    "JointKernel",
    "TangentOperator",
    "TiledKernel",
    "alignment",
    "centred",
    "cka",
    "class_gram",
    "describe",
    "effective_rank",
    "empirical_kernel",
    "gp_prediction",
    "infinite_kernels",
    "intrinsic_dimension",
    "intrinsic_dimension_of_kernel",
    "jacobian_kernel",
    "joint_kernel",
    "kernel_on_disk",
    "kernel_regression",
    "label_gradient_alignment",
    "layer_kernels",
    "limit_kernels",
    "mse_prediction",
    "participation_ratio",
    "relative_change",
    "spectral_decay",
    "spectrum",
    "tangent_kernel",
    "top_eigenvalues",
]


def __getattr__(name: str) -> Any:
    """``TangentOperator``, which is a class of SciPy's: a fifth of a second that no training needs.

    Raises:
        AttributeError: another name.
    """
    if name != "TangentOperator":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from feature_lazy.kernels.operator import TangentOperator

    return TangentOperator
