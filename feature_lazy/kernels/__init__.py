"""Neural tangent kernels: exact for finite width, layer by layer, and analytic for infinite width."""

from feature_lazy.kernels.infinite import InfiniteKernels, infinite_kernels
from feature_lazy.kernels.jacobian import jacobian_kernel
from feature_lazy.kernels.layerwise import describe, relative_change, tangent_kernel
from feature_lazy.kernels.on_disk import kernel_on_disk
from feature_lazy.kernels.regression import mse_prediction
from feature_lazy.kernels.tiles import TiledKernel

__all__ = [
    "InfiniteKernels",
    "TiledKernel",
    "describe",
    "infinite_kernels",
    "jacobian_kernel",
    "kernel_on_disk",
    "mse_prediction",
    "relative_change",
    "tangent_kernel",
]
