"""Neural tangent kernels: exact for finite width, layer by layer, and analytic for infinite width."""

from feature_lazy.kernels.empirical import empirical_kernel
from feature_lazy.kernels.infinite import InfiniteKernels, infinite_kernels
from feature_lazy.kernels.jacobian import jacobian_kernel
from feature_lazy.kernels.layerwise import describe, relative_change, tangent_kernel
from feature_lazy.kernels.regression import mse_prediction

__all__ = [
    "InfiniteKernels",
    "describe",
    "empirical_kernel",
    "infinite_kernels",
    "jacobian_kernel",
    "mse_prediction",
    "relative_change",
    "tangent_kernel",
]
